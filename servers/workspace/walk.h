#pragma once
/* walk -- all files beneath a folder, sorted, without recursion; what git ignores and .git itself left out.
 */
#include "servers/workspace/scan.h"

#include <sys/stat.h>

enum { WALK_MOST = 100000 };
/* Calls fn for each file and folder; `path` is relative. fn gives false to stop. Faults go to the scan. */
void walk(struct scan *s, const char *from, bool (*fn)(const char *path, const struct stat *st, void *ctx),
          void *ctx);
