#pragma once
/*
 * api -- everything HTTP that is not MCP: REST as a table of routes, health, metrics, the status page, the
 * live stream's SSE form.
 */
#include "core/net/web.h"
#include "core/net/ws.h"

struct hub;
struct api;
struct api *api_new(struct hub *hub);
void api_free(struct api *a);
int api_on_head(struct api *a, struct request *r);
void api_on_body(struct api *a, struct request *r, struct bytes body);
void api_on_end(struct api *a, struct request *r);
/* The hub is about to stop: streams end, WebSockets with 1001. Calls that wait are answered as they end. */
void api_drain(struct api *a);
/* What the gate holds these paths to: rows for web_ops.routes, behind those of others. */
#define API_ROUTES                                         \
    {                                                      \
        .path = "/api/*", .flags = GATE_QUERY, .uri = 8192 \
    }
/* The body of a refusal by the gate on these paths: the error envelope. */
void api_refusal(const struct gate_verdict *verdict, struct buf *out);
extern const struct ws_ops api_stream_ops; /* WebSocket /api/v1/stream; ctx is the hub */
