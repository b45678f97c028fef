#pragma once
/*
 * follow -- the hub's live events by SSE, until interrupted; goes on after a restart of the hub.
 */
#include "cli/command.h"

#include <jansson.h>

/* `topics`: "servers,logs:fs". Calls fn for each event {id, topic, type, ts, data}. Exit status. */
int follow_events(struct cli *c, const char *topics, void (*fn)(const json_t *event, void *ctx), void *ctx);
