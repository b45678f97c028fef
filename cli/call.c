/*
 * The hub holds the first request for a second. A call that is done by then is answered in it. A longer one
 * is answered with its id: then the live events of the call say when to fetch its result, and look() is
 * called besides every second, because events may be missed and hubs restarted.
 *
 * Ctrl-C before the id is known closes the connection, which the hub takes for a cancel; later it is a
 * request of its own. Two seconds after it, or at the second Ctrl-C, we are gone.
 */
#include "cli/call.h"

#include "cli/rest.h"
#include "core/base/json.h"
#include "core/base/loop.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/client.h"
#include "core/net/sse.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 1000, CANCEL_MS = 2000, MISSES_MOST = 5, EVENT_MOST = 1 << 20, SHOWN_MOST = 100 };

struct making {
    struct cli *cli;
    struct loop *loop;
    struct http *http;
    struct http_call *make, *stream, *looking, *cancelling;
    struct sse_reader reader;
    struct timer look, give_up;
    struct buf body, *out;
    char *id, *head; /* what the hub said of the call when it gave the id */
    int http_status, status, misses;
    bool is_interrupted, shows_progress, has_shown;
};

static void look(void *ctx);

static void finish(struct making *m, int status)
{
    m->status = m->is_interrupted ? EXIT_INTERRUPTED : status;
    loop_stop(m->loop);
}

static void fail_unreachable(struct making *m, const struct why *why)
{
    finish(m, cli_fail(m->cli, EXIT_UNREACHABLE, "no hub answers: %s (start one with 'trunkline up')",
                       why->text));
}

/* --- one request after the other: they share the way their body is taken --- */

static void take_head(struct http_call *call, int status, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    m->http_status = status;
}

static void take_piece(struct http_call *call, struct bytes piece, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    buf_add_bytes(&m->body, piece);
}

static struct http_call *ask(struct making *m, const char *method, const char *path, const char *headers,
                             struct bytes body, const struct http_ops *ops)
{
    struct http_spec spec = {.method = method,
                             .path = path,
                             .headers = headers,
                             .body = body,
                             .timeout_ms = m->cli->timeout_ms,
                             .ops = ops,
                             .ctx = m};
    return http_send(m->http, &spec);
}

/* --- progress --- */

static void clear_progress(struct making *m)
{
    if (m->has_shown)
        fputs("\r\033[K", stderr);
    m->has_shown = false;
}

static void show_progress(struct making *m, const json_t *data)
{
    const char *message = json_str(data, "message");
    const json_t *progress = json_object_get(data, "progress"), *total = json_object_get(data, "total");
    struct buf line = {0};
    if (!m->shows_progress || m->is_interrupted)
        return;
    if (json_is_number(progress))
        buf_addf(&line, "%g", json_number_value(progress));
    if (json_is_number(total))
        buf_addf(&line, "/%g", json_number_value(total));
    if (message) {
        buf_add_text(&line, line.n ? "  " : "");
        text_show(&line, (struct bytes){message, utf8_cut(bytes_of(message), SHOWN_MOST)});
    }
    fprintf(stderr, "\r\033[K%s", line.p ? line.p : "");
    m->has_shown = true;
    buf_end(&line);
}

/* --- the live events of the call --- */

static void got_event(const struct sse_event *e, void *ctx)
{
    struct making *m = ctx;
    _cleanup_json_ json_t *event = e->data.n ? json_read(e->data, NULL) : NULL;
    const char *type = json_str(event, "type");
    if (type && strcmp(type, "call.progress") == 0)
        show_progress(m, json_object_get(event, "data"));
    else if (type && strcmp(type, "call.finished") == 0)
        timer_start(&m->look, 0);
}

static void stream_head(struct http_call *call, int status, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    if (status == 200)
        timer_start(&m->look, 0); /* it may have ended before we listened */
}

static void stream_piece(struct http_call *call, struct bytes piece, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    sse_feed(&m->reader, piece, got_event, m);
}

static void stream_end(struct http_call *call, const struct why *why, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    (void)why;
    m->stream = NULL;
}

static void open_stream(struct making *m)
{
    static const struct http_ops ops = {stream_head, stream_piece, stream_end};
    struct buf path = {0};
    rest_path(&path, "/api/v1/events?topics=call:", m->id, "");
    m->stream = ask(m, "GET", path.p, "Accept: text/event-stream\r\n", BYTES_NONE, &ops);
    buf_end(&path);
}

/* --- is there a result? --- */

/* The same object as for a call that was done at once. */
static void add_object(struct making *m)
{
    _cleanup_json_ json_t *result = rest_json(buf_bytes(&m->body), NULL);
    bool is_error = json_is_true(json_object_get(result, "isError"));
    _cleanup_json_ json_t *object = json_read(bytes_of(m->head), NULL);
    json_object_set_new(object, "state", json_string("finished"));
    json_object_set_new(object, "outcome", json_string(is_error ? "tool_error" : "ok"));
    json_object_set_new(object, "is_error", json_boolean(is_error));
    json_add(m->out, object);
    m->out->n--; /* the result goes in as the bytes it came in */
    buf_add_text(m->out, ",\"result\":");
    buf_add_bytes(m->out, buf_bytes(&m->body));
    buf_add_char(m->out, '}');
}

static void looked(struct http_call *call, const struct why *why, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    m->looking = NULL;
    if (why && ++m->misses > MISSES_MOST) {
        fail_unreachable(m, why);
    } else if (why || m->http_status == 409) {
        _cleanup_json_ json_t *tree = why ? NULL : json_read(buf_bytes(&m->body), NULL);
        const char *code = json_str(json_object_get(tree, "error"), "code");
        if (why || (code && strcmp(code, "wrong_state") == 0)) {
            timer_start(&m->look, LOOK_MS);
            return;
        }
        clear_progress(m);
        finish(m, rest_refused(m->cli, m->http_status, buf_bytes(&m->body)));
    } else if (m->http_status == 200) {
        clear_progress(m);
        add_object(m);
        finish(m, EXIT_DONE);
    } else {
        clear_progress(m);
        finish(m, m->is_interrupted ? EXIT_INTERRUPTED
                                    : rest_refused(m->cli, m->http_status, buf_bytes(&m->body)));
    }
}

static void look(void *ctx)
{
    static const struct http_ops ops = {take_head, take_piece, looked};
    struct making *m = ctx;
    struct buf path = {0};
    if (m->looking)
        return;
    buf_clear(&m->body);
    rest_path(&path, "/api/v1/calls/", m->id, "/result");
    m->looking = ask(m, "GET", path.p, NULL, BYTES_NONE, &ops);
    buf_end(&path);
}

/* --- the call --- */

static void go_on(struct making *m)
{
    _cleanup_json_ json_t *head = json_read(buf_bytes(&m->body), NULL);
    m->id = mem_text(json_str(head, "id"));
    if (!m->id) {
        finish(m, cli_fail(m->cli, EXIT_FAILED, "the hub gave the call no id"));
        return;
    }
    m->head = json_text(head);
    open_stream(m);
    timer_start(&m->look, LOOK_MS);
}

static void made(struct http_call *call, const struct why *why, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    m->make = NULL;
    if (why) {
        fail_unreachable(m, why);
    } else if (m->http_status == 202) {
        go_on(m);
    } else if (m->http_status == 200) {
        buf_add_bytes(m->out, buf_bytes(&m->body));
        finish(m, EXIT_DONE);
    } else {
        finish(m, rest_refused(m->cli, m->http_status, buf_bytes(&m->body)));
    }
}

/* --- Ctrl-C --- */

static void cancelled(struct http_call *call, const struct why *why, void *ctx)
{
    struct making *m = ctx;
    (void)call;
    (void)why;
    m->cancelling = NULL;
    finish(m, EXIT_INTERRUPTED);
}

static void gave_up(void *ctx)
{
    finish(ctx, EXIT_INTERRUPTED);
}

static void interrupted(int signo, void *ctx)
{
    static const struct http_ops ops = {.on_end = cancelled};
    struct making *m = ctx;
    struct buf path = {0};
    bool is_second = m->is_interrupted;
    (void)signo;
    m->is_interrupted = true;
    clear_progress(m);
    if (is_second || !m->id) {
        finish(m, EXIT_INTERRUPTED);
        return;
    }
    rest_path(&path, "/api/v1/calls/", m->id, "/cancel");
    m->cancelling =
        ask(m, "POST", path.p, "Content-Type: application/json\r\n", BYTES("{\"reason\":\"Ctrl-C\"}"), &ops);
    buf_end(&path);
    timer_start(&m->give_up, CANCEL_MS);
}

/* --- the whole --- */

static void drop(struct http_call *call)
{
    if (call)
        http_cancel(call);
}

static void close_making(struct making *m)
{
    timer_stop(&m->look);
    timer_stop(&m->give_up);
    drop(m->make);
    drop(m->stream);
    drop(m->looking);
    drop(m->cancelling);
    sse_reader_end(&m->reader);
    buf_end(&m->body);
    free(m->id);
    free(m->head);
}

static void run(struct making *m, struct bytes body)
{
    static const struct http_ops ops = {take_head, take_piece, made};
    struct signal_watch *on_int = signal_watch_new(m->loop, SIGINT, interrupted, m);
    struct signal_watch *on_term = signal_watch_new(m->loop, SIGTERM, interrupted, m);
    timer_init(&m->look, m->loop, look, m);
    timer_init(&m->give_up, m->loop, gave_up, m);
    sse_reader_init(&m->reader, EVENT_MOST);
    m->make =
        ask(m, "POST", "/api/v1/calls", "Content-Type: application/json\r\nPrefer: wait=1\r\n", body, &ops);
    loop_run(m->loop);
    close_making(m);
    signal_watch_free(on_int);
    signal_watch_free(on_term);
}

int call_make(struct cli *c, struct bytes body, struct buf *out)
{
    struct making m = {.cli = c, .out = out, .shows_progress = isatty(STDERR_FILENO) && !c->is_quiet};
    char room[256];
    struct why why = {0};
    m.loop = loop_new();
    m.http = http_new(m.loop, rest_base(c, room, sizeof(room)), &why);
    if (m.http)
        run(&m, body);
    else
        m.status = cli_fail(c, EXIT_USAGE, "%s", why.text);
    http_free(m.http);
    loop_free(m.loop);
    return m.status;
}
