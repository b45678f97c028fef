#pragma once
/*
 * events -- what happens, told to people: a ring, and who listens to it (70 §4).
 *
 * Publishing is cheap when nobody listens. Ids are "<epoch>-<n>". WebSocket: /api/v1/stream; SSE:
 * /api/v1/events.
 */
#include "core/base/bytes.h"

struct hub;
struct events;
struct events *events_new(struct hub *hub);
void events_free(struct events *e);
/* Does anybody listen, or does the ring keep it? Lets the caller skip making `data`. */
bool events_wanted(const struct events *e, const char *topic);
/* `data`: a JSON object. topic "calls", type "call.started". */
void events_publish(struct events *e, const char *topic, const char *type, struct bytes data);
