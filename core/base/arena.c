#include "core/base/arena.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define ONE_MALLOC_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_MALLOC_EACH 1
#endif
#endif
#ifndef ONE_MALLOC_EACH
#define ONE_MALLOC_EACH 0
#endif

enum { BLOCK = 4096, ALIGN = 16 };

struct block {
    struct block *next;
    _Alignas(ALIGN) char p[];
};

struct closer {
    struct closer *next;
    void (*fn)(void *);
    void *object;
};

struct arena {
    char *at, *end; /* what is free in the current block */
    struct block *blocks;
    struct closer *closers;
    _Alignas(ALIGN) char first[BLOCK];
};

static void rewind_to_first(struct arena *a)
{
    a->at = a->first;
    a->end = ONE_MALLOC_EACH ? a->first : a->first + BLOCK;
}

struct arena *arena_new(void)
{
    struct arena *a = mem_grow(NULL, 1, sizeof *a); /* not zeroed: takes are */
    a->blocks = NULL;
    a->closers = NULL;
    rewind_to_first(a);
    return a;
}

void arena_reset(struct arena *a)
{
    while (a->closers) {
        struct closer *c = a->closers;
        a->closers = c->next; /* first, so that a closer may register another */
        c->fn(c->object);
    }
    while (a->blocks) {
        struct block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    rewind_to_first(a);
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a);
}

static struct block *block_add(struct arena *a, size_t n)
{
    size_t total;
    if (__builtin_add_overflow(n, sizeof(struct block), &total))
        mem_end();
    struct block *b = mem_grow(NULL, total, 1);
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

static __attribute__((noinline)) void *take_slowly(struct arena *a, size_t asked, size_t rounded)
{
    if (ONE_MALLOC_EACH)
        return memset(block_add(a, asked)->p, 0, asked);
    if (rounded > BLOCK / 2)
        return memset(block_add(a, rounded)->p, 0, rounded);
    struct block *b = block_add(a, BLOCK);
    a->at = b->p + rounded;
    a->end = b->p + BLOCK;
    return memset(b->p, 0, rounded);
}

void *arena_take(struct arena *a, size_t n)
{
    size_t rounded;
    if (__builtin_add_overflow(n, ALIGN - 1, &rounded))
        mem_end();
    rounded &= ~(size_t)(ALIGN - 1);
    if (ONE_MALLOC_EACH || rounded > (size_t)(a->end - a->at))
        return take_slowly(a, n, rounded);
    void *p = a->at;
    a->at += rounded;
    return memset(p, 0, rounded);
}

char *arena_text(struct arena *a, struct bytes s)
{
    char *p = arena_take(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

struct bytes arena_copy(struct arena *a, struct bytes s)
{
    return (struct bytes){arena_text(a, s), s.n};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert(n >= 0);
    char *p = arena_take(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return p;
}

void arena_at_close(struct arena *a, void (*fn)(void *), void *object)
{
    struct closer *c = ARENA_NEW(a, struct closer);
    *c = (struct closer){a->closers, fn, object};
    a->closers = c;
}
