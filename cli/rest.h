#pragma once
/*
 * rest -- asking the hub: where it is, one request, and its errors as exit statuses.
 *
 * Order: --hub, TRUNKLINE_HUB, ./var/run (a checkout's own), $XDG_RUNTIME_DIR/trunkline/api.sock,
 * /run/trunkline/api.sock, http://127.0.0.1:8080.
 */
#include "cli/command.h"
#include "core/base/bytes.h"
#include "core/base/why.h"

#include <jansson.h>

/* "unix:/path" or URL; the first that exists. Lent: `room` holds it. */
const char *rest_base(const struct cli *c, char *room, size_t n);
/* 0 and *out (free by json_decref; NULL for an empty body), or an exit status after the error was printed.
 * `body` empty: none. */
int rest_call(const struct cli *c, const char *method, const char *path, struct bytes body, json_t **out);
/* The same, the body as it came. */
int rest_fetch(const struct cli *c, const char *method, const char *path, struct bytes body, struct buf *out);
/* json_read for what servers sent: integers past 64 bits become reals, instead of spoiling it all. */
json_t *rest_json(struct bytes text, struct why *why);
/* All pages of a list as one {"items":[…],"next_cursor":null,…}; `path` has its query already. */
int rest_list(const struct cli *c, const char *path, json_t **out);
/* An answer that is no 2xx: prints its error and gives the exit status. */
int rest_refused(const struct cli *c, int http, struct bytes body);
/* Path with a percent-encoded piece: rest_path(&b, "/api/v1/servers/", name, "/logs"). */
void rest_path(struct buf *out, const char *before, const char *piece, const char *after);
