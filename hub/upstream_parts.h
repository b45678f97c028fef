#pragma once
/* upstream_parts -- the inside of an upstream, shared by upstream.c, lane.c and subscription.c only. */
#include "core/base/table.h"
#include "hub/handshake.h"
#include "hub/listing.h"
#include "hub/process.h"
#include "hub/upstream.h"

enum { LOG_LINES = 200 };
enum lane_class { CLASS_UNKNOWN, CLASS_ASKING, CLASS_PLAIN };

struct upstream {
    struct hub *hub;
    const struct config_server *config;
    enum upstream_state state;
    char reason[200];
    int64_t since;       /* wall ms */
    int64_t retry_at;    /* monotonic ms, LOST and QUARANTINED */
    int64_t drain_until; /* monotonic ms, DRAINING: calls that are not done by then are lost */
    int back_off;        /* deaths in a row since READY */
    int restarts;
    int64_t deaths[16];
    size_t death_count;
    bool is_restarting; /* DRAINING leads to STARTING */
    int64_t last_number;

    struct process *sibling, *shared;
    struct probe *probe;
    struct handshake *handshake;
    struct listing *listing;
    struct timer timer; /* start time-out, back-off, quarantine, drain: by state */
    struct lane lane;   /* the shared one; line NULL unless LISTING, READY or DRAINING */
    struct link waits;  /* struct lane_wait for the shared lane */

    enum lane_class class;
    int plain_calls;
    struct link private_lanes;
    size_t private_count;
    struct link private_waits;

    struct table subscriptions; /* uri -> struct subscription */
    struct pending *listen;     /* modern: our subscriptions/listen */
    struct timer listen_again;
    int wanted_level;

    struct log_line log[LOG_LINES];
    size_t log_count, log_next;
};

/* lane.c */
void lanes_init(struct upstream *u);
void lanes_serve_shared(struct upstream *u);                                /* the shared lane is up */
void lanes_fail_shared(struct upstream *u, const struct fault_told *fault); /* it will not be */
/* No new calls: who waits is told, idle private lanes end, busy ones when their call is done. True when no
 * call is left. */
bool lanes_drain(struct upstream *u);
void lanes_end(struct upstream *u);
bool lanes_on_control(struct upstream *u, int64_t number, json_t *message, int fds[8]);
void lane_tell_fault(const struct upstream *u,
                     struct fault_told *fault); /* SERVER_DOWN with state and retryAfterMs */
/* Routes a log message or a cancelled question to whom it belongs. */
void lane_notify(struct lane *lane, const struct envelope *notification);

/* subscription.c */
void subscriptions_up(struct upstream *u,
                      const struct facts *facts); /* the shared line is up: make them anew */
void subscriptions_down(struct upstream *u);
void subscriptions_end(struct upstream *u);

/* upstream.c */
void upstream_common_notification(struct upstream *u, const struct envelope *n); /* list_changed, updated */
void upstream_keep_log(struct upstream *u, struct bytes text);
