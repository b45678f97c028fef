#pragma once
/* ward_spawn -- starts the process of one server: a built-in one itself, a foreign one's guardian. */
#include "core/base/config.h"
#include "core/proc/run_folder.h"

struct ward_ends {
    int line;     /* the hub's end: nonblocking */
    int error;    /* read end of its stderr: nonblocking */
    int guardian; /* socket to its guardian; -1: built in */
};
/* The pid, or < 0 with `why`. The ends are the caller's. */
int ward_spawn(const struct config_server *server, const struct run_folder *folder, struct ward_ends *out,
               struct why *why);
