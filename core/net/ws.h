#pragma once
/*
 * ws -- WebSockets by libwebsockets, adopted from the door; nothing of libwebsockets leaves this module.
 *
 * Text frames only, whole messages <= `message_max`; one queue per socket; ping every 20 s, closed after 45 s
 * of silence. No extensions.
 */
#include "core/base/bytes.h"
#include "core/base/loop.h"
#include "core/base/why.h"

struct ws;
struct socket; /* one WebSocket */

struct ws_ops {
    /* Established. `path` and `query` of the request. */
    void (*on_open)(struct socket *s, struct bytes path, struct bytes query, void *ctx);
    void (*on_text)(struct socket *s, struct bytes text, void *ctx);
    void (*on_close)(struct socket *s, void *ctx); /* last word; the object is gone after it */
};
/* NULL where libwebsockets or its libuv plug-in cannot be had: ws_check says why. Strings and ops are lent
 * for its life. */
struct ws *ws_new(struct loop *loop, const char *subprotocol, size_t message_max, const struct ws_ops *ops,
                  void *ctx);
int ws_check(struct why *why); /* 0, or < 0 */
void ws_free(struct ws *w);    /* turns the loop: the last thing before loop_free */
/* Takes the socket, even when it fails (then it was closed). The head of its request is still unread in it,
 * but was checked by the door (gate_check_websocket) and asks for `target`, raw as it was sent. */
int ws_take(struct ws *w, int fd, struct bytes target);
void socket_send(struct socket *s, struct bytes text); /* copied */
size_t socket_queued(const struct socket *s);
void socket_close(struct socket *s, int code,
                  const char *reason); /* after what is queued; on_close follows */
void socket_set_ctx(struct socket *s, void *ctx);
void *socket_ctx(const struct socket *s);
size_t ws_count(const struct ws *w);
