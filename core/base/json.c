#include "core/base/json.h"

#include "core/base/mem.h"
#include "core/base/text.h"

json_t *json_read(struct bytes text, struct why *why)
{
    json_error_t error;
    json_t *value =
        json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        why_set(why, -1, "%d:%d: %s", error.line > 0 ? error.line : 1, error.column > 0 ? error.column : 1,
                error.text);
    return value;
}

/* From a quote to behind the closing one, or to the end. */
static size_t string_end(const char *p, size_t n, size_t at)
{
    for (at++; at < n && p[at] != '"'; at++)
        if (p[at] == '\\')
            at++;
    return at < n ? at + 1 : n;
}

/* Blanks the comment at `at`, keeping its line ends; gives the place behind it. */
static size_t blank_comment(char *p, size_t n, size_t at)
{
    bool is_block = p[at + 1] == '*';
    size_t end = at + 2;
    while (end < n && (is_block ? !(p[end] == '*' && end + 1 < n && p[end + 1] == '/') : p[end] != '\n'))
        end++;
    if (is_block)
        end = end + 2 < n ? end + 2 : n;
    for (; at < end; at++)
        if (p[at] != '\n')
            p[at] = ' ';
    return end;
}

void jsonc_blank(char *p, size_t n)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    size_t comma = n; /* the last one, while nothing but space follows it */
    if (n >= sizeof mark && memcmp(p, mark, sizeof mark) == 0)
        memset(p, ' ', sizeof mark);
    for (size_t at = 0; at < n;) {
        char c = p[at];
        if (c == '/' && at + 1 < n && (p[at + 1] == '/' || p[at + 1] == '*')) {
            at = blank_comment(p, n, at);
            continue;
        }
        if ((c == '}' || c == ']') && comma < n)
            p[comma] = ' ';
        if (c == ',')
            comma = at;
        else if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            comma = n;
        at = c == '"' ? string_end(p, n, at) : at + 1;
    }
}

json_t *jsonc_read(struct bytes text, struct why *why)
{
    _cleanup_free_ char *copy = bytes_copy(text);
    jsonc_blank(copy, text.n);
    return json_read((struct bytes){copy, text.n}, why);
}

static size_t skip_space(struct bytes t, size_t at)
{
    while (at < t.n && (t.p[at] == ' ' || t.p[at] == '\t' || t.p[at] == '\n' || t.p[at] == '\r'))
        at++;
    return at;
}

/* Behind the value that begins at `at`. */
static size_t skip_value(struct bytes t, size_t at)
{
    size_t depth = 0;
    while (at < t.n) {
        char c = t.p[at];
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return at;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        at = c == '"' ? string_end(t.p, t.n, at) : at + 1;
        if (depth == 0 && (c == '"' || c == '}' || c == ']'))
            return at;
    }
    return t.n;
}

static bool key_says(struct bytes quoted, struct bytes name)
{
    json_t *key = json_loadb(quoted.p, quoted.n, JSON_DECODE_ANY, NULL);
    bool same = json_is_string(key) && bytes_are(bytes_of(json_string_value(key)), name);
    json_decref(key);
    return same;
}

/* The place of member or item `name` of the value at `at`; t.n when there is none. */
static size_t step_in(struct bytes t, size_t at, struct bytes name)
{
    bool is_object = at < t.n && t.p[at] == '{';
    int64_t index = -1;
    if (!is_object && (at >= t.n || t.p[at] != '[' || number_read(name, &index) < 0))
        return t.n;
    for (at = skip_space(t, at + 1); at < t.n && t.p[at] != '}' && t.p[at] != ']'; index--) {
        bool is_it = index == 0;
        if (is_object) {
            size_t end = string_end(t.p, t.n, at);
            is_it = key_says((struct bytes){t.p + at, end - at}, name);
            at = skip_space(t, skip_space(t, end) + 1); /* over the colon */
        }
        if (is_it)
            return at;
        at = skip_space(t, skip_value(t, at));
        if (at < t.n && t.p[at] == ',')
            at = skip_space(t, at + 1);
    }
    return t.n;
}

/* One token of a JSON pointer, ~0 and ~1 undone. */
static void pointer_token(const char **pointer, struct buf *out)
{
    buf_clear(out);
    const char *p = *pointer + 1;
    for (; *p && *p != '/'; p++) {
        if (*p == '~' && (p[1] == '0' || p[1] == '1'))
            buf_add_char(out, *++p == '0' ? '~' : '/');
        else
            buf_add_char(out, *p);
    }
    *pointer = p;
}

int json_place(struct bytes text, const char *pointer, int *line, int *column)
{
    struct buf token = {0};
    size_t at = skip_space(text, 0);
    while (*pointer == '/' && at < text.n) {
        pointer_token(&pointer, &token);
        at = step_in(text, at, buf_bytes(&token));
    }
    buf_end(&token);
    if (at >= text.n || *pointer)
        return -1;
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((text.p[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
    return 0;
}

static int add_piece(const char *p, size_t n, void *out)
{
    buf_add(out, p, n);
    return 0;
}

void json_add(struct buf *out, const json_t *value)
{
    json_dump_callback(value, add_piece, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

char *json_text(const json_t *value)
{
    struct buf out = {0};
    json_add(&out, value);
    return buf_take(&out);
}

const char *json_str(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t json_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}
