#pragma once
/* catalogue_parts -- the inside of the catalogue, shared by catalogue.c, shelf.c, keep.c, list.c, route.c and
 * endpoint.c only. */
#include "core/base/table.h"
#include "hub/catalogue.h"
#include "hub/sloppy.h"

enum {
    ITEMS_MOST = 10000, /* of one server and kind */
    ITEMS_BYTES_MOST = 16 << 20,
    NAMES_MOST = 100000, /* ever given to one server */
    LINKS_MOST = 10000,
    CACHED_MOST = 32,
    CHANGE_MS = 50,
};

/* How a definition is written: what revisions see differs in three ways only. */
enum dialect { DIALECT_OLD, DIALECT_2025_11_25, DIALECT_MODERN };

struct entry {
    struct item item; /* first: an item is its entry */
    struct definition definition;
    uint32_t ordinal; /* in the server's own order */
    int64_t first_seen;
    char *memory;    /* raw, name, and exposed unless rewritten */
    char *rewritten; /* the exposed URI when another server owns it */
    char *reason;    /* item.hidden */
};

/* One list of one server. */
struct shelf {
    struct entry *entries;
    size_t count, shown;
    struct table by_name; /* what is shown, by the server's own name */
    int64_t seen_at;      /* wall ms: since then state.db knows the server to send these */
    bool needs_keeping;   /* state.db could not be written when it came */
    bool was_modern;      /* the era it was read for */
};

struct source {
    struct catalogue *catalogue;
    const struct config_server *config;
    bool is_on; /* enabled, or started by hand */
    struct facts facts;
    char *facts_memory;
    struct shelf shelves[ITEM_KINDS];
    struct change {
        struct timer timer;
        struct source *source;
        enum item_kind kind;
    } changes[ITEM_KINDS];
    size_t names; /* ever given to it */
};

/* A first page as it was written last. */
struct cached {
    enum item_kind kind;
    const struct source *only; /* NULL: the aggregated endpoint */
    enum dialect dialect;
    uint64_t generation; /* 0: free */
    uint64_t used;
    struct buf text;
};

struct linked {
    struct source *source;
    char *uri;
    size_t n;
};

struct catalogue {
    struct loop *loop;
    struct store *store;
    const struct config *config;
    const struct catalogue_ops *ops;
    void *ctx;
    struct source *sources;  /* configuration order */
    struct source **by_name; /* the same, in the order of lists */
    size_t count;
    struct table exposed[ITEM_KINDS]; /* aggregated name or URI -> entry */
    struct table schemes;             /* lower case -> the only source, or &several */
    struct source several;
    uint64_t generation;
    struct cached cached[CACHED_MOST];
    uint64_t uses;
    struct table links; /* uri -> linked */
    struct linked *ring[LINKS_MOST];
    size_t ring_next;
};

/* catalogue.c */
struct source *catalogue_source(const struct catalogue *c, const char *server); /* NULL: not configured */
void catalogue_put_facts(struct source *s, const struct facts *facts);          /* keeps a copy */

/* shelf.c: from raw definitions to entries. */
void shelf_fill(struct source *s, enum item_kind kind, const struct bytes *items, size_t n,
                struct shelf *out);
void shelf_end(struct shelf *shelf);
bool shelf_shows_the_same(const struct shelf *a, const struct shelf *b);
const struct entry *shelf_find(const struct shelf *shelf, struct bytes name);
/* Who owns which name or URI on the aggregated endpoint, anew. */
void catalogue_settle(struct catalogue *c, enum item_kind kind);

/* keep.c: state.db. */
int keep_load(struct catalogue *c, struct why *why);
void keep_facts(const struct source *s);
void keep_shelf(const struct source *s, enum item_kind kind, const struct shelf *old,
                const struct shelf *now);
void keep_seen(const struct source *s, enum item_kind kind, int64_t wall);
/* Gives the exposed name to (server, name), unless it was ever another's. */
bool keep_name(struct source *s, enum item_kind kind, struct bytes exposed, struct bytes name);

/* render.c: one definition as a dialect sees it; p NULL: with its own name, its own `_meta.ui.resourceUri`.
 */
struct render_as {
    enum dialect dialect;
    struct bytes exposed, ui;
};
void render_entry(struct buf *out, const struct entry *e, const struct render_as *as);

/* list.c */
void list_forget(struct catalogue *c);
/* route.c */
void links_end(struct catalogue *c);
