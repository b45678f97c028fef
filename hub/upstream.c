/*
 * The life of one server. The shared process goes OFF -> (PROBING) -> STARTING -> HANDSHAKING -> LISTING ->
 * READY; any end of it leads to LOST and, after a back-off with full jitter, to a new start; five deaths in a
 * minute lead to QUARANTINED. The era is found out on a throw-away sibling, because some servers exit on
 * anything before `initialize`; the verdict lives in the catalogue's facts. All waiting is one timer whose
 * meaning is the state.
 */
#include "hub/upstream.h"

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/events.h"
#include "hub/face_mcp.h"
#include "hub/hub.h"
#include "hub/upstream_parts.h"

#include <stdio.h>

enum {
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MAX_MS = 30000,
    QUARANTINE_MS = 300000,
    DRAIN_CHECK_MS = 20,
    LEGACY_VERDICT_MS = 24 * 3600 * 1000
};

static void begin(struct upstream *u);
static void start_shared(struct upstream *u);
static void lost(struct upstream *u, const struct why *why);

static const char *const state_names[] = {"off",   "starting", "probing",     "handshaking", "listing",
                                          "ready", "lost",     "quarantined", "draining"};

const char *upstream_state_name(enum upstream_state s)
{
    return state_names[s];
}

static void publish_state(struct upstream *u)
{
    if (!events_wanted(u->hub->events, "servers"))
        return;
    struct buf data = {0};
    buf_add_text(&data, "{\"name\":");
    buf_add_json_text(&data, u->config->name);
    buf_addf(&data, ",\"state\":\"%s\",\"reason\":", state_names[u->state]);
    buf_add_json_text(&data, u->reason);
    buf_add_char(&data, '}');
    events_publish(u->hub->events, "servers", "server.state", buf_bytes(&data));
    buf_end(&data);
}

static void set_state(struct upstream *u, enum upstream_state state, const char *reason)
{
    u->state = state;
    u->since = stamp_now().ms;
    snprintf(u->reason, sizeof(u->reason), "%s", reason ? reason : "");
    log_write(state == UPSTREAM_LOST || state == UPSTREAM_QUARANTINED ? LOG_WARN : LOG_INFO, "upstream.state",
              "server", u->config->name, "state", state_names[state], "why",
              reason && *reason ? reason : NULL, NULL);
    publish_state(u);
}

void upstream_keep_log(struct upstream *u, struct bytes text)
{
    struct log_line *at = &u->log[u->log_next];
    u->log_next = (u->log_next + 1) % LOG_LINES;
    if (u->log_count < LOG_LINES)
        u->log_count++;
    else
        free((char *)at->text.p);
    *at = (struct log_line){
        stamp_now().ms, {bytes_copy(text), text.n}
    };
    char topic[40];
    snprintf(topic, sizeof(topic), "logs:%s", u->config->name);
    if (!events_wanted(u->hub->events, topic))
        return;
    struct buf data = {0};
    buf_add_text(&data, "{\"server\":");
    buf_add_json_text(&data, u->config->name);
    buf_add_text(&data, ",\"text\":");
    buf_add_json(&data, text);
    buf_add_char(&data, '}');
    events_publish(u->hub->events, topic, "log.line", buf_bytes(&data));
    buf_end(&data);
}

static void got_stderr(void *ctx, struct bytes text)
{
    upstream_keep_log(ctx, text);
}

static void end_shared(struct upstream *u)
{
    handshake_free(take_ptr(&u->handshake));
    listing_free(take_ptr(&u->listing));
    subscriptions_down(u);
    u->lane.line = NULL;
    process_free(take_ptr(&u->shared));
}

static void end_sibling(struct upstream *u)
{
    probe_free(take_ptr(&u->probe));
    process_free(take_ptr(&u->sibling));
}

/* --- the end of things, and the way back --- */

static bool is_crash_loop(struct upstream *u)
{
    int64_t now = clock_ms(), window = u->config->restart.window_ms ? u->config->restart.window_ms : 60000;
    size_t max = u->config->restart.max ? (size_t)u->config->restart.max : 5;
    size_t room = sizeof(u->deaths) / sizeof(u->deaths[0]);
    u->deaths[u->death_count++ % room] = now;
    size_t recent = 0;
    for (size_t i = 0; i < room && i < u->death_count; i++)
        recent += now - u->deaths[i] < window;
    return recent >= (max < room ? max : room);
}

static void wait_for(struct upstream *u, int64_t ms)
{
    u->retry_at = clock_ms() + ms;
    timer_start(&u->timer, ms);
}

static void lost(struct upstream *u, const struct why *why)
{
    end_sibling(u);
    if (u->state == UPSTREAM_DRAINING)
        lanes_end(u);
    end_shared(u);
    timer_stop(&u->timer);
    if (u->state == UPSTREAM_DRAINING) {
        set_state(u, UPSTREAM_OFF, "stopped");
        if (u->is_restarting)
            upstream_start(u);
        return;
    }
    if (is_crash_loop(u)) {
        char reason[200];
        snprintf(reason, sizeof(reason), "crash loop: %s", why->text);
        set_state(u, UPSTREAM_QUARANTINED, reason);
        wait_for(u, QUARANTINE_MS);
    } else {
        int64_t most = (int64_t)BACK_OFF_FIRST_MS << (u->back_off < 9 ? u->back_off : 9);
        u->back_off++;
        if (most > BACK_OFF_MAX_MS)
            most = BACK_OFF_MAX_MS;
        set_state(u, UPSTREAM_LOST, why->text);
        wait_for(u, 1 + (int64_t)(random_number() % (uint64_t)most));
    }
    struct fault_told fault;
    lane_tell_fault(u, &fault);
    lanes_fail_shared(u, &fault);
}

static void timed_out(void *ctx)
{
    struct upstream *u = ctx;
    struct why why = {0};
    switch (u->state) {
    case UPSTREAM_STARTING:
    case UPSTREAM_PROBING:
        why_set(&why, -1, "did not start within %d s", (int)(u->config->timeout.start / 1000));
        lost(u, &why);
        return;
    case UPSTREAM_LOST:
    case UPSTREAM_QUARANTINED:
        u->restarts++;
        begin(u);
        return;
    case UPSTREAM_DRAINING:
        if (lanes_drain(u) || clock_ms() >= u->drain_until)
            lost(u, &why);
        else
            timer_start(&u->timer, DRAIN_CHECK_MS);
        return;
    default:
        return;
    }
}

/* --- the shared process --- */

static void all_listed(void *ctx)
{
    struct upstream *u = ctx;
    if (u->state != UPSTREAM_LISTING)
        return;
    u->back_off = 0;
    set_state(u, UPSTREAM_READY, "");
}

static void list_failed(void *ctx, const char *method, const struct why *why)
{
    struct upstream *u = ctx;
    log_warn("upstream.list_failed", "server", u->config->name, "method", method, "why", why->text);
}

static const struct listing_ops listing_ops = {all_listed, list_failed};

static void got_facts(void *ctx, const struct facts *facts)
{
    struct upstream *u = ctx;
    u->handshake = NULL;
    if (u->state != UPSTREAM_HANDSHAKING)
        return; /* being stopped */
    timer_stop(&u->timer);
    struct facts kept = *facts;
    const struct facts *known = catalogue_facts(u->hub->catalogue, u->config->name);
    if (known->known && known->era == facts->era)
        kept.probed_at = known->probed_at;
    u->lane.line = process_line(u->shared);
    u->lane.era = facts->era;
    u->lane.revision = facts->revision;
    set_state(u, UPSTREAM_LISTING, "");
    struct listing_source source = {u->config->name, u->lane.line, facts};
    u->listing = listing_new(u->hub->loop, u->hub->catalogue, &source, &listing_ops, u);
    catalogue_set_facts(u->hub->catalogue, u->config->name, &kept);
    subscriptions_up(u, facts);
    lanes_serve_shared(u);
}

static void handshake_refused(void *ctx, const struct why *why)
{
    struct upstream *u = ctx;
    u->handshake = NULL;
    /* A verdict that no longer holds is found out anew at the next start. */
    catalogue_forget_facts(u->hub->catalogue, u->config->name);
    struct why copy = *why;
    lost(u, &copy);
}

static const struct handshake_ops handshake_ops = {got_facts, handshake_refused};

static enum era era_of(const struct upstream *u)
{
    if (u->config->kind == SERVER_BUILTIN || bytes_say(bytes_of(u->config->era), "modern"))
        return ERA_MODERN;
    if (bytes_say(bytes_of(u->config->era), "legacy"))
        return ERA_LEGACY;
    const struct facts *facts = catalogue_facts(u->hub->catalogue, u->config->name);
    return facts->known ? facts->era : ERA_LEGACY;
}

static void shared_up(void *ctx)
{
    struct upstream *u = ctx;
    if (u->state != UPSTREAM_STARTING)
        return; /* being stopped */
    set_state(u, UPSTREAM_HANDSHAKING, "");
    u->handshake = handshake_new(process_line(u->shared), era_of(u), BYTES_NONE, &handshake_ops, u);
}

static void shared_down(void *ctx, const struct why *why)
{
    struct upstream *u = ctx;
    struct why copy = *why;
    lost(u, &copy);
}

static void shared_request(void *ctx, const struct envelope *request)
{
    struct upstream *u = ctx;
    /* Nobody on a shared line was declared able to answer (20-mcp §8.3). */
    line_refuse_request(process_line(u->shared), request->id.value, -32601, "no client is there to be asked");
}

void upstream_common_notification(struct upstream *u, const struct envelope *n)
{
    static const struct {
        const char *method;
        int kinds[2];
    } rows[] = {
        {"notifications/tools/list_changed",     {ITEM_TOOL, -1}               },
        {"notifications/prompts/list_changed",   {ITEM_PROMPT, -1}             },
        {"notifications/resources/list_changed", {ITEM_RESOURCE, ITEM_TEMPLATE}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!bytes_say(n->method, rows[i].method))
            continue;
        for (int k = 0; k < 2 && u->listing; k++)
            if (rows[i].kinds[k] >= 0)
                listing_refresh(u->listing, (enum item_kind)rows[i].kinds[k]);
    }
    if (bytes_say(n->method, "notifications/resources/updated")) {
        const struct member *uri = members_find(&n->inside, "uri");
        struct buf text = {0};
        if (uri && member_decode(uri, &text) == 0) {
            face_resource_updated(u->hub->face, u->config->name, buf_bytes(&text));
            events_resource_updated(u->hub->events, u->config->name, buf_bytes(&text));
        }
        buf_end(&text);
    }
}

static void shared_notification(void *ctx, const struct envelope *n)
{
    struct upstream *u = ctx;
    upstream_common_notification(u, n);
    if (u->lane.line)
        lane_notify(&u->lane, n);
}

static const struct process_ops shared_ops = {shared_up, shared_down, shared_request, shared_notification,
                                              got_stderr};

static void start_shared(struct upstream *u)
{
    set_state(u, UPSTREAM_STARTING, "");
    timer_start(&u->timer, u->config->timeout.start);
    u->shared = process_new(u->hub, u->config->name, false, &shared_ops, u);
    u->last_number = process_number(u->shared);
}

/* --- which era: a sibling that is asked server/discover and thrown away --- */

static void note_verdict(struct upstream *u, enum era era)
{
    struct facts facts = {.known = true, .era = era, .probed_at = stamp_now().ms};
    facts.revision = era == ERA_MODERN ? REVISION_2026_07_28 : REVISION_2025_11_25;
    const struct facts *old = catalogue_facts(u->hub->catalogue, u->config->name);
    if (old->capabilities.n) {
        facts.capabilities = old->capabilities;
        facts.server_info = old->server_info;
        facts.instructions = old->instructions;
    }
    catalogue_set_facts(u->hub->catalogue, u->config->name, &facts);
}

static void got_verdict(void *ctx, enum verdict verdict, const struct why *why)
{
    struct upstream *u = ctx;
    u->probe = NULL;
    if (u->state != UPSTREAM_PROBING)
        return; /* being stopped */
    struct why copy = *why;
    end_sibling(u);
    if (verdict == VERDICT_NOT_SERVED) {
        lost(u, &copy);
        return;
    }
    note_verdict(u, verdict == VERDICT_MODERN ? ERA_MODERN : ERA_LEGACY);
    start_shared(u);
}

static const struct probe_ops probe_ops = {got_verdict};

static void sibling_up(void *ctx)
{
    struct upstream *u = ctx;
    if (u->state != UPSTREAM_PROBING)
        return;
    u->probe = probe_new(process_line(u->sibling), &probe_ops, u);
}

static void sibling_down(void *ctx, const struct why *why)
{
    struct upstream *u = ctx;
    struct why copy = *why;
    bool was_up = process_line(u->sibling) != NULL;
    if (!was_up || u->state != UPSTREAM_PROBING) {
        lost(u, &copy); /* it could not even be started: that says nothing of its era */
        return;
    }
    end_sibling(u);
    note_verdict(u, ERA_LEGACY);
    start_shared(u);
}

static void sibling_request(void *ctx, const struct envelope *request)
{
    struct upstream *u = ctx;
    line_refuse_request(process_line(u->sibling), request->id.value, -32601,
                        "only asking which protocol you speak");
}

static void ignore_notification(void *ctx, const struct envelope *n)
{
    (void)ctx;
    (void)n;
}

static const struct process_ops sibling_ops = {sibling_up, sibling_down, sibling_request, ignore_notification,
                                               got_stderr};

static bool needs_probe(const struct upstream *u)
{
    if (u->config->kind == SERVER_BUILTIN || !bytes_say(bytes_of(u->config->era), "auto") ||
        bytes_say(bytes_of(u->config->probe), "never"))
        return false;
    const struct facts *facts = catalogue_facts(u->hub->catalogue, u->config->name);
    if (!facts->known)
        return true;
    /* An upgraded server still answers `initialize`, so only its date retires a legacy verdict. */
    return facts->era == ERA_LEGACY && stamp_now().ms - facts->probed_at > LEGACY_VERDICT_MS;
}

static void begin(struct upstream *u)
{
    u->is_restarting = false;
    if (!needs_probe(u)) {
        start_shared(u);
        return;
    }
    set_state(u, UPSTREAM_PROBING, "");
    timer_start(&u->timer, u->config->timeout.start);
    u->sibling = process_new(u->hub, u->config->name, true, &sibling_ops, u);
}

/* --- what others may ask --- */

struct upstream *upstream_new(struct hub *hub, const struct config_server *config)
{
    struct upstream *u = NEW(struct upstream);
    u->hub = hub;
    u->config = config;
    u->state = UPSTREAM_OFF;
    u->since = stamp_now().ms;
    u->wanted_level = -1;
    snprintf(u->reason, sizeof(u->reason), "%s", config->enabled ? "" : "disabled in the configuration");
    timer_init(&u->timer, hub->loop, timed_out, u);
    lanes_init(u);
    return u;
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    timer_stop(&u->timer);
    end_sibling(u);
    lanes_end(u);
    end_shared(u);
    subscriptions_end(u);
    for (size_t i = 0; i < u->log_count; i++)
        free((char *)u->log[i].text.p);
    free(u);
}

void upstream_start(struct upstream *u)
{
    if (u->state == UPSTREAM_DRAINING) {
        u->is_restarting = true;
        return;
    }
    if (u->state != UPSTREAM_OFF && u->state != UPSTREAM_LOST && u->state != UPSTREAM_QUARANTINED)
        return;
    timer_stop(&u->timer);
    u->back_off = 0;
    u->death_count = 0;
    begin(u);
}

void upstream_stop(struct upstream *u, const char *why)
{
    u->is_restarting = false;
    if (u->state == UPSTREAM_OFF || u->state == UPSTREAM_DRAINING)
        return;
    set_state(u, UPSTREAM_DRAINING, why);
    u->drain_until = clock_ms() + u->hub->config->drain_ms;
    lanes_drain(u);
    timer_start(&u->timer, 0);
}

void upstream_restart(struct upstream *u)
{
    upstream_stop(u, "restarting");
    upstream_start(u);
}

void upstream_drain(struct upstream *u)
{
    upstream_stop(u, "shutting down");
}

bool upstream_on_control(struct upstream *u, json_t *message, int fds[8])
{
    int64_t number = json_int(message, "line", -1);
    struct process *mine[2] = {u->sibling, u->shared};
    for (int i = 0; i < 2; i++) {
        if (mine[i] && process_number(mine[i]) == number) {
            process_on_control(mine[i], message, fds);
            return true;
        }
    }
    if (lanes_on_control(u, number, message, fds))
        return true;
    const char *op = json_str(message, "op");
    if (number != u->last_number || !op || strcmp(op, "exited") != 0)
        return false;
    /* The line ended first; now we know how the process did. */
    if (u->state == UPSTREAM_LOST || u->state == UPSTREAM_QUARANTINED) {
        struct why why = {0};
        process_tell_exit(message, &why);
        snprintf(u->reason, sizeof(u->reason), "%s%s", u->state == UPSTREAM_QUARANTINED ? "crash loop: " : "",
                 why.text);
        publish_state(u);
    }
    return true;
}

const struct config_server *upstream_config(const struct upstream *u)
{
    return u->config;
}

enum upstream_state upstream_state(const struct upstream *u)
{
    return u->state;
}

const char *upstream_reason(const struct upstream *u)
{
    return u->reason;
}

int64_t upstream_since_ms(const struct upstream *u)
{
    return u->since;
}

int upstream_pid(const struct upstream *u)
{
    return u->shared ? process_pid(u->shared) : 0;
}

int upstream_restarts(const struct upstream *u)
{
    return u->restarts;
}

int upstream_sandbox(const struct upstream *u)
{
    return u->shared ? process_sandbox(u->shared) : 0;
}

enum era upstream_era(const struct upstream *u)
{
    return u->lane.line ? u->lane.era : era_of(u);
}

int64_t upstream_retry_ms(const struct upstream *u)
{
    if (u->state != UPSTREAM_LOST && u->state != UPSTREAM_QUARANTINED)
        return 0;
    int64_t left = u->retry_at - clock_ms();
    return left > 0 ? left : 0;
}

size_t upstream_log(const struct upstream *u, struct log_line *out, size_t room)
{
    size_t n = u->log_count < room ? u->log_count : room;
    size_t from = (u->log_next + LOG_LINES - n) % LOG_LINES;
    for (size_t i = 0; i < n; i++)
        out[i] = u->log[(from + i) % LOG_LINES];
    return n;
}
