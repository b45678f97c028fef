#pragma once
/* content -- MCP content blocks as a person reads them; bytes as the bytes they are. */
#include "cli/command.h"
#include "core/base/bytes.h"

#include <jansson.h>

/* The `content` array of a result: text as text, all else named by a line. */
void content_print(const struct cli *c, const json_t *blocks);
/* One content block, as above. */
void content_print_block(const struct cli *c, const json_t *block);
/* {"contents":[…]} of a resource; blobs only to a pipe or a file. Exit status. */
int content_print_resource(const struct cli *c, const json_t *contents);
/* The same as bytes, for a file. 0, or -1: base64 that is none. */
int content_add_bytes(struct buf *out, const json_t *contents);
