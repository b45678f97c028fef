#pragma once
/*
 * bytes -- a run of bytes somebody else owns, and a buffer that grows.
 *
 * `struct bytes` is a view: never freed, valid as long as its owner says. `struct buf` owns its memory.
 * Running out of memory aborts; whoever appends what a peer sent has checked a limit before.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *p;
    size_t n;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})
#define BYTES_NONE ((struct bytes){0})

static inline struct bytes bytes_of(const char *text) /* NULL gives BYTES_NONE */
{
    return (struct bytes){text, text ? strlen(text) : 0};
}

static inline bool bytes_are(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool bytes_say(struct bytes a, const char *text)
{
    return bytes_are(a, bytes_of(text));
}

bool bytes_begin(struct bytes a, const char *prefix);
bool bytes_end_with(struct bytes a, const char *suffix);
bool bytes_say_nocase(struct bytes a, const char *text); /* ASCII only */
int bytes_order(struct bytes a, struct bytes b);         /* memcmp order, shorter first */
struct bytes bytes_trim(struct bytes a);                 /* SP and TAB at both ends */
/* Position of `c`, or a.n. */
size_t bytes_find(struct bytes a, char c);
/* A malloc'd NUL-ended copy. Free it. */
char *bytes_copy(struct bytes a);

struct buf {
    char *p; /* NUL-ended whenever it is not NULL */
    size_t n, cap;
};

void buf_end(struct buf *b);                  /* frees, leaves it empty and usable */
void buf_clear(struct buf *b);                /* keeps the memory */
void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes behind n */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_bytes(struct buf *b, struct bytes s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_add_int(struct buf *b, int64_t v);
/* A JSON string, quoted and escaped; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *b, struct bytes s);
void buf_add_json_text(struct buf *b, const char *text); /* NULL writes null */
void buf_drop_front(struct buf *b, size_t n);
char *buf_take(struct buf *b); /* gives the memory away, leaves it empty; never NULL */
static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

/* printf into a malloc'd string. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
