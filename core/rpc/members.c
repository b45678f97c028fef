#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/rpc/scan.h"

#include <endian.h>
#include <stdlib.h>

/* Looking into values that a scan has already found valid. Bounds are kept all the same. */

enum json_type json_type_of(char first)
{
    switch (first) {
    case '"':
        return JSON_T_STRING;
    case '{':
        return JSON_T_OBJECT;
    case '[':
        return JSON_T_ARRAY;
    case 't':
    case 'f':
        return JSON_T_BOOL;
    case 'n':
        return JSON_T_NULL;
    default:
        return JSON_T_NUMBER;
    }
}

void members_add(struct members *m, const struct member *member)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->p = mem_grow(m->p, m->cap, sizeof(*m->p));
    }
    m->p[m->n++] = *member;
}

void members_end(struct members *m)
{
    free(m->p);
    *m = (struct members){0};
}

/* The last one, where there are two: so do the parsers on the other side. */
const struct member *members_find(const struct members *m, const char *key)
{
    size_t n = strlen(key);

    for (size_t i = m->n; i-- > 0;) {
        const struct member *each = &m->p[i];
        if (each->key.n == n && !each->key_has_escapes && memcmp(each->key.p, key, n) == 0)
            return each;
    }
    return NULL;
}

static struct bytes between_quotes(const struct member *m)
{
    return (struct bytes){m->value.p + 1, m->value.n - 2};
}

struct bytes member_plain(const struct member *m)
{
    if (!m || m->type != JSON_T_STRING || memchr(m->value.p, '\\', m->value.n))
        return BYTES_NONE;
    return between_quotes(m);
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static void add_character(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_add_char(out, (char)c);
    } else if (c < 0x800) {
        buf_add_char(out, (char)(0xC0 | c >> 6));
        buf_add_char(out, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_add_char(out, (char)(0xE0 | c >> 12));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_add_char(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_add_char(out, (char)(0xF0 | c >> 18));
        buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_add_char(out, (char)(0x80 | (c & 0x3F)));
    }
}

/* `p` is at a backslash; how many bytes it takes, or -1. */
static int add_escape(struct buf *out, const char *p, const char *end)
{
    static const char plain[][2] = {
        {'b', '\b'},
        {'f', '\f'},
        {'n', '\n'},
        {'r', '\r'},
        {'t', '\t'}
    };

    if (end - p < 2)
        return -1;
    if (p[1] != 'u') {
        char c = p[1];
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
            if (plain[i][0] == c)
                c = plain[i][1];
        buf_add_char(out, c);
        return 2;
    }
    if (end - p < 6)
        return -1;
    uint32_t c = hex4(p + 2);
    if (c < 0xD800 || c > 0xDFFF) {
        add_character(out, c);
        return 6;
    }
    if (c > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return -1;
    uint32_t low = hex4(p + 8);
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    add_character(out, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
    return 12;
}

int unescape(struct bytes raw, struct buf *out)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    while (p < end) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((back ? back : end) - p);
        buf_add(out, p, run);
        p += run;
        if (!back)
            break;
        int n = add_escape(out, p, end);
        if (n < 0)
            return -1;
        p += n;
    }
    return 0;
}

int member_decode(const struct member *m, struct buf *out)
{
    if (!m || m->type != JSON_T_STRING || m->value.n < 2)
        return -1;
    size_t before = out->n;
    if (unescape(between_quotes(m), out) == 0)
        return 0;
    out->n = before;
    if (out->p)
        out->p[before] = '\0';
    return -1;
}

bool member_is_true(const struct member *m)
{
    return m && bytes_say(m->value, "true");
}

int member_int(const struct member *m, int64_t *out)
{
    if (!m || m->type != JSON_T_NUMBER || m->value.n == 0)
        return -1;
    struct bytes digits = m->value;
    bool is_negative = digits.p[0] == '-';
    uint64_t most = is_negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, v = 0;
    for (size_t i = is_negative; i < digits.n; i++) {
        unsigned d = (unsigned)(digits.p[i] - '0');
        if (d > 9 || v > (most - d) / 10)
            return -1;
        v = v * 10 + d;
    }
    *out = is_negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

/* --- one level deeper --- */

static const char *behind_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Behind the closing quote; NULL when there is none. */
static const char *behind_string(const char *p, const char *end, bool *has_escapes)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *has_escapes = true;
            p++;
        }
    }
    return NULL;
}

static const char *behind_value(const char *p, const char *end)
{
    size_t depth = 0;
    bool ignored;

    do {
        if (p >= end)
            return NULL;
        switch (*p) {
        case '"':
            p = behind_string(p, end, &ignored);
            if (!p)
                return NULL;
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            depth--;
            break;
        default:
            if (depth)
                break;
            while (p < end && !strchr(",]} \t\r\n", *p))
                p++;
            return p;
        }
        p++;
    } while (depth);
    return p;
}

/* Reads one key and the colon. NULL: there is none. */
static const char *read_key(struct member *m, const char *p, const char *end)
{
    if (p >= end || *p != '"')
        return NULL;
    const char *key_end = behind_string(p, end, &m->key_has_escapes);
    if (!key_end)
        return NULL;
    m->key = (struct bytes){p + 1, (size_t)(key_end - p) - 2};
    p = behind_blanks(key_end, end);
    if (p >= end || *p != ':')
        return NULL;
    return behind_blanks(p + 1, end);
}

static int read_parts(struct members *out, struct bytes value, char open, char close)
{
    const char *p = behind_blanks(value.p, value.p + value.n), *end = value.p + value.n;

    out->n = 0;
    if (p >= end || *p != open)
        return -1;
    p = behind_blanks(p + 1, end);
    if (p < end && *p == close)
        return 0;
    while (p < end) {
        struct member m = {0};
        p = open == '{' ? read_key(&m, p, end) : p;
        const char *stop = p && p < end ? behind_value(p, end) : NULL;
        if (!stop || stop == p)
            return -1;
        m.value = (struct bytes){p, (size_t)(stop - p)};
        m.type = json_type_of(*p);
        members_add(out, &m);
        p = behind_blanks(stop, end);
        if (p < end && *p == close)
            return 0;
        if (p >= end || *p != ',')
            return -1;
        p = behind_blanks(p + 1, end);
    }
    return -1;
}

int members_read(struct members *m, struct bytes value)
{
    return read_parts(m, value, '{', '}');
}

int elements_read(struct members *m, struct bytes value)
{
    return read_parts(m, value, '[', ']');
}

/* Inside a string a raw line end is not JSON, so every one there is stands between tokens. */
void envelope_add_line(struct buf *out, struct bytes value)
{
    size_t at = out->n;

    buf_add_bytes(out, value);
    if (!memchr(out->p + at, '\n', value.n) && !memchr(out->p + at, '\r', value.n))
        return;
    for (size_t i = at; i < out->n; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
}
