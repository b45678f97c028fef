#pragma once
/*
 * upstream -- one configured server: its state machine and its lines (20-mcp §8).
 *
 * Starts it through the supervisor, finds out its era (a throw-away sibling), shakes hands, lists, keeps it
 * alive, restarts it with back-off, quarantines crash loops. A call asks for a line; while the server starts
 * it waits.
 */
#include "core/base/list.h"
#include "core/proc/control.h"
#include "core/rpc/line.h"
#include "hub/catalogue.h"

struct hub;
struct upstream;

enum upstream_state {
    UPSTREAM_OFF,
    UPSTREAM_STARTING,
    UPSTREAM_PROBING,
    UPSTREAM_HANDSHAKING,
    UPSTREAM_LISTING,
    UPSTREAM_READY,
    UPSTREAM_LOST,
    UPSTREAM_QUARANTINED,
    UPSTREAM_DRAINING
};
const char *upstream_state_name(enum upstream_state s); /* "ready" */

struct upstream *upstream_new(struct hub *hub, const struct config_server *config);
void upstream_free(struct upstream *u);
const struct config_server *upstream_config(const struct upstream *u);
enum upstream_state upstream_state(const struct upstream *u);
const char *upstream_reason(const struct upstream *u); /* why it is in that state; "" */
int64_t upstream_since_ms(const struct upstream *u);   /* wall time of the last change of state */
int upstream_pid(const struct upstream *u);            /* 0: none */
int upstream_restarts(const struct upstream *u);
int upstream_sandbox(const struct upstream *u);
enum era upstream_era(const struct upstream *u);
int64_t upstream_retry_ms(const struct upstream *u); /* until the next start, when LOST */

void upstream_start(struct upstream *u);                 /* OFF, LOST, QUARANTINED -> STARTING */
void upstream_stop(struct upstream *u, const char *why); /* -> DRAINING -> OFF */
void upstream_restart(struct upstream *u);
void upstream_drain(struct upstream *u); /* shutdown: close lines once idle */

/* Messages of the supervisor about a line of ours; true when the line number was ours. */
bool upstream_on_control(struct upstream *u, json_t *message, int fds[8]);

/* The last lines its stderr said, oldest first, at most `room`. */
struct log_line {
    int64_t at_ms;
    struct bytes text;
};
size_t upstream_log(const struct upstream *u, struct log_line *out, size_t room);

/*
 * A lane is a line as a call sees it. The shared lane serves everybody; a private one belongs to one caller
 * and, on stdio, carries one call at a time, because a question names no call (20-mcp §8.3).
 */
struct lane {
    struct upstream *upstream;
    struct line *line; /* NULL while it is coming up */
    enum era era;
    enum revision revision;
    bool is_private;
    struct link holders; /* struct holder */
};
struct lane_want {
    const struct caller *caller;
    int64_t deadline_ms; /* how long to wait at most, in ms from now */
    /* Exactly one of these, once, maybe from inside upstream_lane. */
    void (*on_lane)(void *ctx, struct lane *lane);
    void (*on_fault)(void *ctx, const struct fault_told *fault);
    void *ctx;
};
struct lane_wait;
/* NULL when it was answered at once. */
struct lane_wait *upstream_lane(struct upstream *u, const struct lane_want *want);
void lane_wait_cancel(struct lane_wait *w);

/* Whoever has a call on the lane: gets the questions of a private lane, and log messages when it is the only
 * one. */
struct holder_ops {
    void (*on_request)(void *ctx, const struct envelope *request);
    void (*on_notification)(void *ctx, const struct envelope *notification);
};
struct holder {
    struct link link;
    struct lane *lane;
    const struct holder_ops *ops;
    void *ctx;
};
void lane_hold(struct lane *lane, struct holder *h, const struct holder_ops *ops, void *ctx);
void lane_let_go(struct holder *h);             /* gives a private lane back; fine when it holds none */
void upstream_saw_question(struct upstream *u); /* its callers keep private lanes from now on */

/* The session is over: its private lanes end. */
void upstream_end_session(struct upstream *u, const char *session);

/* resources/updated subscriptions, counted per uri (the server's own form). */
void upstream_subscribe(struct upstream *u, struct bytes uri,
                        void (*done)(void *ctx, const struct fault_told *fault), void *ctx);
void upstream_unsubscribe(struct upstream *u, struct bytes uri);
void upstream_want_log(struct upstream *u, int level); /* legacy: setLevel to the most verbose wanted */
int upstream_wanted_log(const struct upstream *u);     /* -1: nobody said, the server's own choice holds */
