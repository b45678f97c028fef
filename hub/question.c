/*
 * Asking the client back.
 *
 * Cell A (legacy client, legacy server on a private lane): the server's request becomes a question, its
 * answer goes back under the server's own id. Cell C (legacy client, modern server): every input request of a
 * round is asked at once inside the held call, and the call is sent again with the answers; at most eight
 * rounds. Cell B (modern client, modern server): the questions pass in the result, the server's state in a
 * ticket. The deadline stands still while a human is asked.
 */
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "hub/call_parts.h"
#include "hub/hub.h"
#include "hub/ticket.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATE_ONLY_PAUSE_MS = 250 };

static const char *const methods[] = {"elicitation/create", "sampling/createMessage", "roots/list"};

static const char *method_named(struct bytes name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (bytes_say(name, methods[i]))
            return methods[i];
    return NULL;
}

static const char *server_name(const struct call *c)
{
    return upstream_config(c->upstream)->name;
}

/* --- the clock stands still --- */

static void pause_clock(struct call *c)
{
    if (c->open_count++ > 0)
        return;
    c->asked_at = clock_ms();
    if (c->pending)
        pending_pause(c->pending);
    call_set_timer(c, CALL_TIMER_QUESTION, upstream_config(c->upstream)->timeout.question);
}

static void resume_clock(struct call *c)
{
    if (--c->open_count > 0)
        return;
    c->deadline_at += clock_ms() - c->asked_at;
    timer_stop(&c->timer);
    if (c->pending)
        pending_resume(c->pending);
}

static struct asked *new_asked(struct call *c)
{
    if (!c->asked)
        c->asked = mem_array(QUESTIONS_MAX, sizeof(*c->asked));
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        struct asked *a = &c->asked[i];
        if (a->is_open || a->answer.n)
            continue;
        buf_clear(&a->key);
        a->id = ++c->last_question;
        if (i >= c->asked_count)
            c->asked_count = i + 1;
        return a;
    }
    return NULL;
}

static void ask(struct call *c, struct asked *a, const char *method, struct bytes params)
{
    struct buf shown = {0};
    era_add_question(&shown, c->caller, method, params, c->endpoint ? NULL : server_name(c),
                     c->lane->era == ERA_MODERN);
    a->is_open = true;
    call_flush_progress(c); /* what was said before the question is heard before it */
    pause_clock(c);
    struct question q = {.id = a->id, .method = method, .params = buf_bytes(&shown)};
    c->ops->on_question(c->ctx, &q);
    buf_end(&shown);
}

static bool can_ask(const struct call *c, unsigned needs)
{
    return c->ops->on_question && c->caller->era == ERA_LEGACY && needs && (c->caller->can & needs) == needs;
}

void question_drop_all(struct call *c, bool tells_client)
{
    for (size_t i = 0; i < c->asked_count; i++) {
        struct asked *a = &c->asked[i];
        if (!a->is_open)
            continue;
        a->is_open = false;
        if (c->lane->era == ERA_LEGACY && c->lane->line)
            line_refuse_request(c->lane->line, buf_bytes(&a->key), -32603, "the call is over");
        if (tells_client && c->ops->on_question_gone)
            c->ops->on_question_gone(c->ctx, a->id);
    }
    c->asked_count = c->open_count = 0;
}

/* --- cell A --- */

static void legacy_request(void *ctx, const struct envelope *request)
{
    struct call *c = ctx;
    struct line *line = c->lane->line;
    const char *method = method_named(request->method);
    if (!method) {
        line_refuse_request(line, request->id.value, -32601, "this client knows no such request");
        return;
    }
    struct bytes params = request->params.type == JSON_T_OBJECT ? request->params.value : BYTES_NONE;
    struct asked *a = can_ask(c, era_question_needs(request->method, params)) ? new_asked(c) : NULL;
    if (!a) {
        line_refuse_request(line, request->id.value, -32601,
                            "this client did not declare that it can be asked this");
        return;
    }
    buf_add_bytes(&a->key, request->id.value);
    ask(c, a, method, params);
}

static void legacy_answered(struct call *c, struct asked *a, const struct bytes *result)
{
    if (result)
        line_answer_request(c->lane->line, buf_bytes(&a->key), *result);
    else
        line_refuse_request(c->lane->line, buf_bytes(&a->key), -32603, "the client could not answer");
    buf_clear(&a->answer);
}

static void legacy_withdrew(struct call *c, const struct envelope *n)
{
    const struct member *id = members_find(&n->inside, "requestId");
    for (size_t i = 0; id && i < c->asked_count; i++) {
        struct asked *a = &c->asked[i];
        if (!a->is_open || !bytes_are(buf_bytes(&a->key), id->value))
            continue;
        a->is_open = false;
        resume_clock(c);
        if (c->ops->on_question_gone)
            c->ops->on_question_gone(c->ctx, a->id);
    }
}

static void log_message(struct call *c, const struct envelope *n)
{
    const struct member *level = members_find(&n->inside, "level");
    int at = level ? log_level_read(member_plain(level)) : -1;
    if (c->caller->log_level < 0 || at < c->caller->log_level)
        return;
    struct buf *out = &c->calls->scratch;
    buf_clear(out);
    buf_add_text(out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":");
    envelope_add_line(out, n->params.value);
    buf_add_char(out, '}');
    c->ops->on_notification(c->ctx, buf_bytes(out));
}

static void lane_notification(void *ctx, const struct envelope *n)
{
    struct call *c = ctx;
    if (bytes_say(n->method, "notifications/message") && n->params.type == JSON_T_OBJECT)
        log_message(c, n);
    else if (bytes_say(n->method, "notifications/cancelled"))
        legacy_withdrew(c, n);
    else if (bytes_say(n->method, "notifications/elicitation/complete") && c->lane->is_private &&
             c->caller->revision >= REVISION_2025_11_25) {
        struct buf *out = &c->calls->scratch;
        buf_clear(out);
        buf_add_text(out,
                     "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/elicitation/complete\",\"params\":");
        envelope_add_line(out, n->params.value);
        buf_add_char(out, '}');
        c->ops->on_notification(c->ctx, buf_bytes(out));
    }
}

const struct holder_ops call_holder_ops = {legacy_request, lane_notification};

/* --- cell C --- */

static void keep_state(struct call *c, const struct envelope *e)
{
    const struct member *state = members_find(&e->inside, "requestState");
    buf_clear(&c->responses);
    if (state && state->type == JSON_T_STRING) {
        buf_add_text(&c->responses, ",\"requestState\":");
        buf_add_bytes(&c->responses, state->value);
    }
}

/* All or nothing: a client is asked only when it can answer everything of the round. 0, or -1: the call was
 * failed. */
static int check_round(struct call *c, const struct members *requests)
{
    struct members m = {0};
    int fault = 0;
    if (requests->n > QUESTIONS_MAX) {
        call_fail(c, false, FAULT_TOO_LARGE,
                  "server '%s' asks %zu questions at once, at most %d are passed on", server_name(c),
                  requests->n, QUESTIONS_MAX);
        return -1;
    }
    for (size_t i = 0; !fault && i < requests->n; i++) {
        members_read(&m, requests->p[i].value);
        const struct member *method = members_find(&m, "method"), *params = members_find(&m, "params");
        struct bytes name = method ? member_plain(method) : BYTES_NONE;
        if (can_ask(c, era_question_needs(name, params ? params->value : BYTES("{}"))))
            continue;
        call_fail(c, false, FAULT_MISSING_CAPABILITY,
                  "server '%s' needs to ask '%.*s', which this client cannot answer", server_name(c),
                  (int)name.n, name.p ? name.p : "");
        fault = -1;
    }
    members_end(&m);
    return fault;
}

static void ask_round(struct call *c, const struct members *requests)
{
    struct members m = {0};
    for (size_t i = 0; i < requests->n; i++) {
        members_read(&m, requests->p[i].value);
        const struct member *params = members_find(&m, "params");
        struct asked *a = new_asked(c);
        buf_add_bytes(&a->key, requests->p[i].key);
        ask(c, a, method_named(member_plain(members_find(&m, "method"))),
            params ? params->value : BYTES_NONE);
    }
    members_end(&m);
}

static void hold_round(struct call *c, const struct envelope *e)
{
    struct members requests = {0};
    const struct member *at = members_find(&e->inside, "inputRequests");
    if (at)
        members_read(&requests, at->value);
    if (++c->rounds > ROUNDS_MAX) {
        call_fail(c, false, FAULT_TOO_LARGE, "server '%s' asked in more than %d rounds", server_name(c),
                  ROUNDS_MAX);
    } else if (requests.n == 0) {
        keep_state(c, e);
        call_set_timer(c, CALL_TIMER_ROUND, STATE_ONLY_PAUSE_MS);
    } else if (check_round(c, &requests) == 0) {
        keep_state(c, e);
        c->asked_count = 0;
        ask_round(c, &requests);
    }
    members_end(&requests);
}

void question_next_round(struct call *c)
{
    call_send(c);
}

static void round_answered(struct call *c)
{
    buf_add_text(&c->responses, ",\"inputResponses\":{");
    for (size_t i = 0; i < c->asked_count; i++) {
        struct asked *a = &c->asked[i];
        if (i)
            buf_add_char(&c->responses, ',');
        buf_add_char(&c->responses, '"');
        buf_add_bytes(&c->responses, buf_bytes(&a->key));
        buf_add_text(&c->responses, "\":");
        buf_add_bytes(&c->responses, buf_bytes(&a->answer));
        buf_clear(&a->answer);
    }
    buf_add_char(&c->responses, '}');
    c->asked_count = 0;
    call_send(c);
}

/* --- both --- */

void call_answer(struct call *c, uint64_t question, const struct bytes *result)
{
    for (size_t i = 0; i < c->asked_count; i++) {
        struct asked *a = &c->asked[i];
        if (!a->is_open || a->id != question)
            continue;
        a->is_open = false;
        if (result)
            envelope_add_line(&a->answer, *result);
        resume_clock(c);
        if (c->lane->era == ERA_LEGACY)
            legacy_answered(c, a, result);
        else if (!result)
            call_fail(c, false, FAULT_UPSTREAM_ERROR, "the client refused a question of server '%s'",
                      server_name(c));
        else if (c->open_count == 0)
            round_answered(c);
        return;
    }
}

void question_timed_out(struct call *c)
{
    if (c->lane->era == ERA_MODERN) {
        call_fail(c, false, FAULT_DEADLINE, "nobody answered the question of server '%s' in time",
                  server_name(c));
        return;
    }
    for (size_t i = 0; i < c->asked_count; i++) {
        struct asked *a = &c->asked[i];
        if (!a->is_open)
            continue;
        a->is_open = false;
        if (c->ops->on_question_gone)
            c->ops->on_question_gone(c->ctx, a->id);
        resume_clock(c);
        legacy_answered(c, a, NULL);
    }
}

/* --- cell B --- */

/* Endpoint, method, name and arguments, the arguments with sorted keys: what a ticket is bound to. */
static void make_digest(struct call *c)
{
    if (c->has_digest)
        return;
    _cleanup_json_ json_t *tree = NULL;
    struct buf text = {0};
    buf_addf(&text, "{\"endpoint\":\"%s\",\"method\":\"%s\"", c->endpoint ? c->endpoint : "", c->method);
    buf_add_bytes(&text, buf_bytes(&c->members));
    buf_add_char(&text, '}');
    tree = json_read(buf_bytes(&text), NULL);
    _cleanup_free_ char *sorted = tree ? json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    hash_sha256(sorted ? bytes_of(sorted) : buf_bytes(&text), c->digest);
    c->has_digest = true;
    buf_end(&text);
}

static struct ticket ticket_of(struct call *c)
{
    struct ticket t = {.kind = TICKET_RELAY, .principal = c->caller->principal, .server = server_name(c)};
    make_digest(c);
    memcpy(t.call, c->digest, sizeof(t.call));
    return t;
}

void question_round(struct call *c, const struct envelope *e)
{
    if (c->caller->era == ERA_LEGACY) {
        hold_round(c, e);
        return;
    }
    const struct member *state = members_find(&e->inside, "requestState");
    struct call_done done = {0};
    struct buf text = {0};
    if (state && state->value.n > TICKET_INNER_MOST) {
        call_fail(c, false, FAULT_TOO_LARGE, "server '%s' keeps a state of %zu bytes, at most %d travel",
                  server_name(c), state->value.n, TICKET_INNER_MOST);
        return;
    }
    if (state && state->type == JSON_T_STRING) {
        struct ticket ticket = ticket_of(c);
        ticket.inner = state->value;
        ticket_add(c->calls->hub->tickets, &ticket, &text);
    }
    era_input_required(e, buf_bytes(&text), &done, &c->calls->scratch);
    call_finish(c, &done);
    buf_end(&text);
}

/* inputResponses is an object of objects, or it is refused. */
static int read_responses(struct call *c, const struct member *m)
{
    struct members values = {0};
    int fault = members_read(&values, m->value);
    for (size_t i = 0; fault == 0 && i < values.n; i++)
        fault = values.p[i].type == JSON_T_OBJECT ? 0 : -1;
    members_end(&values);
    if (fault < 0) {
        call_fail(c, true, FAULT_INVALID_PARAMS,
                  "'inputResponses' must be an object whose values are objects");
        return -1;
    }
    buf_add_text(&c->responses, ",\"inputResponses\":");
    envelope_add_line(&c->responses, m->value);
    return 0;
}

static int read_state(struct call *c, const struct member *m)
{
    struct buf text = {0};
    struct ticket want = ticket_of(c), got;
    const char *reason = member_decode(m, &text) < 0
                             ? "malformed"
                             : ticket_open(c->calls->hub->tickets, buf_bytes(&text), &want, &got);
    buf_end(&text);
    if (reason) {
        struct call_done done = {.outcome = CALL_FAULT, .is_protocol = true};
        fault_tell(&done.fault, FAULT_INVALID_PARAMS, "'requestState' is not valid for this call: %s",
                   reason);
        fault_data(&done.fault, "\"reason\":\"%s\"", reason);
        call_finish(c, &done);
        return -1;
    }
    if (got.inner.n) {
        buf_add_text(&c->responses, ",\"requestState\":");
        buf_add_bytes(&c->responses, got.inner);
    }
    return 0;
}

int question_read_retry(struct call *c, const struct envelope *e)
{
    const struct member *responses = members_find(&e->inside, "inputResponses");
    const struct member *state = members_find(&e->inside, "requestState");
    if (responses && read_responses(c, responses) < 0)
        return -1;
    return state ? read_state(c, state) : 0;
}
