#pragma once
/* events_parts -- the inside of events, shared by events.c (topics, ring) and listener.c (who listens) only.
 */
#include "core/base/list.h"
#include "core/base/loop.h"
#include "core/base/table.h"
#include "core/rpc/envelope.h"
#include "hub/events.h"

enum group { GROUP_OVERVIEW, GROUP_CALLS, GROUP_SERVERS, GROUP_LOGS, GROUP_CATALOGUE, GROUP_RESOURCE };
_Static_assert(GROUP_RESOURCE + 1 == EVENTS_GROUPS, "a name for each group");

struct topic {
    enum group group;
    size_t listeners;
    int64_t kept_until; /* monotonic ms: kept for those who come back */
    uint64_t gap;       /* the latest number that was given to something not kept */
    int64_t second;     /* what was told and dropped in this second of the clock */
    size_t told, dropped;
    struct upstream *source; /* resource: who was asked to tell of changes */
    char *there;             /* resource: the server's own uri */
    size_t n;
    char name[]; /* NUL-ended */
};

struct event { /* in one piece with its texts */
    uint64_t number;
    struct bytes id, topic, type, call, json;
    size_t size;
};

struct events {
    struct hub *hub;
    char epoch[12];
    uint64_t last;    /* number given last */
    uint64_t evicted; /* number of the event that left the ring last */
    struct event **ring;
    size_t head, count, cap, bytes;
    struct table topics;
    struct topic *fixed[EVENTS_GROUPS]; /* NULL for groups with a subject */
    struct link listeners;
    size_t listener_count;
    struct timer tick;
    struct events_counts counts;
    struct members room; /* reused */
    void (*tap)(void *ctx, const char *topic, const char *type, struct bytes data);
    void *tap_ctx;
};

/* events.c. NULL: there is no such topic. `call` is set for call:<id>, whose topic is "calls". */
struct topic *topic_take(struct events *e, struct bytes name, struct bytes *call);
void topic_give(struct events *e, struct topic *t);
struct event *events_at(const struct events *e, size_t i); /* 0: the oldest in the ring */
void events_add_id(const struct events *e, struct buf *out);

/* listener.c */
void listeners_tell(struct events *e, const struct topic *t, const struct event *event);
void listeners_missed(struct events *e, const struct topic *t); /* it was too large to be told */
void listeners_tick(struct events *e);                          /* those who fell behind and have caught up */
