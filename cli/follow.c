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
    struct buf path, headers,
        body; /* of the request; with a body it is a POST, and nothing is caught up on */
    struct buf last;
    int status, http_status;
    bool was_up;
    bool (*fn)(const json_t *event, void *ctx);
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
    bool goes_on = !event || f->fn(event, f->ctx);
    if (!goes_on || ferror(stdout)) /* an error: nobody reads on */
        loop_stop(f->loop);
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
    buf_add_text(&headers, "Accept: application/json, text/event-stream\r\n");
    if (f->headers.n)
        buf_add_bytes(&headers, buf_bytes(&f->headers));
    if (f->last.n)
        buf_addf(&headers, "Last-Event-ID: %s\r\n", f->last.p);
    sse_reader_end(&f->reader);
    sse_reader_init(&f->reader, EVENT_MOST);
    struct http_spec spec = {.method = f->body.n ? "POST" : "GET",
                             .path = f->path.p,
                             .headers = headers.p,
                             .body = buf_bytes(&f->body),
                             .ops = &ops,
                             .ctx = f};
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

static void run(struct follow *f)
{
    sse_reader_init(&f->reader, EVENT_MOST);
    timer_init(&f->again, f->loop, open_stream, f);
    struct signal_watch *on_int = signal_watch_new(f->loop, SIGINT, interrupted, f);
    struct signal_watch *on_term = signal_watch_new(f->loop, SIGTERM, interrupted, f);
    open_stream(f);
    loop_run(f->loop);
    timer_stop(&f->again);
    if (f->call)
        http_cancel(f->call);
    signal_watch_free(on_int);
    signal_watch_free(on_term);
    sse_reader_end(&f->reader);
}

static int follow(struct follow *f)
{
    char room[256];
    struct why why = {0};
    f->pause_ms = AGAIN_MS;
    f->loop = loop_new();
    f->http = http_new(f->loop, rest_base(f->cli, room, sizeof(room)), &why);
    if (f->http)
        run(f);
    else
        f->status = cli_fail(f->cli, EXIT_USAGE, "%s", why.text);
    http_free(f->http);
    loop_free(f->loop);
    buf_end(&f->path);
    buf_end(&f->headers);
    buf_end(&f->body);
    buf_end(&f->last);
    return f->status;
}

int follow_events(struct cli *c, const char *topics, bool (*fn)(const json_t *event, void *ctx), void *ctx)
{
    struct follow f = {.cli = c, .fn = fn, .ctx = ctx};
    rest_path(&f.path, "/api/v1/events?topics=", topics, "");
    return follow(&f);
}

int follow_resource(struct cli *c, const char *uri, bool (*fn)(const json_t *message, void *ctx), void *ctx)
{
    struct follow f = {.cli = c, .fn = fn, .ctx = ctx};
    buf_add_text(&f.path, "/mcp");
    buf_add_text(&f.headers, "Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n"
                             "Mcp-Method: subscriptions/listen\r\n");
    buf_add_text(&f.body,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{\"_meta\":{"
                 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                 "\"io.modelcontextprotocol/clientCapabilities\":{}},\"notifications\":{"
                 "\"resourceSubscriptions\":[");
    buf_add_json_text(&f.body, uri);
    buf_add_text(&f.body, "]}}}");
    return follow(&f);
}
