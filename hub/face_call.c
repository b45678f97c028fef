/* Calls that go to a server: from a request to hub/call, and what comes back to the client. */
#include "core/base/mem.h"
#include "hub/face_parts.h"
#include "hub/mcp_headers.h"

#include <stdlib.h>

static void on_notification(void *ctx, struct bytes message)
{
    struct ask *a = ctx;

    exchange_notify(a->exchange, message);
}

static void add_question_id(struct buf *out, uint64_t number)
{
    buf_add_text(out, "\"tl-q-");
    buf_add_int(out, (int64_t)number);
    buf_add_char(out, '"');
}

static void on_question(void *ctx, const struct question *q)
{
    struct ask *a = ctx;
    struct session *s = a->exchange->session;
    struct asked *asked = NEW(struct asked);
    struct buf message = {0};

    asked->number = s->next_question++;
    asked->ask = a;
    asked->question = q->id;
    list_add(&s->questions, &asked->link);
    buf_add_text(&message, "{\"jsonrpc\":\"2.0\",\"id\":");
    add_question_id(&message, asked->number);
    buf_add_text(&message, ",\"method\":");
    buf_add_json_text(&message, q->method);
    if (q->params.n) {
        buf_add_text(&message, ",\"params\":");
        buf_add_bytes(&message, q->params);
    }
    buf_add_char(&message, '}');
    exchange_question(a->exchange, buf_bytes(&message));
    buf_end(&message);
}

static void on_question_gone(void *ctx, uint64_t question)
{
    struct ask *a = ctx;

    list_each (l, &a->exchange->session->questions) {
        struct asked *q = list_entry(l, struct asked, link);
        if (q->ask != a || q->question != question)
            continue;
        struct buf message = {0};
        buf_add_text(
            &message,
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":");
        add_question_id(&message, q->number);
        buf_add_text(&message, "}}");
        list_drop(&q->link);
        free(q);
        exchange_notify(a->exchange, buf_bytes(&message));
        buf_end(&message);
        return;
    }
}

void call_answer_asked(struct session *s, uint64_t number, const struct bytes *result)
{
    list_each (l, &s->questions) {
        struct asked *q = list_entry(l, struct asked, link);
        if (q->number != number)
            continue;
        struct ask *a = q->ask;
        uint64_t question = q->question;
        list_drop(&q->link);
        free(q);
        if (a->call)
            call_answer(a->call, question, result);
        return;
    }
}

/* The whole response in one piece of memory: what comes is written behind the id, as it came. */
static void add_response(struct buf *out, const struct ask *a, const char *member,
                         const struct call_done *done)
{
    size_t n = 64u + a->id_n;

    for (size_t i = 0; i < done->part_count; i++)
        n += done->parts[i].n;
    buf_reserve(out, n);
    buf_add(out, "{\"jsonrpc\":\"2.0\",\"id\":", 22);
    buf_add(out, a->id, a->id_n);
    buf_add_text(out, member);
    for (size_t i = 0; i < done->part_count; i++)
        buf_add_bytes(out, done->parts[i]);
    buf_add_char(out, '}');
}

static int status_of(const struct ask *a, enum fault fault)
{
    const struct fault_row *row = fault_row(fault);

    return a->exchange->era == ERA_MODERN ? row->http_modern : row->http_legacy;
}

static void answer_fault(struct ask *a, const struct call_done *done)
{
    struct buf message = {0};

    if (a->row->kind != CALL_TOOL || done->is_protocol) {
        ask_answer_fault(a, status_of(a, done->fault.fault), &done->fault);
        return;
    }
    /* A result, so that the model sees it and can do better. */
    ask_begin_result(a, &message);
    fault_add_tool_result(&message, &done->fault, a->exchange->era);
    buf_add_char(&message, '}');
    ask_answer(a, 200, &message);
}

static void on_done(void *ctx, const struct call_done *done)
{
    struct ask *a = ctx;
    struct buf message = {0};

    if (done->outcome == CALL_FAULT) {
        answer_fault(a, done);
        return;
    }
    add_response(&message, a, done->outcome == CALL_RESULT ? ",\"result\":" : ",\"error\":", done);
    ask_answer(a, 200, &message);
}

static const struct call_ops plain_ops = {.on_notification = on_notification, .on_done = on_done};
static const struct call_ops asking_ops = {.on_notification = on_notification,
                                           .on_question = on_question,
                                           .on_question_gone = on_question_gone,
                                           .on_done = on_done};

/* A client can be asked when it has a session that is live, and takes the stream the question comes on. */
static const struct call_ops *ops_for(const struct exchange *x)
{
    if (x->session && x->session->state == SESSION_LIVE && x->accepts_stream)
        return &asking_ops;
    return &plain_ops;
}

static bool params_are_confirmed(struct ask *a, const struct envelope *e, struct fault_told *fault)
{
    struct exchange *x = a->exchange;
    const struct member *arguments = members_find(&e->inside, "arguments");
    struct bytes name = decoded(x->face, members_find(&e->inside, "name"));

    if (a->row->kind != CALL_TOOL || x->era != ERA_MODERN || !name.p)
        return true;
    const struct item *item = catalogue_find(x->face->hub->catalogue, ITEM_TOOL, x->server, name);
    if (!item || !mcp_params_wanted(item->raw))
        return true;
    return mcp_params_confirmed(x->request, item->raw, arguments ? arguments->value : BYTES_NONE, fault);
}

void handle_call(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct fault_told fault;

    if (!params_are_confirmed(a, e, &fault)) {
        ask_answer_fault(a, 400, &fault);
        return;
    }
    const struct call_spec spec = {
        .kind = (enum call_kind)a->row->kind,
        .caller = ask_caller(a),
        .server = x->server,
        .envelope = e,
        .method = a->row->name.p,
        .ops = ops_for(x),
        .ctx = a,
        .traceparent = x->request ? request_header(x->request, "traceparent") : BYTES_NONE,
    };
    struct call *call = call_start(x->face->hub, &spec);
    if (call)
        a->call = call;
}
