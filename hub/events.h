#pragma once
/*
 * events -- what happens, told to people: a ring, and who listens to it (70 §4).
 *
 * Publishing is cheap when nobody listens. Ids are "<epoch>-<n>", growing, not without gaps. WebSocket:
 * /api/v1/stream; SSE: /api/v1/events. Topics: overview calls call:<id> servers logs:<server> catalogue
 * resource:<uri>; an event of a call bears the topic "calls" whichever of the two was asked for.
 *
 * Kept in the ring: servers and catalogue always; the others while somebody listens, and a minute longer, so
 * that a listener who comes back misses nothing; calls besides that up to 1,000 events a second. Whoever
 * missed what was not kept is told to read everything again (resync).
 */
#include "core/base/bytes.h"

struct hub;
struct events;
struct events *events_new(struct hub *hub);
void events_free(struct events *e); /* listeners are gone by then */
/* Does anybody listen, or does the ring keep it? Lets the caller skip making `data`. */
bool events_wanted(const struct events *e, const char *topic);
/* `data`: a JSON object. topic "calls", type "call.started". */
void events_publish(struct events *e, const char *topic, const char *type, struct bytes data);
/* A server says that a resource changed (its own uri): told to those who listen to resource:<uri as exposed>.
 */
void events_resource_updated(struct events *e, const char *server, struct bytes uri);
/* One more who hears all that is published, at once; it does not count as a listener. NULL: nobody. */
void events_tap(struct events *e,
                void (*fn)(void *ctx, const char *topic, const char *type, struct bytes data), void *ctx);

enum { EVENTS_GROUPS = 6, LISTENER_TOPICS = 64 };
const char *events_group_name(size_t group);
struct events_counts {
    uint64_t published[EVENTS_GROUPS], resyncs;
    size_t listeners;
    bool has_skipped_calls; /* there were more than could be kept, and nobody listened */
};
struct events_counts events_counts(const struct events *e);

/* Somebody who listens: a WebSocket, an event stream. */
struct listener;
struct frame {
    struct bytes id;   /* of the event; of resync: what to come back with; else empty */
    struct bytes type; /* "call.started" */
    struct bytes json; /* the whole object */
};
struct listener_ops {
    void (*send)(void *ctx, const struct frame *f); /* lent */
    size_t (*queued)(void *ctx);                    /* bytes that have not left yet */
};
/* NULL: this principal has as many as it may have. `principal` is copied. */
struct listener *listener_new(struct events *e, const char *principal, const struct listener_ops *ops,
                              void *ctx);
void listener_free(struct listener *l); /* NULL is fine */
struct listener_ask {
    const struct bytes *topics;
    size_t count;
    struct bytes after; /* the last id that was heard, or empty */
};
/* Sends {"op":"subscribed",…}, then what came after `after`, or {"op":"resync",…}. */
void listener_subscribe(struct listener *l, const struct listener_ask *ask);
/* The same for all that it listens to. */
void listener_catch_up(struct listener *l, struct bytes after);
void listener_unsubscribe(struct listener *l, const struct bytes *topics, size_t count);
