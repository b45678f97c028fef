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

static void add_raw(struct buf *out, const struct member *m)
{
    const char *from = m->key.p - 1;
    buf_add(out, from, (size_t)(m->value.p + m->value.n - from));
}

static void add_meta(struct buf *out, struct bytes value)
{
    struct members meta = {0};
    size_t n = 0;
    buf_add_text(out, "\"_meta\":{");
    members_read(&meta, value);
    for (size_t i = 0; i < meta.n; i++) {
        if (meta_is_reserved(&meta.p[i]))
            continue;
        if (n++)
            buf_add_char(out, ',');
        add_raw(out, &meta.p[i]);
    }
    buf_add_char(out, '}');
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

static void add_mended(struct buf *out, const struct entry *e, struct bytes exposed, unsigned mend)
{
    struct members all = {0};
    const char *first = "";
    bool has_input = false;
    members_read(&all, e->item.raw);
    buf_add_char(out, '{');
    for (size_t i = 0; i < all.n; i++) {
        const struct member *m = &all.p[i];
        if (is_left_out(m, mend))
            continue;
        buf_add_text(out, first);
        first = ",";
        bool is_input = bytes_say(m->key, "inputSchema");
        has_input = has_input || is_input;
        if (m->value.p == e->definition.key.p && exposed.p) {
            buf_add(out, m->key.p - 1, (size_t)(m->value.p - m->key.p + 1));
            buf_add_json(out, exposed);
        } else if (is_input && (mend & MEND_INPUT)) {
            buf_add_text(out, "\"inputSchema\":");
            schema_add_typed(out, m->value);
        } else if ((mend & (MEND_OUTPUT | MEND_OUTPUT_WRAP)) && bytes_say(m->key, "outputSchema")) {
            add_output(out, m->value, mend);
        } else if ((mend & MEND_META) && bytes_say(m->key, "_meta")) {
            add_meta(out, m->value);
        } else {
            add_raw(out, m);
        }
    }
    if ((mend & MEND_INPUT) && !has_input)
        buf_add_text(out, ",\"inputSchema\":{\"type\":\"object\"}");
    buf_add_char(out, '}');
    members_end(&all);
}

void render_entry(struct buf *out, const struct entry *e, struct bytes exposed, enum dialect dialect)
{
    unsigned mend = e->definition.mend & mended_for[dialect];
    struct bytes raw = e->item.raw, key = e->definition.key;
    if (mend) {
        add_mended(out, e, exposed, mend);
    } else if (!exposed.p) {
        buf_add_bytes(out, raw);
    } else {
        buf_add(out, raw.p, (size_t)(key.p - raw.p));
        buf_add_json(out, exposed);
        buf_add(out, key.p + key.n, (size_t)(raw.p + raw.n - key.p - key.n));
    }
}
