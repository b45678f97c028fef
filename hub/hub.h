#pragma once
/*
 * hub -- the hub role: everything protocol. No secrets, no outbound network, no exec.
 *
 * One loop, one thread. This struct is the only thing the hub's modules share; each member is owned by its
 * module and touched through its header only.
 */
#include "core/base/config.h"
#include "core/base/loop.h"
#include "core/base/table.h"
#include "core/net/web.h"
#include "core/net/ws.h"
#include "core/proc/control.h"
#include "core/store/store.h"

struct catalogue;
struct events;
struct face;
struct metrics;
struct upstream;

struct hub {
    struct loop *loop;
    struct config *config;
    struct control *control;
    struct store *store;
    struct web *web;
    struct ws *ws;
    struct door *door;
    struct web_listener *listeners;
    size_t listener_count;
    struct catalogue *catalogue;
    struct upstream **upstreams; /* configuration order */
    size_t upstream_count;
    struct face *face;     /* /mcp: face_mcp.h */
    struct api *api;       /* REST, pages: api.h */
    struct events *events; /* live stream: stream.h */
    struct metrics *metrics;
    struct calls *calls;     /* in flight: call.c */
    struct tickets *tickets; /* sealed request state: ticket.h */
    int64_t started_at;      /* wall ms */
    bool is_ready, is_draining;
};

/* `trunkline role hub`: descriptor 3 is the supervisor's control socket. Exit status. */
int hub_main(int argc, char **argv);
struct upstream *hub_find_upstream(const struct hub *hub, const char *name);
int64_t hub_next_line(struct hub *hub); /* numbers for control.h's `line` */
