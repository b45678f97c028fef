/*
 * How libmicrohttpd is driven: it has an epoll of its own, whose descriptor is one watch of our loop, and is
 * run once at the end of a turn, whatever woke it. It has no clock (its timeouts are off): all waiting is
 * counted here.
 *
 * An answer is seldom there when a request is. libmicrohttpd's own way to wait is to suspend a connection,
 * which costs four system calls for each request (out of its epoll, its eventfd, a read in vain, into its
 * epoll again) and makes every resume walk all suspended ones. So a request is at first only held: at each
 * run libmicrohttpd asks for the answer again, which costs 0.1 µs and no system call. Only when too many are
 * held, or one is held for long, or a bulky message is under way (while some are held, libmicrohttpd cannot
 * tell us that it wants to run again at once), are they suspended.
 *
 * A suspended or held connection is not read, so its hang-up would go unseen: each socket is put into an
 * edge-triggered epoll of ours once, at its beginning, with EPOLLRDHUP only; that costs nothing per request.
 *
 * Streams and refusals leave libmicrohttpd: see web_away.c.
 */
#include "core/net/web.h"

#include "core/base/mem.h"
#include "core/net/web_away.h"

#include <assert.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HELD_MAX = 1024,      /* when more than this many wait, they are suspended */
    HELD_MS = 20,         /* and so is one that takes this long */
    POOL_REPLY = 4096,    /* of that, what the head of an answer may need */
    POOL_BODY = 1024,     /* and the reading of a body */
    DROP_MAX = 64 * 1024, /* body that is read only to be dropped */
    RUNS = 3,             /* of libmicrohttpd in one turn, as long as it moves */
};

/* ---- connections ---- */

int web_take(struct web *w, int fd, const struct web_listener *from, const char *address, int64_t uid)
{
    struct conn *c = conn_new(w, fd, from, address, uid);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    struct sockaddr_storage peer = {0};
    socklen_t n = sizeof(peer);
    if (w->conn_count > w->limits.connections || !conn_count_in(c)) {
        struct gate_verdict v = {.status = 503, .name = "overloaded", .text = "too many connections"};
        conn_refuse(c, &v);
        return 0;
    }
    if (getpeername(fd, (struct sockaddr *)&peer, &n) < 0 ||
        epoll_ctl(w->peers, EPOLL_CTL_ADD, fd, &event) < 0) {
        conn_free(c);
        close(fd);
        return -1;
    }
    w->arriving = c;
    bool is_taken =
        MHD_add_connection(w->mhd, fd, (struct sockaddr *)&peer, n) == MHD_YES; /* else it was closed */
    w->arriving = NULL;
    if (!is_taken) {
        c->is_inside = false;
        conn_free(c);
        return -1;
    }
    web_wait(c, &w->heads);
    web_wake(w);
    return 0;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct web *w = ctx;
    struct conn *c = *socket_ctx;
    (void)mhd;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_ctx = w->arriving;
        w->arriving->is_inside = true;
        return;
    }
    c->is_inside = false;
    if (!c->has_left) /* its descriptor is closed by libmicrohttpd right after this */
        conn_free(c);
}

/* ---- requests ---- */

static void *on_line(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    struct web *w = ctx;
    struct conn *c = *(struct conn **)MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct request *r = request_new(w, c);
    r->mhd = mhd;
    r->target_at = target;
    buf_add_text(&r->head, target);
    web_wait(c, &w->heads);
    return r;
}

static void set_held(struct request *r, bool is_held)
{
    if (r->is_held != is_held)
        r->web->held += is_held ? 1 : (size_t)-1;
    r->is_held = is_held;
}

void web_resume(struct request *r)
{
    if (!r->is_suspended)
        return;
    r->is_suspended = false;
    r->web->suspended--;
    MHD_resume_connection(r->mhd);
}

static enum MHD_Result leave(struct request *r)
{
    set_held(r, false);
    list_drop(&r->phase);
    if (away_leave(r) < 0)
        request_tell_gone(r);
    return MHD_NO; /* libmicrohttpd's word for: let go of this connection */
}

static enum MHD_Result refuse(struct request *r, const struct gate_verdict *v)
{
    request_refused(r, v);
    return leave(r);
}

/* What of libmicrohttpd's memory for this connection its head has taken. */
static size_t pool_used(const struct request *r)
{
    return r->head_bytes + r->line_count * WEB_POOL_PER_HEADER;
}

static enum MHD_Result got_head(struct request *r, const char *method, const char *version)
{
    struct web *w = r->web;
    struct gate_verdict v;
    struct gate_rules rules = {.listener = r->conn->from,
                               .routes = w->ops->routes,
                               .uri = w->limits.uri,
                               .headers = w->limits.headers,
                               .body = w->limits.body};
    web_wait_over(r->conn);
    w->counts.requests++;
    if (request_take_head(r, method, version)) {
        v = (struct gate_verdict){.status = 400, .name = "invalid_request", .text = "malformed request head"};
        return refuse(r, &v);
    }
    if (gate_check(&w->seen, &rules, &r->pass, &v))
        return refuse(r, &v);
    if (pool_used(r) > WEB_POOL - POOL_BODY) {
        v = (struct gate_verdict){
            .status = 431, .name = "headers_too_large", .text = "too many and too long headers"};
        return refuse(r, &v);
    }
    if (r->pass.method == METHOD_OPTIONS && (r->pass.route->flags & GATE_CORS)) {
        if (!request_header(r, "Origin").p) {
            v = (struct gate_verdict){405, "method_not_allowed", "OPTIONS is for scripts of an origin", 0};
            v.allow = r->pass.route->methods;
            return refuse(r, &v);
        }
        request_preflight(r);
        return MHD_YES;
    }
    r->has_begun = true;
    r->step = w->ops->on_head(r, w->ctx) ? STEP_SKIP : STEP_BODY;
    if (r->step == STEP_SKIP && r->pass.has_body && !r->is_streaming && !r->is_parting && r->is_answered &&
        (r->pass.is_chunked || r->pass.expects_continue || r->pass.length > DROP_MAX))
        away_answer(r);
    if (r->is_streaming || r->is_parting)
        return leave(r);
    if (r->pass.has_body)
        list_add(&w->reading, &r->phase);
    return MHD_YES;
}

static enum MHD_Result got_piece(struct request *r, const char *piece, size_t *n)
{
    struct gate_verdict v = {.status = 413, .name = "too_large"};
    size_t limit = r->pass.body_limit;
    if (r->is_streaming || r->is_parting)
        return leave(r);
    if (r->step == STEP_BODY && limit && *n > limit - r->body.n) {
        snprintf(v.text, sizeof(v.text), "body over %zu bytes", limit);
        return refuse(r, &v);
    }
    if (r->step == STEP_BODY)
        buf_add(&r->body, piece, *n);
    *n = 0;
    return MHD_YES;
}

static struct MHD_Response *response_of(struct request *r)
{
    /* The bytes are ours and stay until on_completed, which libmicrohttpd calls when it is through with them.
     */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->answer.n, (void *)(uintptr_t)r->answer.p, MHD_RESPMEM_PERSISTENT);
    const char *name, *value;
    size_t at = 0;
    if (!response)
        mem_end();
    request_finish_headers(r, false);
    while (request_next_header(r, &at, &name, &value))
        MHD_add_response_header(response, name, value);
    if (r->is_http10)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

static enum MHD_Result give(struct request *r)
{
    if (pool_used(r) > WEB_POOL - POOL_REPLY) { /* no room for the head of an answer */
        away_answer(r);
        return leave(r);
    }
    struct MHD_Response *response = response_of(r);
    set_held(r, false);
    MHD_queue_response(r->mhd, (unsigned)r->status, response);
    MHD_destroy_response(response); /* it is counted, and goes when it was sent */
    list_drop(&r->phase);
    list_add(&r->web->writing, &r->phase);
    r->web->must_run = true;
    return MHD_YES;
}

/* Nothing to give yet. */
static enum MHD_Result hold(struct request *r)
{
    struct web *w = r->web;
    if (!r->is_held) {
        r->held_until_ms = loop_now_ms(w->loop) + HELD_MS;
        set_held(r, true);
    }
    if (w->held + w->suspended > HELD_MAX || w->is_bulky || loop_now_ms(w->loop) >= r->held_until_ms) {
        set_held(r, false);
        r->is_suspended = true;
        w->suspended++;
        MHD_suspend_connection(r->mhd);
    }
    return MHD_YES;
}

static enum MHD_Result got_all(struct request *r)
{
    struct web *w = r->web;
    bool wants_body = r->step == STEP_BODY;
    if (r->step != STEP_WAIT) {
        r->step = STEP_WAIT;
        list_drop(&r->phase);
        if (wants_body)
            w->ops->on_body(r, (struct bytes){r->body.p ? r->body.p : "", r->body.n}, w->ctx);
        if (r->conn->has_hung_up && !r->is_answered)
            request_tell_gone(r);
    }
    if (r->is_gone) {
        set_held(r, false);
        return MHD_NO;
    }
    if (r->is_streaming || r->is_parting)
        return leave(r);
    return r->is_answered ? give(r) : hold(r);
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd says with how many parameters it calls us */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *piece, size_t *n, void **request_ctx_)
{
    struct request *r = *request_ctx_;
    (void)ctx, (void)mhd, (void)url;
    if (r->is_gone)
        return set_held(r, false), MHD_NO;
    if (r->step == STEP_LINE)
        return got_head(r, method, version);
    return *n ? got_piece(r, piece, n) : got_all(r);
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx_,
                         enum MHD_RequestTerminationCode code)
{
    struct request *r = *request_ctx_;
    (void)ctx, (void)mhd, (void)code;
    if (!r)
        return;
    *request_ctx_ = NULL;
    r->mhd = NULL;
    set_held(r, false);
    if (r->conn && r->conn->has_left)
        return; /* it goes on without libmicrohttpd */
    struct conn *c = r->conn;
    if (c) {
        timer_stop(&c->timer);
        web_wait(c, &c->web->idles);
    }
    request_cut(r);
}

/* ---- the loop ---- */

static int64_t allowance(const struct request *r, size_t bytes)
{
    return r->web->limits.body_ms + (int64_t)(bytes >> 20) * 10000;
}

/* Those that a run did not see through get a time limit of their own; those that the next did not either end
 * the holding (see the top). */
static void watch_the_slow(struct web *w)
{
    w->is_bulky = false;
    list_each (l, &w->reading) {
        struct request *r = list_entry(l, struct request, phase);
        if (timer_is_started(&r->conn->timer)) {
            w->is_bulky = true;
            continue;
        }
        w->must_run = true;
        size_t most = r->pass.is_chunked ? r->pass.body_limit : (size_t)r->pass.length;
        timer_start(&r->conn->timer, allowance(r, most));
    }
    list_each (k, &w->writing) {
        struct request *r = list_entry(k, struct request, phase);
        if (timer_is_started(&r->conn->timer)) {
            w->is_bulky = true;
            continue;
        }
        w->must_run = true;
        timer_start(&r->conn->timer, 2 * allowance(r, r->answer.n));
    }
}

static void flush(void *ctx)
{
    struct web *w = ctx;
    list_each (l, &w->flushing)
        away_flush(list_entry(l, struct conn, flush));
}

static void run(void *ctx)
{
    struct web *w = ctx;
    MHD_UNSIGNED_LONG_LONG ms = 0;
    int left = RUNS;
    w->is_running = true;
    do {
        w->must_run = false;
        MHD_run(w->mhd);
    } while (w->must_run && --left);
    w->is_running = false;
    watch_the_slow(w);
    flush(w);
    while (!list_is_empty(&w->ending)) {
        struct request *r = list_entry(w->ending.next, struct request, phase);
        request_settle(r);
    }
    if (w->held && !w->is_bulky)
        timer_start(&w->again, w->must_run ? 0 : HELD_MS);
    else if (MHD_get_timeout(w->mhd, &ms) == MHD_YES)
        timer_start(&w->again, (int64_t)ms);
}

void web_wake(struct web *w)
{
    if (w->is_running)
        w->must_run = true;
    else
        loop_defer(w->loop, &w->run);
}

static void wake(void *ctx)
{
    web_wake(ctx);
}

static void mhd_ready(int events, void *ctx)
{
    (void)events;
    web_wake(ctx);
}

static void peer_hung_up(struct conn *c)
{
    struct request *r = c->request;
    c->has_hung_up = true;
    if (!r || r->step != STEP_WAIT || r->is_answered)
        return; /* libmicrohttpd finds out by itself */
    request_tell_gone(r);
    web_resume(r);
    web_wake(c->web);
}

static void peers_ready(int ignored, void *ctx)
{
    struct web *w = ctx;
    struct epoll_event events[64];
    int n;
    (void)ignored;
    do {
        n = epoll_wait(w->peers, events, 64, 0);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->has_left)
                away_event(c, events[i].events);
            else if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                peer_hung_up(c);
        }
    } while (n == 64);
}

/* The target stays as it was sent: we look at it raw, and nobody else looks. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx, (void)mhd;
    return strlen(text);
}

struct web *web_new(struct loop *loop, const struct web_limits *limits, const struct web_ops *ops, void *ctx)
{
    struct web *w = NEW(struct web);
    w->loop = loop;
    w->ops = ops;
    w->ctx = ctx;
    web_set_limits(w, limits);
    list_init(&w->conns);
    list_init(&w->requests);
    list_init(&w->reading);
    list_init(&w->writing);
    list_init(&w->ending);
    list_init(&w->flushing);
    list_init(&w->spares);
    defer_init(&w->run, run, w);
    defer_init(&w->flush, flush, w);
    timer_init(&w->again, loop, wake, w);
    web_wait_init(&w->heads, w, w->limits.head_ms);
    web_wait_init(&w->idles, w, w->limits.idle_ms);
    w->peers = epoll_create1(EPOLL_CLOEXEC);
    /* MHD_USE_TURBO: no shutdown() when it lets go of a socket, which may live on with us. */
    w->mhd =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                             MHD_USE_SUPPRESS_DATE_NO_CLOCK, /* its Date costs a gmtime for each answer; ours
                                                                is one a second */
                         0, NULL, NULL, on_request, w, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_POOL,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)w->limits.connections + 64,
                         MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_line, w,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, w, MHD_OPTION_NOTIFY_CONNECTION,
                         on_connection, w, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, w, MHD_OPTION_END);
    if (w->peers < 0 || !w->mhd)
        mem_end(); /* no descriptors at the start of the process: as hopeless as no memory */
    int fd = MHD_get_daemon_info(w->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    w->mhd_watch = watch_new(loop, fd, WATCH_READ, mhd_ready, w);
    w->peers_watch = watch_new(loop, w->peers, WATCH_READ, peers_ready, w);
    return w;
}

static void close_requests(struct web *w)
{
    struct gate_verdict v = {.status = 503, .name = "draining", .text = "the server is stopping"};
    list_each (l, &w->requests) {
        struct request *r = list_entry(l, struct request, link);
        if (r->is_streaming && !r->is_answered)
            request_finish(r);
        else if (!r->is_answered && r->step == STEP_WAIT)
            request_refused(r, &v);
        web_resume(r);
    }
}

void web_free(struct web *w)
{
    if (!w)
        return;
    close_requests(w);
    run(w);
    watch_free(w->mhd_watch);
    MHD_stop_daemon(w->mhd);
    list_each (l, &w->requests) {
        struct request *r = list_entry(l, struct request, link);
        request_tell_gone(r);
        request_end(r);
    }
    list_each (k, &w->conns)
        conn_free(list_entry(k, struct conn, link));
    list_each (s, &w->spares)
        request_free(list_entry(s, struct request, link));
    watch_free(w->peers_watch);
    close(w->peers);
    timer_stop(&w->again);
    timer_stop(&w->heads.timer);
    timer_stop(&w->idles.timer);
    defer_drop(w->loop, &w->run);
    defer_drop(w->loop, &w->flush);
    table_end(&w->addresses);
    free(w);
}

struct web_counts web_counts(const struct web *w)
{
    struct web_counts counts = w->counts;
    counts.connections = w->conn_count;
    return counts;
}
