#pragma once
/*
 * activity -- calls that ended, readable for a while (hub.calls.keep, hub.calls.keep_bytes).
 *
 * Fed by the live events: all calls while their number is moderate, see events.h. Results are kept only of
 * calls made by REST, because only they can be asked for again. Newest first.
 */
#include "core/base/list.h"
#include "core/base/table.h"

struct hub;
struct activity;

struct activity_entry {
    struct link link;
    int64_t number;      /* grows; from 1 */
    int64_t finished_ms; /* wall */
    struct bytes id;     /* own memory, as the next two */
    struct bytes json;   /* the object */
    struct bytes result; /* what /result answers; p NULL: not kept */
    int status;          /* and its HTTP status */
};

struct activity *activity_new(struct hub *hub);
void activity_free(struct activity *a);
/* `data`: the object of call.finished. */
void activity_take(struct activity *a, struct bytes data);
/* What the call gave: the result, or the error envelope. A call not taken yet is left alone. */
void activity_keep_result(struct activity *a, struct bytes id, int status, struct bytes result);
const struct activity_entry *activity_find(struct activity *a, struct bytes id); /* NULL: none, or too old */
void activity_each(struct activity *a, void (*fn)(const struct activity_entry *e, void *ctx), void *ctx);
/* The whole object. */
void activity_add(const struct activity_entry *e, struct buf *out);
