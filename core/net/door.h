#pragma once
/*
 * door -- listening sockets handed over by the supervisor: accept, peek at the first line, hand on.
 *
 * HTTP goes to web, WebSocket paths to ws (after a strict check of the whole head: 20-mcp §3 row 20). Waiting
 * sockets sit in an edge-triggered epoll of the door's own, so a dripping peer cannot spin the loop.
 */
#include "core/base/loop.h"
#include "core/net/web.h"
#include "core/net/ws.h"

struct door;
struct door_paths {
    const char *const *websocket; /* NULL-ended exact paths that belong to ws */
};
struct door *door_new(struct loop *loop, struct web *web, struct ws *ws, const struct door_paths *paths);
void door_free(struct door *d);
/* Takes a listening socket (bound by the supervisor). `listener` is lent for the door's life. */
int door_listen(struct door *d, int fd, const struct web_listener *listener);
void door_stop(struct door *d); /* accepts nobody any more */
