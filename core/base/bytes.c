#include "core/base/bytes.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

bool bytes_begin(struct bytes a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p ? a.p : "", prefix, n) == 0;
}

bool bytes_end_with(struct bytes a, const char *suffix)
{
    size_t n = strlen(suffix);
    return n == 0 || (a.n >= n && memcmp(a.p + a.n - n, suffix, n) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool bytes_say_nocase(struct bytes a, const char *text)
{
    if (a.n != strlen(text))
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(text[i]))
            return false;
    return true;
}

int bytes_order(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

struct bytes bytes_trim(struct bytes a)
{
    while (a.n && (a.p[0] == ' ' || a.p[0] == '\t'))
        a.p++, a.n--;
    while (a.n && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
        a.n--;
    return a;
}

size_t bytes_find(struct bytes a, char c)
{
    const char *at = a.n ? memchr(a.p, c, a.n) : NULL;
    return at ? (size_t)(at - a.p) : a.n;
}

char *bytes_copy(struct bytes a)
{
    char *copy = mem_grow(NULL, a.n + 1, 1);
    if (a.n)
        memcpy(copy, a.p, a.n);
    copy[a.n] = 0;
    return copy;
}

void buf_end(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = 0;
}

static __attribute__((noinline)) void grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        if (__builtin_mul_overflow(cap, 2, &cap))
            mem_end();
    b->p = mem_grow(b->p, cap, 1);
    b->cap = cap;
    b->p[b->n] = 0;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->n + 1, more, &need))
        mem_end();
    if (need > b->cap)
        grow(b, need);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_add_bytes(struct buf *b, struct bytes s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
    buf_reserve(b, 1);
    b->p[b->n++] = c;
    b->p[b->n] = 0;
}

static void add_format(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    buf_reserve(b, 80);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->p + b->n, room, format, args);
    assert(n >= 0);
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
    }
    va_end(again);
    b->n += (size_t)n;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_format(b, format, args);
    va_end(args);
}

char *text_format(const char *format, ...)
{
    struct buf b = {0};
    va_list args;
    va_start(args, format);
    add_format(&b, format, args);
    va_end(args);
    return buf_take(&b);
}

void buf_add_int(struct buf *b, int64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--at] = '-';
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_drop_front(struct buf *b, size_t n)
{
    assert(n <= b->n);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = 0;
}

char *buf_take(struct buf *b)
{
    buf_reserve(b, 0);
    char *p = b->p;
    *b = (struct buf){0};
    return p;
}
