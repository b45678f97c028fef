#pragma once
/*
 * role -- one binary, several processes: `trunkline role NAME` is what the supervisor re-executes itself as.
 *
 * A role gets its sockets inherited at fixed descriptor numbers (3, 4, …) and refuses to run without them.
 * Environment is emptied but for TRUNKLINE_LOG, PATH, HOME, LANG, TZ, TMPDIR and XDG folders (and what test
 * builds need: the clock, the sanitizers' options). Each role is a session of its own: Ctrl-C reaches the
 * supervisor only. Start: not dumpable, RLIMIT_CORE 0, no_new_privs, and before the exec PR_SET_PDEATHSIG
 * (the guardian excepted: it must outlive a killed supervisor to clean up).
 */
#include "core/base/bytes.h"
#include "core/base/why.h"

struct role {
    const char *name;                  /* "hub" "guardian" "server" */
    int (*run)(int argc, char **argv); /* exit status; argv[0] is the role's name */
};
enum { ROLE_FD = 3 }; /* the first inherited descriptor */

/* Spawns this very binary (/proc/self/exe) as `trunkline role NAME args…`, with `fds` placed at 3, 4, ….
 * stdin is /dev/null unless in_fd >= 0, likewise stdout; error_fd -1: inherited stderr. All stay the
 * caller's. Returns once the exec is done: pid, or -errno. */
struct spawn {
    const char *role;
    const char *const *args; /* NULL-ended; NULL: none */
    const int *fds;
    size_t fd_count;
    int in_fd, out_fd, error_fd;
};
int role_spawn(const struct spawn *s, struct why *why);
/* To be called first in a role: hardening as above; checks that `fd_count` sockets were inherited. */
int role_begin(const char *name, size_t fd_count, struct why *why);
/* Runs the row (table ended by a row without name) that argv[0] names; 2 when there is none. */
int role_run(const struct role *roles, int argc, char **argv);

/* Text handed to a role as an inherited file: a sealed memfd, O_CLOEXEC, or -errno. */
int memory_file(const char *name, struct bytes content, struct why *why);
int memory_file_read(int fd, size_t limit, struct buf *out, struct why *why);
