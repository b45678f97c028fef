#pragma once
/* history -- the arguments and handlers of show_log and show_diff, through libgit2. */
#include "servers/workspace/workspace.h"

struct show_log {
    const char *folder, *path, *ref, *format, *cursor;
    int64_t limit;
};
struct show_diff {
    const char *folder, *from, *to, *path, *cursor;
    int64_t max_bytes;
};
void show_log(struct order *o, const void *args);
void show_diff(struct order *o, const void *args);
