#include "hub/schema.h"

#include "core/base/mem.h"
#include "core/base/table.h"
#include "core/rpc/envelope.h"

enum schema_type schema_type(struct bytes schema)
{
    struct members all = {0};
    enum schema_type type = SCHEMA_UNSAID;
    members_read(&all, schema);
    const struct member *m = members_find(&all, "type");
    if (m)
        type = bytes_say(m->value, "\"object\"") ? SCHEMA_OBJECT : SCHEMA_OTHER;
    members_end(&all);
    return type;
}

/* --- the walk --- */

/* A value still to be looked into, as what it stands there. */
struct place {
    struct bytes value;
    enum { PLACE_SCHEMA, PLACE_SCHEMAS_BY_NAME, PLACE_SCHEMAS_IN_A_ROW } as;
    bool is_argument; /* reached by `properties` alone */
    bool is_input;    /* below the first schema */
};

struct walk {
    struct place *places;
    size_t count, cap;
    size_t schemas, most;
    struct table headers; /* names, in lower case */
    char *reason;
};

static void go_to(struct walk *w, struct place place)
{
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 32;
        w->places = mem_grow(w->places, w->cap, sizeof(*w->places));
    }
    w->places[w->count++] = place;
}

static bool is_one_of(struct bytes key, const char *const *names)
{
    for (; *names; names++)
        if (bytes_say(key, *names))
            return true;
    return false;
}

static void go_deeper(struct walk *w, const struct place *from, const struct member *m)
{
    static const char *const by_name[] = {"properties",  "patternProperties", "$defs",
                                          "definitions", "dependentSchemas",  NULL};
    static const char *const in_a_row[] = {"allOf", "anyOf", "oneOf", "prefixItems", "items", NULL};
    static const char *const one[] = {"items",
                                      "additionalItems",
                                      "additionalProperties",
                                      "unevaluatedItems",
                                      "unevaluatedProperties",
                                      "contains",
                                      "propertyNames",
                                      "contentSchema",
                                      "not",
                                      "if",
                                      "then",
                                      "else",
                                      NULL};
    struct place to = {.value = m->value, .is_input = from->is_input};
    if (m->type == JSON_T_OBJECT && is_one_of(m->key, by_name)) {
        to.as = PLACE_SCHEMAS_BY_NAME;
        to.is_argument = from->is_argument && bytes_say(m->key, "properties");
    } else if (m->type == JSON_T_ARRAY && is_one_of(m->key, in_a_row)) {
        to.as = PLACE_SCHEMAS_IN_A_ROW;
    } else if (m->type == JSON_T_OBJECT && is_one_of(m->key, one)) {
        to.as = PLACE_SCHEMA;
    } else {
        return;
    }
    go_to(w, to);
}

static bool is_token(struct bytes s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && (!c || !strchr(others, c)))
            return false;
    }
    return s.n > 0;
}

static char *check_header(struct walk *w, const struct place *at, const struct members *schema,
                          const struct member *header)
{
    const struct member *m = members_find(schema, "type");
    struct bytes name = member_plain(header), type = m ? member_plain(m) : BYTES_NONE;
    static const char *const types[] = {"string", "integer", "boolean", NULL};
    if (!at->is_input || !at->is_argument || !is_one_of(type, types))
        return text_format("'x-mcp-header' stands where no header can come from");
    if (!is_token(name) || name.n > 64)
        return text_format("'x-mcp-header' is no token of at most 64 letters");
    char lower[64];
    for (size_t i = 0; i < name.n; i++)
        lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i];
    if (table_put(&w->headers, (struct bytes){lower, name.n}, w))
        return text_format("'x-mcp-header' names '%.*s' twice", (int)name.n, name.p);
    return NULL;
}

static void look_at(struct walk *w, const struct place *at, struct members *m)
{
    if (at->as == PLACE_SCHEMAS_IN_A_ROW)
        elements_read(m, at->value);
    else
        members_read(m, at->value);
    if (at->as != PLACE_SCHEMA) {
        for (size_t i = 0; i < m->n; i++)
            if (m->p[i].type == JSON_T_OBJECT)
                go_to(w, (struct place){m->p[i].value, PLACE_SCHEMA, at->is_argument, at->is_input});
        return;
    }
    const struct member *header = members_find(m, "x-mcp-header");
    if (++w->schemas > w->most)
        w->reason = text_format("the schemas have more than %zu subschemas", w->most);
    else if (header)
        w->reason = check_header(w, at, m, header);
    for (size_t i = 0; i < m->n; i++)
        go_deeper(w, at, &m->p[i]);
}

/* Most definitions are small and name no header: then there is nothing to find. */
static bool needs_walk(struct bytes schema, size_t *objects, size_t most)
{
    for (size_t i = 0; i < schema.n; i++)
        *objects += schema.p[i] == '{';
    return *objects > most || (schema.n && memmem(schema.p, schema.n, "x-mcp-header", 12));
}

char *schema_check(const struct bytes *schemas, size_t count, size_t most)
{
    struct walk w = {.most = most};
    struct members m = {0};
    size_t objects = 0;
    bool is_needed = false;
    for (size_t i = 0; i < count; i++) {
        is_needed = needs_walk(schemas[i], &objects, most) || is_needed;
        if (schemas[i].n)
            go_to(&w, (struct place){schemas[i], PLACE_SCHEMA, true, i == 0});
    }
    while (is_needed && w.count && !w.reason) {
        struct place at = w.places[--w.count];
        look_at(&w, &at, &m);
    }
    members_end(&m);
    table_end(&w.headers);
    free(w.places);
    return w.reason;
}

/* --- writing --- */

static void add_member(struct buf *out, const struct member *m)
{
    const char *from = m->key.p - 1;
    buf_add_char(out, ',');
    buf_add(out, from, (size_t)(m->value.p + m->value.n - from));
}

void schema_add_typed(struct buf *out, struct bytes schema)
{
    struct members all = {0};
    buf_add_text(out, "{\"type\":\"object\"");
    members_read(&all, schema);
    for (size_t i = 0; i < all.n; i++)
        add_member(out, &all.p[i]);
    buf_add_char(out, '}');
    members_end(&all);
}

/* Behind the string that begins at `i`. */
static size_t behind_string(struct bytes s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        i += s.p[i] == '\\';
    return i < s.n ? i + 1 : s.n;
}

static size_t behind_blanks(struct bytes s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return i;
}

/* At a string: is it the key of a reference into this document? Gives where "#" stands. */
static size_t find_reference(struct bytes s, size_t from, size_t behind)
{
    struct bytes key = {s.p + from, behind - from};
    if (!bytes_say(key, "\"$ref\"") && !bytes_say(key, "\"$dynamicRef\""))
        return 0;
    size_t i = behind_blanks(s, behind);
    if (i >= s.n || s.p[i] != ':')
        return 0;
    i = behind_blanks(s, i + 1);
    struct bytes value = {s.p + i, s.n - i};
    return bytes_begin(value, "\"#/") || bytes_begin(value, "\"#\"") ? i + 1 : 0;
}

/* Pointers get the new path in front; names ("#anchor") hold wherever the schema stands. */
static void add_moved(struct buf *out, struct bytes schema)
{
    size_t copied = 0;
    for (size_t i = 0; i < schema.n; i++) {
        if (schema.p[i] != '"')
            continue;
        size_t behind = behind_string(schema, i), mark = find_reference(schema, i, behind);
        if (mark) {
            buf_add(out, schema.p + copied, mark + 1 - copied);
            buf_add_text(out, "/properties/result");
            copied = mark + 1;
        }
        i = behind - 1;
    }
    buf_add(out, schema.p + copied, schema.n - copied);
}

void schema_add_wrapped(struct buf *out, struct bytes schema)
{
    struct members all = {0};
    members_read(&all, schema);
    const struct member *dialect = members_find(&all, "$schema");
    buf_add_text(out, "{\"type\":\"object\"");
    /* A dialect is named at the top of a document only. */
    if (dialect)
        add_member(out, dialect);
    buf_add_text(out, ",\"properties\":{\"result\":");
    /* With an $id of its own the schema stays a document: its references mean what they meant. */
    if (members_find(&all, "$id"))
        buf_add_bytes(out, schema);
    else
        add_moved(out, schema);
    buf_add_text(out, "},\"required\":[\"result\"]}");
    members_end(&all);
}
