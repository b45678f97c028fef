#pragma once
/* guest -- what stands behind a request of an MCP endpoint: the first member of each thing request_ctx points
 * to. */
#include "core/net/web.h"

struct guest {
    /* The last words on the request (web_ops.on_end); not told once the guest has left it. */
    void (*on_end)(struct guest *g, struct request *r);
};

/* The guest has no more to do with the request. */
static inline void guest_leave(struct request *r)
{
    request_set_ctx(r, NULL);
    request_on_gone(r, NULL, NULL);
    request_on_drained(r, NULL);
}

enum { KEEP_ALIVE_MS = 15000 };
