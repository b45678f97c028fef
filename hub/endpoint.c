/* What an endpoint says of itself: server/discover, initialize, and which capabilities it has declared
 * (20-mcp §6.1). */
#include "core/base/text.h"
#include "hub/catalogue_parts.h"
#include "hub/version.h"

enum { SECTION_MOST = 4096 };

#define SERVER_INFO_KEY "io.modelcontextprotocol/serverInfo"
#define UPSTREAM_KEY "dev.trunkline/upstream"
#define TASKS_KEY "io.modelcontextprotocol/tasks"

/* What we do ourselves for every server that has the capability at all: we diff its lists and hold its
 * subscriptions. */
static const struct offer {
    const char *name, *value;
} offers[] = {
    {"tools",       "{\"listChanged\":true}"                   },
    {"resources",   "{\"subscribe\":true,\"listChanged\":true}"},
    {"prompts",     "{\"listChanged\":true}"                   },
    {"completions", "{}"                                       },
    {"logging",     "{}"                                       },
};
enum { OFFERS = sizeof(offers) / sizeof(offers[0]) };

static void add_name(struct buf *out, size_t *n, struct bytes name)
{
    buf_add_text(out, (*n)++ ? ",\"" : "\"");
    buf_add_bytes(out, name);
    buf_add_text(out, "\":");
}

static void add_extensions(struct buf *out, struct bytes value)
{
    struct members all = {0};
    size_t n = 0;
    buf_add_char(out, '{');
    members_read(&all, value);
    for (size_t i = 0; i < all.n; i++) {
        /* Tasks need a hub that keeps them; this one does not. */
        if (bytes_say(all.p[i].key, TASKS_KEY))
            continue;
        add_name(out, &n, all.p[i].key);
        envelope_add_line(out, all.p[i].value);
    }
    buf_add_char(out, '}');
    members_end(&all);
}

static const struct offer *offer_of(struct bytes name)
{
    for (size_t i = 0; i < OFFERS; i++)
        if (bytes_say(name, offers[i].name))
            return &offers[i];
    return NULL;
}

/* Not known yet: everything is offered, since a client never asks a second time. */
static bool is_unknown(const struct source *s)
{
    return !s || s->facts.capabilities.n == 0;
}

static void add_capabilities(struct buf *out, const struct source *s)
{
    struct members all = {0};
    size_t n = 0;
    buf_add_char(out, '{');
    for (size_t i = 0; is_unknown(s) && i < OFFERS; i++) {
        add_name(out, &n, bytes_of(offers[i].name));
        buf_add_text(out, offers[i].value);
    }
    if (!is_unknown(s))
        members_read(&all, s->facts.capabilities);
    for (size_t i = 0; i < all.n; i++) {
        const struct member *m = &all.p[i];
        const struct offer *offer = offer_of(m->key);
        bool is_earlier = offer && members_find(&all, offer->name) != m;
        if (m->type != JSON_T_OBJECT || m->key_has_escapes || is_earlier || bytes_say(m->key, "tasks"))
            continue;
        add_name(out, &n, m->key);
        if (offer)
            buf_add_text(out, offer->value);
        else if (bytes_say(m->key, "extensions"))
            add_extensions(out, m->value);
        else
            envelope_add_line(out, m->value);
    }
    buf_add_char(out, '}');
    members_end(&all);
}

/* --- instructions --- */

static void add_section(struct buf *text, const struct source *s)
{
    struct member m = {.value = s->facts.instructions, .type = JSON_T_STRING};
    size_t from = text->n;
    if (!s->is_on || !s->facts.instructions.n)
        return;
    buf_addf(text, "\n\n## %s\n", s->config->name);
    size_t begin = text->n;
    if (member_decode(&m, text) < 0 || text->n == begin) {
        text->n = from;
        return;
    }
    struct bytes section = {text->p + begin, text->n - begin};
    if (section.n > SECTION_MOST)
        text->n = begin + utf8_cut(section, SECTION_MOST);
}

static void add_instructions(struct buf *out, const struct catalogue *c, const struct source *only)
{
    struct buf text = {0};
    if (only) {
        if (only->facts.instructions.n) {
            buf_add_text(out, ",\"instructions\":");
            envelope_add_line(out, only->facts.instructions);
        }
        return;
    }
    buf_add_text(
        &text, "Trunkline is one connection to many tool servers. Tools and prompts are named server__name; "
               "what the servers say of themselves follows.");
    for (size_t i = 0; i < c->count; i++)
        add_section(&text, c->by_name[i]);
    buf_add_text(out, ",\"instructions\":");
    buf_add_json(out, buf_bytes(&text));
    buf_end(&text);
}

static const struct source *source_of(const struct catalogue *c, const char *server)
{
    return server ? catalogue_source(c, server) : NULL;
}

void catalogue_add_discover(struct catalogue *c, const char *server, const struct caller *caller,
                            struct buf *out)
{
    const struct source *s = source_of(c, server);
    (void)caller;
    buf_add_text(out,
                 "{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":");
    add_capabilities(out, s);
    add_instructions(out, c, s);
    buf_add_text(out, ",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{\"" SERVER_INFO_KEY
                      "\":" TRUNKLINE_INFO);
    if (s && s->facts.server_info.n) {
        buf_add_text(out, ",\"" UPSTREAM_KEY "\":");
        envelope_add_line(out, s->facts.server_info);
    }
    buf_add_text(out, "}}");
}

void catalogue_add_initialize(struct catalogue *c, const char *server, enum revision version,
                              struct bytes version_text, struct buf *out)
{
    const struct source *s = source_of(c, server);
    (void)version;
    buf_add_text(out, "{\"protocolVersion\":");
    buf_add_json(out, version_text);
    buf_add_text(out, ",\"capabilities\":");
    add_capabilities(out, s);
    buf_add_text(out, ",\"serverInfo\":" TRUNKLINE_INFO);
    add_instructions(out, c, s);
    if (s && s->facts.server_info.n) {
        buf_add_text(out, ",\"_meta\":{\"" UPSTREAM_KEY "\":");
        envelope_add_line(out, s->facts.server_info);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

bool catalogue_declares(const struct catalogue *c, const char *server, const char *capability)
{
    const struct source *s = source_of(c, server);
    struct members all = {0};
    if (server && !s)
        return false;
    if (is_unknown(s))
        return offer_of(bytes_of(capability)) != NULL;
    members_read(&all, s->facts.capabilities);
    const struct member *m = members_find(&all, capability);
    bool is_declared = m && m->type == JSON_T_OBJECT;
    members_end(&all);
    return is_declared;
}
