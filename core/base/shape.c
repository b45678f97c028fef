#include "core/base/shape.h"

#include "core/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { STRING_MOST = 65536, ITEMS_MOST = 1024, NAMES_MOST = 64 };

/* What one reading carries along. `path` is the JSON pointer of the object being read. */
struct reading {
    struct arena *arena;
    struct shape_faults *faults;
    const char *path;
};

static __attribute__((format(printf, 3, 4))) void tell(const struct reading *r, const char *name,
                                                       const char *format, ...)
{
    struct shape_faults *f = r->faults;
    if (f->n >= sizeof f->at / sizeof f->at[0])
        return;
    snprintf(f->at[f->n].pointer, sizeof f->at[0].pointer, "%s/%s", r->path, name);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(f->at[f->n].text, sizeof f->at[0].text, format, args);
    va_end(args);
    size_t room = sizeof f->at[0].text - 1;
    if (n > (int)room)
        f->at[f->n].text[utf8_cut((struct bytes){f->at[f->n].text, room}, room)] = 0;
    f->n++;
}

static size_t string_most(const struct shape *s)
{
    return s->max > 0 ? (size_t)s->max : STRING_MOST;
}

static void read_string(const struct reading *r, const struct shape *s, json_t *value, const char **out)
{
    size_t n = json_string_length(value), least = s->min > 0 ? (size_t)s->min : 0;
    if (!json_is_string(value))
        tell(r, s->name, "'%s' must be a string", s->name);
    else if (n < least)
        tell(r, s->name, least == 1 ? "'%s' must not be empty" : "'%s' must have at least %zu bytes", s->name,
             least);
    else if (n > string_most(s))
        tell(r, s->name, "'%s' must have at most %zu bytes", s->name, string_most(s));
    else
        *out = arena_text(r->arena, (struct bytes){json_string_value(value), n});
}

static void read_enum(const struct reading *r, const struct shape *s, json_t *value, const char **out)
{
    struct bytes given = {json_string_value(value), json_string_length(value)};
    char list[120] = "";
    size_t n = 0;
    for (const char *const *c = s->choices; *c; c++) {
        if (json_is_string(value) && bytes_say(given, *c)) {
            *out = *c;
            return;
        }
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s'%s'", n ? ", " : "", *c);
    }
    tell(r, s->name, "'%s' must be one of %s", s->name, list);
}

/* Whole numbers in any JSON form: 3 and 3.0. */
static bool whole(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    double real = json_is_real(value) ? json_real_value(value) : 0.5;
    if (real != floor(real) || fabs(real) > 9007199254740992.0)
        return false;
    *out = (int64_t)real;
    return true;
}

static void read_int(const struct reading *r, const struct shape *s, json_t *value, int64_t *out)
{
    int64_t v;
    if (whole(value, &v) && v >= s->min && v <= s->max)
        *out = v;
    else
        tell(r, s->name, "'%s' must be a whole number from %" PRId64 " to %" PRId64, s->name, s->min, s->max);
}

/* Durations and sizes: text with a unit, or a plain number of bytes for a size. */
static void read_unit(const struct reading *r, const struct shape *s, json_t *value, int64_t *out)
{
    bool is_size = s->kind == SHAPE_SIZE;
    struct bytes given = {json_string_value(value), json_string_length(value)};
    int64_t v;
    bool good = json_is_string(value)
                    ? (is_size ? size_read(given, &v) : duration_read(given, &v)) == 0
                    : is_size && json_is_integer(value) && (v = json_integer_value(value)) >= 0;
    if (!good)
        tell(r, s->name,
             is_size ? "'%s' must be a size like \"64KiB\"" : "'%s' must be a duration like \"5s\"", s->name);
    else if (v < s->min || (s->max > 0 && v > s->max))
        tell(r, s->name, "'%s' is out of range", s->name);
    else
        *out = v;
}

static void read_strings(const struct reading *r, const struct shape *s, json_t *value, struct strings *out)
{
    size_t most = s->max > 0 ? (size_t)s->max : ITEMS_MOST, n = json_array_size(value);
    if (!json_is_array(value)) {
        tell(r, s->name, "'%s' must be a list of strings", s->name);
        return;
    }
    if (n > most || n < (size_t)s->min) {
        tell(r, s->name, "'%s' must have %s %zu items", s->name, n > most ? "at most" : "at least",
             n > most ? most : (size_t)s->min);
        return;
    }
    const char **items = arena_take(r->arena, (n + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(value, i);
        struct bytes text = {json_string_value(item), json_string_length(item)};
        if (!json_is_string(item) || text.n > STRING_MOST) {
            tell(r, s->name, "'%s' must be a list of strings of at most %d bytes", s->name, STRING_MOST);
            return;
        }
        items[i] = arena_text(r->arena, text);
    }
    *out = (struct strings){items, n};
}

static void read_object(const struct reading *r, const struct shape *shape, json_t *value, void *out);

static void read_inside(const struct reading *r, const struct shape *s, json_t *value, void **out)
{
    if (!json_is_object(value)) {
        tell(r, s->name, "'%s' must be an object", s->name);
        return;
    }
    struct reading inside = *r;
    inside.path = arena_printf(r->arena, "%s/%s", r->path, s->name);
    *out = arena_take(r->arena, s->inside_size);
    read_object(&inside, s->inside, value, *out);
}

static void set_default(const struct shape *s, void *place)
{
    switch (s->kind) {
    case SHAPE_STRING:
    case SHAPE_ENUM:
        *(const char **)place = s->text_otherwise;
        break;
    case SHAPE_INT:
    case SHAPE_DURATION:
    case SHAPE_SIZE:
        *(int64_t *)place = s->otherwise;
        break;
    case SHAPE_BOOL:
        *(bool *)place = s->otherwise != 0;
        break;
    default:
        break; /* NULL, or a list of none */
    }
}

static void read_member(const struct reading *r, const struct shape *s, json_t *value, void *place)
{
    switch (s->kind) {
    case SHAPE_STRING:
        read_string(r, s, value, place);
        break;
    case SHAPE_ENUM:
        read_enum(r, s, value, place);
        break;
    case SHAPE_INT:
        read_int(r, s, value, place);
        break;
    case SHAPE_BOOL:
        if (json_is_boolean(value))
            *(bool *)place = json_is_true(value);
        else
            tell(r, s->name, "'%s' must be true or false", s->name);
        break;
    case SHAPE_STRINGS:
        read_strings(r, s, value, place);
        break;
    case SHAPE_OBJECT:
        read_inside(r, s, value, place);
        break;
    case SHAPE_JSON:
        *(json_t **)place = value;
        break;
    case SHAPE_DURATION:
    case SHAPE_SIZE:
        read_unit(r, s, value, place);
        break;
    case SHAPE_END:
        break;
    }
}

static void refuse_unknown(const struct reading *r, const struct shape *shape, json_t *value)
{
    const char *names[NAMES_MOST + 1];
    size_t n = 0;
    for (; shape[n].name && n < NAMES_MOST; n++)
        names[n] = shape[n].name;
    names[n] = NULL;
    const char *key;
    json_t *member;
    json_object_foreach (value, key, member) {
        size_t i = 0;
        while (shape[i].name && strcmp(shape[i].name, key) != 0)
            i++;
        if (shape[i].name)
            continue;
        const char *near = text_nearest(key, names);
        if (near)
            tell(r, key, "'%.64s' is not known; did you mean '%s'?", key, near);
        else
            tell(r, key, "'%.64s' is not known", key);
    }
}

/* Recursion follows the table, never the input. */
static void read_object(const struct reading *r, const struct shape *shape, json_t *value, void *out)
{
    refuse_unknown(r, shape, value);
    for (const struct shape *s = shape; s->name; s++) {
        void *place = (char *)out + s->at;
        json_t *member = json_object_get(value, s->name);
        set_default(s, place);
        /* Models write null for what they leave out. */
        bool is_absent = !member || (json_is_null(member) && s->kind != SHAPE_JSON);
        if (!is_absent)
            read_member(r, s, member, place);
        else if (s->required)
            tell(r, s->name, "'%s' is missing", s->name);
    }
}

static size_t struct_size(const struct shape *shape)
{
    size_t size = 0;
    for (const struct shape *s = shape; s->name; s++) {
        size_t n = s->kind == SHAPE_STRINGS ? sizeof(struct strings)
                   : s->kind == SHAPE_BOOL  ? sizeof(bool)
                                            : sizeof(int64_t);
        size = s->at + n > size ? s->at + n : size;
    }
    return size;
}

int shape_read(const struct shape *shape, json_t *value, struct arena *a, void *out,
               struct shape_faults *faults)
{
    struct shape_faults unheard;
    struct reading r = {.arena = a, .faults = faults ? faults : &unheard, .path = ""};
    r.faults->n = 0;
    memset(out, 0, struct_size(shape));
    if (value && !json_is_object(value)) {
        tell(&r, "", "an object is wanted here");
        r.faults->at[0].pointer[0] = 0;
        return 1;
    }
    read_object(&r, shape, value, out);
    return r.faults->n ? 1 : 0;
}

static void add_bounds(struct buf *out, const char *least, int64_t min, const char *most, int64_t max)
{
    if (min > 0)
        buf_addf(out, ",\"%s\":%" PRId64, least, min);
    buf_addf(out, ",\"%s\":%" PRId64, most, max);
}

static void add_enum(struct buf *out, const struct shape *s)
{
    buf_add_text(out, "\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; s->choices[i]; i++) {
        buf_add_text(out, i ? "," : "");
        buf_add_json_text(out, s->choices[i]);
    }
    buf_add_char(out, ']');
}

static void add_type(struct buf *out, const struct shape *s)
{
    switch (s->kind) {
    case SHAPE_STRING:
        buf_add_text(out, "\"type\":\"string\"");
        add_bounds(out, "minLength", s->min, "maxLength", (int64_t)string_most(s));
        break;
    case SHAPE_ENUM:
        add_enum(out, s);
        break;
    case SHAPE_INT:
        buf_addf(out, "\"type\":\"integer\",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64, s->min, s->max);
        break;
    case SHAPE_BOOL:
        buf_add_text(out, "\"type\":\"boolean\"");
        break;
    case SHAPE_STRINGS:
        buf_add_text(out, "\"type\":\"array\",\"items\":{\"type\":\"string\"}");
        add_bounds(out, "minItems", s->min, "maxItems", s->max > 0 ? s->max : ITEMS_MOST);
        break;
    case SHAPE_DURATION:
        buf_add_text(out, "\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$\"");
        break;
    case SHAPE_SIZE:
        buf_add_text(out, "\"type\":[\"string\",\"integer\"],\"pattern\":\"^[0-9]+(KiB|MiB|GiB)?$\"");
        break;
    default:
        break; /* JSON: anything */
    }
}

static void add_default(struct buf *out, const struct shape *s)
{
    if (s->required)
        return;
    if ((s->kind == SHAPE_STRING || s->kind == SHAPE_ENUM) && s->text_otherwise) {
        buf_add_text(out, ",\"default\":");
        buf_add_json_text(out, s->text_otherwise);
    } else if (s->kind == SHAPE_INT) {
        buf_addf(out, ",\"default\":%" PRId64, s->otherwise);
    } else if (s->kind == SHAPE_BOOL) {
        buf_addf(out, ",\"default\":%s", s->otherwise ? "true" : "false");
    }
}

static void add_schema(struct buf *out, const struct shape *shape)
{
    buf_add_text(out, "\"type\":\"object\",\"properties\":{");
    for (const struct shape *s = shape; s->name; s++) {
        buf_add_text(out, s == shape ? "" : ",");
        buf_add_json_text(out, s->name);
        buf_add_text(out, ":{");
        size_t before = out->n;
        if (s->kind == SHAPE_OBJECT)
            add_schema(out, s->inside);
        else
            add_type(out, s);
        add_default(out, s);
        if (s->help) {
            buf_add_text(out, out->n > before ? ",\"description\":" : "\"description\":");
            buf_add_json_text(out, s->help);
        }
        buf_add_char(out, '}');
    }
    buf_add_text(out, "},");
    bool any = false;
    for (const struct shape *s = shape; s->name; s++) {
        if (!s->required)
            continue;
        buf_add_text(out, any ? "," : "\"required\":[");
        buf_add_json_text(out, s->name);
        any = true;
    }
    buf_add_text(out, any ? "],\"additionalProperties\":false" : "\"additionalProperties\":false");
}

void shape_add_schema(struct buf *out, const struct shape *shape)
{
    buf_add_char(out, '{');
    add_schema(out, shape);
    buf_add_char(out, '}');
}
