#pragma once
/* overview -- the figures of the first screen, as one JSON object: for REST and the live stream's tick. */
#include "core/base/bytes.h"

struct hub;
void overview_add(struct hub *hub, struct buf *out);
