#pragma once
/*
 * tree -- the descendants of a process, read from /proc: `setsid` and double forks hide nobody from it.
 *
 * `proc` is a descriptor of a /proc folder, opened before any change of namespace, so that its numbers are
 * ours. Signals go by pidfd after the start time was compared: a number used again is not hit.
 */
#include <stddef.h>
#include <sys/types.h>

int tree_open(void); /* "/proc", or -errno */
/* Signals all living descendants of `root` (not `root`, not `spared`). Returns how many there are, or -errno.
 * Signal 0 only counts. */
int tree_signal(int proc, pid_t root, int signo, pid_t spared);
/* Living children of `parent`, at most `room`. Returns how many, or -errno. */
int tree_children(int proc, pid_t parent, pid_t *out, size_t room);
