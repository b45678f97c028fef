#pragma once
/* catalogue_bed -- a catalogue over a configuration made by hand and a store in memory or in the test's
 * folder. */
#include "core/base/mem.h"
#include "core/rpc/envelope.h"
#include "hub/catalogue.h"
#include "tests/kit/kit.h"

#include <stdlib.h>
#include <string.h>

enum { SERVERS_MOST = 4 };

struct told {
    enum item_kind kind;
    const char *server;
};

struct bed {
    struct loop *loop;
    struct store *store;
    struct config config;
    struct config_server servers[SERVERS_MOST];
    struct catalogue *catalogue;
    struct told told[64];
    size_t told_count;
    struct buf text; /* of list(), initialize(), discover() */
};

static const struct caller modern = {.era = ERA_MODERN, .revision = REVISION_2026_07_28};
static const struct caller legacy = {.era = ERA_LEGACY, .revision = REVISION_2025_11_25};
static const struct caller old = {.era = ERA_LEGACY, .revision = REVISION_2025_06_18};

static inline void bed_told(enum item_kind kind, const char *server, void *ctx)
{
    struct bed *b = ctx;
    if (b->told_count < 64)
        b->told[b->told_count++] = (struct told){kind, server};
}

static const struct catalogue_ops bed_ops = {bed_told};

/* Servers "files", "extra", "third" in this order, foreign, each with its own definition. */
static inline struct bed *bed_plan(void)
{
    static const char *const names[] = {"files", "extra", "third"};
    struct bed *b = NEW(struct bed);
    b->loop = loop_new();
    b->config.servers = b->servers;
    b->config.name_max = 64;
    for (size_t i = 0; i < 3; i++) {
        struct config_server *s = &b->servers[b->config.server_count++];
        s->name = s->prefix = names[i];
        s->kind = SERVER_COMMAND;
        s->enabled = true;
        memset(s->digest, 'a' + (int)i, sizeof(s->digest) - 1);
    }
    return b;
}

static inline void bed_start(struct bed *b, const char *db)
{
    b->store = store_open(db, kit_why());
    assert_non_null(b->store);
    b->catalogue = catalogue_new(b->loop, b->store, &b->config, &bed_ops, b, kit_why());
    assert_non_null(b->catalogue);
}

static inline void bed_stop(struct bed *b)
{
    catalogue_free(b->catalogue);
    store_close(b->store);
    b->catalogue = NULL;
    b->store = NULL;
}

static inline struct bed *bed_new(void)
{
    struct bed *b = bed_plan();
    bed_start(b, ":memory:");
    return b;
}

static inline void bed_free(struct bed *b)
{
    bed_stop(b);
    buf_end(&b->text);
    loop_free(b->loop);
    free(b);
}

static inline void facts(struct bed *b, const char *server, enum era era, const char *capabilities)
{
    struct facts f = {.known = true,
                      .era = era,
                      .revision = era == ERA_MODERN ? REVISION_2026_07_28 : REVISION_2025_11_25,
                      .capabilities = bytes_of(capabilities)};
    catalogue_set_facts(b->catalogue, server, &f);
}

/* Definitions, ended by NULL. */
static inline void take(struct bed *b, const char *server, enum item_kind kind, const char *const *items)
{
    struct bytes all[64];
    size_t n = 0;
    for (; items[n]; n++)
        all[n] = bytes_of(items[n]);
    catalogue_take(b->catalogue, server, kind, all, n);
}
#define TAKE(b, server, kind, ...) take(b, server, kind, (const char *const[]){__VA_ARGS__, NULL})
#define TAKE_NONE(b, server, kind) take(b, server, kind, (const char *const[]){NULL})

static inline struct bytes list(struct bed *b, enum item_kind kind, const char *server,
                                const struct caller *caller)
{
    buf_clear(&b->text);
    assert_int_equal(catalogue_add_list(b->catalogue, kind, server, caller, BYTES_NONE, &b->text), 0);
    return buf_bytes(&b->text);
}

static inline const struct item *find(struct bed *b, enum item_kind kind, const char *server,
                                      const char *name)
{
    return catalogue_find(b->catalogue, kind, server, bytes_of(name));
}

struct wanted {
    const char *name, *reason;
    bool is_there;
};

static inline void look_for(const struct item *item, void *ctx)
{
    struct wanted *w = ctx;
    if (!bytes_say(item->name, w->name))
        return;
    w->is_there = true;
    if (item->hidden && !w->reason)
        w->reason = item->hidden;
}

/* The reason why a listed definition is hidden; NULL: it is not. */
static inline const char *hidden(struct bed *b, enum item_kind kind, const char *server, const char *name)
{
    struct wanted w = {name, NULL, false};
    catalogue_each(b->catalogue, kind, server, look_for, &w);
    assert_true(w.is_there);
    return w.reason;
}

#define TOOL(name) "{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}}"
#define RESOURCE(uri) "{\"uri\":\"" uri "\",\"name\":\"n\"}"
#define TEMPLATE(uri) "{\"uriTemplate\":\"" uri "\",\"name\":\"n\"}"
