#pragma once
/*
 * supervisor -- `trunkline up`: reads the configuration, binds sockets, starts the hub, starts and ends
 * servers for it.
 *
 * Parses nothing that came over the network: the hub asks by name (control.h). Restarts a dead hub with
 * back-off (0.1 s doubling to 5 s); when the hub dies all its servers are ended, because their lines died
 * with it. Stops in order: hub drains (hub.drain), servers, then itself. A child subreaper: nothing it
 * started outlives it by more than 5 s; guardians notice its death by end of file on their socket.
 */
#include "core/base/bytes.h"
#include "core/base/config.h"
#include "core/base/why.h"

struct up_options {
    const char *config_file, *state;
    bool check_only;             /* validate the configuration, touch nothing */
    bool quiet;                  /* no banner */
    const char *workspace;       /* value of ${workspaceFolder}; NULL: the current folder */
    struct bytes embedded;       /* the embedded default configuration */
    const char *const *builtins; /* the built-in servers there are, NULL-ended */
    /* core/net/unix.h's listen_open and listen_name: this folder stays off the net. */
    int (*bind)(const char *address, unsigned mode, struct why *why);
    int (*bound_name)(int fd, char *out, unsigned room);
};
/* Runs until stopped (INT, TERM). Exit status: 0 stopped, 1 failed, 2 the configuration is wrong. */
int supervisor_run(const struct up_options *options);
/* The guardian role: `trunkline role guardian`. */
int guardian_run(int argc, char **argv);
