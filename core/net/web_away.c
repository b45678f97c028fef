/*
 * Sockets that have left libmicrohttpd: streams, refusals, and answers that do not wait for the rest of a
 * body.
 *
 * To leave, a socket is duplicated; libmicrohttpd lets go of its own descriptor and of the 16 KiB it keeps
 * for each connection, and from then on we write (it reads nothing that comes). An idle stream thus costs 1
 * KiB, an event one send(), and no walk over suspended connections. What libmicrohttpd may have read of a
 * pipelined next request is lost with it, so every such answer says `Connection: close`.
 *
 * At the end we shut down our side and read on for a moment: closing on unread data would turn into a reset,
 * which takes from the client what it has not read yet.
 */
#include "core/net/web_away.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 1000, LINGER_BYTES = 64 * 1024, KEEP = 2048 };

static void lost(struct conn *c)
{
    struct request *r = c->request;
    if (r) {
        request_tell_gone(r);
        request_cut(r);
    }
    conn_free(c);
}

/* Reads what comes only to drop it. */
static void drop(struct conn *c)
{
    char waste[8192];
    ssize_t n;
    do {
        n = recv(c->fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (n > 0)
            c->dropped += (size_t)n;
    } while ((n > 0 && c->dropped < LINGER_BYTES) || (n < 0 && errno == EINTR));
    if (n < 0 && errno == EAGAIN)
        return;
    conn_free(c);
}

static void linger(struct conn *c)
{
    struct request *r = c->request;
    if (r)
        request_cut(r);
    shutdown(c->fd, SHUT_WR);
    if (c->has_hung_up) {
        conn_free(c);
        return;
    }
    buf_end(&c->out);
    c->sent = 0;
    c->is_lingering = true;
    timer_start(&c->timer, LINGER_MS);
    drop(c);
}

static void emptied(struct conn *c)
{
    struct request *r = c->request;
    c->sent = 0;
    if (c->out.cap > KEEP)
        buf_end(&c->out);
    else
        buf_clear(&c->out);
    if (c->is_last)
        linger(c);
    else if (r && r->on_drained)
        r->on_drained(r, r->ctx);
}

void away_flush(struct conn *c)
{
    bool has_moved = c->is_last;
    list_drop(&c->flush);
    if (!c->has_left || c->is_lingering)
        return;
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return; /* the edge of EPOLLOUT comes */
        if (n < 0) {
            lost(c);
            return;
        }
        c->sent += (size_t)n;
        has_moved = true;
    }
    if (has_moved)
        emptied(c);
}

static void flush_later(struct conn *c)
{
    struct web *w = c->web;
    if (!c->has_left)
        return; /* leaving flushes */
    if (!link_is_in(&c->flush))
        list_add(&w->flushing, &c->flush);
    loop_defer(w->loop, &w->flush);
}

int away_leave(struct request *r)
{
    struct conn *c = r->conn;
    struct web *w = r->web;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -1;
    if (epoll_ctl(w->peers, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        return -1;
    }
    epoll_ctl(w->peers, EPOLL_CTL_DEL, c->fd, NULL);
    c->fd = fd;
    c->has_left = true;
    web_wait_over(c);
    timer_stop(&c->timer);
    if (c->is_last)
        timer_start(&c->timer, w->limits.body_ms);
    flush_later(c);
    return 0;
}

/* length < 0: not known. */
static void add_head(struct request *r, int64_t length)
{
    struct buf *out = &r->conn->out;
    const char *name, *value;
    size_t at = 0;
    buf_addf(out, "HTTP/1.1 %d %s\r\n", r->status, MHD_get_reason_phrase_for((unsigned)r->status));
    request_finish_headers(r, length < 0);
    while (request_next_header(r, &at, &name, &value)) {
        buf_add_text(out, name);
        buf_add_text(out, ": ");
        buf_add_text(out, value);
        buf_add_text(out, "\r\n");
    }
    if (length >= 0)
        buf_addf(out, "Content-Length: %lld\r\n", (long long)length);
    else if (!r->is_http10)
        buf_add_text(out, "Transfer-Encoding: chunked\r\n");
    buf_add_text(out, "Connection: close\r\n\r\n");
}

void away_answer(struct request *r)
{
    add_head(r, (int64_t)r->answer.n);
    if (r->pass.method != METHOD_HEAD)
        buf_add_bytes(&r->conn->out, r->answer);
    r->is_parting = true;
    r->conn->is_last = true;
}

void away_begin_stream(struct request *r)
{
    add_head(r, -1);
    flush_later(r->conn);
}

/* What was sent already gives its room back before the buffer grows. */
static void make_room(struct conn *c)
{
    if (c->sent > c->out.n / 2) {
        buf_drop_front(&c->out, c->sent);
        c->sent = 0;
    }
}

void away_push(struct request *r, struct bytes piece)
{
    struct conn *c = r->conn;
    make_room(c);
    if (r->is_http10) {
        buf_add_bytes(&c->out, piece);
    } else {
        buf_addf(&c->out, "%zx\r\n", piece.n);
        buf_add_bytes(&c->out, piece);
        buf_add(&c->out, "\r\n", 2);
    }
    flush_later(c);
}

void away_finish(struct request *r)
{
    struct conn *c = r->conn;
    if (!r->is_http10)
        buf_add_text(&c->out, "0\r\n\r\n");
    c->is_last = true;
    if (c->has_left)
        timer_start(&c->timer, c->web->limits.body_ms);
    flush_later(c);
}

void away_refuse(struct conn *c, int status, struct bytes json)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    buf_addf(&c->out,
             "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: "
             "no-store\r\n%sContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, MHD_get_reason_phrase_for((unsigned)status),
             status == 503   ? "Retry-After: 1\r\n"
             : status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             : "",
             json.n);
    buf_add_bytes(&c->out, json);
    c->has_left = c->is_last = true;
    if (epoll_ctl(c->web->peers, EPOLL_CTL_ADD, c->fd, &event) < 0) {
        conn_free(c);
        return;
    }
    timer_start(&c->timer, c->web->limits.body_ms);
    flush_later(c);
}

void away_event(struct conn *c, unsigned events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        c->has_hung_up = true;
        if (c->is_lingering) {
            conn_free(c);
            return;
        }
        if (!c->is_last) { /* a client that hangs up on a stream wants no more of it */
            lost(c);
            return;
        }
    }
    if (c->is_lingering)
        drop(c);
    else if (events & EPOLLOUT)
        away_flush(c);
}

void away_timeout(struct conn *c)
{
    if (c->is_lingering)
        conn_free(c);
    else
        lost(c);
}
