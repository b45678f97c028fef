#pragma once
/*
 * follow -- who follows which resource: legacy sessions that subscribed, modern listen streams.
 *
 * Keyed by the server and its own uri; each follower hears of it by the uri it used itself. The upstream is
 * told once for each follower, and counts.
 */
#include "core/base/bytes.h"
#include "core/base/list.h"
#include "core/rpc/fault.h"

struct follows;
struct hub;

struct follow {
    struct link topic_link, owner_link;
    struct topic *topic;
    struct follows *all;
    void (*on_updated)(struct follow *f, void *ctx);
    void *ctx;
    bool is_pending; /* the owner's: a frame waits until its stream has room */
    size_t uri_n;
    char uri[]; /* as the client knows it; NUL-ended */
};

struct follow_spec {
    const char *server;
    struct bytes there; /* the server's own uri */
    struct bytes here;  /* as the client knows it */
    struct link *owner; /* the list to stand in */
    void (*on_updated)(struct follow *f, void *ctx);
    void *ctx;
    /* The server took the subscription (fault NULL) or not; once, maybe at once. May be NULL. */
    void (*on_done)(void *ctx, const struct fault_told *fault);
    void *done_ctx;
};

struct follows *follows_new(struct hub *hub);
void follows_free(struct follows *all); /* nobody follows any more */
struct follow *follow_start(struct follows *all, const struct follow_spec *spec);
void follow_stop(struct follow *f);
struct follow *follow_find(struct link *owner, struct bytes here); /* NULL: none */
void follows_tell(struct follows *all, const char *server, struct bytes there);
