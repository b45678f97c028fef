/*
 * Open addressing with linear probing. A dropped slot stays as a grave, so that walks and probes run on; the
 * next growth clears them. One slot more than `cap` is allocated: it holds the table's own random hashing
 * key, which spares this module any state of the process.
 */
#include "core/base/table.h"

#include "core/base/id.h"
#include "core/base/mem.h"

#include <assert.h>

enum { EMPTY = 0, GRAVE = 1, LEAST = 16 };

struct table_slot {
    uint64_t hash; /* EMPTY, GRAVE, or more */
    size_t n;
    char *key;
    void *value;
};

struct ids_slot {
    uint64_t id;
    void *value; /* NULL: empty */
};

struct hash_key {
    uint64_t k0, k1;
};

_Static_assert(sizeof(struct table_slot) >= sizeof(struct hash_key), "the key fits into a slot");
_Static_assert(sizeof(struct ids_slot) >= sizeof(struct hash_key), "the key fits into a slot");

static const char grave_mark;
#define GRAVE_VALUE ((void *)&grave_mark)

static uint64_t turn(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = turn(v[1], 13), v[1] ^= v[0], v[0] = turn(v[0], 32);
    v[2] += v[3], v[3] = turn(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = turn(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = turn(v[1], 17), v[1] ^= v[2], v[2] = turn(v[2], 32);
}

/* SipHash-1-3: one round a word, three at the end. */
static uint64_t hash_bytes(struct hash_key key, struct bytes s)
{
    uint64_t v[4] = {key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
                     key.k1 ^ 0x7465646279746573};
    size_t at = 0;
    for (; at + 8 <= s.n; at += 8) {
        uint64_t word;
        memcpy(&word, s.p + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)s.n << 56;
    for (size_t i = 0; at + i < s.n; i++)
        last |= (uint64_t)(unsigned char)s.p[at + i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    uint64_t h = v[0] ^ v[1] ^ v[2] ^ v[3];
    return h > GRAVE ? h : h + 2;
}

static uint64_t hash_id(struct hash_key key, uint64_t id)
{
    uint64_t h = (id ^ key.k0) * 0x9e3779b97f4a7c15;
    h = (h ^ h >> 32 ^ key.k1) * 0xd6e8feb86659fd93;
    return h ^ h >> 32;
}

static struct hash_key key_at(const void *slot)
{
    struct hash_key key;
    memcpy(&key, slot, sizeof key);
    return key;
}

/* Gives a fresh slot array of `cap` slots of `size` with the key of the old one, or a new key, behind them.
 */
static void *slots_new(size_t cap, size_t size, const void *old_key)
{
    char *slots = mem_array(cap + 1, size);
    struct hash_key key;
    if (old_key)
        key = key_at(old_key);
    else
        random_fill(&key, sizeof key);
    memcpy(slots + cap * size, &key, sizeof key);
    return slots;
}

/* Room for `count` and one more at half full. */
static size_t cap_for(size_t count)
{
    size_t cap = LEAST;
    while (cap < (count + 1) * 2)
        cap *= 2;
    return cap;
}

void table_end(struct table *t)
{
    for (size_t i = 0; i < t->cap; i++)
        free(t->slots[i].key);
    free(t->slots);
    *t = (struct table){0};
}

static struct table_slot *find(const struct table *t, struct bytes key, uint64_t hash)
{
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct table_slot *s = &t->slots[i];
        if (s->hash == EMPTY)
            return NULL;
        if (s->hash == hash && s->n == key.n && memcmp(s->key, key.n ? key.p : "", key.n) == 0)
            return s;
    }
}

static struct table_slot *find_free(const struct table *t, uint64_t hash)
{
    size_t i = hash & (t->cap - 1);
    while (t->slots[i].hash > GRAVE)
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static void grow(struct table *t)
{
    struct table old = *t;
    t->cap = cap_for(old.count);
    t->slots = slots_new(t->cap, sizeof *t->slots, old.cap ? &old.slots[old.cap] : NULL);
    t->used = t->count;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].hash > GRAVE)
            *find_free(t, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void *table_get(const struct table *t, struct bytes key)
{
    if (t->count == 0)
        return NULL;
    struct table_slot *s = find(t, key, hash_bytes(key_at(&t->slots[t->cap]), key));
    return s ? s->value : NULL;
}

void *table_get_text(const struct table *t, const char *key)
{
    return table_get(t, bytes_of(key));
}

void *table_put(struct table *t, struct bytes key, void *value)
{
    assert(value);
    if ((t->used + 1) * 4 > t->cap * 3)
        grow(t);
    uint64_t hash = hash_bytes(key_at(&t->slots[t->cap]), key);
    struct table_slot *s = find(t, key, hash);
    if (s) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    s = find_free(t, hash);
    t->used += s->hash == EMPTY;
    t->count++;
    *s = (struct table_slot){hash, key.n, bytes_copy(key), value};
    return NULL;
}

void *table_drop(struct table *t, struct bytes key)
{
    if (t->count == 0)
        return NULL;
    struct table_slot *s = find(t, key, hash_bytes(key_at(&t->slots[t->cap]), key));
    if (!s)
        return NULL;
    void *value = s->value;
    free(s->key);
    *s = (struct table_slot){.hash = GRAVE};
    t->count--;
    return value;
}

bool table_next(const struct table *t, size_t *at, struct bytes *key, void **value)
{
    for (; *at < t->cap; ++*at) {
        const struct table_slot *s = &t->slots[*at];
        if (s->hash <= GRAVE)
            continue;
        *key = (struct bytes){s->key, s->n};
        *value = s->value;
        ++*at;
        return true;
    }
    return false;
}

void ids_end(struct ids *t)
{
    free(t->slots);
    *t = (struct ids){0};
}

/* The slot of `id`, or the empty one where the search ended. */
static struct ids_slot *ids_find(const struct ids *t, uint64_t id)
{
    size_t i = hash_id(key_at(&t->slots[t->cap]), id) & (t->cap - 1);
    while (t->slots[i].value && (t->slots[i].value == GRAVE_VALUE || t->slots[i].id != id))
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static void ids_grow(struct ids *t)
{
    struct ids old = *t;
    t->cap = cap_for(old.count);
    t->slots = slots_new(t->cap, sizeof *t->slots, old.cap ? &old.slots[old.cap] : NULL);
    t->used = t->count;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value && old.slots[i].value != GRAVE_VALUE)
            *ids_find(t, old.slots[i].id) = old.slots[i];
    free(old.slots);
}

void *ids_get(const struct ids *t, uint64_t id)
{
    return t->count ? ids_find(t, id)->value : NULL;
}

void *ids_put(struct ids *t, uint64_t id, void *value)
{
    assert(value);
    if ((t->used + 1) * 4 > t->cap * 3)
        ids_grow(t);
    struct ids_slot *s = ids_find(t, id);
    void *old = s->value;
    if (!old) {
        t->used++;
        t->count++;
    }
    *s = (struct ids_slot){id, value};
    return old;
}

void *ids_drop(struct ids *t, uint64_t id)
{
    if (t->count == 0)
        return NULL;
    struct ids_slot *s = ids_find(t, id);
    void *value = s->value;
    if (!value)
        return NULL;
    /* The end of a run needs no grave: ids come and go by the hundred thousand, and most leave from there. */
    size_t next = (size_t)(s - t->slots + 1) & (t->cap - 1);
    bool is_last = t->slots[next].value == NULL;
    *s = (struct ids_slot){0, is_last ? NULL : GRAVE_VALUE};
    t->used -= is_last;
    t->count--;
    return value;
}

bool ids_next(const struct ids *t, size_t *at, uint64_t *id, void **value)
{
    for (; *at < t->cap; ++*at) {
        const struct ids_slot *s = &t->slots[*at];
        if (!s->value || s->value == GRAVE_VALUE)
            continue;
        *id = s->id;
        *value = s->value;
        ++*at;
        return true;
    }
    return false;
}
