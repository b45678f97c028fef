#pragma once
/* clients -- programs that speak MCP, and what to paste into their configuration. One table. */
#include "core/base/bytes.h"

struct client {
    const char *name;   /* "claude-code" */
    const char *title;  /* "Claude Code" */
    const char *file;   /* where it keeps its servers, on Linux */
    const char *format; /* json toml yaml */
    const char *text;   /* with {url} for the endpoint and {name} for our name there */
};
extern const struct client clients[]; /* ended by a row without name */
/* NULL: not in the table. */
const struct client *client_find(struct bytes name);
void client_add_snippet(const struct client *c, const char *name, const char *url, struct buf *out);
