#pragma once
/*
 * wards -- the servers' processes in the supervisor's care, by the hub's line numbers.
 *
 * A built-in server is our own binary and our own child. A foreign one is a guardian's child (guardian.c); we
 * are told of it over the guardian's socket. A ward is gone, and told so, when its whole tree is: after the
 * guardian's word, or, when the guardian was killed, after the sweep: what fell to us, the subreaper, and is
 * none of ours is ended.
 */
#include "core/base/config.h"
#include "core/base/json.h"
#include "core/base/loop.h"
#include "core/proc/run_folder.h"

#include <sys/types.h>

struct wards;
struct wards_ops {
    void (*tell)(json_t *message, const int *fds, size_t fd_count,
                 void *ctx);                  /* to the hub; takes `message` */
    void (*on_change)(void *ctx);             /* one came, went or got its pid */
    bool (*is_known)(pid_t child, void *ctx); /* a child of the supervisor that is no ward: never swept */
};
/* `config` and `folder` are lent for its life. */
struct wards *wards_new(struct loop *loop, const struct config *config, const struct run_folder *folder,
                        const struct wards_ops *ops, void *ctx);
void wards_free(struct wards *w); /* none may be left, or they are killed without a word */
/* Both answer the hub by themselves: started or failed, then exited. */
void wards_start(struct wards *w, const char *server, int64_t line, bool is_sibling);
void wards_stop(struct wards *w, int64_t line, int64_t grace_ms);
void wards_stop_all(struct wards *w, int64_t grace_ms);
void wards_kill_all(struct wards *w);
/* A child was reaped: true when it was a ward's. */
bool wards_reaped(struct wards *w, pid_t pid, int status);
size_t wards_count(const struct wards *w);
/* Adds "servers" and "guardians" for roles.json. */
void wards_add_roles(const struct wards *w, json_t *roles);
