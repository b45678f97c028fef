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
extern const struct ws_ops api_stream_ops; /* WebSocket /api/v1/stream; ctx is the hub */
