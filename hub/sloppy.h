#pragma once
/*
 * sloppy -- a definition as a server sent it: is it fit to be listed, and what has to be mended when it is
 * shown?
 *
 * One bad definition makes strict clients reject a whole list, so what cannot be mended is hidden, with the
 * reason (20-mcp §6.1). Nothing is changed here: mending happens when a list is written (render.h).
 */
#include "core/rpc/envelope.h"
#include "hub/catalogue.h"

enum {
    DEFINITION_BYTES = 256 * 1024,
    DEFINITION_LEVELS = 64,
    DEFINITION_SCHEMAS = 2000,
    ITEM_NAME_MOST = 128,
    ITEM_URI_MOST = 4096,
};

/* What a list must not show as it came. */
enum {
    MEND_NULLS = 1,       /* optional members that are null */
    MEND_INPUT = 2,       /* inputSchema is absent, or has no type */
    MEND_OUTPUT = 4,      /* outputSchema is an object's, but does not say so */
    MEND_OUTPUT_WRAP = 8, /* outputSchema is no object's: older revisions know only objects */
    MEND_EXECUTION = 16,  /* has `execution` */
    MEND_META = 32,       /* `_meta` has keys that only our own servers may use */
};

struct definition {
    struct bytes
        key; /* value of name, uri or uriTemplate in the raw definition, with its quotes; p NULL: none */
    struct bytes ui; /* tools: the string `_meta.ui.resourceUri`, likewise */
    unsigned mend;
    bool is_read_only, is_idempotent, is_destructive, is_open_world;
};

struct definition_from {
    enum item_kind kind;
    bool is_builtin;
    bool is_modern; /* a legacy server's results are objects, whatever its schema leaves out */
};

/* Fills `out` (slices point into `raw`, which is valid JSON) and appends the decoded name, uri or template to
 * `name`. NULL, or the reason to hide it: free it. */
char *definition_read(const struct definition_from *from, struct bytes raw, struct definition *out,
                      struct buf *name);

/* Is this member of `_meta` one that only our own servers may send? */
bool meta_is_reserved(const struct member *m);
