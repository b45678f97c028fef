#pragma once
/*
 * ws -- WebSockets by libwebsockets, adopted from the door; nothing of libwebsockets leaves this module.
 *
 * Text frames only, whole messages <= `message_max`; one queue per socket; ping every 20 s, closed after 45 s of
 * silence. No extensions.
 */
#include "core/base/bytes.h"
#include "core/base/loop.h"

struct ws;
struct socket; /* one WebSocket */

struct ws_ops {
    /* Established. `path` and `query` of the request. */
    void (*on_open)(struct socket *s, struct bytes path, struct bytes query, void *ctx);
    void (*on_text)(struct socket *s, struct bytes text, void *ctx);
    void (*on_close)(struct socket *s, void *ctx); /* last word; the object is gone after it */
};
struct ws *ws_new(struct loop *loop, const char *subprotocol, size_t message_max, const struct ws_ops *ops, void *ctx);
void ws_free(struct ws *w);
/* Takes the socket, whose head (already checked, `head` bytes not yet consumed from the socket) asks for an upgrade. */
int ws_take(struct ws *w, int fd);
void socket_send(struct socket *s, struct bytes text); /* copied */
size_t socket_queued(const struct socket *s);
void socket_close(struct socket *s, int code, const char *reason);
void socket_set_ctx(struct socket *s, void *ctx);
void *socket_ctx(const struct socket *s);
size_t ws_count(const struct ws *w);
