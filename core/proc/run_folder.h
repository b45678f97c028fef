#pragma once
/*
 * run_folder -- `<state>/run/`: what a running Trunkline tells others on this machine.
 *
 *     lock            held while it runs: one state folder, one supervisor; holds its pid
 *     endpoints.json  {"http":["http://127.0.0.1:8080"],"unix":"/…/api.sock"}, once the sockets are bound
 *     roles.json      {"supervisor":1,"hub":2,"servers":{"fs":4},"guardians":{"fs":3}}, kept true
 *     hub.key         32 random bytes, 0600, kept over restarts: seals request state until there is a vault
 */
#include "core/base/json.h"
#include "core/base/why.h"

struct run_folder {
    char *state; /* absolute */
    int lock;
};
/* Makes `<state>`, run/ and work/ (0700), takes the lock, removes what a killed one left, makes the key. 0,
 * or < 0. */
int run_folder_open(const char *state, struct run_folder *out, struct why *why);
/* Removes endpoints.json and roles.json, gives the lock back. */
void run_folder_close(struct run_folder *f);
/* Takes `content`. Whole or not at all: a reader never sees half a file. */
int run_folder_write(const struct run_folder *f, const char *name, json_t *content, struct why *why);
/* The private folder of a server, made if need be: `<state>/work/<name>`. malloc'd, NULL with `why`. */
char *run_folder_work(const struct run_folder *f, const char *name, struct why *why);
