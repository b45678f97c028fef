#include "cli/follow.h"

#include "cli/rest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/client.h"
#include "core/net/sse.h"

#include <signal.h>
#include <stdio.h>

enum { EVENT_MOST = 1 << 20, AGAIN_MS = 500, AGAIN_MOST_MS = 15000 };

struct follow {
    struct cli *cli;
    struct loop *loop;
    struct http *http;
    struct http_call *call;
    struct sse_reader reader;
    struct timer again;
    int64_t pause_ms;
    struct buf path, last;
    int status, http_status;
    bool was_up;
    void (*fn)(const json_t *event, void *ctx);
    void *ctx;
};

static void open_stream(void *ctx);

static void got_event(const struct sse_event *e, void *ctx)
{
    struct follow *f = ctx;
    if (e->id.n) {
        buf_clear(&f->last);
        buf_add_bytes(&f->last, e->id);
    }
    if (!e->data.n)
        return;
    _cleanup_json_ json_t *event = json_read(e->data, NULL);
    if (event)
        f->fn(event, f->ctx);
}

static void on_head(struct http_call *call, int status, void *ctx)
{
    struct follow *f = ctx;
    (void)call;
    f->http_status = status;
    f->was_up = f->was_up || status == 200;
    f->pause_ms = AGAIN_MS;
    if (status != 200) {
        f->status = cli_fail(f->cli, EXIT_FAILED, "the hub refused to stream events (HTTP %d)", status);
        loop_stop(f->loop);
    }
}

static void on_piece(struct http_call *call, struct bytes piece, void *ctx)
{
    struct follow *f = ctx;
    (void)call;
    if (f->http_status == 200)
        sse_feed(&f->reader, piece, got_event, f);
}

static void on_end(struct http_call *call, const struct why *why, void *ctx)
{
    struct follow *f = ctx;
    (void)call;
    f->call = NULL;
    if (!f->was_up) {
        if (f->status == EXIT_DONE)
            f->status =
                cli_fail(f->cli, EXIT_UNREACHABLE, "no hub answers: %s", why ? why->text : "it hung up");
        loop_stop(f->loop);
        return;
    }
    timer_start(&f->again, f->pause_ms);
    f->pause_ms = f->pause_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : f->pause_ms * 2;
}

static const struct http_ops ops = {on_head, on_piece, on_end};

static void open_stream(void *ctx)
{
    struct follow *f = ctx;
    struct buf headers = {0};
    buf_add_text(&headers, "Accept: text/event-stream\r\n");
    if (f->last.n)
        buf_addf(&headers, "Last-Event-ID: %s\r\n", f->last.p);
    sse_reader_end(&f->reader);
    sse_reader_init(&f->reader, EVENT_MOST);
    struct http_spec spec = {.method = "GET", .path = f->path.p, .headers = headers.p, .ops = &ops, .ctx = f};
    f->call = http_send(f->http, &spec);
    buf_end(&headers);
}

static void interrupted(int signo, void *ctx)
{
    struct follow *f = ctx;
    (void)signo;
    f->status = EXIT_INTERRUPTED;
    loop_stop(f->loop);
}

int follow_events(struct cli *c, const char *topics, void (*fn)(const json_t *event, void *ctx), void *ctx)
{
    struct follow f = {.cli = c, .fn = fn, .ctx = ctx, .pause_ms = AGAIN_MS};
    char room[256];
    struct why why = {0};
    f.loop = loop_new();
    f.http = http_new(f.loop, rest_base(c, room, sizeof(room)), &why);
    if (!f.http) {
        loop_free(f.loop);
        return cli_fail(c, EXIT_USAGE, "%s", why.text);
    }
    sse_reader_init(&f.reader, EVENT_MOST);
    rest_path(&f.path, "/api/v1/events?topics=", topics, "");
    timer_init(&f.again, f.loop, open_stream, &f);
    struct signal_watch *on_int = signal_watch_new(f.loop, SIGINT, interrupted, &f);
    struct signal_watch *on_term = signal_watch_new(f.loop, SIGTERM, interrupted, &f);
    open_stream(&f);
    loop_run(f.loop);
    timer_stop(&f.again);
    if (f.call)
        http_cancel(f.call);
    signal_watch_free(on_int);
    signal_watch_free(on_term);
    http_free(f.http);
    sse_reader_end(&f.reader);
    buf_end(&f.path);
    buf_end(&f.last);
    loop_free(f.loop);
    return f.status;
}
