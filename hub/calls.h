#pragma once
/* calls -- all calls in flight. */
#include <stddef.h>

struct hub;
struct calls;
struct calls *calls_new(struct hub *hub);
void calls_free(struct calls *s);
size_t calls_count(const struct calls *s);
