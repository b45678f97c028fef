#pragma once
/* banner -- what `trunkline up` tells the person who started it, once the hub is ready. */
#include "core/base/config.h"
#include "core/proc/listeners.h"

void banner_add(struct buf *out, const struct config *c, const struct listeners *l, const char *state);
