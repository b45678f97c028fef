/* Sending a call: its params as the server must see them, its answer, and the progress in between. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "hub/call_parts.h"
#include "hub/handshake.h"
#include "hub/hub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_GAP_MS = 20 };

/* --- params --- */

static void add_member(struct buf *out, const struct member *m)
{
    buf_add_text(out, ",\"");
    buf_add_bytes(out, m->key);
    buf_add_text(out, "\":");
    envelope_add_line(out, m->value);
}

/* `ref` with the server's own name or uri in the place of the exposed one. */
static void add_ref(struct call *c, struct bytes ref)
{
    struct members m = {0};
    members_read(&m, ref);
    buf_add_text(&c->members, ",\"ref\":{");
    for (size_t i = 0; i < m.n; i++) {
        bool is_named = bytes_say(m.p[i].key, "name") || bytes_say(m.p[i].key, "uri");
        if (i)
            buf_add_char(&c->members, ',');
        buf_add_char(&c->members, '"');
        buf_add_bytes(&c->members, m.p[i].key);
        buf_add_text(&c->members, "\":");
        if (is_named)
            buf_add_json(&c->members, buf_bytes(&c->tool));
        else
            envelope_add_line(&c->members, m.p[i].value);
    }
    buf_add_char(&c->members, '}');
    members_end(&m);
}

static bool is_retry_key(struct bytes key)
{
    return bytes_say(key, "inputResponses") || bytes_say(key, "requestState");
}

static void add_members(struct call *c, const struct envelope *e)
{
    const char *named = c->kind == CALL_READ ? "uri" : c->kind == CALL_COMPLETE ? "ref" : "name";
    for (size_t i = 0; i < e->inside.n; i++) {
        const struct member *m = &e->inside.p[i];
        if (bytes_say(m->key, "_meta") || is_retry_key(m->key) || bytes_say(m->key, "task"))
            continue;
        if (!bytes_say(m->key, named)) {
            add_member(&c->members, m);
        } else if (c->kind == CALL_COMPLETE) {
            add_ref(c, m->value);
        } else {
            buf_addf(&c->members, ",\"%s\":", named);
            buf_add_json(&c->members, buf_bytes(&c->tool));
        }
    }
}

/* "00-<trace id>-<parent>-01": the id names the call in the log. */
static void note_trace(struct call *c, struct bytes traceparent)
{
    if (traceparent.n >= 55 && traceparent.p[2] == '-' && traceparent.p[35] == '-')
        memcpy(c->trace, traceparent.p + 3, sizeof(c->trace) - 1);
}

static void add_meta(struct call *c, const struct call_spec *spec)
{
    const struct envelope *e = spec->envelope;
    for (size_t i = 0; i < e->meta.n; i++) {
        const struct member *m = &e->meta.p[i];
        if (bytes_say(m->key, "progressToken"))
            buf_add_bytes(&c->token, m->value);
        else if (!bytes_begin(m->key, "io.modelcontextprotocol/") && !bytes_begin(m->key, "dev.trunkline/"))
            add_member(&c->meta, m);
    }
    const struct member *own = members_find(&e->meta, "traceparent");
    note_trace(c, own ? member_plain(own) : spec->traceparent);
    if (spec->traceparent.n && !own) {
        buf_add_text(&c->meta, ",\"traceparent\":");
        buf_add_json(&c->meta, spec->traceparent);
    }
}

int call_prepare(struct call *c, const struct call_spec *spec)
{
    if (spec->envelope->params.type != JSON_T_NONE && spec->envelope->params.type != JSON_T_OBJECT) {
        call_fail(c, true, FAULT_INVALID_PARAMS, "'params' must be an object");
        return -1;
    }
    add_members(c, spec->envelope);
    add_meta(c, spec);
    return c->caller->era == ERA_MODERN ? question_read_retry(c, spec->envelope) : 0;
}

static void add_builtin_meta(struct call *c, struct buf *out)
{
    if (upstream_config(c->upstream)->kind != SERVER_BUILTIN)
        return;
    buf_add_text(out, ",\"dev.trunkline/call\":{\"call\":");
    buf_add_json_text(out, call_id(c));
    buf_add_text(out, ",\"principal\":");
    buf_add_json_text(out, c->caller->principal);
    buf_addf(out, ",\"deadlineMs\":%lld}", (long long)(c->deadline_at - clock_ms()));
}

static void add_log_level(struct call *c, struct buf *out)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
    if (c->caller->log_level >= 0 && c->caller->log_level <= 7)
        buf_addf(out, ",\"io.modelcontextprotocol/logLevel\":\"%s\"", levels[c->caller->log_level]);
}

/* `{"_meta":{…},"name":…}` or `{"name":…,"_meta":{…}}`, whichever is simpler for the era. */
static struct bytes assemble(struct call *c, int64_t id)
{
    struct buf *out = &c->calls->params;
    buf_clear(out);
    buf_add_text(out, "{\"_meta\":{");
    size_t empty = out->n;
    if (c->lane->era == ERA_MODERN) {
        handshake_add_meta(out, c->caller->capabilities);
        add_log_level(c, out);
        add_builtin_meta(c, out);
    }
    if (c->token.n)
        buf_addf(out, "%s\"progressToken\":%lld", out->n > empty ? "," : "", (long long)id);
    if (c->meta.n)
        buf_add_bytes(out,
                      out->n > empty ? buf_bytes(&c->meta) : (struct bytes){c->meta.p + 1, c->meta.n - 1});
    if (out->n > empty) {
        buf_add_char(out, '}');
        buf_add_bytes(out, buf_bytes(&c->members));
    } else {
        buf_clear(out);
        buf_add_char(out, '{');
        if (c->members.n)
            buf_add(out, c->members.p + 1, c->members.n - 1);
    }
    if (c->lane->era == ERA_MODERN)
        buf_add_bytes(out, buf_bytes(&c->responses));
    buf_add_char(out, '}');
    return buf_bytes(out);
}

/* --- progress --- */

static void add_progress(struct call *c, const struct envelope *e, struct buf *out)
{
    buf_clear(out);
    buf_add_text(out,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":");
    buf_add_bytes(out, buf_bytes(&c->token));
    for (size_t i = 0; i < e->inside.n; i++)
        if (!bytes_say(e->inside.p[i].key, "progressToken") && !bytes_say(e->inside.p[i].key, "_meta"))
            add_member(out, &e->inside.p[i]);
    buf_add_text(out, "}}");
}

void call_flush_progress(struct call *c)
{
    if (!c->held.n)
        return;
    c->progress_sent_at = clock_ms();
    c->ops->on_notification(c->ctx, buf_bytes(&c->held));
    buf_clear(&c->held);
}

static void got_progress(void *ctx, const struct envelope *e)
{
    struct call *c = ctx;
    const struct member *m = members_find(&e->inside, "progress");
    if (!c->token.n || !m || m->type != JSON_T_NUMBER)
        return;
    char number[64];
    snprintf(number, sizeof(number), "%.*s", (int)m->value.n, m->value.p);
    double progress = strtod(number, NULL);
    if (c->has_progress && progress <= c->progress)
        return; /* values must rise */
    c->progress = progress;
    c->has_progress = true;
    /* Held frames replace each other; the last one always goes before the result (call_finish). */
    add_progress(c, e, &c->held);
    int64_t since = clock_ms() - c->progress_sent_at;
    bool is_busy = timer_is_started(&c->timer) && c->timer_is != CALL_TIMER_PROGRESS; /* a question is out */
    if (since >= PROGRESS_GAP_MS || is_busy)
        call_flush_progress(c);
    else if (!timer_is_started(&c->timer))
        call_set_timer(c, CALL_TIMER_PROGRESS, PROGRESS_GAP_MS - since);
}

/* --- the answer --- */

static void remember_links(struct call *c, const struct envelope *e)
{
    struct bytes value = e->result.value;
    if (c->kind != CALL_TOOL || !memmem(value.p, value.n, "\"resource_link\"", 15))
        return;
    struct members blocks = {0}, fields = {0};
    struct buf uri = {0};
    const struct member *content = members_find(&e->inside, "content");
    if (content && elements_read(&blocks, content->value) == 0)
        for (size_t i = 0; i < blocks.n; i++) {
            const struct member *at = NULL;
            if (members_read(&fields, blocks.p[i].value) == 0)
                at = members_find(&fields, "uri");
            buf_clear(&uri);
            if (at && member_decode(at, &uri) == 0)
                catalogue_remember_link(c->calls->hub->catalogue, upstream_config(c->upstream)->name,
                                        buf_bytes(&uri));
        }
    members_end(&blocks);
    members_end(&fields);
    buf_end(&uri);
}

static void got_result(struct call *c, const struct envelope *e)
{
    if (e->result.type != JSON_T_OBJECT) {
        call_fail(c, false, FAULT_UPSTREAM_ERROR, "server '%s' answered with a result that is no object",
                  upstream_config(c->upstream)->name);
        return;
    }
    const struct member *type = c->lane->era == ERA_MODERN ? members_find(&e->inside, "resultType") : NULL;
    if (type && bytes_say(member_plain(type), "input_required")) {
        question_round(c, e);
        return;
    }
    if (type && !bytes_say(member_plain(type), "complete")) {
        call_fail(c, true, FAULT_INTERNAL, "server '%s' answered with the unknown result type %.*s",
                  upstream_config(c->upstream)->name, (int)(type->value.n < 80 ? type->value.n : 80),
                  type->value.p);
        return;
    }
    remember_links(c, e);
    struct call_done done = {0};
    struct era_spec spec = call_era(c);
    era_result(&spec, e, &done, &c->calls->scratch);
    call_finish(c, &done);
}

static void got_answer(void *ctx, const struct line_answer *answer)
{
    struct call *c = ctx;
    c->pending = NULL;
    struct call_done done = {0};
    switch (answer->outcome) {
    case LINE_RESULT:
        got_result(c, answer->envelope);
        return;
    case LINE_ERROR: {
        struct era_spec spec = call_era(c);
        era_error(&spec, answer->envelope, &done, &c->calls->scratch);
        call_finish(c, &done);
        return;
    }
    case LINE_LOST:
        if (answer->fault.fault == FAULT_SERVER_DOWN) { /* not a byte of it had left */
            call_fail(c, false, FAULT_SERVER_DOWN, "server '%s': %s", upstream_config(c->upstream)->name,
                      answer->fault.text);
            return;
        }
        done.outcome = CALL_FAULT;
        fault_tell(&done.fault, FAULT_OUTCOME_UNKNOWN,
                   "server '%s' ended during the call; whether it took effect is not known",
                   upstream_config(c->upstream)->name);
        fault_data(&done.fault, "\"outcome\":\"unknown\",\"attempts\":1");
        call_finish(c, &done);
        return;
    default:
        call_fail_told(c, &answer->fault);
        return;
    }
}

static const struct pending_ops pending_ops = {got_answer, got_progress};

void call_send(struct call *c)
{
    int64_t left = c->deadline_at - clock_ms();
    struct line *line = c->lane->line;
    if (!line) {
        /* The server went away while its client was asked. What it had to remember travels with the request,
         * so its next process can go on; when there is none the caller is told. */
        lane_let_go(&c->holder);
        c->lane = NULL;
        call_ask_lane(c);
        return;
    }
    struct request_spec spec = {.method = c->method,
                                .params = assemble(c, line_next_id(line)),
                                .deadline_ms = left > 0 ? left : 0,
                                .idle_ms = upstream_config(c->upstream)->timeout.progress,
                                .ops = &pending_ops,
                                .ctx = c};
    struct why why = {0};
    c->pending = line_request(line, &spec, &why);
    if (!c->pending)
        call_fail(c, false, FAULT_SERVER_DOWN, "server '%s': %s", upstream_config(c->upstream)->name,
                  why.text);
}
