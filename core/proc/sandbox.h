#pragma once
/*
 * sandbox -- what a process gives up before it does its work; nothing of it can be taken back.
 *
 * Levels, each with those below it: 1 the flags every role has (no_new_privs, no core, not dumpable), 2 a
 * seccomp list of refused system calls, 3 Landlock rules for files. What the kernel lacks is left out and
 * told by the level.
 */
#include "core/base/why.h"

#include <stdbool.h>

enum { SANDBOX_NONE, SANDBOX_FLAGS, SANDBOX_CALLS, SANDBOX_FILES };

struct sandbox {
    bool is_foreign; /* someone else's program: refuses only what reaches the machine itself, not the network,
                      * not namespaces, not files */
    const char *const *read;  /* NULL-ended: readable, besides the system's folders; NULL: all is */
    const char *const *write; /* NULL-ended: writable; NULL: nothing is (but /dev/null) */
};
/* The level reached, or -1: half applied, so the process had better end. */
int sandbox_enter(const struct sandbox *s, struct why *why);
/* The level that sandbox_enter would reach for one of our own roles. */
int sandbox_reach(void);
