#pragma once
/*
 * mem -- allocation that does not fail, and cleanup at the end of a scope.
 *
 * Running out of memory aborts the process with the log event `out_of_memory`; the supervisor restarts it.
 */
#include <stddef.h>
#include <stdlib.h>

void *mem_new(size_t n);                    /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; overflow aborts */
void *mem_grow(void *p, size_t count, size_t size);
char *mem_text(const char *text);             /* strdup; NULL gives NULL */
void mem_end(void) __attribute__((noreturn)); /* what all of them call when there is none left */

#define NEW(type) ((type *)mem_new(sizeof(type)))

#define _cleanup_(fn) __attribute__((cleanup(fn)))
static inline void mem_freep(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(mem_freep)
#define take_ptr(pp)                  \
    ({                                \
        __typeof__(*(pp)) t_ = *(pp); \
        *(pp) = NULL;                 \
        t_;                           \
    })
