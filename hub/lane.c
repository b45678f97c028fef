/*
 * Lanes. A call asks for one; while the server comes up it waits, at most as long as it says. Callers whose
 * client can answer questions get a private process of a legacy server, because such a server asks only
 * clients that declared the capability and a question names no call. A server that asked nothing in 100 such
 * calls is PLAIN, and everybody shares again.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/hub.h"
#include "hub/upstream_parts.h"

#include <stdio.h>

enum { PRIVATE_MAX = 16, PRIVATE_TOTAL_MAX = 256, PLAIN_AFTER = 100, PRIVATE_IDLE_MS = 300000 };

struct lane_wait {
    struct link link; /* in waits or private_waits, or in its lane's `wanted_by` alone */
    struct upstream *upstream;
    struct lane_want want;
    struct timer timer;
    struct private_lane *coming; /* the lane that is being made for it */
};

struct private_lane {
    struct lane lane; /* first: a lane that is_private is one of these */
    struct link link;
    struct process *process;
    struct handshake *handshake;
    struct lane_wait *wanted_by;
    char *session;
    unsigned can;
    int log_level; /* what the server was told; 0: nothing yet */
    bool has_logging;
    struct buf capabilities;
    struct timer idle;
    bool is_ending; /* its calls are being finished: nothing goes back to the pool */
};

static void end_private(struct private_lane *p);
static void serve_private_waits(struct upstream *u);

void lane_tell_fault(const struct upstream *u, struct fault_told *fault)
{
    int64_t retry = upstream_retry_ms(u);
    fault_tell(fault, FAULT_SERVER_DOWN, "server '%s' is %s%s%s", u->config->name,
               upstream_state_name(u->state), u->reason[0] ? ": " : "", u->reason);
    struct buf reason = {0};
    buf_add_json_text(&reason, u->reason);
    fault_data(fault, "\"state\":\"%s\",\"reason\":%s,\"retryAfterMs\":%lld", upstream_state_name(u->state),
               reason.n < 200 ? reason.p : "\"\"", (long long)retry);
    buf_end(&reason);
    fault->retry_after_ms = retry;
}

static bool wants_private(const struct upstream *u, const struct caller *caller)
{
    if (u->config->kind == SERVER_BUILTIN || u->lane.era != ERA_LEGACY || caller->era != ERA_LEGACY)
        return false;
    if (bytes_say(bytes_of(u->config->interactive), "shared") || !caller->session)
        return false;
    if (bytes_say(bytes_of(u->config->interactive), "per-client"))
        return true;
    return caller->can && u->class != CLASS_PLAIN;
}

static void finish_wait(struct lane_wait *w)
{
    timer_stop(&w->timer);
    list_drop(&w->link);
    if (w->coming)
        w->coming->wanted_by = NULL;
    free(w);
}

static void answer_wait(struct lane_wait *w, struct lane *lane)
{
    struct lane_want want = w->want;
    finish_wait(w);
    want.on_lane(want.ctx, lane);
}

static void fail_wait(struct lane_wait *w, const struct fault_told *fault)
{
    struct lane_want want = w->want;
    finish_wait(w);
    want.on_fault(want.ctx, fault);
}

static void waited_long(void *ctx)
{
    struct lane_wait *w = ctx;
    struct upstream *u = w->upstream;
    struct fault_told fault;
    lane_tell_fault(u, &fault);
    if (u->lane.line)
        fault_tell(&fault, FAULT_SERVER_DOWN,
                   w->coming ? "server '%s' did not start for this session in time"
                             : "server '%s' has no line left for this session: all are busy",
                   u->config->name);
    fail_wait(w, &fault);
}

/* --- private lanes --- */

/* The level is the session's, which may have changed it since its lane was last used. */
static void tell_level(struct private_lane *p, int level)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
    static const struct pending_ops nothing = {0};
    char params[64];

    if (!p->has_logging || level < 0 || level == p->log_level)
        return;
    p->log_level = level;
    snprintf(params, sizeof(params), "{\"level\":\"%s\"}", levels[level & 7]);
    struct request_spec spec = {
        .method = "logging/setLevel", .params = bytes_of(params), .deadline_ms = 30000, .ops = &nothing};
    line_request(p->lane.line, &spec, NULL);
}

static struct private_lane *find_idle(struct upstream *u, const struct caller *caller)
{
    list_each (l, &u->private_lanes) {
        struct private_lane *p = list_entry(l, struct private_lane, link);
        if (p->lane.line && line_is_open(p->lane.line) && list_is_empty(&p->lane.holders) &&
            p->can == caller->can && strcmp(p->session, caller->session) == 0) {
            tell_level(p, caller->log_level);
            return p;
        }
    }
    return NULL;
}

static bool has_room(const struct upstream *u)
{
    size_t total = 0;
    for (size_t i = 0; i < u->hub->upstream_count; i++)
        total += u->hub->upstreams[i]->private_count;
    return u->private_count < PRIVATE_MAX && total < PRIVATE_TOTAL_MAX;
}

static void private_idle(void *ctx)
{
    end_private(ctx);
}

static void private_facts(void *ctx, const struct facts *facts)
{
    struct private_lane *p = ctx;
    p->handshake = NULL;
    p->lane.line = process_line(p->process);
    p->lane.era = facts->era;
    p->lane.revision = facts->revision;
    struct members capabilities = {0};
    members_read(&capabilities, facts->capabilities);
    p->has_logging = members_find(&capabilities, "logging") != NULL;
    members_end(&capabilities);
    timer_start(&p->idle, PRIVATE_IDLE_MS);
    if (p->wanted_by)
        tell_level(p, p->wanted_by->want.caller->log_level);
    if (p->wanted_by)
        answer_wait(p->wanted_by, &p->lane);
    else
        serve_private_waits(p->lane.upstream);
}

static void private_failed(struct private_lane *p, const struct why *why)
{
    struct lane_wait *w = p->wanted_by;
    struct upstream *u = p->lane.upstream;
    log_warn("upstream.private_lane_failed", "server", u->config->name, "why", why->text);
    p->wanted_by = NULL;
    if (w)
        w->coming = NULL;
    end_private(p);
    if (w) {
        struct fault_told fault;
        fault_tell(&fault, FAULT_SERVER_DOWN, "server '%s' could not be started for this session: %s",
                   u->config->name, why->text);
        fail_wait(w, &fault);
    }
    serve_private_waits(u);
}

static void private_refused(void *ctx, const struct why *why)
{
    struct private_lane *p = ctx;
    struct why copy = *why;
    p->handshake = NULL;
    private_failed(p, &copy);
}

static const struct handshake_ops private_handshake = {private_facts, private_refused};

static void private_up(void *ctx)
{
    struct private_lane *p = ctx;
    p->handshake = handshake_new(process_line(p->process), ERA_LEGACY, buf_bytes(&p->capabilities),
                                 &private_handshake, p);
}

static void private_down(void *ctx, const struct why *why)
{
    struct why copy = *why;
    private_failed(ctx, &copy);
}

static void private_request(void *ctx, const struct envelope *request)
{
    struct private_lane *p = ctx;
    upstream_saw_question(p->lane.upstream);
    if (list_is_empty(&p->lane.holders)) {
        line_refuse_request(process_line(p->process), request->id.value, -32601,
                            "no call is there to ask for");
        return;
    }
    struct holder *h = list_entry(p->lane.holders.next, struct holder, link);
    h->ops->on_request(h->ctx, request);
}

static void private_notification(void *ctx, const struct envelope *n)
{
    struct private_lane *p = ctx;
    upstream_common_notification(p->lane.upstream, n);
    lane_notify(&p->lane, n);
}

static void private_stderr(void *ctx, struct bytes text)
{
    struct private_lane *p = ctx;
    upstream_keep_log(p->lane.upstream, text);
}

static const struct process_ops private_ops = {private_up, private_down, private_request,
                                               private_notification, private_stderr};

static void make_private(struct lane_wait *w)
{
    struct upstream *u = w->upstream;
    const struct caller *caller = w->want.caller;
    struct private_lane *p = NEW(struct private_lane);
    p->lane.upstream = u;
    p->lane.is_private = true;
    list_init(&p->lane.holders);
    p->session = mem_text(caller->session);
    p->can = caller->can;
    buf_add_bytes(&p->capabilities, caller->capabilities);
    timer_init(&p->idle, u->hub->loop, private_idle, p);
    p->wanted_by = w;
    w->coming = p;
    list_drop(&w->link);
    list_add(&u->private_lanes, &p->link);
    u->private_count++;
    p->process = process_new(u->hub, u->config->name, false, &private_ops, p);
}

static void end_private(struct private_lane *p)
{
    struct upstream *u = p->lane.upstream;
    p->is_ending = true;
    list_drop(&p->link);
    u->private_count--;
    timer_stop(&p->idle);
    handshake_free(take_ptr(&p->handshake));
    /* Calls on it are finished by the line (LINE_LOST) and let go of the lane before it is gone. */
    process_free(take_ptr(&p->process));
    list_each (l, &p->lane.holders) {
        struct holder *h = list_entry(l, struct holder, link);
        h->lane = NULL;
        list_drop(l);
    }
    buf_end(&p->capabilities);
    free(p->session);
    free(p);
}

/* Room for one more: idle lanes of other sessions go for it, the longest idle (first in the list) before
 * others. */
static bool make_room(struct upstream *u)
{
    list_each (l, &u->private_lanes) {
        struct private_lane *p = list_entry(l, struct private_lane, link);
        if (has_room(u))
            break;
        if (p->lane.line && line_is_open(p->lane.line) && list_is_empty(&p->lane.holders)) {
            end_private(p);
            break;
        }
    }
    return has_room(u);
}

/* One that waits gets what has become free. Whoever it is given to may do anything, so the list is looked at
 * anew for the next. */
static bool serve_one(struct upstream *u)
{
    struct lane_wait *w = NULL;
    struct private_lane *p = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a wait leaves the list before it is freed */
    list_each (l, &u->private_waits) {
        w = list_entry(l, struct lane_wait, link);
        p = find_idle(u, w->want.caller);
        if (p)
            break;
    }
    if (p)
        answer_wait(w, &p->lane);
    else if (w && make_room(u))
        make_private(list_entry(u->private_waits.next, struct lane_wait, link));
    else
        return false;
    return true;
}

static void serve_private_waits(struct upstream *u)
{
    while (u->state != UPSTREAM_DRAINING && serve_one(u))
        ;
}

/* The shared lane is up: gives the wait what it is for, or leaves it where it is. */
static void place(struct lane_wait *w)
{
    struct upstream *u = w->upstream;
    if (!wants_private(u, w->want.caller)) {
        answer_wait(w, &u->lane);
        return;
    }
    struct private_lane *p = find_idle(u, w->want.caller);
    list_drop(&w->link);
    list_add(&u->private_waits, &w->link);
    if (p)
        answer_wait(w, &p->lane);
    else if (make_room(u))
        make_private(w);
    else if (u->class == CLASS_UNKNOWN)
        answer_wait(w, &u->lane);
}

/* --- the shared lane --- */

void lanes_init(struct upstream *u)
{
    u->lane.upstream = u;
    list_init(&u->lane.holders);
    list_init(&u->waits);
    list_init(&u->private_lanes);
    list_init(&u->private_waits);
}

void lanes_serve_shared(struct upstream *u)
{
    for (struct link *l; (l = list_take(&u->waits));)
        place(list_entry(l, struct lane_wait, link));
}

void lanes_fail_shared(struct upstream *u, const struct fault_told *fault)
{
    for (struct link *l; (l = list_take(&u->waits));)
        fail_wait(list_entry(l, struct lane_wait, link), fault);
}

static void fail_private_waits(struct upstream *u, const struct fault_told *fault)
{
    for (struct link *l; (l = list_take(&u->private_waits));)
        fail_wait(list_entry(l, struct lane_wait, link), fault);
}

/* Whoever waits for it is told. */
static void end_waiting(struct private_lane *p, const struct fault_told *fault)
{
    struct lane_wait *w = take_ptr(&p->wanted_by);
    if (w)
        w->coming = NULL;
    end_private(p);
    if (w)
        fail_wait(w, fault);
}

static struct private_lane *any_idle(struct upstream *u)
{
    list_each (l, &u->private_lanes) {
        struct private_lane *p = list_entry(l, struct private_lane, link);
        if (list_is_empty(&p->lane.holders))
            return p;
    }
    return NULL;
}

bool lanes_drain(struct upstream *u)
{
    struct fault_told fault;
    lane_tell_fault(u, &fault);
    lanes_fail_shared(u, &fault);
    fail_private_waits(u, &fault);
    struct private_lane *p;
    while ((p = any_idle(u)))
        end_waiting(p, &fault);
    return list_is_empty(&u->private_lanes) && list_is_empty(&u->lane.holders);
}

void lanes_end(struct upstream *u)
{
    struct fault_told fault;
    lane_tell_fault(u, &fault);
    fail_private_waits(u, &fault);
    while (!list_is_empty(&u->private_lanes))
        end_waiting(list_entry(u->private_lanes.next, struct private_lane, link), &fault);
    lanes_fail_shared(u, &fault);
}

bool lanes_on_control(struct upstream *u, int64_t number, json_t *message, int fds[8])
{
    list_each (l, &u->private_lanes) {
        struct private_lane *p = list_entry(l, struct private_lane, link);
        if (process_number(p->process) == number) {
            process_on_control(p->process, message, fds);
            return true;
        }
    }
    return false;
}

void upstream_end_session(struct upstream *u, const char *session)
{
    list_each (l, &u->private_lanes) {
        struct private_lane *p = list_entry(l, struct private_lane, link);
        if (strcmp(p->session, session) == 0 && list_is_empty(&p->lane.holders) && !p->wanted_by)
            end_private(p);
    }
    serve_private_waits(u);
}

static bool may_come_up(struct upstream *u)
{
    switch (u->state) {
    case UPSTREAM_OFF:
        if (!u->config->enabled || u->hub->is_draining)
            return false;
        upstream_start(u);
        return true;
    case UPSTREAM_STARTING:
    case UPSTREAM_PROBING:
    case UPSTREAM_HANDSHAKING:
        return true;
    default:
        return false;
    }
}

struct lane_wait *upstream_lane(struct upstream *u, const struct lane_want *want)
{
    bool is_up = u->lane.line && u->state != UPSTREAM_DRAINING;
    if (is_up && !wants_private(u, want->caller)) {
        want->on_lane(want->ctx, &u->lane);
        return NULL;
    }
    if (!is_up && !may_come_up(u)) {
        struct fault_told fault;
        lane_tell_fault(u, &fault);
        want->on_fault(want->ctx, &fault);
        return NULL;
    }
    if (is_up) {
        struct private_lane *p = find_idle(u, want->caller);
        if (p) {
            want->on_lane(want->ctx, &p->lane);
            return NULL;
        }
    }
    struct lane_wait *w = NEW(struct lane_wait);
    w->upstream = u;
    w->want = *want;
    timer_init(&w->timer, u->hub->loop, waited_long, w);
    timer_start(&w->timer, want->deadline_ms);
    if (!is_up) {
        list_add(&u->waits, &w->link);
        return w;
    }
    list_add(&u->private_waits, &w->link);
    if (make_room(u)) {
        make_private(w);
    } else if (u->class == CLASS_UNKNOWN) {
        answer_wait(w, &u->lane);
        return NULL;
    }
    return w;
}

void lane_wait_cancel(struct lane_wait *w)
{
    if (w)
        finish_wait(w);
}

/* --- holders --- */

void lane_hold(struct lane *lane, struct holder *h, const struct holder_ops *ops, void *ctx)
{
    *h = (struct holder){.lane = lane, .ops = ops, .ctx = ctx};
    list_add(&lane->holders, &h->link);
    if (lane->is_private)
        timer_stop(&((struct private_lane *)lane)->idle);
}

void lane_let_go(struct holder *h)
{
    struct lane *lane = take_ptr(&h->lane);
    if (!lane)
        return;
    list_drop(&h->link);
    if (!lane->is_private)
        return;
    struct private_lane *p = (struct private_lane *)lane;
    struct upstream *u = lane->upstream;
    if (p->is_ending || !line_is_open(p->lane.line)) /* lost: told to private_down in a moment */
        return;
    if (u->state == UPSTREAM_DRAINING) {
        end_private(p);
        return;
    }
    if (u->class == CLASS_UNKNOWN && ++u->plain_calls >= PLAIN_AFTER)
        u->class = CLASS_PLAIN;
    timer_start(&p->idle, PRIVATE_IDLE_MS);
    /* The longest idle stands first. */
    list_drop(&p->link);
    list_add(&u->private_lanes, &p->link);
    serve_private_waits(u);
}

void upstream_saw_question(struct upstream *u)
{
    u->class = CLASS_ASKING;
}

void lane_notify(struct lane *lane, const struct envelope *n)
{
    /* On a shared line a log message names no call: it goes to a client only where it can be but one's
     * (20-mcp §7.3). */
    struct link *first = lane->holders.next;
    if (first == &lane->holders || first->next != &lane->holders)
        return;
    struct holder *h = list_entry(first, struct holder, link);
    h->ops->on_notification(h->ctx, n);
}
