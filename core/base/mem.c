#include "core/base/mem.h"

#include <string.h>
#include <unistd.h>

void mem_end(void)
{
    /* Nothing here may allocate, so the line is ready-made instead of going through log.c. */
    static const char line[] = "{\"level\":\"error\",\"event\":\"out_of_memory\"}\n";
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    abort();
}

void *mem_new(size_t n)
{
    return mem_array(1, n);
}

void *mem_array(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        mem_end();
    return p;
}

void *mem_grow(void *p, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        mem_end();
    void *grown = realloc(p, n ? n : 1);
    if (!grown)
        mem_end();
    return grown;
}

char *mem_text(const char *text)
{
    if (!text)
        return NULL;
    char *copy = strdup(text);
    if (!copy)
        mem_end();
    return copy;
}
