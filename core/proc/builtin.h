#pragma once
/*
 * builtin -- what a built-in server gives up before it starts: the network, starting anything, writing any
 * file, and reading beyond the folders of its settings.
 *
 * Folders are {"path": …} and {"folders": [{"path": …}]}. Where a folder's git repository keeps a part of
 * itself elsewhere (a worktree, borrowed objects, an included configuration) reading stays free: better than
 * a history that cannot be shown.
 */
#include "core/base/json.h"
#include "core/base/why.h"

/* `settings` is lent; NULL: none. The level reached (sandbox.h), or -1. */
int builtin_confine(const json_t *settings, struct why *why);
/* The same for `trunkline role server`: settings are the memory file `fd`, which stays open and unread. */
int builtin_confine_role(int fd, struct why *why);
