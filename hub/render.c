/*
 * One definition as a client sees it: the bytes the server sent, with the name replaced and with what the
 * client's revision must not see, or must see, mended (20-mcp §10). Nearly all definitions are three slices.
 */
#include "hub/catalogue_parts.h"
#include "hub/schema.h"

static const unsigned mended_for[] = {
    [DIALECT_OLD] = MEND_NULLS | MEND_INPUT | MEND_OUTPUT | MEND_OUTPUT_WRAP | MEND_EXECUTION | MEND_META,
    [DIALECT_2025_11_25] = MEND_NULLS | MEND_INPUT | MEND_OUTPUT | MEND_OUTPUT_WRAP | MEND_META,
    [DIALECT_MODERN] = MEND_NULLS | MEND_INPUT | MEND_EXECUTION | MEND_META,
};

/* One definition on its way out. */
struct writing {
    struct buf *out;
    const struct entry *entry;
    const struct render_as *as;
    unsigned mend;
};

/* Copies up to the slice `at` and writes `text` in its place, if it lies in what is left. */
static void patch(struct writing *w, struct bytes *left, struct bytes at, struct bytes text)
{
    if (!text.p || !at.p || at.p < left->p || at.p >= left->p + left->n)
        return;
    buf_add(w->out, left->p, (size_t)(at.p - left->p));
    buf_add_json(w->out, text);
    size_t done = (size_t)(at.p + at.n - left->p);
    *left = (struct bytes){left->p + done, left->n - done};
}

/* Bytes of the raw definition, with whatever is replaced in them. */
static void add_slice(struct writing *w, struct bytes slice)
{
    const struct definition *d = &w->entry->definition;
    bool is_name_first = d->key.p < d->ui.p;
    patch(w, &slice, is_name_first ? d->key : d->ui, is_name_first ? w->as->exposed : w->as->ui);
    patch(w, &slice, is_name_first ? d->ui : d->key, is_name_first ? w->as->ui : w->as->exposed);
    buf_add_bytes(w->out, slice);
}

static void add_raw(struct writing *w, const struct member *m)
{
    const char *from = m->key.p - 1;
    add_slice(w, (struct bytes){from, (size_t)(m->value.p + m->value.n - from)});
}

static void add_meta(struct writing *w, struct bytes value)
{
    struct members meta = {0};
    size_t n = 0;
    buf_add_text(w->out, "\"_meta\":{");
    members_read(&meta, value);
    for (size_t i = 0; i < meta.n; i++) {
        if (meta_is_reserved(&meta.p[i]))
            continue;
        if (n++)
            buf_add_char(w->out, ',');
        add_raw(w, &meta.p[i]);
    }
    buf_add_char(w->out, '}');
    members_end(&meta);
}

static void add_output(struct buf *out, struct bytes schema, unsigned mend)
{
    buf_add_text(out, "\"outputSchema\":");
    if (mend & MEND_OUTPUT_WRAP)
        schema_add_wrapped(out, schema);
    else
        schema_add_typed(out, schema);
}

static bool is_left_out(const struct member *m, unsigned mend)
{
    return m->type == JSON_T_NULL || ((mend & MEND_EXECUTION) && bytes_say(m->key, "execution"));
}

static void add_member(struct writing *w, const struct member *m)
{
    if ((w->mend & MEND_INPUT) && bytes_say(m->key, "inputSchema")) {
        buf_add_text(w->out, "\"inputSchema\":");
        schema_add_typed(w->out, m->value);
    } else if ((w->mend & (MEND_OUTPUT | MEND_OUTPUT_WRAP)) && bytes_say(m->key, "outputSchema")) {
        add_output(w->out, m->value, w->mend);
    } else if ((w->mend & MEND_META) && bytes_say(m->key, "_meta")) {
        add_meta(w, m->value);
    } else {
        add_raw(w, m);
    }
}

static void add_mended(struct writing *w)
{
    struct members all = {0};
    const char *comma = "";
    bool has_input = false;
    members_read(&all, w->entry->item.raw);
    buf_add_char(w->out, '{');
    for (size_t i = 0; i < all.n; i++) {
        const struct member *m = &all.p[i];
        if (is_left_out(m, w->mend))
            continue;
        buf_add_text(w->out, comma);
        comma = ",";
        has_input = has_input || bytes_say(m->key, "inputSchema");
        add_member(w, m);
    }
    if ((w->mend & MEND_INPUT) && !has_input)
        buf_add_text(w->out, ",\"inputSchema\":{\"type\":\"object\"}");
    buf_add_char(w->out, '}');
    members_end(&all);
}

void render_entry(struct buf *out, const struct entry *e, const struct render_as *as)
{
    struct writing w = {
        .out = out, .entry = e, .as = as, .mend = e->definition.mend & mended_for[as->dialect]};
    if (w.mend)
        add_mended(&w);
    else
        add_slice(&w, e->item.raw);
}
