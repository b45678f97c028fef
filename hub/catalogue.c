#include "hub/catalogue.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/catalogue_parts.h"

#include <assert.h>

enum { SEEN_AGAIN_MS = 60 * 60 * 1000 };

struct source *catalogue_source(const struct catalogue *c, const char *server)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->sources[i].config->name, server) == 0)
            return &c->sources[i];
    return NULL;
}

static void change_is_due(void *ctx)
{
    struct change *change = ctx;
    struct catalogue *c = change->source->catalogue;
    if (c->ops && c->ops->on_changed)
        c->ops->on_changed(change->kind, change->source->config->name, c->ctx);
}

static void add_source(struct catalogue *c, const struct config_server *config)
{
    struct source *s = &c->sources[c->count];
    *s = (struct source){.catalogue = c, .config = config, .is_on = config->enabled};
    for (int k = 0; k < ITEM_KINDS; k++) {
        s->changes[k].source = s;
        s->changes[k].kind = (enum item_kind)k;
        timer_init(&s->changes[k].timer, c->loop, change_is_due, &s->changes[k]);
    }
    size_t at = c->count++;
    for (; at > 0 && strcmp(c->by_name[at - 1]->config->name, config->name) > 0; at--)
        c->by_name[at] = c->by_name[at - 1];
    c->by_name[at] = s;
}

struct catalogue *catalogue_new(struct loop *loop, struct store *store, const struct config *config,
                                const struct catalogue_ops *ops, void *ctx, struct why *why)
{
    struct catalogue *c = NEW(struct catalogue);
    c->loop = loop;
    c->store = store;
    c->config = config;
    c->ops = ops;
    c->ctx = ctx;
    c->sources = mem_array(config->server_count + 1, sizeof(*c->sources));
    c->by_name = mem_array(config->server_count + 1, sizeof(struct source *));
    for (size_t i = 0; i < config->server_count; i++)
        add_source(c, &config->servers[i]);
    if (keep_load(c, why) < 0) {
        catalogue_free(c);
        return NULL;
    }
    for (int k = 0; k < ITEM_KINDS; k++)
        catalogue_settle(c, (enum item_kind)k);
    return c;
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        struct source *s = &c->sources[i];
        for (int k = 0; k < ITEM_KINDS; k++) {
            timer_stop(&s->changes[k].timer);
            shelf_end(&s->shelves[k]);
        }
        free(s->facts_memory);
    }
    for (int k = 0; k < ITEM_KINDS; k++)
        table_end(&c->exposed[k]);
    table_end(&c->schemes);
    list_forget(c);
    links_end(c);
    free(c->sources);
    free(c->by_name);
    free(c);
}

/* --- lists that came --- */

static bool is_as_before(const struct source *s, const struct shelf *shelf, const struct bytes *items,
                         size_t n)
{
    if (shelf->needs_keeping || shelf->count != n || shelf->was_modern != (s->facts.era == ERA_MODERN))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!bytes_are(shelf->entries[i].item.raw, items[i]))
            return false;
    return true;
}

static void date_entries(struct shelf *now, const struct shelf *old, int64_t wall)
{
    struct table dates = {0};
    for (size_t i = 0; i < old->count; i++)
        table_put(&dates, old->entries[i].item.name, &old->entries[i]);
    for (size_t i = 0; i < now->count; i++) {
        const struct entry *before = table_get(&dates, now->entries[i].item.name);
        now->entries[i].first_seen = before ? before->first_seen : wall;
    }
    table_end(&dates);
}

/* A name in `tools` or `exclude` that no tool has is a mistake that only shows here. */
static void warn_of_unknown(const struct source *s, const struct strings_view *names, const char *key)
{
    const struct shelf *shelf = &s->shelves[ITEM_TOOL];
    for (size_t i = 0; i < names->n; i++) {
        bool is_known = false;
        for (size_t j = 0; j < shelf->count && !is_known; j++)
            is_known = bytes_say(shelf->entries[j].item.name, names->p[i]);
        if (!is_known)
            log_warn("catalogue.unknown_tool", "server", s->config->name, "tool", names->p[i], "key", key);
    }
}

/* In one transaction with the names it is given. */
static void replace(struct source *s, enum item_kind kind, const struct bytes *items, size_t n)
{
    struct catalogue *c = s->catalogue;
    struct shelf *shelf = &s->shelves[kind], now, old = *shelf;
    struct why why = {0};
    store_begin(c->store);
    shelf_fill(s, kind, items, n, &now);
    now.seen_at = stamp_now().ms;
    date_entries(&now, &old, now.seen_at);
    keep_shelf(s, kind, &old, &now);
    if (store_commit(c->store, &why) < 0) {
        log_warn("catalogue.not_kept", "server", s->config->name, "why", why.text);
        now.needs_keeping = true;
    }
    /* The rows that stayed have their old date. */
    if (old.count && old.seen_at < now.seen_at)
        now.seen_at = old.seen_at;
    *shelf = now;
    catalogue_settle(c, kind);
    if (!shelf_shows_the_same(&old, &now) && !timer_is_started(&s->changes[kind].timer))
        timer_start(&s->changes[kind].timer, CHANGE_MS);
    shelf_end(&old);
}

static void see_again(struct source *s, enum item_kind kind)
{
    struct shelf *shelf = &s->shelves[kind];
    int64_t wall = stamp_now().ms;
    if (shelf->count == 0 || wall - shelf->seen_at < SEEN_AGAIN_MS)
        return;
    shelf->seen_at = wall;
    keep_seen(s, kind, wall);
}

void catalogue_take(struct catalogue *c, const char *server, enum item_kind kind, const struct bytes *items,
                    size_t n)
{
    struct source *s = catalogue_source(c, server);
    assert(s);
    if (is_as_before(s, &s->shelves[kind], items, n)) {
        see_again(s, kind);
        return;
    }
    replace(s, kind, items, n);
    if (s->shelves[kind].count < n)
        log_warn("catalogue.too_many", "server", server, "kept", log_int((int64_t)s->shelves[kind].count));
    if (kind == ITEM_TOOL) {
        warn_of_unknown(s, &s->config->tools, "tools");
        warn_of_unknown(s, &s->config->exclude, "exclude");
    }
}

/* --- facts --- */

static char *put(char *p, struct bytes from, struct bytes *to)
{
    *to = (struct bytes){from.n ? p : NULL, from.n};
    if (from.n)
        memcpy(p, from.p, from.n);
    return p + from.n;
}

static bool are_the_same(const struct facts *a, const struct facts *b)
{
    return a->known == b->known && a->era == b->era && a->revision == b->revision &&
           a->probed_at == b->probed_at && bytes_are(a->capabilities, b->capabilities) &&
           bytes_are(a->server_info, b->server_info) && bytes_are(a->instructions, b->instructions);
}

/* What is given may point into what is kept: copied before that is freed. */
void catalogue_put_facts(struct source *s, const struct facts *facts)
{
    struct facts kept = *facts;
    char *memory = mem_new(facts->capabilities.n + facts->server_info.n + facts->instructions.n + 1);
    char *p = put(memory, facts->capabilities, &kept.capabilities);
    p = put(p, facts->server_info, &kept.server_info);
    put(p, facts->instructions, &kept.instructions);
    free(s->facts_memory);
    s->facts_memory = memory;
    s->facts = kept;
}

void catalogue_set_facts(struct catalogue *c, const char *server, const struct facts *facts)
{
    struct source *s = catalogue_source(c, server);
    assert(s);
    s->is_on = true;
    if (are_the_same(&s->facts, facts))
        return;
    catalogue_put_facts(s, facts);
    keep_facts(s);
}

const struct facts *catalogue_facts(const struct catalogue *c, const char *server)
{
    const struct source *s = catalogue_source(c, server);
    return s ? &s->facts : NULL;
}

void catalogue_forget_facts(struct catalogue *c, const char *server)
{
    struct source *s = catalogue_source(c, server);
    assert(s);
    if (!s->facts.known)
        return;
    s->facts.known = false;
    keep_facts(s);
}

/* --- asking --- */

bool catalogue_has_server(const struct catalogue *c, const char *server)
{
    const struct source *s = catalogue_source(c, server);
    return s && s->is_on;
}

const struct item *catalogue_find(const struct catalogue *c, enum item_kind kind, const char *server,
                                  struct bytes name)
{
    const struct source *s = server ? catalogue_source(c, server) : NULL;
    const struct entry *e = NULL;
    if (!server)
        e = table_get(&c->exposed[kind], name);
    else if (s)
        e = shelf_find(&s->shelves[kind], name);
    return e ? &e->item : NULL;
}

void catalogue_each(const struct catalogue *c, enum item_kind kind, const char *server,
                    void (*fn)(const struct item *i, void *ctx), void *ctx)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct source *s = &c->sources[i];
        if (server && strcmp(s->config->name, server) != 0)
            continue;
        for (size_t j = 0; j < s->shelves[kind].count; j++)
            fn(&s->shelves[kind].entries[j].item, ctx);
    }
}

size_t catalogue_count(const struct catalogue *c, enum item_kind kind, const char *server)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        if (!server || strcmp(c->sources[i].config->name, server) == 0)
            count += c->sources[i].shelves[kind].shown;
    return count;
}

uint64_t catalogue_generation(const struct catalogue *c)
{
    return c->generation;
}
