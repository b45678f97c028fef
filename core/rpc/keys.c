#include "core/base/mem.h"
#include "core/rpc/scan.h"

/*
 * Two parsers may disagree about an object with the same key twice, so requests that have one are refused:
 * policy must see what the server will see. Keys are compared as they read, not as they are spelled: "a" is
 * "\u0061". Few keys are compared by pairs, many through a hash set. The hash is salted, so that a peer
 * cannot choose keys that collide.
 */

enum { KEYS_BY_PAIRS = 8 };

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct scanner *s, struct bytes key)
{
    uint64_t h = s->salt[0] ^ key.n;

    for (size_t i = 0; i < key.n; i += 8) {
        uint64_t w = 0;
        memcpy(&w, key.p + i, key.n - i < 8 ? key.n - i : 8);
        h = mix(h ^ w, s->salt[1] ^ 0x9E3779B97F4A7C15ull);
    }
    return h;
}

/* The key as it reads; `which` of two scratch buffers holds it if it had to be decoded. */
static struct bytes spelled(struct scanner *s, int which, struct bytes raw, bool has_escapes)
{
    struct buf *out = &s->spelled[which];

    if (!has_escapes)
        return raw;
    buf_clear(out);
    if (unescape(raw, out) < 0)
        return raw; /* a lone surrogate: no parser agrees with any other, the bytes must do */
    return buf_bytes(out);
}

void keys_add(struct scanner *s, struct bytes text, size_t at, size_t n)
{
    if (s->seen_n == s->seen_cap) {
        s->seen_cap = s->seen_cap ? s->seen_cap * 2 : 64;
        s->seen = mem_grow(s->seen, s->seen_cap, sizeof(*s->seen));
    }
    struct bytes key = spelled(s, 0, (struct bytes){text.p + at, n}, s->has_escapes);
    s->seen[s->seen_n++] =
        (struct seen_key){.hash = hash_of(s, key), .at = at, .n = n, .has_escapes = s->has_escapes};
}

static bool are_same(struct scanner *s, struct bytes text, const struct seen_key *a, const struct seen_key *b)
{
    if (a->hash != b->hash)
        return false;
    return bytes_are(spelled(s, 0, (struct bytes){text.p + a->at, a->n}, a->has_escapes),
                     spelled(s, 1, (struct bytes){text.p + b->at, b->n}, b->has_escapes));
}

static const struct seen_key *twin_by_pairs(struct scanner *s, struct bytes text, const struct seen_key *keys,
                                            size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (are_same(s, text, &keys[k], &keys[i]))
                return &keys[i];
    return NULL;
}

static const struct seen_key *twin_by_hash(struct scanner *s, struct bytes text, const struct seen_key *keys,
                                           size_t n)
{
    size_t cap = 32;

    while (cap < n * 2)
        cap *= 2;
    if (cap > s->places_cap) {
        s->places = mem_grow(s->places, cap, sizeof(*s->places));
        s->places_cap = cap;
    }
    memset(s->places, 0, cap * sizeof(*s->places));
    for (size_t i = 0; i < n; i++) {
        size_t at = keys[i].hash & (cap - 1);
        for (; s->places[at]; at = (at + 1) & (cap - 1))
            if (are_same(s, text, &keys[s->places[at] - 1], &keys[i]))
                return &keys[i];
        s->places[at] = (uint32_t)i + 1;
    }
    return NULL;
}

int keys_end(struct scanner *s, const struct frame *f, struct bytes text, struct why *why)
{
    const struct seen_key *keys = s->seen + f->first_key;
    const struct seen_key *twin = f->keys <= KEYS_BY_PAIRS ? twin_by_pairs(s, text, keys, f->keys)
                                                           : twin_by_hash(s, text, keys, f->keys);

    if (!twin)
        return 0;
    return why_set(why, ENVELOPE_DUPLICATE, "the key '%.*s' comes twice in one object",
                   (int)(twin->n < 64 ? twin->n : 64), text.p + twin->at);
}
