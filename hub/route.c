/*
 * Which server a URI belongs to (20-mcp §6.3). On the endpoint of one server every URI is its own. On the
 * aggregated one: the form we gave it, its owner, the first template it comes from, the server whose result
 * named it, the only server with that scheme.
 */
#include "core/base/mem.h"
#include "hub/catalogue_parts.h"
#include "hub/names.h"

enum { TEMPLATE_STEPS = 4 << 20 };

static const struct source *by_rewritten(const struct catalogue *c, struct bytes uri, struct bytes *there)
{
    struct bytes server, rest;
    if (!uri_read_rewritten(uri, &server, &rest))
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        if (bytes_say(server, c->sources[i].config->name)) {
            *there = rest;
            return &c->sources[i];
        }
    return NULL;
}

static const struct source *by_template(const struct catalogue *c, struct bytes uri)
{
    size_t steps = TEMPLATE_STEPS;
    for (size_t i = 0; i < c->count; i++) {
        const struct shelf *shelf = &c->sources[i].shelves[ITEM_TEMPLATE];
        for (size_t j = 0; j < shelf->count; j++)
            if (!shelf->entries[j].item.hidden && template_matches(shelf->entries[j].item.name, uri, &steps))
                return &c->sources[i];
    }
    return NULL;
}

/* Whose it is by what the servers list. */
static const struct source *owner_of(const struct catalogue *c, struct bytes uri)
{
    const struct entry *e = table_get(&c->exposed[ITEM_RESOURCE], uri);
    if (e)
        return catalogue_source(c, e->item.server);
    return by_template(c, uri);
}

static const struct source *by_scheme(const struct catalogue *c, struct bytes uri)
{
    struct bytes scheme = uri_scheme(uri);
    char lower[32];
    if (!scheme.n || scheme.n > sizeof(lower))
        return NULL;
    for (size_t i = 0; i < scheme.n; i++)
        lower[i] = scheme.p[i] >= 'A' && scheme.p[i] <= 'Z' ? (char)(scheme.p[i] + 32) : scheme.p[i];
    const struct source *s = table_get(&c->schemes, (struct bytes){lower, scheme.n});
    return s == &c->several ? NULL : s;
}

static const struct source *by_hearsay(const struct catalogue *c, struct bytes uri)
{
    const struct linked *l = table_get(&c->links, uri);
    return l ? l->source : by_scheme(c, uri);
}

bool catalogue_route(const struct catalogue *c, const char *server, struct bytes uri, const char **to,
                     struct bytes *uri_there)
{
    struct bytes there = uri;
    const struct source *s = server ? catalogue_source(c, server) : by_rewritten(c, uri, &there);
    if (!server && !s)
        s = owner_of(c, uri);
    if (!server && !s)
        s = by_hearsay(c, uri);
    if (!s || !s->is_on || !uri.n)
        return false;
    *to = s->config->name;
    *uri_there = there;
    return true;
}

void catalogue_add_exposed_uri(const struct catalogue *c, const char *endpoint, const char *server,
                               struct bytes uri, struct buf *out)
{
    struct bytes there;
    const struct source *owner = endpoint ? NULL : owner_of(c, uri);
    bool is_others = owner && strcmp(owner->config->name, server) != 0;
    if (!endpoint && (is_others || by_rewritten(c, uri, &there)))
        uri_add_rewritten(out, server, uri);
    else
        buf_add_bytes(out, uri);
}

/* --- links --- */

static void drop_link(struct catalogue *c, struct linked *l)
{
    if (!l)
        return;
    table_drop(&c->links, (struct bytes){l->uri, l->n});
    free(l->uri);
    free(l);
}

void catalogue_remember_link(struct catalogue *c, const char *server, struct bytes uri)
{
    struct source *s = catalogue_source(c, server);
    if (!s || !uri.n || uri.n > ITEM_URI_MOST)
        return;
    struct linked *l = table_get(&c->links, uri);
    if (l) {
        l->source = s;
        return;
    }
    l = NEW(struct linked);
    *l = (struct linked){.source = s, .uri = bytes_copy(uri), .n = uri.n};
    drop_link(c, c->ring[c->ring_next]);
    c->ring[c->ring_next] = l;
    c->ring_next = (c->ring_next + 1) % LINKS_MOST;
    table_put(&c->links, uri, l);
}

void links_end(struct catalogue *c)
{
    for (size_t i = 0; i < LINKS_MOST; i++)
        drop_link(c, c->ring[i]);
    table_end(&c->links);
}
