#pragma once
/*
 * process -- one running copy of a server: its line, its stderr, and the supervisor's word on its end.
 *
 * The hub starts nothing itself: it asks the supervisor by name and gets descriptors back. A process object
 * ends by process_free, which closes the line (the server sees end of input) and has the supervisor end the
 * tree of it.
 */
#include "core/proc/control.h"
#include "core/rpc/line.h"

struct hub;
struct process;

struct process_ops {
    void (*on_up)(void *ctx); /* the line is open */
    /* Could not be started, or its line ended. Once; the process may be freed inside. */
    void (*on_down)(void *ctx, const struct why *why);
    void (*on_request)(void *ctx, const struct envelope *request);
    void (*on_notification)(void *ctx, const struct envelope *notification);
    void (*on_stderr)(void *ctx, struct bytes text); /* one line, without newline */
};

/* `sibling`: a throw-away copy, for the supervisor's records. */
struct process *process_new(struct hub *hub, const char *server, bool is_sibling,
                            const struct process_ops *ops, void *ctx);
void process_free(struct process *p);
struct line *process_line(const struct process *p); /* NULL until on_up */
int process_pid(const struct process *p);
int process_sandbox(const struct process *p);
int64_t process_number(const struct process *p);
/* A message of the supervisor that bears our number. Takes what it needs of `fds` and sets those to -1. */
void process_on_control(struct process *p, json_t *message, int fds[8]);
/* "ended with status 1", "was killed by signal 9": what an `exited` message says. */
void process_tell_exit(json_t *message, struct why *why);
