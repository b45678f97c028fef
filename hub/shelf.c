/* One list of one server: read, checked, filtered, named. */
#include "core/base/mem.h"
#include "hub/catalogue_parts.h"
#include "hub/names.h"

static bool is_named(const struct strings_view *list, struct bytes name)
{
    for (size_t i = 0; i < list->n; i++)
        if (bytes_say(name, list->p[i]))
            return true;
    return false;
}

/* NULL, or why the configuration shows no such tool. */
static const char *filtered(const struct config_server *config, const struct item *item)
{
    if (item->kind != ITEM_TOOL)
        return NULL;
    if (is_named(&config->exclude, item->name))
        return "the configuration excludes it";
    if (config->read_only && !item->is_read_only)
        return "the configuration allows only tools that change nothing";
    if (config->tools.n && !is_named(&config->tools, item->name))
        return "the configuration does not name it in 'tools'";
    return NULL;
}

static bool has_exposed_name(enum item_kind kind)
{
    return kind == ITEM_TOOL || kind == ITEM_PROMPT;
}

/* `text` holds name and exposed name, one behind the other. */
static void settle_memory(struct entry *e, struct bytes raw, const struct buf *text, size_t name_n)
{
    e->memory = mem_new(raw.n + text->n + 1);
    memcpy(e->memory, raw.p, raw.n);
    if (text->n)
        memcpy(e->memory + raw.n, text->p, text->n);
    e->item.raw = (struct bytes){e->memory, raw.n};
    e->item.name = (struct bytes){e->memory + raw.n, name_n};
    e->item.exposed = (struct bytes){e->memory + raw.n + name_n, text->n - name_n};
    if (!e->item.exposed.n)
        e->item.exposed = e->item.name;
    if (e->definition.key.p)
        e->definition.key.p = e->memory + (e->definition.key.p - raw.p);
    if (e->definition.ui.p)
        e->definition.ui.p = e->memory + (e->definition.ui.p - raw.p);
}

static void fill_entry(struct source *s, struct entry *e, struct bytes raw, struct buf *text)
{
    const struct config *config = s->catalogue->config;
    struct definition_from from = {.kind = e->item.kind,
                                   .is_builtin = s->config->kind == SERVER_BUILTIN,
                                   .is_modern = s->facts.era == ERA_MODERN};
    buf_clear(text);
    e->reason = definition_read(&from, raw, &e->definition, text);
    size_t name_n = text->n;
    if (!e->reason && has_exposed_name(e->item.kind)) {
        _cleanup_free_ char *name = bytes_copy((struct bytes){text->p, name_n});
        size_t most = config->name_max >= NAME_MIN ? (size_t)config->name_max : NAME_MAX_DEFAULT;
        name_add_exposed(text, s->config->prefix ? s->config->prefix : s->config->name, s->config->name,
                         (struct bytes){name, name_n}, most);
    }
    settle_memory(e, raw, text, name_n);
    const struct definition *d = &e->definition;
    e->item.is_read_only = d->is_read_only;
    e->item.is_idempotent = d->is_idempotent;
    e->item.is_destructive = d->is_destructive;
    e->item.is_open_world = d->is_open_world;
    e->item.wraps_structured = d->mend & MEND_OUTPUT_WRAP;
}

/* Hides what may not be shown; what stays is found by its name. */
static void admit(struct source *s, struct shelf *shelf, struct entry *e)
{
    const struct item *item = &e->item;
    if (!e->reason && table_get(&shelf->by_name, item->name))
        e->reason = text_format("an earlier one has the same name");
    const char *why = e->reason ? NULL : filtered(s->config, item);
    if (why)
        e->reason = mem_text(why);
    if (!e->reason && has_exposed_name(item->kind) && !keep_name(s, item->kind, item->exposed, item->name))
        e->reason = text_format("its name '%.*s' belongs to another", (int)item->exposed.n, item->exposed.p);
    e->item.hidden = e->reason;
    if (e->reason)
        return;
    table_put(&shelf->by_name, item->name, e);
    shelf->shown++;
}

void shelf_fill(struct source *s, enum item_kind kind, const struct bytes *items, size_t n, struct shelf *out)
{
    struct buf text = {0};
    size_t bytes = 0;
    *out = (struct shelf){.was_modern = s->facts.era == ERA_MODERN};
    out->entries = mem_array(n + 1, sizeof(*out->entries));
    for (; out->count < n && out->count < ITEMS_MOST; out->count++) {
        struct entry *e = &out->entries[out->count];
        bytes += items[out->count].n;
        if (bytes > ITEMS_BYTES_MOST)
            break;
        e->item.kind = kind;
        e->item.server = s->config->name;
        e->ordinal = (uint32_t)out->count;
        fill_entry(s, e, items[out->count], &text);
        admit(s, out, e);
    }
    buf_end(&text);
}

void shelf_end(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++) {
        free(shelf->entries[i].memory);
        free(shelf->entries[i].rewritten);
        free(shelf->entries[i].reason);
    }
    free(shelf->entries);
    table_end(&shelf->by_name);
    *shelf = (struct shelf){0};
}

static size_t next_shown(const struct shelf *shelf, size_t i)
{
    while (i < shelf->count && shelf->entries[i].item.hidden)
        i++;
    return i;
}

bool shelf_shows_the_same(const struct shelf *a, const struct shelf *b)
{
    if (a->shown != b->shown || a->was_modern != b->was_modern)
        return false;
    size_t i = next_shown(a, 0), j = next_shown(b, 0);
    for (; i < a->count && j < b->count; i = next_shown(a, i + 1), j = next_shown(b, j + 1))
        if (!bytes_are(a->entries[i].item.raw, b->entries[j].item.raw))
            return false;
    return true;
}

const struct entry *shelf_find(const struct shelf *shelf, struct bytes name)
{
    return table_get(&shelf->by_name, name);
}

/* --- the aggregated endpoint --- */

static bool looks_rewritten(const struct catalogue *c, struct bytes uri)
{
    struct bytes server, there;
    if (!uri_read_rewritten(uri, &server, &there))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (bytes_say(server, c->sources[i].config->name))
            return true;
    return false;
}

/* The first server owns a URI; whoever comes later, or wears the form that we give, gets it in that form. */
static void expose_uri(struct catalogue *c, struct entry *e)
{
    struct table *exposed = &c->exposed[e->item.kind];
    free(take_ptr(&e->rewritten));
    e->item.exposed = e->item.name;
    if (table_get(exposed, e->item.name) || looks_rewritten(c, e->item.name)) {
        struct buf text = {0};
        uri_add_rewritten(&text, e->item.server, e->item.name);
        size_t n = text.n;
        e->rewritten = buf_take(&text);
        e->item.exposed = (struct bytes){e->rewritten, n};
    }
}

static void note_scheme(struct catalogue *c, struct source *s, struct bytes uri)
{
    struct bytes scheme = uri_scheme(uri);
    char lower[32];
    if (!scheme.n || scheme.n > sizeof(lower))
        return;
    for (size_t i = 0; i < scheme.n; i++)
        lower[i] = scheme.p[i] >= 'A' && scheme.p[i] <= 'Z' ? (char)(scheme.p[i] + 32) : scheme.p[i];
    scheme.p = lower;
    const struct source *known = table_get(&c->schemes, scheme);
    if (known != s)
        table_put(&c->schemes, scheme, known ? &c->several : s);
}

static void note_schemes(struct catalogue *c)
{
    static const enum item_kind kinds[] = {ITEM_RESOURCE, ITEM_TEMPLATE};
    table_end(&c->schemes);
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < 2; k++) {
            const struct shelf *shelf = &c->sources[i].shelves[kinds[k]];
            for (size_t j = next_shown(shelf, 0); j < shelf->count; j = next_shown(shelf, j + 1))
                note_scheme(c, &c->sources[i], shelf->entries[j].item.name);
        }
}

void catalogue_settle(struct catalogue *c, enum item_kind kind)
{
    table_end(&c->exposed[kind]);
    for (size_t i = 0; i < c->count; i++) {
        struct shelf *shelf = &c->sources[i].shelves[kind];
        for (size_t j = next_shown(shelf, 0); j < shelf->count; j = next_shown(shelf, j + 1)) {
            struct entry *e = &shelf->entries[j];
            if (!has_exposed_name(kind))
                expose_uri(c, e);
            table_put(&c->exposed[kind], e->item.exposed, e);
        }
    }
    if (!has_exposed_name(kind))
        note_schemes(c);
    c->generation++;
}
