#include "hub/exchange.h"

#include "core/base/mem.h"
#include "core/base/text.h"
#include "hub/face_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void request_ended(struct guest *g, struct request *r);
static void timer_fired(void *ctx);

/* --- life --- */

struct exchange *exchange_new(struct face *face, struct request *r, const char *server)
{
    struct exchange *x;

    if (list_is_empty(&face->spare)) {
        x = NEW(struct exchange);
        x->guest.on_end = request_ended;
        timer_init(&x->timer, face->hub->loop, timer_fired, x);
        x->face = face;
    } else {
        x = list_entry(face->spare.next, struct exchange, link);
        list_drop(&x->link);
        face->spare_count--;
    }
    list_add(&face->live, &x->link);
    x->request = r;
    x->server = server;
    x->principal = face_principal(face, r);
    x->accepts_json = request_accepts(r, "application/json");
    x->accepts_stream = request_accepts(r, "text/event-stream");
    request_set_ctx(r, &x->guest);
    return x;
}

static void exchange_free(struct exchange *x)
{
    struct face *face = x->face;

    assert(x->open == 0 && !x->request);
    if (x->tape)
        x->tape->holder = NULL;
    x->tape = NULL;
    x->session = NULL;
    timer_stop(&x->timer);
    buf_end(&x->answers);
    buf_end(&x->held);
    if (x->asks != &x->single)
        free(x->asks);
    x->asks = NULL;
    x->ask_count = 0;
    x->is_batch = x->is_streaming = x->is_held_open = false;
    list_drop(&x->link);
    if (face->spare_count >= EXCHANGES_SPARE) {
        free(x);
        return;
    }
    list_add(&face->spare, &x->link);
    face->spare_count++;
}

static struct request *leave_request(struct exchange *x)
{
    struct request *r = take_ptr(&x->request);

    if (r)
        guest_leave(r);
    return r;
}

struct request *exchange_yield(struct exchange *x)
{
    assert(x->is_held_open && !x->session && x->open == 1);
    x->open = 0;
    return leave_request(x);
}

/* --- answering the whole request --- */

static void add_retry_after(struct request *r, int64_t ms)
{
    char seconds[24];

    snprintf(seconds, sizeof(seconds), "%lld", (long long)(ms + 999) / 1000);
    request_add_header(r, "Retry-After", seconds);
}

static void send_json(struct exchange *x, int status, struct buf *body)
{
    struct request *r = leave_request(x);
    size_t n = body->n;

    if (r)
        request_answer_take(r, status, "application/json", buf_take(body), n);
    else
        buf_end(body);
}

void exchange_refuse(struct exchange *x, int status, const struct fault_told *fault, struct bytes id)
{
    struct buf body = {0};

    fault_add_response(&body, fault, x->era, id);
    if (status == 429 || status == 503)
        add_retry_after(x->request, fault->retry_after_ms ? fault->retry_after_ms : 1000);
    send_json(x, status, &body);
    exchange_free(x);
}

void exchange_accept(struct exchange *x)
{
    request_answer(leave_request(x), 202, NULL, BYTES_NONE);
    exchange_free(x);
}

/* --- asks --- */

void exchange_open(struct exchange *x, size_t n, bool is_batch)
{
    x->is_batch = is_batch;
    x->is_held_open = true;
    x->ask_count = n;
    x->asks = n == 1 ? &x->single : n ? mem_array(n, sizeof(struct ask)) : NULL;
    if (n == 1) { /* not the whole struct: the room for the id is most of it */
        x->single.call = NULL;
        x->single.subscribing = NULL;
        x->single.is_open = false;
    }
}

struct ask *exchange_ask(struct exchange *x, size_t i, const struct envelope *e, const struct method_row *row)
{
    struct ask *a = &x->asks[i];
    size_t n = e->id.value.n;

    assert(n <= sizeof(a->id));
    a->exchange = x;
    a->row = row;
    a->is_open = true;
    memcpy(a->id, e->id.value.p, n);
    a->id_n = (unsigned char)n;
    x->open++;
    if (x->session) {
        list_add(&x->session->asks, &a->link);
        x->session->ask_count++;
    }
    return a;
}

struct bytes ask_id(const struct ask *a)
{
    return (struct bytes){a->id, a->id_n};
}

const struct caller *ask_caller(const struct ask *a)
{
    return a->exchange->session ? &a->exchange->session->caller : &a->exchange->caller;
}

void ask_begin_result(const struct ask *a, struct buf *out)
{
    buf_add(out, "{\"jsonrpc\":\"2.0\",\"id\":", 22);
    buf_add(out, a->id, a->id_n);
    buf_add(out, ",\"result\":", 10);
}

static void forget_questions(struct session *s, const struct ask *a)
{
    list_each (l, &s->questions) {
        struct asked *q = list_entry(l, struct asked, link);
        if (q->ask != a)
            continue;
        list_drop(&q->link);
        free(q);
    }
}

static void close_ask(struct ask *a)
{
    struct exchange *x = a->exchange;

    assert(a->is_open); /* a call is answered exactly once */
    a->is_open = false;
    a->call = NULL;
    if (a->subscribing)
        subscribing_forget(take_ptr(&a->subscribing));
    x->open--;
    if (!x->session)
        return;
    list_drop(&a->link);
    x->session->ask_count--;
    if (!list_is_empty(&x->session->questions))
        forget_questions(x->session, a);
}

/* --- streams --- */

static void push_frame(struct exchange *x, const struct bytes *parts, size_t n)
{
    if (x->tape) {
        tape_write(x->tape, parts, n);
        return;
    }
    if (!x->request)
        return;
    request_push(x->request, BYTES("event: message\ndata: "));
    for (size_t i = 0; i < n; i++)
        request_push(x->request, parts[i]);
    request_push(x->request, BYTES("\n\n"));
}

static void push_held(struct exchange *x)
{
    struct buf frame = x->held;

    if (!frame.n)
        return;
    x->held = (struct buf){0};
    push_frame(x, &(struct bytes){frame.p, frame.n}, 1);
    buf_end(&frame);
}

static void stream_drained(struct request *r, void *ctx)
{
    (void)r;
    push_held(ctx);
}

static void tape_drained(struct tape *t, void *ctx)
{
    (void)t;
    push_held(ctx);
}

static void begin_tape(struct exchange *x)
{
    struct session *s = x->session;
    struct request *r = leave_request(x);

    x->tape = tape_new(x->face->hub->loop, s->next_stream++, &s->tapes);
    x->tape->holder = &x->tape;
    x->tape->on_drained = tape_drained;
    x->tape->ctx = x;
    timer_stop(&x->timer);
    tape_read(x->tape, r, s->caller.revision >= REVISION_2025_11_25);
}

/* From JSON to a stream; not when the peer is gone already, for nobody could come back to a stream it never
 * saw. */
static void begin_stream(struct exchange *x)
{
    if (x->is_streaming || !x->request)
        return;
    x->is_streaming = true;
    if (x->session) {
        begin_tape(x);
    } else {
        request_stream(x->request, 200, "text/event-stream");
        request_on_drained(x->request, stream_drained);
        timer_start(&x->timer, KEEP_ALIVE_MS);
    }
    if (x->answers.n) { /* of a batch, given before */
        struct buf given = x->answers;
        x->answers = (struct buf){0};
        buf_add_char(&given, ']');
        push_frame(x, &(struct bytes){given.p, given.n}, 1);
        buf_end(&given);
    }
}

static void timer_fired(void *ctx)
{
    struct exchange *x = ctx;

    if (!x->is_streaming) {
        begin_stream(x);
    } else if (x->request) {
        request_push(x->request, BYTES(":\n\n"));
        timer_start(&x->timer, KEEP_ALIVE_MS);
    }
}

static size_t queued(const struct exchange *x)
{
    if (x->tape)
        return tape_queued(x->tape);
    return x->request ? request_queued(x->request) : 0;
}

void exchange_notify(struct exchange *x, struct bytes message)
{
    if (!x->accepts_stream) {
        x->face->dropped++;
        return;
    }
    begin_stream(x);
    if (x->is_streaming && queued(x) > STREAM_QUEUE) {
        buf_clear(&x->held);
        buf_add_bytes(&x->held, message);
        return;
    }
    push_held(x);
    push_frame(x, &message, 1);
}

void exchange_question(struct exchange *x, struct bytes message)
{
    begin_stream(x);
    push_held(x);
    push_frame(x, &message, 1);
}

/* --- the end --- */

static void finish_stream(struct exchange *x)
{
    if (x->tape) {
        struct tape *t = x->tape;
        t->holder = NULL;
        t->on_drained = NULL;
        x->tape = NULL;
        tape_finish(t);
    }
    struct request *r = leave_request(x);
    if (r)
        request_finish(r);
}

static void finish(struct exchange *x)
{
    if (x->is_streaming) {
        finish_stream(x);
    } else if (x->request && x->answers.n) {
        buf_add_char(&x->answers, ']');
        send_json(x, 200, &x->answers);
    } else if (x->request) { /* only notifications, or all of it cancelled */
        request_answer(leave_request(x), 202, NULL, BYTES_NONE);
    }
    exchange_free(x);
}

static void settle(struct exchange *x)
{
    if (x->open == 0 && !x->is_held_open)
        finish(x);
}

/* Cancels what runs. At the very end of the hub its calls are gone already. */
static void cancel_all(struct exchange *x, const char *why)
{
    for (size_t i = 0; i < x->ask_count; i++) {
        struct ask *a = &x->asks[i];
        if (!a->is_open)
            continue;
        if (a->call && x->face->hub->calls)
            call_cancel(take_ptr(&a->call), why);
        close_ask(a);
    }
}

static void request_gone(struct request *r, void *ctx)
{
    struct exchange *x = ctx;
    bool was_streaming = x->is_streaming;

    leave_request(x);
    timer_stop(&x->timer);
    if (x->era == ERA_MODERN)
        cancel_all(x, "caller gone");
    /* Swallowed, but a request lives until it is answered. */
    if (was_streaming)
        request_finish(r);
    else
        request_answer(r, 202, NULL, BYTES_NONE);
    settle(x);
}

/* The request ends while the exchange still has it: its body never became whole. */
static void request_ended(struct guest *g, struct request *r)
{
    struct exchange *x = (struct exchange *)g;

    (void)r;
    x->request = NULL;
    cancel_all(x, "caller gone");
    exchange_free(x);
}

void exchange_dispatched(struct exchange *x)
{
    x->is_held_open = false;
    if (x->open && x->request && !x->is_streaming) {
        request_on_gone(x->request, request_gone, x);
        if (!x->accepts_json)
            begin_stream(x);
        else if (x->accepts_stream)
            timer_start(&x->timer, x->face->hub->config->sse_after_ms);
    } else if (x->open && x->request) {
        request_on_gone(x->request, request_gone, x);
    }
    settle(x);
}

static void add_to_batch(struct exchange *x, struct buf *message)
{
    buf_add_char(&x->answers, x->answers.n ? ',' : '[');
    buf_add_bytes(&x->answers, buf_bytes(message));
}

void ask_answer(struct ask *a, int status, struct buf *message)
{
    struct exchange *x = a->exchange;

    close_ask(a);
    if (!x->accepts_json && status == 200)
        begin_stream(x);
    if (x->is_streaming) {
        push_held(x);
        push_frame(x, &(struct bytes){message->p, message->n}, 1);
    } else if (x->is_batch) {
        add_to_batch(x, message);
    } else {
        send_json(x, status, message);
    }
    buf_end(message);
    settle(x);
}

void ask_answer_fault(struct ask *a, int status, const struct fault_told *fault)
{
    struct exchange *x = a->exchange;
    struct buf message = {0};

    fault_add_response(&message, fault, x->era, ask_id(a));
    if ((status == 429 || status == 503) && x->request && !x->is_streaming && !x->is_batch)
        add_retry_after(x->request, fault->retry_after_ms ? fault->retry_after_ms : 1000);
    ask_answer(a, status, &message);
}

void ask_drop(struct ask *a)
{
    struct exchange *x = a->exchange;

    close_ask(a);
    /* A single one: its stream ends without a result. Coming back to it would lead nowhere, so the tape goes
     * too, and a stream that had not begun gets no event, for a client comes back to what it has seen an
     * event of. */
    if (!x->is_batch) {
        tape_free(x->tape);
        if (!x->is_streaming && x->accepts_stream && x->request) {
            struct request *r = leave_request(x);
            request_stream(r, 200, "text/event-stream");
            request_finish(r);
        }
    }
    settle(x);
}

void exchange_abandon(struct exchange *x, enum fault fault, const char *text)
{
    struct request *r = leave_request(x);

    cancel_all(x, text);
    tape_free(x->tape);
    if (r && x->is_streaming) {
        request_finish(r);
    } else if (r) {
        struct fault_told told;
        struct buf body = {0};
        fault_tell(&told, fault, "%s", text);
        fault_add_response(&body, &told, x->era, BYTES_NONE);
        request_answer(r, fault_row(fault)->http_legacy, "application/json", buf_bytes(&body));
        buf_end(&body);
    }
    exchange_free(x);
}

void exchanges_end(struct face *face)
{
    list_each (live, &face->live)
        exchange_abandon(list_entry(live, struct exchange, link), FAULT_DRAINING, "the hub stops");
    list_each (l, &face->spare) {
        list_drop(l);
        free(list_entry(l, struct exchange, link));
    }
    face->spare_count = 0;
}
