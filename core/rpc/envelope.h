#pragma once
/*
 * envelope -- a JSON-RPC message looked at once, without a tree.
 *
 * One pass validates the grammar, UTF-8, depth, counts and (if asked) duplicate keys of the whole message,
 * and notes slices of what routing needs: the members of the message, the members of `params`, `result` or
 * `error`, and the members of `_meta` inside params or result. All slices point into the caller's bytes.
 * Values are not touched: `1.0`, `-0` and key order survive because nobody ever prints them again.
 *
 * The scanner holds its own growing tables and is reused: the steady state allocates nothing. It is
 * resumable: envelope_scan may be called again with the same bytes plus more (the buffer may have moved in
 * between; slices are offsets until the scan is done). JSON-RPC 2.0 §4-6; MCP 2026-07-28 basic.
 */
#include "core/base/bytes.h"
#include "core/base/why.h"

enum envelope_kind {
    ENVELOPE_REQUEST,      /* method and id */
    ENVELOPE_NOTIFICATION, /* method, no id */
    ENVELOPE_RESULT,       /* id, result */
    ENVELOPE_ERROR,        /* error; id may be null or absent */
    ENVELOPE_BATCH,        /* an array; `elements` lists its parts, nothing else is filled in */
    ENVELOPE_ODD,          /* valid JSON, but none of these: `fault` says what */
};

enum json_type {
    JSON_T_NONE,
    JSON_T_NULL,
    JSON_T_BOOL,
    JSON_T_NUMBER,
    JSON_T_STRING,
    JSON_T_ARRAY,
    JSON_T_OBJECT
};

struct member {
    struct bytes key;   /* the raw bytes between the quotes */
    struct bytes value; /* the raw value; strings with their quotes */
    enum json_type type;
    bool key_has_escapes;
};

struct members {
    struct member *p;
    size_t n, cap;
};

struct envelope_limits {
    size_t depth, values, keys; /* 0: default 64, 200000, 4096 */
    size_t id, method, meta;    /* bytes; 0: default 128, 128, 32768 */
    bool refuse_duplicates;     /* of keys anywhere: requests from clients */
};

struct envelope {
    enum envelope_kind kind;
    const char *fault;   /* ENVELOPE_ODD: what is wrong; static text */
    bool has_jsonrpc;    /* "jsonrpc":"2.0" was there, exactly; the kind does not depend on it */
    struct member id;    /* type NONE when absent. Legal: string, or number without fraction and exponent */
    struct bytes method; /* raw between the quotes; method_has_escapes is an ODD */
    struct member params, result, error; /* type NONE when absent */
    struct members inside;   /* members of params, result or error, in order (empty unless it is an object) */
    struct members meta;     /* members of inside's `_meta` object */
    struct members elements; /* ENVELOPE_BATCH: value of each element */
    /* error */
    int64_t error_code;
    struct bytes error_message; /* raw string with quotes */
    struct bytes error_data;    /* raw, may be empty */
    struct scanner *scanner;    /* private */
};

enum { ENVELOPE_MORE = 1, ENVELOPE_INVALID = 2, ENVELOPE_LIMIT = 3, ENVELOPE_DUPLICATE = 4 };

struct envelope *envelope_new(const struct envelope_limits *limits); /* NULL: defaults; copied */
void envelope_free(struct envelope *e);
/* Forget the message; keep the tables. */
void envelope_begin(struct envelope *e);
/* Scans text[0..n). `is_whole`: no more will come. 0: a whole valid message is described in `e` (of any kind,
 * ODD too). ENVELOPE_MORE: go on with more bytes. ENVELOPE_INVALID: not JSON (or not UTF-8); ENVELOPE_LIMIT:
 * `why` names the limit, its maximum and what was seen; ENVELOPE_DUPLICATE: `why` names the key. */
int envelope_scan(struct envelope *e, struct bytes text, bool is_whole, struct why *why);
/* After MORE or LIMIT: what has passed already of a message that is given up half-way. */
struct envelope_part {
    bool has_method; /* a request or notification, not an answer */
    struct bytes id; /* raw; p NULL: not come by yet; empty: none that could be anybody's */
};
struct envelope_part envelope_so_far(const struct envelope *e, struct bytes text);

/* The member named `key` (unescaped comparison; keys with escapes never match), the last of several; or NULL.
 */
const struct member *members_find(const struct members *m, const char *key);
/* value of a string member without its quotes, when it has no escapes; else BYTES_NONE with p NULL. */
struct bytes member_plain(const struct member *m);
/* Decodes a JSON string (value with quotes) into `out`; 0, or -1 (no string, lone surrogate). */
int member_decode(const struct member *m, struct buf *out);
bool member_is_true(const struct member *m);
/* Whole number in the int64 range, else -1. */
int member_int(const struct member *m, int64_t *out);
/* The members of one more object value, for the rare deeper look (capabilities, filters). `value` is already
 * validated JSON. 0, or -1 when it is no object. The table is reused: members_end frees it. */
int members_read(struct members *m, struct bytes value);
/* The elements of an array value, as members without keys. 0, or -1 when it is no array. */
int elements_read(struct members *m, struct bytes value);
void members_end(struct members *m);
/* Appends `value` with raw CR and LF (only legal between tokens) as spaces: NDJSON and SSE are line formats.
 */
void envelope_add_line(struct buf *out, struct bytes value);
/* Grammar of a whole JSON text; for tests and for values from our own side. */
bool json_is_valid(struct bytes text);
