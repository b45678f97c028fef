/* 2025-11-25 and older: sessions, their GET stream, batches. Step 7 of the ladder (20-mcp §4.1, §4.5, §4.6).
 */
#include "core/base/text.h"
#include "hub/face_parts.h"
#include "hub/upstream.h"

enum { BATCH_MOST = 64 };

/* --- the session of a request --- */

static void session_ends(struct session *s, void *ctx)
{
    struct face *f = ctx;

    while (!list_is_empty(&s->asks))
        exchange_abandon(list_entry(s->asks.next, struct ask, link)->exchange, FAULT_SESSION_NOT_FOUND,
                         "the session has ended");
    for (size_t i = 0; i < f->hub->upstream_count; i++)
        upstream_end_session(f->hub->upstreams[i], s->id);
}

const struct sessions_ops face_sessions_ops = {session_ends};

/* Sets x->session; false: refused. */
static bool find_session(struct exchange *x, struct bytes id)
{
    struct bytes session = request_header(x->request, "Mcp-Session-Id");
    struct bytes version = request_header(x->request, "MCP-Protocol-Version");

    if (!session.p) {
        refuse_text(x, 400, FAULT_INVALID_REQUEST, id,
                    "header 'Mcp-Session-Id' is missing: initialize first");
        return false;
    }
    x->session = session_find(x->face->sessions, session, x->principal, x->server);
    if (!x->session) {
        refuse_text(x, 404, FAULT_SESSION_NOT_FOUND, id, "there is no such session: initialize anew");
        return false;
    }
    if (version.p && revision_read(version) < 0) {
        refuse_text(x, 400, FAULT_INVALID_REQUEST, id,
                    "header 'MCP-Protocol-Version' names no known version");
        return false;
    }
    return true;
}

static bool has_room(struct exchange *x, size_t more, struct bytes id)
{
    struct fault_told fault;
    size_t seen = x->session->ask_count + more;

    if (seen <= SESSION_IN_FLIGHT)
        return true;
    fault_tell(&fault, FAULT_RATE_LIMITED, "too many requests of this session are in flight");
    fault_data(&fault, "\"limit\":\"in_flight\",\"max\":%d,\"seen\":%zu", SESSION_IN_FLIGHT, seen);
    fault.retry_after_ms = 1000;
    exchange_refuse(x, 429, &fault, id);
    return false;
}

/* --- notifications and answers --- */

static void cancel(struct session *s, struct bytes id)
{
    list_each (l, &s->asks) {
        struct ask *a = list_entry(l, struct ask, link);
        if (!bytes_are(ask_id(a), id))
            continue;
        if (a->call)
            call_cancel(a->call, "cancelled by the client");
        a->call = NULL;
        ask_drop(a);
        return;
    }
}

static void take_notification(struct session *s, const struct envelope *e)
{
    const struct member *id = members_find(&e->inside, "requestId");

    if (bytes_say(e->method, "notifications/initialized"))
        s->state = SESSION_LIVE;
    else if (bytes_say(e->method, "notifications/cancelled") && id)
        cancel(s, id->value);
}

static void take_result(struct session *s, const struct envelope *e)
{
    struct bytes id = member_plain(&e->id);
    int64_t number;

    if (bytes_begin(id, "tl-q-") && number_read((struct bytes){id.p + 5, id.n - 5}, &number) == 0)
        call_answer_asked(s, (uint64_t)number, e->kind == ENVELOPE_RESULT ? &e->result.value : NULL);
}

void legacy_take_answer(struct exchange *x, const struct envelope *e)
{
    if (!find_session(x, BYTES_NONE))
        return;
    take_result(x->session, e);
    exchange_accept(x);
}

/* --- requests --- */

static void dispatch(struct exchange *x, size_t i, const struct envelope *e)
{
    const struct method_row *row = method_find(e->method);
    bool is_served = row && (row->eras & SERVES_LEGACY);
    struct ask *a = exchange_ask(x, i, e, row);
    struct fault_told fault;

    if (is_served) {
        face_dispatch(a, e);
        return;
    }
    fault_tell(&fault, FAULT_METHOD_NOT_FOUND, "there is no method '%.*s'", (int)e->method.n, e->method.p);
    ask_answer_fault(a, 200, &fault);
}

void legacy_serve(struct exchange *x, const struct envelope *e)
{
    bool is_request = e->kind == ENVELOPE_REQUEST;
    bool begins = is_request && bytes_say(e->method, "initialize");

    if (!begins && !find_session(x, quotable_id(e)))
        return;
    if (!is_request) {
        take_notification(x->session, e);
        exchange_accept(x);
        return;
    }
    if (!begins && !has_room(x, 1, quotable_id(e)))
        return;
    exchange_open(x, 1, false);
    dispatch(x, 0, e);
    exchange_dispatched(x);
}

/* --- batches: 2025-03-26 only --- */

/* What is wrong with the batch as a whole, or NULL; counts its requests. */
static const char *batch_fault(struct face *f, const struct envelope *batch, size_t *requests)
{
    struct envelope *e = f->element;

    if (batch->elements.n < 1 || batch->elements.n > BATCH_MOST)
        return "a batch has 1 to 64 elements";
    for (size_t i = 0; i < batch->elements.n; i++) {
        envelope_begin(e);
        if (envelope_scan(e, batch->elements.p[i].value, true, NULL) != 0 || e->kind == ENVELOPE_ODD ||
            e->kind == ENVELOPE_BATCH || !e->has_jsonrpc)
            return "an element of the batch is no JSON-RPC message";
        if (members_find(&e->meta, "io.modelcontextprotocol/protocolVersion"))
            return "requests of this protocol version do not come in batches";
        if (bytes_say(e->method, "initialize"))
            return "'initialize' does not come in a batch";
        *requests += e->kind == ENVELOPE_REQUEST;
    }
    return NULL;
}

static void serve_element(struct exchange *x, const struct envelope *e, size_t *at)
{
    switch (e->kind) {
    case ENVELOPE_REQUEST:
        dispatch(x, (*at)++, e);
        break;
    case ENVELOPE_NOTIFICATION:
        take_notification(x->session, e);
        break;
    default:
        take_result(x->session, e);
        break;
    }
}

void legacy_serve_batch(struct exchange *x, const struct envelope *batch)
{
    size_t requests = 0, at = 0;
    const char *fault;

    if (!find_session(x, BYTES_NONE))
        return;
    fault = x->session->caller.revision == REVISION_2025_03_26 ? batch_fault(x->face, batch, &requests)
                                                               : "this protocol version knows no batches";
    if (fault) {
        refuse_text(x, 400, FAULT_INVALID_REQUEST, BYTES_NONE, "%s", fault);
        return;
    }
    if (!has_room(x, requests, BYTES_NONE))
        return;
    exchange_open(x, requests, true);
    for (size_t i = 0; i < batch->elements.n; i++) {
        envelope_begin(x->face->element);
        envelope_scan(x->face->element, batch->elements.p[i].value, true, NULL);
        serve_element(x, x->face->element, &at);
    }
    exchange_dispatched(x);
}

/* --- GET and DELETE --- */

static void answer_plain(struct request *r, int status, enum fault fault, const char *text)
{
    struct fault_told told;
    struct buf body = {0};

    fault_tell(&told, fault, "%s", text);
    fault_add_response(&body, &told, ERA_LEGACY, BYTES_NONE);
    request_answer(r, status, "application/json", buf_bytes(&body));
    buf_end(&body);
}

/* NULL: answered. */
static struct session *session_of(struct face *f, struct request *r, const char *server)
{
    struct bytes id = request_header(r, "Mcp-Session-Id");
    struct bytes version = request_header(r, "MCP-Protocol-Version");

    if (!id.p || (version.p && is_modern_version(version))) {
        request_add_header(r, "Allow", "POST");
        answer_plain(r, 405, FAULT_INVALID_REQUEST,
                     "without a session there is nothing to be had but by POST");
        return NULL;
    }
    struct session *s = session_find(f->sessions, id, face_principal(f, r), server);
    if (!s)
        answer_plain(r, 404, FAULT_SESSION_NOT_FOUND, "there is no such session: initialize anew");
    return s;
}

static void stream_has_room(struct tape *t, void *ctx)
{
    (void)t;
    session_send_pending(ctx);
}

static void open_unsolicited(struct face *f, struct session *s, struct request *r)
{
    tape_free(s->unsolicited); /* nearly always a dead peer's */
    s->unsolicited = tape_new(f->hub->loop, s->next_stream++, &s->tapes);
    s->unsolicited->holder = &s->unsolicited;
    s->unsolicited->on_drained = stream_has_room;
    s->unsolicited->ctx = s;
    s->pending = 0;
    tape_read(s->unsolicited, r, s->caller.revision >= REVISION_2025_11_25);
}

void legacy_get(struct face *f, struct request *r, const char *server)
{
    struct session *s = session_of(f, r, server);
    struct bytes last = request_header(r, "Last-Event-ID");
    uint64_t stream, seq;

    if (!s)
        return;
    if (!last.p) {
        open_unsolicited(f, s, r);
        return;
    }
    struct tape *t = event_id_read(last, &stream, &seq) ? session_find_tape(s, stream) : NULL;
    if (t && tape_reaches(t, seq))
        tape_resume(t, r, seq);
    else
        answer_plain(r, 400, FAULT_INVALID_REQUEST, "the rest of that stream is gone");
}

void legacy_delete(struct face *f, struct request *r, const char *server)
{
    struct session *s = session_of(f, r, server);

    if (!s)
        return;
    session_end(s);
    request_answer(r, 204, NULL, BYTES_NONE);
}
