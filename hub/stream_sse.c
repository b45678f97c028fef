/* The live stream as server-sent events: GET /api/v1/events?topics=calls,servers with Last-Event-ID. */
#include "core/base/mem.h"
#include "core/net/sse.h"
#include "hub/api_parts.h"
#include "hub/events.h"

#include <stdlib.h>

enum { KEEP_ALIVE_MS = 15000, RETRY_MS = 500 };

struct feed {
    struct visit *visit; /* NULL: the stream has ended, its listener with it */
    struct listener *listener;
    struct timer keep_alive;
    bool has_begun;
    struct buf refused; /* said by the listener before the stream begins */
};

static void push(struct feed *f, struct buf *piece)
{
    request_push(f->visit->request, buf_bytes(piece));
    buf_end(piece);
}

/* Only events and resync are told; that they listen they know from the status. */
static void send_frame(void *ctx, const struct frame *frame)
{
    struct feed *f = ctx;
    struct buf piece = {0};
    if (bytes_say(frame->type, "subscribed")) {
        buf_add_bytes(&f->refused, frame->json);
        return;
    }
    const struct sse_event event = {.id = frame->id.n ? frame->id : BYTES_NONE,
                                    .event = frame->type,
                                    .data = frame->json,
                                    .retry_ms = -1};
    sse_add(&piece, &event);
    push(f, &piece);
}

static size_t queued(void *ctx)
{
    const struct feed *f = ctx;
    return request_queued(f->visit->request);
}

static const struct listener_ops listener_ops = {send_frame, queued};

static void stay_alive(void *ctx)
{
    struct feed *f = ctx;
    struct buf piece = {0};
    sse_add_comment(&piece, "");
    push(f, &piece);
    timer_start(&f->keep_alive, KEEP_ALIVE_MS);
}

static void feed_free(struct visit *v)
{
    struct feed *f = v->waiting;
    v->waiting = NULL;
    v->on_end = NULL;
    timer_stop(&f->keep_alive);
    listener_free(f->listener);
    buf_end(&f->refused);
    free(f);
}

static void reader_gone(struct request *r, void *ctx)
{
    struct visit *v = ctx;
    feed_free(v);
    request_finish(r);
}

void events_drain(struct visit *v)
{
    if (v->on_end != feed_free)
        return;
    feed_free(v);
    request_finish(v->request);
}

static size_t read_topics(char *text, struct bytes *topics)
{
    size_t n = 0;
    for (char *at = text, *next; at && n < LISTENER_TOPICS; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        if (*at)
            topics[n++] = bytes_of(at);
    }
    return n;
}

/* The first refused topic, or NULL. */
static const char *refused_topic(struct visit *v, const struct feed *f)
{
    _cleanup_json_ json_t *tree = json_read(buf_bytes(&f->refused), NULL);
    const char *topic = json_string_value(json_array_get(json_object_get(tree, "refused"), 0));
    return topic ? arena_text(v->arena, bytes_of(topic)) : NULL;
}

static void begin(struct feed *f)
{
    struct visit *v = f->visit;
    _cleanup_json_ json_t *tree = json_read(buf_bytes(&f->refused), NULL);
    const char *at = json_str(tree, "at");
    struct buf piece = {0};
    request_on_gone(v->request, reader_gone, v);
    visit_add_headers(v);
    request_stream(v->request, 200, "text/event-stream");
    /* An id without data: whoever is cut off before the first event comes back with it. */
    if (request_header(v->request, "Last-Event-ID").n == 0)
        sse_add(&piece, &(struct sse_event){.id = bytes_of(at), .retry_ms = RETRY_MS});
    else
        sse_add_comment(&piece, "again");
    push(f, &piece);
    timer_start(&f->keep_alive, KEEP_ALIVE_MS);
}

void api_events(struct visit *v, struct bytes body)
{
    const struct query_events *q = v->query;
    struct bytes topics[LISTENER_TOPICS], after = request_header(v->request, "Last-Event-ID");
    (void)body;
    if (!request_accepts(v->request, "text/event-stream")) {
        visit_fault(v, FAULT_NOT_ACCEPTABLE, "this is an event stream: accept text/event-stream");
        return;
    }
    struct feed *f = NEW(struct feed);
    f->visit = v;
    timer_init(&f->keep_alive, v->api->hub->loop, stay_alive, f);
    f->listener = listener_new(v->api->hub->events, v->principal, &listener_ops, f);
    v->waiting = f;
    if (!f->listener) {
        feed_free(v);
        visit_fault(v, FAULT_RATE_LIMITED, "too many streams");
        return;
    }
    struct listener_ask ask = {topics, read_topics(arena_text(v->arena, bytes_of(q->topics)), topics),
                               BYTES_NONE};
    listener_subscribe(f->listener, &ask);
    const char *refused = refused_topic(v, f);
    if (refused) {
        feed_free(v);
        visit_fault(v, FAULT_NOT_FOUND, "there is no topic '%.100s'", refused);
        return;
    }
    v->on_end = feed_free;
    begin(f);
    if (after.n)
        listener_catch_up(f->listener, after);
}
