#pragma once
/*
 * catalogue -- all tools, prompts, resources and templates of all servers, answered from memory.
 *
 * Lists never wait for a server: they come from here, loaded from state.db before listening, with dead or
 * slow servers too. Items are the raw bytes the server sent; rewriting replaces slices. Exposed names and
 * URIs: 20-mcp §6.2, §6.3. Rendered lists are cached as bytes per (kind, endpoint, revision) until the
 * generation moves.
 */
#include "core/base/config.h"
#include "core/base/loop.h"
#include "core/rpc/fault.h"
#include "core/store/store.h"
#include "hub/caller.h"

struct catalogue;

enum item_kind { ITEM_TOOL, ITEM_PROMPT, ITEM_RESOURCE, ITEM_TEMPLATE, ITEM_KINDS };

struct item {
    enum item_kind kind;
    const char *server;
    struct bytes name;    /* the server's own: name, uri or uriTemplate (decoded) */
    struct bytes exposed; /* as the aggregated endpoint shows it */
    struct bytes raw;     /* the definition as the server sent it */
    bool is_read_only, is_idempotent, is_destructive,
        is_open_world;     /* tools: from annotations, MCP's defaults */
    bool wraps_structured; /* outputSchema is not an object schema: legacy clients get {"result":…} */
    const char *hidden;    /* NULL, or why no list shows it */
};

/* What is known of one server, kept in state.db with its definition digest. */
struct facts {
    bool known;
    enum era era;
    enum revision revision;
    struct bytes capabilities; /* raw object */
    struct bytes server_info;  /* raw object or empty */
    struct bytes instructions; /* raw JSON string with quotes, or empty */
    int64_t probed_at;         /* wall ms of the verdict on the era */
};

struct catalogue_ops {
    /* A list of `server` changed: told at most once per 50 ms and kind, after the new generation stands. */
    void (*on_changed)(enum item_kind kind, const char *server, void *ctx);
};

struct catalogue *catalogue_new(struct loop *loop, struct store *store, const struct config *config,
                                const struct catalogue_ops *ops, void *ctx,
                                struct why *why); /* loads state.db */
void catalogue_free(struct catalogue *c);

/* A whole list of one server has come (all pages): raw values of the items, in its order. Diffed; when
 * nothing changed nothing is told. ttl_ms, scope: from modern servers, else 0 and NULL. */
void catalogue_take(struct catalogue *c, const char *server, enum item_kind kind, const struct bytes *items,
                    size_t n);
void catalogue_set_facts(struct catalogue *c, const char *server, const struct facts *facts);
const struct facts *catalogue_facts(const struct catalogue *c,
                                    const char *server); /* never NULL for a configured one */
/* Forgets the verdict on the era (it failed): facts.known = false. */
void catalogue_forget_facts(struct catalogue *c, const char *server);

/* By the name a client used: exposed on the aggregated endpoint (server NULL), the server's own on
 * /mcp/<server>. NULL: none, or hidden. */
const struct item *catalogue_find(const struct catalogue *c, enum item_kind kind, const char *server,
                                  struct bytes name);
/* Where a resource is read: rewritten form, exact owner, template match, known link, only server with that
 * scheme. `uri_there` is what the server calls it (lent: points into `uri` or the catalogue). false: not
 * found. */
bool catalogue_route(const struct catalogue *c, const char *server, struct bytes uri, const char **to,
                     struct bytes *uri_there);
/* A resource_link of a tool result: remembered for routing (10,000). */
void catalogue_remember_link(struct catalogue *c, const char *server, struct bytes uri);
/* The URI as clients of this endpoint see it; appends to `out`. */
void catalogue_add_exposed_uri(const struct catalogue *c, const char *endpoint, const char *server,
                               struct bytes uri, struct buf *out);

/* Appends the value of `result` for tools/list, prompts/list, resources/list, resources/templates/list.
 * `server` NULL: all. 0, or 1: bad cursor. An empty `cursor` with p NULL is the first page. */
int catalogue_add_list(struct catalogue *c, enum item_kind kind, const char *server,
                       const struct caller *caller, struct bytes cursor, struct buf *out);
/* The value of `result` of server/discover (modern) and of initialize (legacy; `version` is what was
 * negotiated). */
void catalogue_add_discover(struct catalogue *c, const char *server, const struct caller *caller,
                            struct buf *out);
void catalogue_add_initialize(struct catalogue *c, const char *server, enum revision version,
                              struct bytes version_text, struct buf *out);
/* Has this endpoint declared the capability ("tools", "prompts", "resources", "completions", "logging")? */
bool catalogue_declares(const struct catalogue *c, const char *server, const char *capability);
bool catalogue_has_server(const struct catalogue *c, const char *server);

/* For REST and the command line; in configuration order, then the server's. Hidden ones too. */
void catalogue_each(const struct catalogue *c, enum item_kind kind, const char *server,
                    void (*fn)(const struct item *i, void *ctx), void *ctx);
uint64_t catalogue_generation(const struct catalogue *c);
size_t catalogue_count(const struct catalogue *c, enum item_kind kind, const char *server);
