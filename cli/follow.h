#pragma once
/*
 * follow -- the hub's live events by SSE, until interrupted; goes on after a restart of the hub.
 */
#include "cli/command.h"

#include <jansson.h>

/* `topics`: "servers,logs:fs". Calls fn for each event {id, topic, type, ts, data}. Exit status.
 * fn: false: that was enough. */
int follow_events(struct cli *c, const char *topics, bool (*fn)(const json_t *event, void *ctx), void *ctx);
/* The notifications of an MCP stream (subscriptions/listen) for one resource. */
int follow_resource(struct cli *c, const char *uri, bool (*fn)(const json_t *message, void *ctx), void *ctx);
