/*
 * One call. call_start resolves the name, asks policy, prepares the params and asks for a lane; call_send.c
 * sends and forwards progress; question.c asks the client back. Whatever happens ends in call_finish, once,
 * or in call_cancel.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/call_parts.h"
#include "hub/calls.h"
#include "hub/events.h"
#include "hub/hub.h"
#include "hub/metrics.h"
#include "hub/policy.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { FREE_MAX = 256, KEEP_BYTES = 64 * 1024 };

static void timer_fired(void *ctx);

struct calls *calls_new(struct hub *hub)
{
    struct calls *s = NEW(struct calls);
    s->hub = hub;
    list_init(&s->all);
    return s;
}

static void end_bufs(struct call *c)
{
    struct buf *bufs[] = {&c->name, &c->tool, &c->members, &c->meta, &c->token, &c->responses, &c->held};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        buf_end(bufs[i]);
}

static void end_asked(struct call *c)
{
    for (size_t i = 0; c->asked && i < QUESTIONS_MAX; i++) {
        buf_end(&c->asked[i].key);
        buf_end(&c->asked[i].answer);
    }
    free(take_ptr(&c->asked));
}

static void clear_buf(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_end(b);
    else
        buf_clear(b);
}

static void clear_bufs(struct call *c)
{
    struct buf *bufs[] = {&c->name, &c->tool, &c->members, &c->meta, &c->token, &c->responses, &c->held};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        clear_buf(bufs[i]);
}

static struct call *take(struct calls *s)
{
    struct call *c = s->free_ones;
    if (c) {
        s->free_ones = c->next_free;
        s->free_count--;
    } else {
        c = NEW(struct call);
        c->calls = s;
        timer_init(&c->timer, s->hub->loop, timer_fired, c);
    }
    s->count++;
    list_add(&s->all, &c->link);
    return c;
}

static void give(struct call *c)
{
    struct calls *s = c->calls;
    timer_stop(&c->timer);
    if (c->wait)
        lane_wait_cancel(take_ptr(&c->wait));
    if (c->pending)
        pending_cancel(take_ptr(&c->pending), "no longer needed");
    list_drop(&c->link);
    s->count--;
    end_asked(c);
    if (c->gone)
        *c->gone = true;
    lane_let_go(&c->holder); /* whoever waits for the lane gets it in here: the call is nobody's any more */
    if (s->free_count >= FREE_MAX) {
        end_bufs(c);
        free(c);
        return;
    }
    clear_bufs(c);
    c->next_free = s->free_ones;
    s->free_ones = c;
    s->free_count++;
}

void calls_free(struct calls *s)
{
    if (!s)
        return;
    for (struct link *l; (l = list_take(&s->all));)
        give(list_entry(l, struct call, link));
    while (s->free_ones) {
        struct call *c = s->free_ones;
        s->free_ones = c->next_free;
        end_bufs(c);
        free(c);
    }
    buf_end(&s->params);
    buf_end(&s->scratch);
    free(s);
}

size_t calls_count(const struct calls *s)
{
    return s->count;
}

const char *call_id(const struct call *c)
{
    struct call *own = (struct call *)c;
    if (!own->id[0])
        id_make("call", own->id);
    return c->id;
}

struct era_spec call_era(const struct call *c)
{
    const struct config_server *config = upstream_config(c->upstream);
    return (struct era_spec){.catalogue = c->calls->hub->catalogue,
                             .caller = c->caller,
                             .kind = c->kind,
                             .endpoint = c->endpoint,
                             .server = config->name,
                             .uri = buf_bytes(&c->name),
                             .upstream_era = c->lane ? c->lane->era : ERA_MODERN,
                             .is_builtin = config->kind == SERVER_BUILTIN,
                             .wraps_structured = c->wraps_structured};
}

/* --- telling people --- */

static const char *server_name(const struct call *c)
{
    return c->upstream ? upstream_config(c->upstream)->name : "";
}

static void publish(struct call *c, const char *type, const char *outcome, int64_t us)
{
    struct events *events = c->calls->hub->events;
    if (!events_wanted(events, "calls"))
        return;
    struct buf data = {0};
    buf_add_text(&data, "{\"id\":");
    buf_add_json_text(&data, call_id(c));
    buf_add_text(&data, ",\"server\":");
    buf_add_json_text(&data, server_name(c));
    buf_add_text(&data, ",\"tool\":");
    buf_add_json(&data, buf_bytes(&c->name));
    buf_add_text(&data, ",\"actor\":");
    buf_add_json_text(&data, c->caller->principal);
    buf_addf(&data, ",\"via\":\"%s\"", c->caller->via == VIA_REST ? "rest" : "mcp");
    if (outcome)
        buf_addf(&data, ",\"state\":\"finished\",\"outcome\":\"%s\",\"ms\":%lld", outcome,
                 (long long)(us / 1000));
    else
        buf_add_text(&data, ",\"state\":\"running\"");
    buf_add_char(&data, '}');
    events_publish(events, "calls", type, buf_bytes(&data));
    buf_end(&data);
}

static const char *outcome_name(const struct call_done *done)
{
    if (done->outcome == CALL_RESULT)
        return done->is_error ? "tool_error" : "ok";
    if (done->outcome == CALL_ERROR)
        return "upstream";
    switch (done->fault.fault) {
    case FAULT_DENIED:
        return "denied";
    case FAULT_DEADLINE:
        return "timeout";
    case FAULT_CANCELLED:
        return "cancelled";
    case FAULT_TOO_LARGE:
    case FAULT_RATE_LIMITED:
    case FAULT_QUEUE_FULL:
        return "limited";
    default:
        return "upstream";
    }
}

/* What went wrong is in the log; what went well only for those who ask for debug: there may be 100,000 a
 * second. */
static void log_end(const struct call *c, const char *outcome, int64_t us)
{
    bool is_well = strcmp(outcome, "ok") == 0 || strcmp(outcome, "tool_error") == 0;
    enum log_level level = is_well ? LOG_DEBUG : LOG_INFO;
    if (!log_writes(level))
        return;
    _cleanup_free_ char *tool = bytes_copy(buf_bytes(&c->name));
    log_write(level, "call.ended", "call", call_id(c), "trace", c->trace[0] ? c->trace : NULL, "principal",
              c->caller->principal, "server", server_name(c), "tool", tool, "outcome", outcome, "ms",
              log_int(us / 1000), NULL);
}

static void record(struct call *c, const char *outcome)
{
    int64_t us = clock_us() - c->started_us;
    metrics_call(c->calls->hub->metrics, server_name(c), c->method, buf_bytes(&c->tool),
                 c->caller->via == VIA_REST ? "rest" : "mcp", outcome, us);
    publish(c, "call.finished", outcome, us);
    log_end(c, outcome, us);
}

/* --- the end --- */

void call_finish(struct call *c, const struct call_done *done)
{
    const struct call_ops *ops = c->ops;
    void *ctx = c->ctx;
    call_flush_progress(c);
    question_drop_all(c, true);
    record(c, outcome_name(done));
    /* The parts may lie in the call's own buffers or in the line: tell first, give back after. */
    ops->on_done(ctx, done);
    give(c);
}

void call_fail_told(struct call *c, const struct fault_told *fault)
{
    struct call_done done = {.outcome = CALL_FAULT, .fault = *fault};
    call_finish(c, &done);
}

void call_fail(struct call *c, bool is_protocol, enum fault fault, const char *format, ...)
{
    struct call_done done = {.outcome = CALL_FAULT, .is_protocol = is_protocol};
    char text[240];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_tell(&done.fault, fault, "%s", text);
    call_finish(c, &done);
}

void call_cancel(struct call *c, const char *why)
{
    record(c, "cancelled");
    if (c->pending)
        pending_cancel(take_ptr(&c->pending), why);
    question_drop_all(c, false);
    give(c);
}

void call_set_timer(struct call *c, int what, int64_t ms)
{
    c->timer_is = what;
    timer_start(&c->timer, ms);
}

static void timer_fired(void *ctx)
{
    struct call *c = ctx;
    switch (c->timer_is) {
    case CALL_TIMER_PROGRESS:
        call_flush_progress(c);
        return;
    case CALL_TIMER_QUESTION:
        question_timed_out(c);
        return;
    case CALL_TIMER_ROUND:
        question_next_round(c);
        return;
    default:
        return;
    }
}

/* --- the beginning --- */

static void got_lane(void *ctx, struct lane *lane)
{
    struct call *c = ctx;
    c->wait = NULL;
    c->lane = lane;
    lane_hold(lane, &c->holder, &call_holder_ops, c);
    if (c->rounds > 0 && lane->era == ERA_LEGACY)
        call_fail(c, false, FAULT_OUTCOME_UNKNOWN, "server '%s' forgot the call while its client was asked",
                  server_name(c));
    else
        call_send(c);
}

static void no_lane(void *ctx, const struct fault_told *fault)
{
    struct call *c = ctx;
    c->wait = NULL;
    call_fail_told(c, fault);
}

static int64_t asked_timeout(const struct envelope *e)
{
    const struct member *m = members_find(&e->meta, "dev.trunkline/timeoutMs");
    int64_t ms = 0;
    return m && member_int(m, &ms) == 0 && ms > 0 ? ms : 0;
}

static int64_t deadline_of(const struct call *c, const struct call_spec *spec)
{
    const struct hub *hub = c->calls->hub;
    int64_t ms = upstream_config(c->upstream)->timeout.call;
    if (ms <= 0 || ms > hub->config->deadline_max_ms)
        ms = hub->config->deadline_max_ms;
    int64_t asked = asked_timeout(spec->envelope);
    if (asked && asked < ms)
        ms = asked;
    if (spec->deadline_ms && spec->deadline_ms < ms)
        ms = spec->deadline_ms;
    return ms;
}

bool call_ask_lane(struct call *c)
{
    int64_t left = c->deadline_at - clock_ms(), ready = upstream_config(c->upstream)->timeout.ready;
    struct lane_want want = {.caller = c->caller,
                             .deadline_ms = ready < left ? ready : left,
                             .on_lane = got_lane,
                             .on_fault = no_lane,
                             .ctx = c};
    bool is_gone = false;
    c->gone = &is_gone;
    struct lane_wait *wait = upstream_lane(c->upstream, &want);
    if (is_gone)
        return false;
    c->gone = NULL;
    c->wait = wait;
    return true;
}

/* The server behind an item of the catalogue. NULL: the call was failed. */
static struct upstream *find_server(struct call *c, const char *name)
{
    struct upstream *u = hub_find_upstream(c->calls->hub, name);
    if (!u)
        call_fail(c, false, FAULT_SERVER_DOWN, "server '%s' is not configured any more", name);
    return u;
}

/* Where a call goes: the server and its own name for the thing. NULL: it was failed. */
static struct upstream *resolve_item(struct call *c, enum item_kind kind, struct bytes name)
{
    struct hub *hub = c->calls->hub;
    const struct item *item = catalogue_find(hub->catalogue, kind, c->endpoint, name);
    if (!item) {
        call_fail(c, true, FAULT_INVALID_PARAMS, "unknown %s '%.*s'", kind == ITEM_TOOL ? "tool" : "prompt",
                  (int)(name.n < 128 ? name.n : 128), name.p);
        return NULL;
    }
    buf_add_bytes(&c->tool, item->name);
    c->wraps_structured = item->wraps_structured;
    return find_server(c, item->server);
}

static struct upstream *resolve_uri(struct call *c, struct bytes uri)
{
    struct hub *hub = c->calls->hub;
    const char *server;
    struct bytes there;
    if (!catalogue_route(hub->catalogue, c->endpoint, uri, &server, &there)) {
        struct call_done done = {.outcome = CALL_FAULT, .is_protocol = true};
        struct buf data = {0};
        fault_tell(&done.fault, FAULT_RESOURCE_NOT_FOUND, "no server has the resource '%.*s'",
                   (int)(uri.n < 160 ? uri.n : 160), uri.p);
        buf_add_json(&data, uri);
        if (data.n < 300)
            fault_data(&done.fault, "\"uri\":%s", data.p);
        buf_end(&data);
        call_finish(c, &done);
        return NULL;
    }
    buf_add_bytes(&c->tool, there);
    return find_server(c, server);
}

/* completion/complete names a prompt or a template in `ref`. */
static struct upstream *resolve_ref(struct call *c, const struct envelope *e)
{
    struct members ref = {0};
    struct upstream *found = NULL;
    const struct member *at = members_find(&e->inside, "ref");
    struct buf text = {0};
    if (!at || members_read(&ref, at->value) < 0) {
        call_fail(c, true, FAULT_INVALID_PARAMS, "'ref' must be an object");
    } else {
        const struct member *name = members_find(&ref, "name"), *uri = members_find(&ref, "uri");
        if (name && member_decode(name, &text) == 0) {
            buf_add_bytes(&c->name, buf_bytes(&text));
            found = resolve_item(c, ITEM_PROMPT, buf_bytes(&text));
        } else if (uri && member_decode(uri, &text) == 0) {
            buf_add_bytes(&c->name, buf_bytes(&text));
            found = resolve_uri(c, buf_bytes(&text));
        } else {
            call_fail(c, true, FAULT_INVALID_PARAMS, "'ref' must have a name or a uri");
        }
    }
    members_end(&ref);
    buf_end(&text);
    return found;
}

static struct upstream *resolve(struct call *c, const struct envelope *e)
{
    if (c->kind == CALL_COMPLETE)
        return resolve_ref(c, e);
    const char *key = c->kind == CALL_READ ? "uri" : "name";
    const struct member *m = members_find(&e->inside, key);
    if (!m || member_decode(m, &c->name) < 0) {
        call_fail(c, true, FAULT_INVALID_PARAMS, "'%s' must be a string", key);
        return NULL;
    }
    struct bytes name = buf_bytes(&c->name);
    if (c->kind == CALL_READ)
        return resolve_uri(c, name);
    return resolve_item(c, c->kind == CALL_TOOL ? ITEM_TOOL : ITEM_PROMPT, name);
}

static bool is_permitted(struct call *c)
{
    static const char *const actions[] = {"call", "prompt", "read", "complete"};
    struct policy_ask ask = {.principal = c->caller->principal,
                             .action = actions[c->kind],
                             .server = server_name(c),
                             .name = buf_bytes(&c->tool)};
    return policy_permits(c->calls->hub, &ask);
}

static void begin(struct call *c, const struct call_spec *spec)
{
    *c = (struct call){.link = c->link,
                       .calls = c->calls,
                       .timer = c->timer,
                       .name = c->name,
                       .tool = c->tool,
                       .members = c->members,
                       .meta = c->meta,
                       .token = c->token,
                       .responses = c->responses,
                       .held = c->held};
    c->kind = spec->kind;
    c->method = spec->method;
    c->caller = spec->caller;
    c->endpoint = spec->server;
    c->ops = spec->ops;
    c->ctx = spec->ctx;
    c->started_us = clock_us();
}

struct call *call_start(struct hub *hub, const struct call_spec *spec)
{
    struct call *c = take(hub->calls);
    begin(c, spec);
    struct upstream *upstream = resolve(c, spec->envelope);
    if (!upstream)
        return NULL; /* answered, so the call may be gone */
    c->upstream = upstream;
    if (!is_permitted(c)) {
        call_fail(c, false, FAULT_DENIED, "'%s' may not use '%.*s'", c->caller->principal, (int)c->name.n,
                  c->name.p);
        return NULL;
    }
    c->deadline_at = clock_ms() + deadline_of(c, spec);
    if (call_prepare(c, spec) < 0)
        return NULL;
    publish(c, "call.started", NULL, 0);
    return call_ask_lane(c) ? c : NULL;
}

/* --- for people --- */

void call_each(struct hub *hub, void (*fn)(const struct call_view *v, void *ctx), void *ctx)
{
    list_each (l, &hub->calls->all) {
        struct call *c = list_entry(l, struct call, link);
        struct call_view v = {.id = call_id(c),
                              .server = server_name(c),
                              .principal = c->caller->principal,
                              .method = c->method,
                              .tool = buf_bytes(&c->name),
                              .started_ms = stamp_now().ms - (clock_us() - c->started_us) / 1000,
                              .state = c->open_count ? "input_required" : "running"};
        fn(&v, ctx);
    }
}

int call_stop(struct hub *hub, const char *id, const char *by)
{
    list_each (l, &hub->calls->all) {
        struct call *c = list_entry(l, struct call, link);
        if (strcmp(call_id(c), id) != 0)
            continue;
        if (c->pending)
            pending_cancel(take_ptr(&c->pending), "cancelled by an operator");
        call_fail(c, false, FAULT_CANCELLED, "cancelled by %s", by);
        return 0;
    }
    return 1;
}
