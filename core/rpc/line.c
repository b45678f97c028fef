#include "core/rpc/line.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/rpc/line_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * All messages of a loop turn are put one behind the other into `out` and leave in one write at the turn's
 * end. The callbacks of pending requests may do anything, freeing the line included: whoever calls one holds
 * the line's memory (line_hold) and looks at is_lost afterwards.
 */

enum {
    KEPT_ROOM = 256 * 1024,
    LONGEST_MS = 1000 * 3600 * 24 * 20, /* longer deadlines mean: until the line ends */
    LAST_READS = 16,
};

static const struct line_limits default_limits = {64u << 20, 1u << 20, 8u << 20};

static void flush(void *ctx);

/* --- life --- */

static void on_events(int events, void *ctx)
{
    struct line *l = ctx;

    line_hold(l);
    if (events & WATCH_WRITE)
        flush(l);
    if (!l->is_lost && events & (WATCH_READ | WATCH_HANGUP))
        line_readable(l);
    line_release(l);
}

struct line *line_new(struct loop *loop, int fd, const struct line_limits *limits, const struct line_ops *ops,
                      void *ctx)
{
    struct line *l = NEW(struct line);

    l->loop = loop;
    l->fd = fd;
    l->limits = limits ? *limits : default_limits;
    l->limits.message = l->limits.message ? l->limits.message : default_limits.message;
    l->limits.notification = l->limits.notification ? l->limits.notification : default_limits.notification;
    l->limits.backlog = l->limits.backlog ? l->limits.backlog : default_limits.backlog;
    l->ops = ops;
    l->ctx = ctx;
    list_init(&l->pending);
    defer_init(&l->flush, flush, l);
    const struct envelope_limits wide = {
        .depth = 128, .values = SIZE_MAX, .keys = SIZE_MAX, .meta = l->limits.message};
    l->envelope = envelope_new(&wide);
    l->watch = watch_new(loop, fd, WATCH_READ, on_events, l);
    return l;
}

void line_hold(struct line *l)
{
    l->busy++;
}

void line_release(struct line *l)
{
    assert(l->busy > 0);
    if (--l->busy > 0 || !l->is_freed)
        return;
    while (l->free_list) {
        struct pending *p = l->free_list;
        l->free_list = p->next_free;
        free(p);
    }
    ids_end(&l->by_id);
    envelope_free(l->envelope);
    envelope_free(l->element);
    buf_end(&l->in);
    buf_end(&l->out);
    free(l);
}

static void finish_lost(struct pending *p, const char *reason)
{
    const struct line *l = p->line;
    struct line_answer answer = {.outcome = LINE_LOST};

    if (p->sent_from >= l->written) {
        fault_tell(&answer.fault, FAULT_SERVER_DOWN, "the server was lost before it was asked: %s", reason);
    } else {
        fault_tell(&answer.fault, FAULT_OUTCOME_UNKNOWN,
                   "the server was lost during the call (%s): whether it was done is unknown", reason);
        fault_data(&answer.fault, "\"outcome\":\"unknown\"");
    }
    pending_finish(p, &answer);
}

/* Nothing is read or written any more, and nobody waits. */
static void stop(struct line *l, const char *reason)
{
    l->is_lost = true;
    watch_free(take_ptr(&l->watch));
    defer_drop(l->loop, &l->flush);
    while (!list_is_empty(&l->pending))
        finish_lost(list_entry(l->pending.next, struct pending, link), reason);
}

void line_lose(struct line *l, const char *reason)
{
    if (l->is_lost)
        return;
    line_hold(l);
    stop(l, reason);
    if (!l->is_freed && l->ops->on_lost) {
        struct why why;
        why_set(&why, -1, "%s", reason);
        l->ops->on_lost(l->ctx, &why);
    }
    line_release(l);
}

void line_free(struct line *l)
{
    if (!l)
        return;
    assert(!l->is_freed);
    line_hold(l);
    l->is_freed = true;
    stop(l, "the line was closed");
    fd_close(&l->fd);
    line_release(l);
}

/* --- writing --- */

static void let_go_of_written(struct line *l)
{
    if (l->out_at == l->out.n) {
        l->out_at = 0;
        if (l->out.cap > KEPT_ROOM)
            buf_end(&l->out);
        else
            buf_clear(&l->out);
    } else if (l->out_at > l->out.n / 2) {
        buf_drop_front(&l->out, l->out_at);
        l->out_at = 0;
    }
}

/* The peer reads no more. What it had said before is still taken. */
static void write_failed(struct line *l, int error)
{
    char reason[80];

    line_hold(l);
    for (int i = 0; i < LAST_READS && !l->is_lost && line_read(l); i++)
        ;
    snprintf(reason, sizeof(reason), "cannot write to it: %s", strerrordesc_np(error));
    line_lose(l, reason);
    line_release(l);
}

static void flush(void *ctx)
{
    struct line *l = ctx;

    if (l->is_lost)
        return;
    if (l->is_choked) {
        line_lose(l, "it does not read its input");
        return;
    }
    while (l->out_at < l->out.n) {
        ssize_t n = send(l->fd, l->out.p + l->out_at, l->out.n - l->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            write_failed(l, errno);
            return;
        }
        l->out_at += (size_t)n;
        l->written += (size_t)n;
    }
    let_go_of_written(l);
    bool waits = l->out.n > l->out_at;
    if (waits != l->watches_write)
        watch_set(l->watch, waits ? WATCH_READ | WATCH_WRITE : WATCH_READ);
    l->watches_write = waits;
    if (!waits && l->wants_shut)
        shutdown(l->fd, SHUT_WR);
}

static size_t backlog(const struct line *l)
{
    return l->out.n - l->out_at;
}

/* Room for a message of about `size` bytes? A peer that lets so much pile up is not going to read it. */
static bool begin_message(struct line *l, size_t size)
{
    if (l->is_lost || l->wants_shut || l->is_choked)
        return false;
    if (backlog(l) > 0 && backlog(l) + size > l->limits.backlog) {
        l->is_choked = true;
        loop_defer(l->loop, &l->flush);
        return false;
    }
    buf_add_text(&l->out, "{\"jsonrpc\":\"2.0\",");
    return true;
}

/* `before` is how much was in the queue when the message began. */
static void end_message(struct line *l, size_t before)
{
    buf_add_text(&l->out, "}\n");
    l->queued += l->out.n - before;
    loop_defer(l->loop, &l->flush);
}

static void add_method(struct line *l, const char *method, struct bytes params)
{
    buf_add_text(&l->out, "\"method\":\"");
    buf_add_text(&l->out, method);
    buf_add_char(&l->out, '"');
    if (params.n) {
        buf_add_text(&l->out, ",\"params\":");
        envelope_add_line(&l->out, params);
    }
}

void line_notify(struct line *l, const char *method, struct bytes params)
{
    size_t before = l->out.n;

    if (!begin_message(l, params.n + 128))
        return;
    add_method(l, method, params);
    end_message(l, before);
}

void line_answer_request(struct line *l, struct bytes id, struct bytes result)
{
    size_t before = l->out.n;

    if (!begin_message(l, result.n + 128))
        return;
    buf_add_text(&l->out, "\"id\":");
    buf_add_bytes(&l->out, id);
    buf_add_text(&l->out, ",\"result\":");
    envelope_add_line(&l->out, result);
    end_message(l, before);
}

void line_refuse_request(struct line *l, struct bytes id, int code, const char *message)
{
    size_t before = l->out.n;

    if (!begin_message(l, strlen(message) + 128))
        return;
    buf_add_text(&l->out, "\"id\":");
    buf_add_bytes(&l->out, id);
    buf_addf(&l->out, ",\"error\":{\"code\":%d,\"message\":", code);
    buf_add_json_text(&l->out, message);
    buf_add_char(&l->out, '}');
    end_message(l, before);
}

void line_shut(struct line *l)
{
    if (l->is_lost || l->wants_shut)
        return;
    l->wants_shut = true;
    loop_defer(l->loop, &l->flush);
}

/* --- requests --- */

static void expire(void *ctx);

static struct pending *pending_new(struct line *l)
{
    struct pending *p = l->free_list;

    if (p)
        l->free_list = p->next_free;
    else
        p = NEW(struct pending);
    *p = (struct pending){.line = l, .id = ++l->last_id, .left_ms = -1};
    timer_init(&p->timer, l->loop, expire, p);
    list_add(&l->pending, &p->link);
    ids_put(&l->by_id, (uint64_t)p->id, p);
    l->in_flight++;
    return p;
}

static void pending_drop(struct pending *p)
{
    struct line *l = p->line;

    timer_stop(&p->timer);
    list_drop(&p->link);
    ids_drop(&l->by_id, (uint64_t)p->id);
    l->in_flight--;
    p->next_free = l->free_list;
    l->free_list = p;
}

static void start_timer(struct pending *p)
{
    int64_t due = p->deadline_at;

    if (p->idle_at && p->idle_at < due)
        due = p->idle_at;
    int64_t left = due - loop_now_ms(p->line->loop);
    timer_start(&p->timer, left > 0 ? left : 0);
}

int64_t line_next_id(const struct line *l)
{
    return l->last_id + 1;
}

struct pending *line_request(struct line *l, const struct request_spec *spec, struct why *why)
{
    size_t before = l->out.n;

    if (l->is_lost || l->wants_shut) {
        why_set(why, -1, "the line to the server is closed");
        return NULL;
    }
    if (!begin_message(l, spec->params.n + 128)) {
        why_set(why, -1, "the server does not read its input");
        return NULL;
    }
    struct pending *p = pending_new(l);
    p->ops = spec->ops;
    p->ctx = spec->ctx;
    p->begun_ms = loop_now_ms(l->loop);
    p->deadline_at = p->begun_ms + (spec->deadline_ms < LONGEST_MS ? spec->deadline_ms : LONGEST_MS);
    p->idle_ms = spec->idle_ms;
    p->sent_from = l->queued;
    p->is_initialize = strcmp(spec->method, "initialize") == 0;
    buf_add_text(&l->out, "\"id\":");
    buf_add_int(&l->out, p->id);
    buf_add_char(&l->out, ',');
    add_method(l, spec->method, spec->params);
    end_message(l, before);
    start_timer(p);
    return p;
}

bool line_is_open(const struct line *l)
{
    return !l->is_lost && !l->wants_shut && !l->is_choked;
}

int64_t pending_id(const struct pending *p)
{
    return p->id;
}

void pending_finish(struct pending *p, const struct line_answer *answer)
{
    const struct pending_ops *ops = p->ops;
    void *ctx = p->ctx;

    pending_drop(p);
    if (ops && ops->on_answer)
        ops->on_answer(ctx, answer);
}

/* MCP: `initialize` is never cancelled. */
static void tell_cancelled(struct pending *p, const char *reason)
{
    struct line *l = p->line;
    size_t before = l->out.n;

    if (p->is_initialize || !begin_message(l, 256))
        return;
    buf_addf(&l->out, "\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%lld",
             (long long)p->id);
    if (reason) {
        buf_add_text(&l->out, ",\"reason\":");
        buf_add_json_text(&l->out, reason);
    }
    buf_add_char(&l->out, '}');
    end_message(l, before);
}

void pending_cancel(struct pending *p, const char *reason)
{
    tell_cancelled(p, reason);
    pending_drop(p);
}

/* The timer may be early: progress moves `idle_at` without touching it. */
static void expire(void *ctx)
{
    struct pending *p = ctx;
    int64_t now = loop_now_ms(p->line->loop);
    bool is_idle = p->idle_at && p->idle_at <= now;

    if (p->deadline_at > now && !is_idle) {
        start_timer(p);
        return;
    }
    is_idle = p->deadline_at > now;
    int64_t elapsed = now - p->begun_ms;
    struct line_answer answer = {.outcome = LINE_DEADLINE};
    fault_tell(&answer.fault, FAULT_DEADLINE,
               is_idle ? "no sign of progress for %lld ms" : "no answer within %lld ms",
               (long long)(is_idle ? p->idle_ms : elapsed));
    fault_data(&answer.fault, "\"elapsedMs\":%lld,\"which\":\"%s\"", (long long)elapsed,
               is_idle ? "progress" : "call");
    tell_cancelled(p, is_idle ? "no progress" : "deadline passed");
    pending_finish(p, &answer);
}

void pending_progress(struct pending *p, const struct envelope *progress)
{
    if (p->idle_ms > 0 && p->left_ms < 0) {
        bool is_first = p->idle_at == 0;
        p->idle_at = loop_now_ms(p->line->loop) + p->idle_ms;
        if (is_first)
            start_timer(p);
    }
    if (p->ops && p->ops->on_progress)
        p->ops->on_progress(p->ctx, progress);
}

void pending_pause(struct pending *p)
{
    if (p->left_ms >= 0)
        return;
    int64_t left = p->deadline_at - loop_now_ms(p->line->loop);
    p->left_ms = left > 0 ? left : 0;
    timer_stop(&p->timer);
}

void pending_resume(struct pending *p)
{
    if (p->left_ms < 0)
        return;
    int64_t now = loop_now_ms(p->line->loop);
    p->deadline_at = now + p->left_ms;
    p->left_ms = -1;
    if (p->idle_at)
        p->idle_at = now + p->idle_ms;
    start_timer(p);
}

struct line_counts line_counts(const struct line *l)
{
    struct line_counts counts = l->counts;

    counts.in_flight = l->in_flight;
    counts.backlog = backlog(l);
    return counts;
}
