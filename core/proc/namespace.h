#pragma once
/*
 * namespace -- a process namespace for one server's tree: when its first process ends, the kernel ends all of
 * it.
 *
 * Allowed to root, and to everybody where user namespaces are; elsewhere the caller goes on without. The
 * caller stays outside and sees the tree under its own numbers; its further children are born inside. The
 * tree has a /proc of its own where that may be mounted.
 */
#include "core/base/why.h"

#include <sys/types.h>

/* Gives the namespace's first process: a reaper of orphans that dies with the caller. Or -errno: not allowed,
 * and nothing has changed for the caller. */
pid_t namespace_enter(struct why *why);
