#pragma once
/* beneath -- opening files inside a folder, and only there. */
#include "core/base/bytes.h"
#include "core/base/why.h"

enum { BENEATH_E_NONE = 1, BENEATH_E_REFUSED = 2 };
/* Opens `path` (relative; "" or "." is the folder itself) beneath `root_fd` with O_RDONLY | `flags`,
 * following no symbolic link. 0; BENEATH_E_NONE: not there; BENEATH_E_REFUSED: leads out, is a link, or is
 * inside .git. */
int beneath_open(int root_fd, const char *path, int flags, int *fd, struct why *why);
/* No absolute path, no "..", no ".git" in any spelling of case. */
bool beneath_is_plain(const char *path);
