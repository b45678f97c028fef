#pragma once
/*
 * scan -- the machine behind envelope: JSON's grammar over bytes that may still be arriving.
 *
 * A stack of frames instead of recursion, one byte class at a time, and a position that only moves forward:
 * what was looked at is never looked at again, so a line of 64 MiB that comes in small pieces costs one pass.
 * Positions are offsets, because the caller's buffer moves while it grows. Private to core/rpc/envelope.c.
 */
#include "core/rpc/envelope.h"

enum scan_state {
    SCAN_VALUE,        /* a value must come */
    SCAN_VALUE_OR_END, /* after [ */
    SCAN_KEY,          /* after , in an object */
    SCAN_KEY_OR_END,   /* after { */
    SCAN_KEY_TEXT,     /* inside a key */
    SCAN_COLON,
    SCAN_TEXT,   /* inside a string */
    SCAN_NUMBER, /* inside a number */
    SCAN_WORD,   /* inside true, false, null */
    SCAN_AFTER,  /* a value ended; , or the end of its container must come */
    SCAN_DONE,   /* nothing but white space may come */
};

/* What a container means to the envelope; anything deeper means nothing. */
enum scan_role { ROLE_NONE, ROLE_TOP, ROLE_BATCH, ROLE_INSIDE, ROLE_META };

/* The members of the message itself. */
enum top_name { TOP_OTHER, TOP_JSONRPC, TOP_ID, TOP_METHOD, TOP_PARAMS, TOP_RESULT, TOP_ERROR, TOP_COUNT };

enum { SCAN_NOTED_DEPTH = 3, SCAN_NOTED_MAX = 4096 }; /* members noted of params, _meta, a batch */

struct frame {
    bool is_object;
    unsigned char role;
    uint32_t keys;
    size_t first_key; /* in `seen` */
};

struct seen_key {
    uint64_t hash;
    size_t at, n;
    bool has_escapes;
};

struct slot { /* the member being read in a container that has a role */
    size_t key_at, key_n, value_at;
    bool key_has_escapes;
};

struct scanner {
    struct envelope_limits limits;
    bool notes_nothing; /* the grammar alone is wanted */
    enum scan_state state;
    size_t at;          /* everything before was looked at */
    struct why verdict; /* a refusal stands, whatever comes after it */
    size_t token_at;    /* where the key, string, number or word in hand began */
    bool has_escapes;
    unsigned char number_state;
    size_t values, depth;
    struct frame *frames; /* limits.depth + 1 of them; frames[depth] is the innermost */
    struct slot slots[SCAN_NOTED_DEPTH + 1];
    enum top_name top_name;
    struct member top[TOP_COUNT]; /* offsets in place of pointers */
    bool top_has_escapes;         /* a member name of the message was written with escapes */
    struct seen_key *seen;        /* keys of all open objects, when duplicates are refused */
    size_t seen_n, seen_cap;
    uint32_t *places; /* a hash set over the keys of one large object */
    size_t places_cap;
    uint64_t salt[2];
    struct buf spelled[2]; /* keys with escapes, decoded to be compared */
};

struct scanner *scanner_new(const struct envelope_limits *limits);
void scanner_free(struct scanner *s);
void scanner_begin(struct scanner *s);
/* Outcomes of envelope_scan. On 0 all slices of `e` are still offsets. */
int scan_go(struct envelope *e, struct bytes text, bool is_whole, struct why *why);

/* An object has ended: does one of its keys come twice? 0, or ENVELOPE_DUPLICATE. */
int keys_end(struct scanner *s, const struct frame *f, struct bytes text, struct why *why);
/* Remembers the key in hand. */
void keys_add(struct scanner *s, struct bytes text, size_t at, size_t n);

/* A slice that holds an offset where a pointer belongs, until the scan is done. */
static inline struct bytes bytes_at(size_t at, size_t n)
{
    return (struct bytes){(const char *)(uintptr_t)at, n};
}

static inline struct bytes bytes_placed(struct bytes s, struct bytes text)
{
    return (struct bytes){text.p + (uintptr_t)s.p, s.n};
}

void members_add(struct members *m, const struct member *member);
enum json_type json_type_of(char first);
/* Appends what stands between the quotes of a JSON string, unescaped; -1 on a lone surrogate. */
int unescape(struct bytes raw, struct buf *out);
