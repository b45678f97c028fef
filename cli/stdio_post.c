/*
 * One message to the hub and what comes back. Whatever happens, every id of it is answered once: by the hub,
 * or by post_fail.
 *
 * A hub that cannot be reached is tried again for PATIENCE_MS, because nothing was sent yet. A hub that was
 * lost later is tried again only for what can be asked twice: a tool may have done its work already.
 */
#include "cli/rest.h"
#include "cli/stdio_parts.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdio.h>

enum {
    ANSWER_MOST = LINE_MOST + (1 << 20),
    AT_ONCE_MODERN = 200, /* posts on their way: the hub takes 256 connections of one peer, */
    AT_ONCE_LEGACY = 60,  /* and 64 requests of one session */
    PATIENCE_MS = 10000,  /* a hub that starts again is waited for so long */
};

static const char common_headers[] =
    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

static void start(struct post *p);

/* --- ids --- */

void post_add_id(struct post *p, struct bytes id)
{
    buf_add_bytes(&p->open, id);
    buf_add_char(&p->open, '\n');
}

/* Where the id begins in `open`, or -1. */
static ptrdiff_t place_of(const struct post *p, struct bytes id)
{
    struct bytes rest = buf_bytes(&p->open);
    while (rest.n) {
        size_t n = bytes_find(rest, '\n');
        if (bytes_are((struct bytes){rest.p, n}, id))
            return rest.p - p->open.p;
        rest = (struct bytes){rest.p + n + 1, rest.n - n - 1};
    }
    return -1;
}

bool post_waits_for(const struct post *p, struct bytes id)
{
    return place_of(p, id) >= 0;
}

void post_forget_id(struct post *p, struct bytes id)
{
    ptrdiff_t at = place_of(p, id);
    if (at < 0)
        return;
    size_t end = (size_t)at + id.n + 1;
    memmove(p->open.p + at, p->open.p + end, p->open.n - end);
    p->open.n -= id.n + 1;
}

/* --- life --- */

static void send_again(void *ctx)
{
    start(ctx);
}

struct post *post_new(struct front *f, enum post_kind kind, struct bytes body)
{
    struct post *p = NEW(struct post);
    p->front = f;
    p->kind = kind;
    p->era = f->era;
    p->pause_ms = AGAIN_MS;
    buf_add_bytes(&p->body, body);
    timer_init(&p->again, f->loop, send_again, p);
    sse_reader_init(&p->reader, ANSWER_MOST);
    return p;
}

static void leave_going(struct post *p)
{
    if (p->is_going)
        p->front->going_count--;
    p->is_going = false;
    list_drop(&p->link);
}

void post_drop(struct post *p)
{
    struct front *f = p->front;
    leave_going(p);
    loop_defer(f->loop, &f->next);
    timer_stop(&p->again);
    if (p->call)
        http_cancel(p->call);
    sse_reader_end(&p->reader);
    buf_end(&p->body);
    buf_end(&p->headers);
    buf_end(&p->open);
    buf_end(&p->answer);
    free(p);
}

void post_fail(struct post *p, const struct fault_told *fault)
{
    while (p->open.n) {
        struct bytes id = {p->open.p, bytes_find(buf_bytes(&p->open), '\n')};
        front_fault(p->front, fault, id);
        buf_drop_front(&p->open, id.n + 1);
    }
    if (p->kind != POST_MESSAGE)
        legacy_failed(p);
    post_drop(p);
}

static struct post *find_in(struct link *list, struct bytes id)
{
    list_each (l, list) {
        struct post *p = list_entry(l, struct post, link);
        if (post_waits_for(p, id))
            return p;
    }
    return NULL;
}

struct post *posts_find(struct front *f, struct bytes id)
{
    struct post *p = find_in(&f->going, id);
    if (!p)
        p = find_in(&f->waiting, id);
    return p ? p : find_in(&f->held, id);
}

static bool is_open(struct link *list)
{
    list_each (l, list) {
        if (list_entry(l, struct post, link)->open.n)
            return true;
    }
    return false;
}

bool posts_are_open(struct front *f)
{
    return is_open(&f->going) || is_open(&f->waiting) || is_open(&f->held);
}

static void end_all(struct link *list)
{
    for (struct link *l; (l = list_take(list));)
        post_drop(list_entry(l, struct post, link));
}

void posts_end(struct front *f)
{
    end_all(&f->going);
    end_all(&f->waiting);
    end_all(&f->held);
}

/* --- what comes back --- */

/* Our own posts keep their answer to themselves. */
static void take_message(struct post *p, struct bytes message)
{
    struct front *f = p->front;
    struct envelope *e = f->answered;
    envelope_begin(e);
    if (envelope_scan(e, message, true, NULL) != 0)
        return;
    bool is_answer = e->kind == ENVELOPE_RESULT || e->kind == ENVELOPE_ERROR;
    if (is_answer && (p->kind == POST_INITIALIZE || p->kind == POST_REOPEN)) {
        buf_clear(&p->answer);
        buf_add_bytes(&p->answer, message);
    }
    if (is_answer)
        post_forget_id(p, e->id.value);
    if (p->kind <= POST_INITIALIZE)
        front_out(f, message);
}

static void got_event(const struct sse_event *event, void *ctx)
{
    struct post *p = ctx;
    p->gave_something = true;
    if (event->data.n)
        take_message(p, event->data);
}

/* A refusal that names no id is the answer to our one request. */
static void take_refusal(struct post *p, const struct envelope *e)
{
    struct buf message = {0};
    struct bytes id = {p->open.p, bytes_find(buf_bytes(&p->open), '\n')};
    buf_add_text(&message, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_add_bytes(&message, id);
    buf_add_text(&message, ",\"error\":");
    buf_add_bytes(&message, e->error.value);
    buf_add_char(&message, '}');
    if (p->kind <= POST_INITIALIZE)
        front_out(p->front, buf_bytes(&message));
    buf_end(&message);
    buf_clear(&p->open);
}

/* A body that is no stream. */
static void take_body(struct post *p)
{
    struct envelope *e = p->front->answered;
    envelope_begin(e);
    if (!p->answer.n || envelope_scan(e, buf_bytes(&p->answer), true, NULL) != 0)
        return;
    if (e->kind == ENVELOPE_BATCH) {
        front_out(p->front, buf_bytes(&p->answer));
        buf_clear(&p->open);
    } else if (e->kind == ENVELOPE_ERROR && !p->open.n) {
        /* To a notification there is no answer. */
        if (p->front->cli->is_verbose)
            fprintf(stderr, "trunkline: the hub refused: %.*s\n", (int)e->error_message.n,
                    e->error_message.p);
    } else if (e->kind == ENVELOPE_ERROR && (e->id.type == JSON_T_NONE || e->id.type == JSON_T_NULL)) {
        take_refusal(p, e);
    } else if (e->kind == ENVELOPE_ERROR || e->kind == ENVELOPE_RESULT) {
        post_forget_id(p, e->id.value);
        if (p->kind <= POST_INITIALIZE)
            front_out(p->front, buf_bytes(&p->answer));
    }
}

static bool wants_params(struct post *p)
{
    struct envelope *e = p->front->answered;
    if (p->era != ERA_MODERN || p->status != 400 || p->is_headed)
        return false;
    envelope_begin(e);
    return envelope_scan(e, buf_bytes(&p->answer), true, NULL) == 0 && e->kind == ENVELOPE_ERROR &&
           e->error_code == fault_row(FAULT_HEADER_MISMATCH)->modern && modern_add_params(p);
}

/* --- the call --- */

static void on_head(struct http_call *call, int status, void *ctx)
{
    struct post *p = ctx;
    p->status = status;
    p->is_stream = status == 200 && bytes_begin(http_header(call, "Content-Type"), "text/event-stream");
    p->lost_at_ms = 0;
    p->front->said_unreachable = false;
    if (p->era == ERA_LEGACY)
        legacy_head(p);
}

static void on_piece(struct http_call *call, struct bytes piece, void *ctx)
{
    struct post *p = ctx;
    (void)call;
    if (p->is_too_large)
        return;
    if (p->is_stream)
        p->is_too_large = sse_feed(&p->reader, piece, got_event, p) < 0;
    else if (p->answer.n + piece.n > ANSWER_MOST)
        p->is_too_large = true;
    else
        buf_add_bytes(&p->answer, piece);
}

static bool was_never_sent(const struct why *why)
{
    switch (-why->code) {
    case ECONNREFUSED:
    case ENOENT:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return true;
    default:
        return false;
    }
}

static void say_unreachable(struct front *f, const struct why *why)
{
    char room[256];
    if (f->said_unreachable)
        return;
    f->said_unreachable = true;
    fprintf(stderr, "trunkline: no hub answers at %s: %s; trying again\n",
            rest_base(f->cli, room, sizeof(room)), why->text);
}

static void lost(struct post *p, const struct why *why)
{
    struct front *f = p->front;
    struct fault_told fault;
    bool never_sent = was_never_sent(why), may_again = never_sent || (p->is_repeatable && !p->gave_something);
    int64_t now = clock_ms();
    if (!p->lost_at_ms)
        p->lost_at_ms = now;
    if (may_again && !f->is_ended && now - p->lost_at_ms < PATIENCE_MS) {
        say_unreachable(f, why);
        timer_start(&p->again, p->pause_ms);
        p->pause_ms = p->pause_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : p->pause_ms * 2;
        return;
    }
    if (may_again)
        fault_tell(&fault, FAULT_SERVER_DOWN, "the hub cannot be reached: %s", why->text);
    else
        fault_tell(&fault, FAULT_OUTCOME_UNKNOWN,
                   "the hub was lost meanwhile: whether this was done is unknown");
    post_fail(p, &fault);
}

static void fail_by_status(struct post *p)
{
    struct fault_told fault;
    if (p->is_too_large)
        fault_tell(&fault, FAULT_TOO_LARGE, "the answer has more than %d bytes", ANSWER_MOST);
    else if (p->status == 404)
        fault_tell(&fault, FAULT_INVALID_REQUEST, "the hub has nothing at '%s'", p->front->path.p);
    else if (p->status == 200)
        fault_tell(&fault, FAULT_OUTCOME_UNKNOWN, "the hub ended without an answer");
    else
        fault_tell(&fault, FAULT_INTERNAL, "the hub answered with HTTP status %d", p->status);
    post_fail(p, &fault);
}

static void on_end(struct http_call *call, const struct why *why, void *ctx)
{
    struct post *p = ctx;
    struct front *f = p->front;
    (void)call;
    p->call = NULL;
    if (p->must_reopen) {
        legacy_reopen(p);
    } else if (why && (p->open.n || !p->gave_something)) { /* else it broke off behind the answer */
        lost(p, why);
    } else if (!p->is_stream && wants_params(p)) {
        post_send(p);
    } else {
        if (!p->is_stream)
            take_body(p);
        if (p->open.n) {
            fail_by_status(p);
        } else {
            legacy_answered(p);
            post_drop(p);
        }
    }
    front_rest(f);
}

static const struct http_ops ops = {on_head, on_piece, on_end};

static size_t at_once_most(const struct front *f)
{
    return f->era == ERA_LEGACY ? AT_ONCE_LEGACY : AT_ONCE_MODERN;
}

/* Over the limit of one connection each the rest waits; what wants no answer (a cancel) never does. */
static void start(struct post *p)
{
    struct front *f = p->front;
    struct buf headers = {0};
    leave_going(p);
    if (f->going_count >= at_once_most(f) && p->open.n && p->kind == POST_MESSAGE) {
        list_add(&f->waiting, &p->link);
        return;
    }
    list_add(&f->going, &p->link);
    p->is_going = true;
    f->going_count++;
    p->sent_at_ms = clock_ms();
    p->status = 0;
    p->is_stream = p->is_too_large = false;
    buf_clear(&p->answer);
    sse_reader_end(&p->reader);
    sse_reader_init(&p->reader, ANSWER_MOST);
    buf_add_text(&headers, common_headers);
    if (p->headers.n)
        buf_add_bytes(&headers, buf_bytes(&p->headers));
    p->session = f->session.number;
    if (p->era == ERA_LEGACY && p->kind != POST_INITIALIZE && p->kind != POST_REOPEN)
        legacy_add_headers(f, &headers);
    struct http_spec spec = {.method = "POST",
                             .path = f->path.p,
                             .headers = headers.p,
                             .body = buf_bytes(&p->body),
                             .is_once = !p->is_repeatable,
                             .ops = &ops,
                             .ctx = p};
    p->call = http_send(f->http, &spec);
    buf_end(&headers);
}

void post_send(struct post *p)
{
    post_send_later(p, 0);
}

void post_send_later(struct post *p, int64_t ms)
{
    if (ms <= 0) {
        start(p);
        return;
    }
    leave_going(p);
    list_add(&p->front->going, &p->link);
    p->is_going = true;
    p->front->going_count++;
    timer_start(&p->again, ms);
}

void post_hold(struct post *p)
{
    leave_going(p);
    list_add(&p->front->held, &p->link);
}

void posts_next(void *ctx)
{
    struct front *f = ctx;
    while (!list_is_empty(&f->waiting) && f->going_count < at_once_most(f))
        start(list_entry(f->waiting.next, struct post, link));
}
