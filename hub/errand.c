#include "hub/errand.h"

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/mem.h"
#include "hub/api_parts.h"
#include "hub/events.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_GAP_MS = 100 };

struct errand {
    struct link link;
    struct api *api;
    struct visit *visit; /* NULL: was told to come back */
    struct call *call;
    char id[ID_TEXT]; /* empty until the call has begun */
    enum call_kind kind;
    struct caller caller;
    char *principal, *name, *server;
    int64_t started_ms, started_us, progress_ms;
    struct timer wait;
};

static void errand_free(struct errand *e)
{
    timer_stop(&e->wait);
    list_drop(&e->link);
    free(e->principal);
    free(e->name);
    free(e->server);
    free(e);
}

/* The visit goes on without us. */
static struct visit *leave_visit(struct errand *e)
{
    struct visit *v = e->visit;
    if (v) {
        v->on_end = NULL;
        v->waiting = NULL;
        request_on_gone(v->request, NULL, NULL);
    }
    e->visit = NULL;
    return v;
}

void errands_end(struct api *a)
{
    list_each (l, &a->errands) {
        struct errand *e = list_entry(l, struct errand, link);
        leave_visit(e);
        errand_free(e);
    }
}

/* --- what is told of it --- */

/* The record's members, without braces; the same as in the live events. */
static void add_record(const struct errand *e, struct buf *out, const char *outcome)
{
    buf_add_text(out, "\"id\":");
    buf_add_json_text(out, e->id);
    buf_add_text(out, ",\"server\":");
    buf_add_json_text(out, e->server);
    buf_add_text(out, ",\"tool\":");
    buf_add_json_text(out, e->name);
    buf_add_text(out, ",\"actor\":");
    buf_add_json_text(out, e->principal);
    buf_add_text(out, ",\"via\":\"rest\"");
    if (outcome)
        buf_addf(out, ",\"state\":\"finished\",\"outcome\":\"%s\",\"ms\":%lld", outcome,
                 (long long)((clock_us() - e->started_us) / 1000));
    else
        buf_add_text(out, ",\"state\":\"running\"");
}

static void add_times(const struct errand *e, struct buf *out, bool is_finished)
{
    char text[25];
    stamp_text((struct stamp){e->started_ms}, text);
    buf_addf(out, ",\"started_at\":\"%s\"", text);
    if (is_finished) {
        stamp_text(stamp_now(), text);
        buf_addf(out, ",\"finished_at\":\"%s\"", text);
    }
}

static const char *outcome_of(const struct call_done *done, enum fault fault)
{
    static const struct {
        enum fault fault;
        const char *outcome;
    } rows[] = {
        {FAULT_DENIED,       "denied"   },
        {FAULT_DEADLINE,     "timeout"  },
        {FAULT_CANCELLED,    "cancelled"},
        {FAULT_TOO_LARGE,    "limited"  },
        {FAULT_RATE_LIMITED, "limited"  },
        {FAULT_QUEUE_FULL,   "limited"  },
    };
    if (done->outcome == CALL_RESULT)
        return done->is_error ? "tool_error" : "ok";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].fault == fault)
            return rows[i].outcome;
    return "upstream";
}

static void add_parts(const struct call_done *done, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < done->part_count; i++)
        n += done->parts[i].n;
    buf_reserve(out, n + 256);
    for (size_t i = 0; i < done->part_count; i++)
        buf_add_bytes(out, done->parts[i]);
}

/* A server's own JSON-RPC error. Bad parameters are the caller's fault, whoever finds it. */
static void tell_error(const struct call_done *done, struct fault_told *told)
{
    struct buf raw = {0}, text = {0};
    struct members m = {0};
    int64_t code = 0;
    add_parts(done, &raw);
    if (members_read(&m, buf_bytes(&raw)) == 0) {
        const struct member *c = members_find(&m, "code"), *message = members_find(&m, "message");
        if (c)
            member_int(c, &code);
        if (message)
            member_decode(message, &text);
    }
    buf_add_char(&text, '\0');
    fault_tell(told, code == -32602 ? FAULT_INVALID_PARAMS : FAULT_UPSTREAM_ERROR, "%s",
               text.n > 1 ? text.p : "the server answered with an error");
    fault_data(told, "\"server_code\":%lld", (long long)code);
    members_end(&m);
    buf_end(&raw);
    buf_end(&text);
}

/* So that GET /calls/{id} finds it for a while. The live events have told of it already, unless there were
 * too many of them to be kept. */
static void keep(const struct errand *e, const char *outcome, int status, struct bytes result)
{
    struct buf record = {0};
    if (e->kind != CALL_TOOL || !e->id[0])
        return;
    buf_add_char(&record, '{');
    add_record(e, &record, outcome);
    buf_add_char(&record, '}');
    activity_take(e->api->activity, buf_bytes(&record));
    activity_keep_result(e->api->activity, bytes_of(e->id), status, result);
    buf_end(&record);
}

static void finish_with_fault(struct errand *e, const struct call_done *done)
{
    struct fault_told told = done->fault;
    struct buf json = {0};
    if (done->outcome == CALL_ERROR)
        tell_error(done, &told);
    fault_add_rest(&json, &told, NULL, e->visit ? e->visit->trace : BYTES_NONE);
    keep(e, outcome_of(done, told.fault), fault_row(told.fault)->http_rest, buf_bytes(&json));
    buf_end(&json);
    struct visit *v = leave_visit(e);
    if (v)
        visit_fault_told(v, &told, NULL);
}

static void finish_with_result(struct errand *e, const struct call_done *done)
{
    const char *outcome = outcome_of(done, FAULT_NONE);
    struct buf json = {0};
    if (e->kind == CALL_TOOL) {
        buf_add_char(&json, '{');
        add_record(e, &json, outcome);
        add_times(e, &json, true);
        buf_addf(&json, ",\"is_error\":%s,\"result\":", done->is_error ? "true" : "false");
    }
    size_t at = json.n;
    add_parts(done, &json);
    keep(e, outcome, 200, (struct bytes){json.p + at, json.n - at});
    if (e->kind == CALL_TOOL)
        buf_add_char(&json, '}');
    struct visit *v = leave_visit(e);
    if (v)
        visit_json(v, 200, &json);
    else
        buf_end(&json);
}

/* --- the call's side --- */

static void on_done(void *ctx, const struct call_done *done)
{
    struct errand *e = ctx;
    if (done->outcome == CALL_RESULT)
        finish_with_result(e, done);
    else
        finish_with_fault(e, done);
    errand_free(e);
}

static void add_member(struct buf *out, const struct members *m, const char *name)
{
    const struct member *found = members_find(m, name);
    if (found)
        buf_addf(out, ",\"%s\":%.*s", name, (int)found->value.n, found->value.p);
}

static void publish_progress(struct errand *e, struct bytes params)
{
    struct members m = {0};
    struct buf data = {0};
    if (members_read(&m, params) == 0) {
        buf_add_text(&data, "{\"id\":");
        buf_add_json_text(&data, e->id);
        add_member(&data, &m, "progress");
        add_member(&data, &m, "total");
        add_member(&data, &m, "message");
        buf_add_char(&data, '}');
        events_publish(e->api->hub->events, "calls", "call.progress", buf_bytes(&data));
    }
    members_end(&m);
    buf_end(&data);
}

static void on_notification(void *ctx, struct bytes message)
{
    struct errand *e = ctx;
    struct members m = {0};
    int64_t now = loop_now_ms(e->api->hub->loop);
    if (now - e->progress_ms < PROGRESS_GAP_MS || !events_wanted(e->api->hub->events, "calls"))
        return;
    if (members_read(&m, message) == 0) {
        const struct member *method = members_find(&m, "method"), *params = members_find(&m, "params");
        if (method && params && bytes_say(member_plain(method), "notifications/progress")) {
            e->progress_ms = now;
            publish_progress(e, params->value);
        }
    }
    members_end(&m);
}

static const struct call_ops ops = {.on_notification = on_notification, .on_done = on_done};

/* --- the visitor's side --- */

static void answer_later(void *ctx)
{
    struct errand *e = ctx;
    struct visit *v = leave_visit(e);
    struct buf json = {0};
    request_add_header(v->request, "Location", arena_printf(v->arena, "/api/v1/calls/%s", e->id));
    buf_add_char(&json, '{');
    add_record(e, &json, NULL);
    add_times(e, &json, false);
    buf_add_char(&json, '}');
    visit_json(v, 202, &json);
}

static void visitor_gone(struct request *r, void *ctx)
{
    struct errand *e = ctx;
    struct visit *v = leave_visit(e);
    (void)r;
    call_cancel(e->call, "caller gone");
    errand_free(e);
    visit_fault(v, FAULT_CANCELLED, "the caller is gone");
}

/* The hub stops; the calls are gone already. */
static void visit_ends(struct visit *v)
{
    struct errand *e = v->waiting;
    leave_visit(e);
}

static bool scan(struct visit *v, struct bytes text)
{
    struct envelope *envelope = v->api->envelope;
    struct why why = {0};
    envelope_begin(envelope);
    int rc = envelope_scan(envelope, text, true, &why);
    if (rc == 0)
        return true;
    visit_fault(v, rc == ENVELOPE_LIMIT ? FAULT_TOO_LARGE : FAULT_INVALID_REQUEST, "%s", why.text);
    return false;
}

static struct errand *errand_new(struct visit *v, const struct errand_spec *spec)
{
    struct errand *e = NEW(struct errand);
    e->api = v->api;
    e->visit = v;
    e->kind = spec->kind;
    e->principal = mem_text(v->principal);
    e->name = mem_text(spec->name);
    e->server = mem_text(spec->server);
    e->started_ms = stamp_now().ms;
    e->started_us = clock_us();
    e->caller = (struct caller){.via = VIA_REST,
                                .era = ERA_MODERN,
                                .revision = REVISION_2026_07_28,
                                .principal = e->principal,
                                .capabilities = BYTES("{}"),
                                .log_level = -1};
    timer_init(&e->wait, v->api->hub->loop, answer_later, e);
    list_add(&v->api->errands, &e->link);
    v->waiting = e;
    v->on_end = visit_ends;
    return e;
}

void errand_start(struct visit *v, const struct errand_spec *spec)
{
    struct buf text = {0};
    buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{", spec->method);
    buf_add_bytes(&text, spec->params);
    buf_add_text(&text, ",\"_meta\":{\"progressToken\":1}}}");
    if (!scan(v, buf_bytes(&text))) {
        buf_end(&text);
        return;
    }
    struct errand *e = errand_new(v, spec);
    const struct call_spec call = {.kind = spec->kind,
                                   .caller = &e->caller,
                                   .envelope = v->api->envelope,
                                   .method = spec->method,
                                   .ops = &ops,
                                   .ctx = e,
                                   .traceparent =
                                       v->trace.n ? request_header(v->request, "traceparent") : BYTES_NONE,
                                   .deadline_ms = spec->deadline_ms};
    struct call *started = call_start(v->api->hub, &call);
    buf_end(&text);
    if (!started)
        return; /* it is over: `e` is gone */
    e->call = started;
    snprintf(e->id, sizeof(e->id), "%s", call_id(started));
    if (spec->kind == CALL_TOOL && spec->wait_ms == 0) {
        answer_later(e);
        return;
    }
    request_on_gone(v->request, visitor_gone, e);
    if (spec->kind == CALL_TOOL)
        timer_start(&e->wait, spec->wait_ms);
}
