#pragma once
/*
 * names -- what the tools and prompts of all servers are called on the one endpoint (20-mcp §6.2).
 *
 * A name depends on its server and itself only, so it never moves when others come and go.
 */
#include "core/base/bytes.h"

enum { NAME_MIN = 40, NAME_MAX_DEFAULT = 64 };

/* Appends `prefix__name`, in [a-zA-Z0-9_-], at most `most` bytes (>= NAME_MIN): bytes outside the set become
 * '_'; when any did, or it is too long, it is cut and ends in '-' and six letters of a digest of (server,
 * name). An empty prefix leaves out the "__" too. */
void name_add_exposed(struct buf *out, const char *prefix, const char *server, struct bytes name,
                      size_t most);

/* Appends `tl.<server>+<uri>`: a resource whose URI another server owns. */
void uri_add_rewritten(struct buf *out, const char *server, struct bytes uri);
/* Takes that apart; both point into `uri`. false: it has not that form. */
bool uri_read_rewritten(struct bytes uri, struct bytes *server, struct bytes *there);
/* The scheme of a URI, or p NULL: it has none. */
struct bytes uri_scheme(struct bytes uri);

/* Does `uri` come from `pattern`, a template of RFC 6570 up to level 3? `*steps` is what the search may cost;
 * it is counted down, and nothing matches once it is used up. */
bool template_matches(struct bytes pattern, struct bytes uri, size_t *steps);
