#pragma once
/*
 * table -- a hash table from bytes, or from a 64-bit number, to a pointer.
 *
 * Keys are copied. Hashing is SipHash-like with a per-process random key, so that a peer cannot choose
 * collisions. Order is not kept. Values are never freed here: their owner does.
 */
#include "core/base/bytes.h"

struct table {
    struct table_slot *slots;
    size_t count, used, cap; /* used counts graves too */
};

void table_end(struct table *t);
void *table_get(const struct table *t, struct bytes key); /* NULL: none */
void *table_get_text(const struct table *t, const char *key);
void *table_put(struct table *t, struct bytes key,
                void *value);                        /* value is not NULL; gives the old one or NULL */
void *table_drop(struct table *t, struct bytes key); /* gives it back, or NULL */
/* Walks in no order: `size_t at = 0; while (table_next(t, &at, &key, &value))`. Dropping the current one is
 * fine. */
bool table_next(const struct table *t, size_t *at, struct bytes *key, void **value);

/* Numbers as keys: the same table with 8-byte keys, without the copying. */
struct ids {
    struct ids_slot *slots;
    size_t count, used, cap;
};
void ids_end(struct ids *t);
void *ids_get(const struct ids *t, uint64_t id);
void *ids_put(struct ids *t, uint64_t id, void *value);
void *ids_drop(struct ids *t, uint64_t id);
bool ids_next(const struct ids *t, size_t *at, uint64_t *id, void **value);
