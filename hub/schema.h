#pragma once
/*
 * schema -- the little the hub knows of JSON Schema: its outermost type, how many subschemas it has, where
 * `x-mcp-header` may stand, and how to put one inside another. Schemas are never evaluated, references never
 * fetched.
 */
#include "core/base/bytes.h"

enum schema_type { SCHEMA_OBJECT, SCHEMA_UNSAID, SCHEMA_OTHER };
/* `schema` is a JSON object. */
enum schema_type schema_type(struct bytes schema);

/* NULL, or why a definition with these (objects, or empty) must not be listed: more than `most` subschemas,
 * or an `x-mcp-header` that is not a token, is there twice, or stands elsewhere than on a string, integer or
 * boolean reached by `properties` alone. Free it. */
char *schema_check(const struct bytes *schemas, size_t count, size_t most);

/* Appends the object `schema` with "type":"object" in front. */
void schema_add_typed(struct buf *out, struct bytes schema);
/* Appends {"type":"object","properties":{"result":<schema>},"required":["result"]}; references within the
 * document are led to the new place. */
void schema_add_wrapped(struct buf *out, struct bytes schema);
