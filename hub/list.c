/*
 * Pages of lists. The order is the server's name, then the server's own; a cursor names the place where the
 * next page begins, so it holds while items come and go. First pages are kept as they were written until the
 * catalogue changes: nearly every client asks for nothing else.
 */
#include "core/base/text.h"
#include "hub/catalogue_parts.h"
#include "hub/version.h"

enum {
    PAGE_ITEMS = 1000,
    PAGE_BYTES = 2 << 20,
    NAME_ROOM = 64,
    CURSOR_MOST = 2 * NAME_ROOM,
    ORDINAL_BYTES = 4
};

static const char *const members[] = {"tools", "prompts", "resources", "resourceTemplates"};

/* Where a page begins. */
struct place {
    size_t source; /* in by_name */
    size_t ordinal;
};

/* --- cursors: kind, server, 0, ordinal in four bytes; as base64url --- */

static void add_cursor(struct buf *out, enum item_kind kind, const char *server, size_t ordinal)
{
    struct buf text = {0};
    buf_add_char(&text, (char)('0' + kind));
    buf_add_text(&text, server);
    buf_add_char(&text, 0);
    for (int i = ORDINAL_BYTES - 1; i >= 0; i--)
        buf_add_char(&text, (char)(ordinal >> (8 * i) & 255));
    base64url_add(out, buf_bytes(&text));
    buf_end(&text);
}

/* 0, or 1: none of ours. */
static int split_cursor(struct bytes text, enum item_kind kind, char name[static NAME_ROOM], size_t *ordinal)
{
    size_t end = bytes_find(text, 0);
    if (text.n < 2 || text.p[0] != '0' + (int)kind || end < 2 || end > NAME_ROOM ||
        text.n != end + 1 + ORDINAL_BYTES)
        return 1;
    memcpy(name, text.p + 1, end - 1);
    name[end - 1] = 0;
    *ordinal = 0;
    for (int i = 0; i < ORDINAL_BYTES; i++)
        *ordinal = *ordinal << 8 | (unsigned char)text.p[end + 1 + (size_t)i];
    return 0;
}

static int read_cursor(const struct catalogue *c, const char *server, enum item_kind kind,
                       struct bytes cursor, struct place *out)
{
    struct buf text = {0};
    char name[NAME_ROOM];
    size_t ordinal;
    bool is_ours = cursor.n > 0 && cursor.n < CURSOR_MOST && base64url_read(cursor, &text) == 0 &&
                   split_cursor(buf_bytes(&text), kind, name, &ordinal) == 0;
    buf_end(&text);
    if (!is_ours || (server && strcmp(server, name) != 0))
        return 1;
    size_t at = 0;
    while (at < c->count && strcmp(c->by_name[at]->config->name, name) < 0)
        at++;
    bool is_there = at < c->count && strcmp(c->by_name[at]->config->name, name) == 0;
    *out = (struct place){at, is_there ? ordinal : 0};
    return 0;
}

/* --- pages --- */

struct page {
    const struct catalogue *catalogue;
    enum item_kind kind;
    const struct source *only;
    enum dialect dialect;
    struct buf *out;
    size_t from; /* of out: where the page began */
    size_t items;
};

static void add_item(struct page *p, const struct entry *e)
{
    struct render_as as = {.dialect = p->dialect};
    struct member ui = {.value = e->definition.ui, .type = JSON_T_STRING};
    struct buf sent = {0}, shown = {0};
    if (!p->only && !bytes_are(e->item.exposed, e->item.name))
        as.exposed = e->item.exposed;
    if (!p->only && ui.value.p && member_decode(&ui, &sent) == 0) {
        catalogue_add_exposed_uri(p->catalogue, NULL, e->item.server, buf_bytes(&sent), &shown);
        as.ui = bytes_are(buf_bytes(&sent), buf_bytes(&shown)) ? BYTES_NONE : buf_bytes(&shown);
    }
    render_entry(p->out, e, &as);
    buf_end(&sent);
    buf_end(&shown);
}

/* false: the page is full, and `e` begins the next one. */
static bool add_entry(struct page *p, const struct entry *e)
{
    size_t before = p->out->n;
    if (p->items == PAGE_ITEMS)
        return false;
    if (p->items)
        buf_add_char(p->out, ',');
    add_item(p, e);
    if (p->items && p->out->n - p->from > PAGE_BYTES) {
        p->out->n = before;
        return false;
    }
    p->items++;
    return true;
}

/* NULL: the list ended on this page; else the first entry of the next. */
static const struct entry *add_entries(struct page *p, struct place at)
{
    const struct catalogue *c = p->catalogue;
    for (; at.source < c->count; at = (struct place){at.source + 1, 0}) {
        const struct source *s = c->by_name[at.source];
        const struct shelf *shelf = &s->shelves[p->kind];
        if (p->only && s != p->only)
            continue;
        for (size_t i = at.ordinal; i < shelf->count; i++)
            if (!shelf->entries[i].item.hidden && !add_entry(p, &shelf->entries[i]))
                return &shelf->entries[i];
    }
    return NULL;
}

static void add_page(struct page *p, struct place at)
{
    struct buf *out = p->out;
    bool is_modern = p->dialect == DIALECT_MODERN;
    buf_addf(out, is_modern ? "{\"resultType\":\"complete\",\"%s\":[" : "{\"%s\":[", members[p->kind]);
    p->from = out->n;
    const struct entry *next = add_entries(p, at);
    buf_add_char(out, ']');
    if (next) {
        buf_add_text(out, ",\"nextCursor\":\"");
        add_cursor(out, p->kind, next->item.server, next->ordinal);
        buf_add_char(out, '"');
    }
    /* Lists differ by caller, and change without notice to who does not listen. */
    buf_add_text(out, is_modern ? ",\"ttlMs\":0,\"cacheScope\":\"private\","
                                  "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":" TRUNKLINE_INFO "}}"
                                : "}");
}

/* --- first pages that were written before --- */

static struct cached *cached_for(struct catalogue *c, const struct page *p)
{
    struct cached *oldest = &c->cached[0];
    for (size_t i = 0; i < CACHED_MOST; i++) {
        struct cached *each = &c->cached[i];
        if (each->generation && each->kind == p->kind && each->only == p->only && each->dialect == p->dialect)
            return each;
        if (each->used < oldest->used)
            oldest = each;
    }
    oldest->kind = p->kind;
    oldest->only = p->only;
    oldest->dialect = p->dialect;
    oldest->generation = 0;
    return oldest;
}

static void add_first_page(struct catalogue *c, struct page *p)
{
    struct cached *cached = cached_for(c, p);
    struct buf *out = p->out;
    cached->used = ++c->uses;
    if (cached->generation != c->generation) {
        buf_clear(&cached->text);
        p->out = &cached->text;
        add_page(p, (struct place){0, 0});
        cached->generation = c->generation;
    }
    buf_add_bytes(out, buf_bytes(&cached->text));
}

void list_forget(struct catalogue *c)
{
    for (size_t i = 0; i < CACHED_MOST; i++)
        buf_end(&c->cached[i].text);
}

static enum dialect dialect_of(const struct caller *caller)
{
    if (caller->era == ERA_MODERN)
        return DIALECT_MODERN;
    return caller->revision >= REVISION_2025_11_25 ? DIALECT_2025_11_25 : DIALECT_OLD;
}

int catalogue_add_list(struct catalogue *c, enum item_kind kind, const char *server,
                       const struct caller *caller, struct bytes cursor, struct buf *out)
{
    const struct source *only = server ? catalogue_source(c, server) : NULL;
    struct page page = {
        .catalogue = c, .kind = kind, .only = only, .dialect = dialect_of(caller), .out = out};
    struct place at = {server && !only ? c->count : 0, 0};
    if (cursor.p && read_cursor(c, server, kind, cursor, &at))
        return 1;
    if (cursor.p || (server && !only))
        add_page(&page, at);
    else
        add_first_page(c, &page);
    return 0;
}
