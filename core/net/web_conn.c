/* Connections: how many, from where, and how long each may take. */
#include "core/base/mem.h"
#include "core/net/web_away.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- time ---- */

void web_wait_over(struct conn *c)
{
    list_drop(&c->waiting);
}

void web_wait(struct conn *c, struct wait *in)
{
    list_drop(&c->waiting);
    c->due_ms = loop_now_ms(c->web->loop) + in->ms;
    list_add(&in->line, &c->waiting);
    if (!timer_is_started(&in->timer))
        timer_start(&in->timer, in->ms);
}

/* Something came in the last moments, though no whole request line: its sender gets the time of a head. */
static bool is_in_a_head(const struct conn *c)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        return false;
    return info.tcpi_last_data_recv < (unsigned)c->web->limits.head_ms;
}

static void wait_fired(void *ctx)
{
    struct wait *in = ctx;
    struct web *w = in->web;
    int64_t now = loop_now_ms(w->loop);
    while (!list_is_empty(&in->line)) {
        struct conn *c = list_entry(in->line.next, struct conn, waiting);
        if (c->due_ms > now) {
            timer_start(&in->timer, c->due_ms - now);
            return;
        }
        web_wait_over(c);
        if (in == &w->idles && is_in_a_head(c))
            web_wait(c, &w->heads);
        else
            shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees it and lets go */
    }
}

void web_wait_init(struct wait *in, struct web *w, int64_t ms)
{
    list_init(&in->line);
    timer_init(&in->timer, w->loop, wait_fired, in);
    in->ms = ms;
    in->web = w;
}

static void conn_timed_out(void *ctx)
{
    struct conn *c = ctx;
    struct request *r = c->request;
    if (c->has_left) {
        away_timeout(c);
        return;
    }
    if (r && r->step != STEP_WAIT) {
        /* libmicrohttpd has sent nothing yet, and will not once it sees the shutdown. */
        static const char late[] =
            "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        (void)!send(c->fd, late, sizeof(late) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        c->web->counts.refused++;
    }
    shutdown(c->fd, SHUT_RDWR);
}

/* ---- connections ---- */

static bool is_exempt(const struct web_listener *from)
{
    return from->is_unix || from->is_loopback;
}

bool conn_count_in(struct conn *c)
{
    struct web *w = c->web;
    if (is_exempt(c->from))
        return true;
    struct bytes key = bytes_of(c->address);
    size_t n = (size_t)table_get(&w->addresses, key);
    if (n >= w->limits.per_address)
        return false;
    table_put(&w->addresses, key, (void *)(n + 1));
    c->is_counted = true;
    return true;
}

static void count_out(struct conn *c)
{
    struct web *w = c->web;
    if (!c->is_counted)
        return;
    struct bytes key = bytes_of(c->address);
    size_t n = (size_t)table_get(&w->addresses, key);
    if (n > 1)
        table_put(&w->addresses, key, (void *)(n - 1));
    else
        table_drop(&w->addresses, key);
}

struct conn *conn_new(struct web *w, int fd, const struct web_listener *from, const char *address,
                      int64_t uid)
{
    struct conn *c = NEW(struct conn);
    c->web = w;
    c->fd = fd;
    c->from = from;
    c->uid = uid;
    snprintf(c->address, sizeof(c->address), "%s", address ? address : "");
    timer_init(&c->timer, w->loop, conn_timed_out, c);
    list_add(&w->conns, &c->link);
    w->conn_count++;
    return c;
}

void conn_free(struct conn *c)
{
    assert(!c->request && !c->is_inside);
    count_out(c);
    web_wait_over(c);
    timer_stop(&c->timer);
    list_drop(&c->flush);
    list_drop(&c->link);
    c->web->conn_count--;
    buf_end(&c->out);
    if (c->has_left)
        close(c->fd);
    free(c);
}

void conn_refuse(struct conn *c, const struct gate_verdict *v)
{
    struct web *w = c->web;
    struct buf json = {0};
    web_add_refusal(w, NULL, v, &json);
    w->counts.refused++;
    away_refuse(c, v->status, (struct bytes){json.p, json.n});
    buf_end(&json);
}

void web_refuse(struct web *w, int fd, const struct web_listener *from, const char *address,
                const struct gate_verdict *verdict)
{
    conn_refuse(conn_new(w, fd, from, address, -1), verdict);
}

/* ---- limits ---- */

void web_set_limits(struct web *w, const struct web_limits *given)
{
    struct web_limits *l = &w->limits;
    static const struct web_limits usual = {.uri = 2048,
                                            .headers = 16384,
                                            .header_count = GATE_HEADERS,
                                            .body = 4 << 20,
                                            .head_ms = 10000,
                                            .body_ms = 30000,
                                            .idle_ms = 60000,
                                            .connections = 12000,
                                            .per_address = 256};
    *l = given ? *given : usual;
    l->uri = l->uri ? l->uri : usual.uri;
    l->headers = l->headers ? l->headers : usual.headers;
    l->header_count = l->header_count ? l->header_count : usual.header_count;
    l->body = l->body ? l->body : usual.body;
    l->head_ms = l->head_ms ? l->head_ms : usual.head_ms;
    l->body_ms = l->body_ms ? l->body_ms : usual.body_ms;
    l->idle_ms = l->idle_ms ? l->idle_ms : usual.idle_ms;
    l->connections = l->connections ? l->connections : usual.connections;
    l->per_address = l->per_address ? l->per_address : usual.per_address;
}
