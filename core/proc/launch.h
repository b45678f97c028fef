#pragma once
/*
 * launch -- the guardian's hand: starts somebody else's program as the configuration says.
 *
 * The program gets the line as stdin and stdout, a pipe as stderr, a session of its own, the signals as they
 * were by default, and an environment of PATH, HOME, LANG, TZ, TMPDIR, the XDG folders and what is configured
 * for it.
 */
#include "core/base/bytes.h"
#include "core/base/why.h"

#include <sys/types.h>

struct launch {
    char *command; /* as configured */
    char *path;    /* where it was found */
    char *cwd;
    char **argv, **env;
    int64_t files, data; /* limits; 0: as inherited */
};
/* From {"command":…,"args":[…],"env":{…},"cwd":…,"limits":{"files":…,"data":…}}. 0, or < 0 with `why`. */
int launch_read(struct bytes text, struct launch *out, struct why *why);
void launch_end(struct launch *l);
/* Returns the pid once the program runs, or -errno. Keeps no descriptor. `dies_with_us`: killed when we end.
 */
pid_t launch_start(const struct launch *l, int line, int error, bool dies_with_us, struct why *why);
