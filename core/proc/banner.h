#pragma once
/* banner -- what `trunkline up` tells the person who started it, once the hub is ready. */
#include "core/base/config.h"
#include "core/proc/listeners.h"

/* `program`: as it was called, for what the person may type next. */
void banner_add(struct buf *out, const struct config *c, const struct listeners *l, const char *state,
                const char *program);
