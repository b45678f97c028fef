#pragma once
/*
 * json -- trees (jansson) where we must look inside, and JSON with comments as people write it.
 *
 * What only passes is never made a tree: see core/rpc/envelope.h.
 */
#include "core/base/bytes.h"
#include "core/base/why.h"

#include <jansson.h>

/* Parses one value; duplicates refused, depth limited by jansson. NULL with `why` "line:column: ...". */
json_t *json_read(struct bytes text, struct why *why);
/* The same after comments and trailing commas are blanked in place, so that line:column stay true. */
json_t *jsonc_read(struct bytes text, struct why *why);
void jsonc_blank(char *p, size_t n);
/* Where the value at JSON pointer `pointer` begins in `text` (comments already blanked): 1-based line and
 * column. */
int json_place(struct bytes text, const char *pointer, int *line, int *column);
void json_add(struct buf *out, const json_t *value); /* compact, sorted as inserted */
char *json_text(const json_t *value);
const char *json_str(const json_t *object, const char *key); /* NULL when absent or no string */
int64_t json_int(const json_t *object, const char *key, int64_t otherwise);

static inline void json_freep(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ __attribute__((cleanup(json_freep)))
