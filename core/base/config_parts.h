#pragma once
/*
 * config_parts -- how the files of config.c work together; nobody else includes it.
 *
 * A draft is filled in steps: every source is cut into leaves ("servers.fs.timeout.call" → value, origin), a
 * later source replacing an earlier leaf; references are resolved; then leaves and defaults become `struct
 * config` and its tree. What is a leaf, and of which kind, is said by one table.
 */
#include "core/base/config.h"

enum key_kind {
    KEY_END,
    KEY_STRING,
    KEY_ENUM,
    KEY_BOOL,
    KEY_INT,
    KEY_DURATION,
    KEY_SIZE,
    KEY_STRINGS,
    KEY_MAP,    /* names to strings */
    KEY_JSON,   /* any object */
    KEY_LISTEN, /* see config_listen.c */
    KEY_LATER,  /* refused with all below it: a later release has it */
};

enum { BY_HAND = -1 };

struct config_key {
    const char *path; /* "servers.*.timeout.call" */
    enum key_kind kind;
    int at;                /* offset in struct config or struct config_server, or BY_HAND */
    const char *otherwise; /* default as one would write it; NULL: none */
    int64_t min, max;
    const char *const *choices; /* NULL-ended */
    const char *same;           /* the key this is another name of */
    const char *help;
};

extern const struct config_key config_keys[];
/* The row for `pattern` ("servers.*.cwd"), or NULL. */
const struct config_key *config_key_find(const char *pattern);
/* Rows begin with `pattern` and a dot. */
bool config_key_is_section(const char *pattern);
/* Of the names that stand below section `pattern` ("" for the top) the nearest to `given`, or NULL. `room`
 * keeps it. */
const char *config_key_nearest(const char *pattern, const char *given, struct arena *room);
/* The default as a value, or NULL. */
json_t *config_key_default(const struct config_key *key);

struct config_draft {
    const struct config_source *source;
    struct config *config;
    json_t *leaves;      /* in the order they were first mentioned */
    json_t *origins;     /* of the leaves, and of "servers.<name>" */
    json_t *names;       /* servers, in the order they were first mentioned */
    bool is_tree;        /* references are resolved already */
    struct buf warnings; /* each ended by NUL */
    struct why *why;
};

/* "origin: text" for the leaf or server at `path`; -1. */
int config_refuse(struct config_draft *d, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same as a warning; refused in profile strict. */
int config_warn(struct config_draft *d, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* config_read.c: files, environment and flags to leaves. */
int config_read_sources(struct config_draft *d);
int config_read_object(struct config_draft *d, json_t *tree);

/* config_refs.c: ${env:X} and its like in every string below `*value`. */
int config_resolve(struct config_draft *d, const char *path, json_t **value);

/* config_value.c: one value into its place, as its row says. */
int config_store(struct config_draft *d, const struct config_key *key, const char *path, json_t *value,
                 void *base);
int config_read_strings(struct config_draft *d, const char *path, const json_t *value,
                        struct strings_view *out);
/* The leaf at `path`, else the default (a new reference); NULL when there is neither. */
json_t *config_leaf(const struct config_draft *d, const struct config_key *key, const char *path);
/* Puts `value` (taken) into the tree and its origin into the list of origins. */
void config_emit(struct config_draft *d, const char *path, json_t *value, json_t *shown);

/* config_listen.c, config_server.c. */
int config_fill_listens(struct config_draft *d);
int config_fill_servers(struct config_draft *d);
