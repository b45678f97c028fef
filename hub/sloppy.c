#include "hub/sloppy.h"

#include "core/base/mem.h"
#include "hub/schema.h"

/* The members a definition may have, and what strict clients insist on. All others pass unread. */
struct field {
    const char *key;
    enum json_type type;
    unsigned kinds;
    bool is_required;
};

enum {
    TOOLS = 1 << ITEM_TOOL,
    PROMPTS = 1 << ITEM_PROMPT,
    RESOURCES = 1 << ITEM_RESOURCE,
    TEMPLATES = 1 << ITEM_TEMPLATE,
    ALL = TOOLS | PROMPTS | RESOURCES | TEMPLATES,
};

static const struct field fields[] = {
    {"uri",          JSON_T_STRING, RESOURCES,             true },
    {"uriTemplate",  JSON_T_STRING, TEMPLATES,             true },
    {"name",         JSON_T_STRING, ALL,                   true },
    {"title",        JSON_T_STRING, ALL,                   false},
    {"description",  JSON_T_STRING, ALL,                   false},
    {"mimeType",     JSON_T_STRING, RESOURCES | TEMPLATES, false},
    {"size",         JSON_T_NUMBER, RESOURCES,             false},
    {"arguments",    JSON_T_ARRAY,  PROMPTS,               false},
    {"inputSchema",  JSON_T_OBJECT, TOOLS,                 false},
    {"outputSchema", JSON_T_OBJECT, TOOLS,                 false},
    {"annotations",  JSON_T_OBJECT, ALL & ~PROMPTS,        false},
    {"execution",    JSON_T_OBJECT, TOOLS,                 false},
    {"icons",        JSON_T_ARRAY,  ALL,                   false},
    {"_meta",        JSON_T_OBJECT, ALL,                   false},
};

static const char *const type_names[] = {"missing",  "null",     "true or false", "a number",
                                         "a string", "an array", "an object"};

static const char *key_of(enum item_kind kind)
{
    return kind == ITEM_RESOURCE ? "uri" : kind == ITEM_TEMPLATE ? "uriTemplate" : "name";
}

/* Depth without recursion; the text is valid JSON. */
static size_t levels(struct bytes raw)
{
    size_t depth = 0, most = 0;
    bool is_string = false;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (is_string && c == '\\')
            i++;
        else if (c == '"')
            is_string = !is_string;
        else if (!is_string && (c == '{' || c == '['))
            most = ++depth > most ? depth : most;
        else if (!is_string && (c == '}' || c == ']'))
            depth--;
    }
    return most;
}

/* Readers disagree about which of two equal keys holds, and an escaped key is one we would not see: neither
 * may carry a name past us. */
static char *check_keys(const struct members *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->p[i].key_has_escapes)
            return text_format("the name of a member is written with escapes");
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        const struct member *last = members_find(all, fields[f].key);
        for (const struct member *m = all->p; last && m < last; m++)
            if (bytes_are(m->key, last->key))
                return text_format("'%s' is there twice", fields[f].key);
    }
    return NULL;
}

static char *check_fields(enum item_kind kind, const struct members *all, struct definition *out)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->p[i].type == JSON_T_NULL)
            out->mend |= MEND_NULLS;
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        const struct field *field = &fields[f];
        const struct member *m = members_find(all, field->key);
        bool is_there = m && m->type != JSON_T_NULL;
        if (!(field->kinds & 1u << kind) || (!is_there && !field->is_required))
            continue;
        if (!is_there)
            return text_format("'%s' is missing", field->key);
        if (m->type != field->type)
            return text_format("'%s' is %s, not %s", field->key, type_names[m->type],
                               type_names[field->type]);
    }
    return NULL;
}

/* Not in the middle of what clients rely on: the bytes of a name must survive being read and written. */
static char *read_key(enum item_kind kind, const struct members *all, struct definition *out,
                      struct buf *name)
{
    const char *key = key_of(kind);
    const struct member *m = members_find(all, key);
    size_t from = name->n, most = kind == ITEM_TOOL || kind == ITEM_PROMPT ? ITEM_NAME_MOST : ITEM_URI_MOST;
    if (!m || member_decode(m, name) < 0)
        return m && m->type == JSON_T_STRING ? text_format("'%s' is not UTF-8", key) : NULL;
    out->key = m->value;
    size_t n = name->n - from;
    if (n == 0 || n > most)
        return text_format("'%s' has %zu bytes, not 1 to %zu", key, n, most);
    return NULL;
}

bool meta_is_reserved(const struct member *m)
{
    struct member key = {
        .value = {m->key.p - 1, m->key.n + 2},
          .type = JSON_T_STRING
    };
    struct buf text = {0};
    bool is_reserved = member_decode(&key, &text) < 0 || bytes_begin(buf_bytes(&text), "dev.trunkline/");
    buf_end(&text);
    return is_reserved;
}

/* A tool names the resource that draws it; where that URI is shown in another form, so it must be here. */
static void look_at_ui(const struct members *meta, struct definition *out)
{
    struct members ui = {0};
    const struct member *m = members_find(meta, "ui"), *uri = NULL;
    if (m && m->type == JSON_T_OBJECT && members_read(&ui, m->value) == 0)
        uri = members_find(&ui, "resourceUri");
    if (uri && uri->type == JSON_T_STRING)
        out->ui = uri->value;
    members_end(&ui);
}

static void look_at_meta(const struct definition_from *from, const struct members *all,
                         struct definition *out)
{
    struct members meta = {0};
    const struct member *m = members_find(all, "_meta");
    if (m && m->type == JSON_T_OBJECT)
        members_read(&meta, m->value);
    for (size_t i = 0; i < meta.n; i++)
        if (!from->is_builtin && meta_is_reserved(&meta.p[i]))
            out->mend |= MEND_META;
    if (from->kind == ITEM_TOOL)
        look_at_ui(&meta, out);
    members_end(&meta);
}

static bool hint(const struct members *annotations, const char *key, bool otherwise)
{
    const struct member *m = members_find(annotations, key);
    return m && m->type == JSON_T_BOOL ? member_is_true(m) : otherwise;
}

static void look_at_annotations(const struct members *all, struct definition *out)
{
    struct members annotations = {0};
    const struct member *m = members_find(all, "annotations");
    if (m && m->type == JSON_T_OBJECT)
        members_read(&annotations, m->value);
    out->is_read_only = hint(&annotations, "readOnlyHint", false);
    out->is_idempotent = hint(&annotations, "idempotentHint", false);
    out->is_destructive = hint(&annotations, "destructiveHint", true) && !out->is_read_only;
    out->is_open_world = hint(&annotations, "openWorldHint", true);
    members_end(&annotations);
}

static const struct member *object_member(const struct members *all, const char *key)
{
    const struct member *m = members_find(all, key);
    return m && m->type == JSON_T_OBJECT ? m : NULL;
}

static char *look_at_tool(const struct definition_from *from, const struct members *all,
                          struct definition *out)
{
    const struct member *input = object_member(all, "inputSchema"),
                        *output = object_member(all, "outputSchema");
    enum schema_type in = input ? schema_type(input->value) : SCHEMA_UNSAID;
    enum schema_type result = output ? schema_type(output->value) : SCHEMA_OBJECT;
    if (in == SCHEMA_OTHER)
        return text_format("'inputSchema' is not of type \"object\"");
    if (in == SCHEMA_UNSAID)
        out->mend |= MEND_INPUT;
    if (result == SCHEMA_OTHER || (result == SCHEMA_UNSAID && from->is_modern))
        out->mend |= MEND_OUTPUT_WRAP;
    else if (result == SCHEMA_UNSAID)
        out->mend |= MEND_OUTPUT;
    if (object_member(all, "execution"))
        out->mend |= MEND_EXECUTION;
    look_at_annotations(all, out);
    const struct bytes schemas[] = {input ? input->value : BYTES_NONE, output ? output->value : BYTES_NONE};
    return schema_check(schemas, 2, DEFINITION_SCHEMAS);
}

char *definition_read(const struct definition_from *from, struct bytes raw, struct definition *out,
                      struct buf *name)
{
    struct members all = {0};
    *out = (struct definition){0};
    if (raw.n > DEFINITION_BYTES)
        return text_format("the definition has %zu bytes, not at most %d", raw.n, DEFINITION_BYTES);
    size_t depth = levels(raw);
    if (depth > DEFINITION_LEVELS)
        return text_format("the definition has %zu levels, not at most %d", depth, DEFINITION_LEVELS);
    if (members_read(&all, raw) < 0) {
        members_end(&all);
        return text_format("the definition is no object");
    }
    /* The name first: a hidden definition is shown to people by it. */
    char *reason = read_key(from->kind, &all, out, name), *worse = check_keys(&all);
    if (!worse)
        worse = check_fields(from->kind, &all, out);
    if (worse) {
        free(reason);
        reason = worse;
    }
    if (!reason)
        look_at_meta(from, &all, out);
    if (!reason && from->kind == ITEM_TOOL)
        reason = look_at_tool(from, &all, out);
    members_end(&all);
    return reason;
}
