#include "hub/listing.h"

#include "core/base/mem.h"
#include "hub/handshake.h"

enum { LIST_MS = 30000, PAGES_MAX = 1000, GATHER_MS = 50, ITEMS_MAX = 10000, BYTES_MAX = 16 << 20 };

static const struct kind_row {
    const char *method, *member, *capability;
} kinds[ITEM_KINDS] = {
    [ITEM_TOOL] = {"tools/list",               "tools",             "tools"    },
    [ITEM_PROMPT] = {"prompts/list",             "prompts",           "prompts"  },
    [ITEM_RESOURCE] = {"resources/list",           "resources",         "resources"},
    [ITEM_TEMPLATE] = {"resources/templates/list", "resourceTemplates", "resources"},
};

struct fetch {
    struct listing *listing;
    enum item_kind kind;
    bool is_wanted; /* declared by the server */
    bool is_again;  /* changed while it was being fetched */
    bool was_fetched;
    struct pending *pending;
    struct timer gather;
    struct buf text; /* the raw items, one behind the other */
    struct {
        size_t at, n;
    } * items;
    size_t item_count, item_cap;
    struct buf cursor; /* raw JSON string of the page asked for last */
    int pages;
};

struct listing {
    struct catalogue *catalogue;
    const char *server;
    struct line *line;
    enum era era;
    const struct listing_ops *ops;
    void *ctx;
    bool was_told;
    struct fetch fetches[ITEM_KINDS];
};

static void ask_page(struct fetch *f, struct bytes cursor);

static void tell_when_all(struct listing *l)
{
    for (int k = 0; k < ITEM_KINDS; k++)
        if (l->fetches[k].is_wanted && !l->fetches[k].was_fetched)
            return;
    if (l->was_told)
        return;
    l->was_told = true;
    l->ops->on_all_listed(l->ctx);
}

static void forget_items(struct fetch *f)
{
    buf_end(&f->text);
    free(f->items);
    f->items = NULL;
    f->item_count = f->item_cap = 0;
    buf_end(&f->cursor);
    f->pages = 0;
}

static void begin(struct fetch *f)
{
    forget_items(f);
    f->is_again = false;
    ask_page(f, BYTES_NONE);
}

static void finished(struct fetch *f)
{
    f->was_fetched = true;
    forget_items(f);
    if (f->is_again)
        begin(f);
    tell_when_all(f->listing);
}

static void deliver(struct fetch *f)
{
    struct bytes *items = mem_array(f->item_count + 1, sizeof(*items));
    for (size_t i = 0; i < f->item_count; i++)
        items[i] = (struct bytes){f->text.p + f->items[i].at, f->items[i].n};
    catalogue_take(f->listing->catalogue, f->listing->server, f->kind, items, f->item_count);
    free(items);
    finished(f);
}

static void failed(struct fetch *f, const struct why *why)
{
    f->listing->ops->on_failed(f->listing->ctx, kinds[f->kind].method, why);
    finished(f);
}

static void keep_items(struct fetch *f, const struct members *elements)
{
    for (size_t i = 0; i < elements->n && f->item_count < ITEMS_MAX; i++) {
        struct bytes value = elements->p[i].value;
        if (f->text.n + value.n > BYTES_MAX)
            return;
        if (f->item_count == f->item_cap) {
            f->item_cap = f->item_cap ? 2 * f->item_cap : 64;
            f->items = mem_grow(f->items, f->item_cap, sizeof(*f->items));
        }
        f->items[f->item_count].at = f->text.n;
        envelope_add_line(&f->text, value);
        f->items[f->item_count].n = f->text.n - f->items[f->item_count].at;
        f->item_count++;
    }
}

static void got_page(struct fetch *f, const struct envelope *e)
{
    const struct member *list = members_find(&e->inside, kinds[f->kind].member);
    const struct member *next = members_find(&e->inside, "nextCursor");
    struct members elements = {0};
    struct why why = {0};
    if (!list || elements_read(&elements, list->value) < 0) {
        why_set(&why, -1, "the answer has no array '%s'", kinds[f->kind].member);
        members_end(&elements);
        failed(f, &why);
        return;
    }
    keep_items(f, &elements);
    members_end(&elements);
    bool is_repeated = next && f->cursor.n && bytes_are(next->value, buf_bytes(&f->cursor));
    if (!next || next->type != JSON_T_STRING || is_repeated || ++f->pages >= PAGES_MAX)
        deliver(f);
    else
        ask_page(f, next->value);
}

static void got_answer(void *ctx, const struct line_answer *answer)
{
    struct fetch *f = ctx;
    struct why why = {0};
    f->pending = NULL;
    if (answer->outcome == LINE_RESULT) {
        got_page(f, answer->envelope);
    } else if (answer->outcome == LINE_ERROR) {
        why_set(&why, -1, "%d %.*s", (int)answer->envelope->error_code,
                (int)answer->envelope->error_message.n, answer->envelope->error_message.p);
        failed(f, &why);
    } else if (answer->outcome != LINE_LOST) {
        why_set(&why, -1, "%s", answer->fault.text);
        failed(f, &why);
    }
}

static const struct pending_ops pending_ops = {got_answer, NULL};

static void ask_page(struct fetch *f, struct bytes cursor)
{
    struct buf params = {0};
    buf_add_char(&params, '{');
    if (f->listing->era == ERA_MODERN) {
        buf_add_text(&params, "\"_meta\":{");
        handshake_add_meta(&params, BYTES_NONE);
        buf_add_text(&params, cursor.n ? "}," : "}");
    }
    if (cursor.n) {
        buf_add_text(&params, "\"cursor\":");
        buf_add_bytes(&params, cursor);
        buf_clear(&f->cursor);
        buf_add_bytes(&f->cursor, cursor);
    }
    buf_add_char(&params, '}');
    struct request_spec spec = {.method = kinds[f->kind].method,
                                .params = buf_bytes(&params),
                                .deadline_ms = LIST_MS,
                                .ops = &pending_ops,
                                .ctx = f};
    f->pending = line_request(f->listing->line, &spec, NULL);
    buf_end(&params);
}

static void gathered(void *ctx)
{
    struct fetch *f = ctx;
    if (f->pending)
        f->is_again = true;
    else
        begin(f);
}

void listing_refresh(struct listing *l, enum item_kind kind)
{
    struct fetch *f = &l->fetches[kind];
    if (f->is_wanted && !timer_is_started(&f->gather))
        timer_start(&f->gather, GATHER_MS);
}

struct listing *listing_new(struct loop *loop, struct catalogue *catalogue,
                            const struct listing_source *source, const struct listing_ops *ops, void *ctx)
{
    struct listing *l = NEW(struct listing);
    *l = (struct listing){.catalogue = catalogue,
                          .server = source->server,
                          .line = source->line,
                          .era = source->facts->era,
                          .ops = ops,
                          .ctx = ctx};
    struct members capabilities = {0};
    members_read(&capabilities, source->facts->capabilities);
    bool any = false;
    for (int k = 0; k < ITEM_KINDS; k++) {
        struct fetch *f = &l->fetches[k];
        f->listing = l;
        f->kind = (enum item_kind)k;
        timer_init(&f->gather, loop, gathered, f);
        f->is_wanted = members_find(&capabilities, kinds[k].capability) != NULL;
        if (f->is_wanted)
            ask_page(f, BYTES_NONE);
        else
            catalogue_take(catalogue, l->server, f->kind, NULL, 0);
        any = any || f->is_wanted;
    }
    members_end(&capabilities);
    if (!any)
        tell_when_all(l);
    return l;
}

void listing_free(struct listing *l)
{
    if (!l)
        return;
    for (int k = 0; k < ITEM_KINDS; k++) {
        struct fetch *f = &l->fetches[k];
        timer_stop(&f->gather);
        if (f->pending)
            pending_cancel(f->pending, "no longer needed");
        forget_items(f);
    }
    free(l);
}
