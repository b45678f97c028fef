#pragma once
/*
 * arena -- memory that lives as long as one call.
 *
 * What a handler makes dies with the answer; a longer life needs an explicit copy to its keeper. Takes are
 * pointer bumps in 4 KiB blocks, larger takes get a block of their own. Under AddressSanitizer each take is
 * one malloc, so that overruns are seen. arena_reset keeps the first block: the steady state allocates
 * nothing.
 */
#include "core/base/bytes.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);  /* runs what arena_at_close registered, last first; NULL is fine */
void arena_reset(struct arena *a); /* the same, but the arena stays usable */
void *arena_take(struct arena *a, size_t n);       /* zeroed, aligned for anything */
char *arena_text(struct arena *a, struct bytes s); /* NUL-ended copy */
struct bytes arena_copy(struct arena *a, struct bytes s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_at_close(struct arena *a, void (*fn)(void *), void *object);
#define ARENA_NEW(a, type) ((type *)arena_take((a), sizeof(type)))
