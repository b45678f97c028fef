/*
 * The live stream as a WebSocket: one per tab (70 §4).
 *
 * Frames of the client: {"op":"subscribe","topics":[…],"after":"…"} and {"op":"unsubscribe","topics":[…]}. A
 * socket that never asks for anything costs one small object.
 */
#include "core/base/mem.h"
#include "hub/api_parts.h"
#include "hub/events.h"

#include <stdlib.h>

enum {
    CLOSE_RESTART = 1001,
    CLOSE_PROTOCOL = 4000,
    CLOSE_RATE = 4029,
    FRAMES_A_SECOND = 20,
};

struct tab {
    struct link link;
    struct hub *hub;
    struct socket *socket;
    struct listener *listener; /* NULL until it asks for something */
    int64_t second;            /* of the loop's clock, and the frames that came in it */
    int frames;
};

struct wish {
    const char *op;
    struct strings topics;
    const char *after;
};
static const char *const ops[] = {"subscribe", "unsubscribe", NULL};
static const struct shape wish_shape[] = {
    ENUM(struct wish, op, ops, NULL, "What to do", .required = REQUIRED),
    STRINGS(struct wish, topics, LISTENER_TOPICS, "Topics", .required = REQUIRED),
    STRING(struct wish, after, OPTIONAL, "The last id that was heard", .max = 64),
    {0}};

static void send_frame(void *ctx, const struct frame *f)
{
    const struct tab *t = ctx;
    socket_send(t->socket, f->json);
}

static size_t queued(void *ctx)
{
    const struct tab *t = ctx;
    return socket_queued(t->socket);
}

static const struct listener_ops listener_ops = {send_frame, queued};

static void on_open(struct socket *s, struct bytes path, struct bytes query, void *ctx)
{
    struct hub *hub = ctx;
    (void)path;
    if (query.n) {
        socket_close(s, CLOSE_PROTOCOL, "this path takes no query");
        return;
    }
    if (hub->is_draining) {
        socket_close(s, CLOSE_RESTART, "the hub is about to stop");
        return;
    }
    struct tab *t = NEW(struct tab);
    t->hub = hub;
    t->socket = s;
    list_add(&hub->api->tabs, &t->link);
    socket_set_ctx(s, t);
}

void stream_drain(struct api *a)
{
    list_each (l, &a->tabs) {
        socket_close(list_entry(l, struct tab, link)->socket, CLOSE_RESTART, "the hub is about to stop");
    }
}

static bool is_too_fast(struct tab *t)
{
    int64_t second = loop_now_ms(t->hub->loop) / 1000;
    if (t->second != second) {
        t->second = second;
        t->frames = 0;
    }
    return ++t->frames > FRAMES_A_SECOND;
}

/* False: the socket is being closed. */
static bool has_listener(struct tab *t)
{
    /* The door does not tell us of whom the socket is; in this release all who reach it may hear the same. */
    if (!t->listener)
        t->listener = listener_new(t->hub->events, "loopback", &listener_ops, t);
    if (!t->listener)
        socket_close(t->socket, CLOSE_RATE, "too many streams");
    return t->listener != NULL;
}

static void obey(struct tab *t, const struct wish *w, struct arena *a)
{
    struct bytes *topics = arena_take(a, (w->topics.n + 1) * sizeof(topics[0]));
    for (size_t i = 0; i < w->topics.n; i++)
        topics[i] = bytes_of(w->topics.p[i]);
    if (!has_listener(t))
        return;
    const struct listener_ask ask = {topics, w->topics.n, bytes_of(w->after)};
    if (strcmp(w->op, "subscribe") == 0)
        listener_subscribe(t->listener, &ask);
    else
        listener_unsubscribe(t->listener, topics, w->topics.n);
}

static void on_text(struct socket *s, struct bytes text, void *ctx)
{
    struct tab *t = socket_ctx(s);
    struct wish wish;
    struct why why = {0};
    struct shape_faults faults = {0};
    (void)ctx;
    if (!t)
        return;
    if (is_too_fast(t)) {
        socket_close(s, CLOSE_RATE, "more than 20 frames in a second");
        return;
    }
    _cleanup_json_ json_t *tree = json_read(text, &why);
    struct arena *a = arena_new();
    if (!json_is_object(tree))
        socket_close(s, CLOSE_PROTOCOL, "a frame must be a JSON object");
    else if (shape_read(wish_shape, tree, a, &wish, &faults) > 0)
        socket_close(s, CLOSE_PROTOCOL, faults.at[0].text);
    else
        obey(t, &wish, a);
    arena_free(a);
}

static void on_close(struct socket *s, void *ctx)
{
    struct tab *t = socket_ctx(s);
    (void)ctx;
    if (!t)
        return;
    list_drop(&t->link);
    listener_free(t->listener);
    socket_set_ctx(s, NULL);
    free(t);
}

const struct ws_ops api_stream_ops = {on_open, on_text, on_close};

void api_stream_plain(struct visit *v, struct bytes body)
{
    (void)body;
    request_add_header(v->request, "Upgrade", "websocket");
    visit_fault(v, FAULT_UPGRADE_REQUIRED,
                "this path speaks WebSocket only: see /api/v1/events for the rest");
}
