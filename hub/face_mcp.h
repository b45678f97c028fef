#pragma once
/*
 * face_mcp -- the MCP endpoints: /mcp and /mcp/<server>, clients of every revision.
 *
 * The ladder of 20-mcp §4: gate (done before), body, era, headers, session, method row, then hub/call for
 * what goes to a server and the catalogue for what we answer ourselves. Modern requests are stateless; legacy
 * clients have sessions (session.h); modern subscriptions are listen streams (listen.h).
 */
#include "core/net/web.h"

struct hub;
struct face;

struct face *face_new(struct hub *hub);
void face_free(struct face *f);
/* Is the path ours? "/mcp" or "/mcp/<anything>". */
bool face_owns(struct bytes path);
int face_on_head(struct face *f, struct request *r); /* as web_ops.on_head */
void face_on_body(struct face *f, struct request *r, struct bytes body);
void face_on_end(struct face *f, struct request *r);
/* What the gate holds these paths to: rows for web_ops.routes. */
#define FACE_METHODS (METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST) | METHOD_BIT(METHOD_DELETE))
#define FACE_ROUTES                                                                  \
    {.path = "/mcp", .methods = FACE_METHODS, .flags = GATE_CORS | GATE_STREAMS},    \
    {                                                                                \
        .path = "/mcp/*", .methods = FACE_METHODS, .flags = GATE_CORS | GATE_STREAMS \
    }
/* The body of a refusal by the gate on these paths: a JSON-RPC error without id. */
void face_refusal(const struct gate_verdict *verdict, struct buf *out);

/* From the catalogue and the upstreams, to those who asked for it and whose view it is. */
void face_list_changed(struct face *f, int item_kind, const char *server);
void face_resource_updated(struct face *f, const char *server, struct bytes uri);
struct face_counts {
    size_t sessions, listens, streams;
    size_t dropped; /* notifications for clients that take no stream, so far */
};
struct face_counts face_counts(const struct face *f);
void face_drain(struct face *f); /* ends streams politely: listen gets cancelled, then its result */
