/* The legacy GET stream: what the hub has to say that belongs to no request. It is opened again for as long
 * as the client is there, from where it broke off. */
#include "cli/stdio_parts.h"

#include <stdlib.h>

static void open_again(void *ctx)
{
    legacy_open_stream(ctx);
}

static void got_event(const struct sse_event *event, void *ctx)
{
    struct front *f = ctx;
    struct session *s = &f->session;
    if (event->id.n) {
        buf_clear(&s->last_event);
        buf_add_bytes(&s->last_event, event->id);
    }
    if (event->data.n)
        front_out(f, event->data);
}

static void on_head(struct http_call *call, int status, void *ctx)
{
    struct front *f = ctx;
    (void)call;
    f->session.stream_status = status;
    f->said_unreachable = false;
    if (status == 200)
        f->session.pause_ms = AGAIN_MS;
    else if (status == 400)
        buf_clear(&f->session.last_event); /* that far back the hub does not remember */
}

static void on_piece(struct http_call *call, struct bytes piece, void *ctx)
{
    struct front *f = ctx;
    struct session *s = &f->session;
    (void)call;
    if (s->stream_status != 200 || sse_feed(&s->reader, piece, got_event, f) == 0)
        return;
    /* No message of the hub's is so long: begin anew. */
    http_cancel(s->stream);
    s->stream = NULL;
    buf_clear(&s->last_event);
    timer_start(&s->again, s->pause_ms);
}

static void on_end(struct http_call *call, const struct why *why, void *ctx)
{
    struct front *f = ctx;
    struct session *s = &f->session;
    (void)call;
    (void)why;
    s->stream = NULL;
    if (f->is_ended || s->stream_status == 405)
        return;
    if (s->stream_status == 404) {
        legacy_stream_is_unknown(f);
        return;
    }
    timer_start(&s->again, s->pause_ms);
    s->pause_ms = s->pause_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : s->pause_ms * 2;
}

void legacy_open_stream(struct front *f)
{
    static const struct http_ops ops = {on_head, on_piece, on_end};
    struct session *s = &f->session;
    struct buf headers = {0};
    if (s->stream || f->is_ended || s->state != SESSION_LIVE)
        return;
    buf_add_text(&headers, "Accept: text/event-stream\r\n");
    legacy_add_headers(f, &headers);
    if (s->last_event.n)
        buf_addf(&headers, "Last-Event-ID: %s\r\n", s->last_event.p);
    s->stream_status = 0;
    sse_reader_end(&s->reader);
    sse_reader_init(&s->reader, LINE_MOST);
    struct http_spec spec = {.method = "GET", .path = f->path.p, .headers = headers.p, .ops = &ops, .ctx = f};
    s->stream = http_send(f->http, &spec);
    buf_end(&headers);
}

void legacy_close_stream(struct front *f)
{
    timer_stop(&f->session.again);
    if (f->session.stream)
        http_cancel(f->session.stream);
    f->session.stream = NULL;
}

void legacy_begin_stream(struct front *f)
{
    timer_init(&f->session.again, f->loop, open_again, f);
    f->session.pause_ms = AGAIN_MS;
    sse_reader_init(&f->session.reader, LINE_MOST);
}
