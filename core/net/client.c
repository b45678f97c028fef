/*
 * One connection carries one call at a time. When an answer is whole and may be followed by another, its
 * connection waits for the next call; a watch sees when the hub closes it meanwhile. Should that cross with
 * our next request, not a byte of an answer comes back: then, once, the request is sent again on a fresh
 * connection.
 */
#include "core/net/client.h"

#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024, LINE_MAX = 4096, PIECE = 64 * 1024, IDLE_MAX = 4 };

enum state { HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE, DONE };

struct http {
    struct loop *loop;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } to;
    socklen_t to_n;
    char host[128]; /* for the Host header */
    struct link idle, calls;
    size_t idle_count;
};

struct idle {
    struct link link;
    struct http *http;
    int fd;
    struct watch *watch;
};

struct http_call {
    struct http *http;
    struct link link;
    struct http_ops ops;
    void *ctx;
    int fd;
    struct watch *watch;
    struct timer timer;
    struct buf out;
    size_t sent;
    struct buf in; /* what is not yet understood */
    struct buf head;
    enum state state;
    uint64_t left; /* of the body or chunk */
    int status;
    bool is_reused, has_answer, is_head_method, may_stay;
    bool is_inside, is_over; /* in one of our callbacks; cancelled there */
};

/* ---- addresses ---- */

static int parse_base(struct http *h, const char *base)
{
    struct bytes rest = bytes_of(base);
    char host[64];
    int64_t port = 80;
    if (bytes_begin(rest, "unix:")) {
        if (rest.n - 5 == 0 || rest.n - 5 >= sizeof(h->to.un.sun_path))
            return -1;
        h->to.un.sun_family = AF_UNIX;
        memcpy(h->to.un.sun_path, rest.p + 5, rest.n - 5);
        h->to_n = sizeof(h->to.un);
        memcpy(h->host, "localhost", 10);
        return 0;
    }
    if (!bytes_begin(rest, "http://"))
        return -1;
    rest = (struct bytes){rest.p + 7, rest.n - 7};
    rest.n = bytes_find(rest, '/');
    size_t n = rest.n && rest.p[0] == '[' ? bytes_find(rest, ']') + 1 : bytes_find(rest, ':');
    if (rest.n >= sizeof(h->host) || n == 0 || n > rest.n || n >= sizeof(host))
        return -1;
    memcpy(h->host, rest.p, rest.n);
    if (n < rest.n &&
        (rest.p[n] != ':' || number_read((struct bytes){rest.p + n + 1, rest.n - n - 1}, &port) < 0 ||
         port > 65535))
        return -1;
    memcpy(host, rest.p, n);
    host[n] = 0;
    if (strcmp(host, "localhost") == 0)
        memcpy(host, "127.0.0.1", 10);
    if (host[0] == '[') {
        host[n - 1] = 0;
        h->to.v6.sin6_family = AF_INET6;
        h->to.v6.sin6_port = htons((uint16_t)port);
        h->to_n = sizeof(h->to.v6);
        return inet_pton(AF_INET6, host + 1, &h->to.v6.sin6_addr) == 1 ? 0 : -1;
    }
    h->to.v4.sin_family = AF_INET;
    h->to.v4.sin_port = htons((uint16_t)port);
    h->to_n = sizeof(h->to.v4);
    return inet_pton(AF_INET, host, &h->to.v4.sin_addr) == 1 ? 0 : -1;
}

struct http *http_new(struct loop *loop, const char *base, struct why *why)
{
    struct http *h = NEW(struct http);
    assert(base);
    h->loop = loop;
    list_init(&h->idle);
    list_init(&h->calls);
    if (parse_base(h, base) < 0) {
        free(h);
        why_set(why, -EINVAL, "'%s' is neither unix:/path nor http://address:port", base);
        return NULL;
    }
    return h;
}

/* ---- connections that wait ---- */

static int idle_take(struct idle *i)
{
    int fd = i->fd;
    list_drop(&i->link);
    i->http->idle_count--;
    watch_free(i->watch);
    free(i);
    return fd;
}

static void idle_spoke(int events, void *ctx)
{
    (void)events; /* closed, or something nobody asked for: either way of no more use */
    close(idle_take(ctx));
}

static void idle_add(struct http *h, int fd)
{
    if (h->idle_count >= IDLE_MAX) {
        close(fd);
        return;
    }
    struct idle *i = NEW(struct idle);
    i->http = h;
    i->fd = fd;
    i->watch = watch_new(h->loop, fd, WATCH_READ, idle_spoke, i);
    list_add(&h->idle, &i->link);
    h->idle_count++;
}

/* ---- the end of a call ---- */

static void call_free(struct http_call *c)
{
    list_drop(&c->link);
    watch_free(c->watch);
    if (c->fd >= 0)
        close(c->fd);
    timer_stop(&c->timer);
    buf_end(&c->out);
    buf_end(&c->in);
    buf_end(&c->head);
    free(c);
}

void http_cancel(struct http_call *c)
{
    if (c->is_inside)
        c->is_over = true;
    else
        call_free(c);
}

static void end(struct http_call *c, const struct why *why)
{
    if (!why && c->may_stay && c->in.n == 0 && c->sent == c->out.n) {
        watch_free(take_ptr(&c->watch));
        idle_add(c->http, c->fd);
        c->fd = -1;
    }
    c->is_inside = true; /* so that cancelling in there does nothing */
    if (c->ops.on_end)
        c->ops.on_end(c, why, c->ctx);
    call_free(c);
}

static void end_error(struct http_call *c, int error, const char *what)
{
    struct why why;
    why_errno(&why, error, "%s '%s'", what, c->http->host);
    end(c, &why);
}

static void end_text(struct http_call *c, const char *text)
{
    struct why why;
    why_set(&why, -EPROTO, "'%s' %s", c->http->host, text);
    end(c, &why);
}

/* ---- the answer ---- */

struct bytes http_header(const struct http_call *c, const char *name)
{
    struct bytes rest = {c->head.p, c->head.n};
    size_t name_n = strlen(name);
    while (rest.n) {
        size_t n = bytes_find(rest, '\n');
        struct bytes line = {rest.p, n};
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n > name_n && line.p[name_n] == ':' && strncasecmp(line.p, name, name_n) == 0)
            return bytes_trim((struct bytes){line.p + name_n + 1, line.n - name_n - 1});
        size_t skip = n < rest.n ? n + 1 : n;
        rest = (struct bytes){rest.p + skip, rest.n - skip};
    }
    return BYTES_NONE;
}

/* Which way the body ends. False: the head contradicts itself. */
static bool choose_body(struct http_call *c)
{
    struct bytes length = http_header(c, "Content-Length"), coding = http_header(c, "Transfer-Encoding");
    int64_t n;
    c->may_stay =
        !bytes_say_nocase(http_header(c, "Connection"), "close") && memcmp(c->head.p, "HTTP/1.1", 8) == 0;
    if (c->is_head_method || c->status == 204 || c->status == 304) {
        c->state = DONE;
    } else if (coding.p) {
        if (!bytes_say_nocase(coding, "chunked") || length.p)
            return false;
        c->state = CHUNK_SIZE;
    } else if (length.p) {
        if (number_read(length, &n) < 0)
            return false;
        c->left = (uint64_t)n;
        c->state = n ? LENGTH : DONE;
    } else {
        c->state = UNTIL_CLOSE;
        c->may_stay = false;
    }
    return true;
}

/* Each step takes from `in` what it understands: 1 went on, 0 needs more, -1 told the end. */
static int take_head(struct http_call *c)
{
    const char *blank = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
    if (!blank) {
        if (c->in.n <= HEAD_MAX)
            return 0;
        return end_text(c, "sent too long a head"), -1;
    }
    size_t n = (size_t)(blank - c->in.p) + 4;
    int64_t status;
    buf_clear(&c->head);
    buf_add(&c->head, c->in.p, n);
    buf_drop_front(&c->in, n);
    if (n < 16 || memcmp(c->head.p, "HTTP/1.", 7) != 0 || c->head.p[8] != ' ' ||
        number_read((struct bytes){c->head.p + 9, 3}, &status) < 0)
        return end_text(c, "does not speak HTTP/1.1"), -1;
    c->status = (int)status;
    if (status < 200)
        return 1; /* 100 Continue: the real one follows */
    if (!choose_body(c))
        return end_text(c, "sent an ambiguous head"), -1;
    timer_stop(&c->timer);
    c->has_answer = true;
    if (c->ops.on_head)
        c->ops.on_head(c, c->status, c->ctx);
    return 1;
}

static int take_body(struct http_call *c)
{
    size_t n = c->in.n;
    if (c->state != UNTIL_CLOSE && n > c->left)
        n = (size_t)c->left;
    if (n == 0)
        return 0;
    c->left -= c->state == UNTIL_CLOSE ? 0 : n;
    if (c->ops.on_piece)
        c->ops.on_piece(c, (struct bytes){c->in.p, n}, c->ctx);
    buf_drop_front(&c->in, n);
    if (c->left == 0 && c->state == LENGTH)
        c->state = DONE;
    if (c->left == 0 && c->state == CHUNK)
        c->state = CHUNK_END;
    return 1;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool read_chunk_size(struct bytes line, uint64_t *size)
{
    size_t i = 0;
    *size = 0;
    for (; i < line.n && i < 15 && hex_digit(line.p[i]) >= 0; i++)
        *size = *size * 16 + (unsigned)hex_digit(line.p[i]);
    return i > 0 && (i == line.n || line.p[i] == ';' || line.p[i] == ' ');
}

/* The lines between chunks: a size, the end of one, trailers. */
static int take_line(struct http_call *c)
{
    struct bytes in = {c->in.p, c->in.n};
    size_t n = bytes_find(in, '\n');
    if (n == in.n)
        return in.n > LINE_MAX ? (end_text(c, "sent a broken chunk"), -1) : 0;
    struct bytes line = {in.p, n && in.p[n - 1] == '\r' ? n - 1 : n};
    bool is_good = true;
    switch (c->state) {
    case CHUNK_SIZE:
        is_good = read_chunk_size(line, &c->left);
        c->state = c->left ? CHUNK : TRAILER;
        break;
    case CHUNK_END:
        is_good = line.n == 0;
        c->state = CHUNK_SIZE;
        break;
    default:
        c->state = line.n == 0 ? DONE : TRAILER;
    }
    if (!is_good)
        return end_text(c, "sent a broken chunk"), -1;
    buf_drop_front(&c->in, n + 1);
    return 1;
}

static int step(struct http_call *c)
{
    switch (c->state) {
    case HEAD:
        return take_head(c);
    case LENGTH:
    case CHUNK:
    case UNTIL_CLOSE:
        return take_body(c);
    case DONE:
        return end(c, NULL), -1;
    default:
        return take_line(c);
    }
}

/* False when the call is no more. */
static bool understand(struct http_call *c)
{
    int rc;
    do {
        c->is_inside = true;
        rc = step(c);
        if (rc < 0)
            return false;
        c->is_inside = false;
        if (c->is_over) {
            call_free(c);
            return false;
        }
    } while (rc > 0);
    return true;
}

/* ---- the connection ---- */

static void connect_call(struct http_call *c);

static void closed(struct http_call *c)
{
    if (c->is_reused && !c->has_answer && c->in.n == 0) {
        c->is_reused = false;
        watch_free(take_ptr(&c->watch));
        close(c->fd);
        c->fd = -1;
        c->sent = 0;
        connect_call(c);
    } else if (c->state == UNTIL_CLOSE) {
        end(c, NULL);
    } else {
        end_text(c, "closed the connection in the middle");
    }
}

static void send_more(struct http_call *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return; /* an answer may be there all the same: reading tells */
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    watch_set(c->watch, c->sent < c->out.n ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static void ready(int events, void *ctx)
{
    struct http_call *c = ctx;
    int error = 0;
    socklen_t len = sizeof(error);
    if ((events & WATCH_WRITE) && c->sent == 0 &&
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
        if (c->is_reused)
            closed(c);
        else
            end_error(c, error, "cannot reach");
        return;
    }
    if (c->sent < c->out.n)
        send_more(c);
    buf_reserve(&c->in, PIECE);
    ssize_t n = recv(c->fd, c->in.p + c->in.n, PIECE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && errno != ECONNRESET && errno != EPIPE) {
        end_error(c, errno, "cannot read from");
        return;
    }
    if (n <= 0) {
        closed(c);
        return;
    }
    c->in.n += (size_t)n;
    c->in.p[c->in.n] = 0;
    understand(c);
}

static void late(void *ctx)
{
    end_error(ctx, ETIMEDOUT, "no answer from");
}

static void refused(void *ctx)
{
    struct http_call *c = ctx;
    end_error(c, c->status, "cannot reach");
}

static void connect_call(struct http_call *c)
{
    struct http *h = c->http;
    int on = 1, error = 0;
    c->fd = socket(h->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || (connect(c->fd, &h->to.any, h->to_n) < 0 && errno != EINPROGRESS))
        error = errno;
    if (error) { /* told from the loop, not from within http_send */
        c->status = error;
        timer_stop(&c->timer);
        timer_init(&c->timer, h->loop, refused, c);
        timer_start(&c->timer, 0);
        return;
    }
    if (h->to.any.sa_family != AF_UNIX)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->watch = watch_new(h->loop, c->fd, WATCH_READ | WATCH_WRITE, ready, c);
}

static void add_request(struct http_call *c, const struct http_spec *spec)
{
    buf_addf(&c->out, "%s %s HTTP/1.1\r\nHost: %s\r\n", spec->method, spec->path, c->http->host);
    if (spec->headers)
        buf_add_text(&c->out, spec->headers);
    if (spec->body.n || strcmp(spec->method, "POST") == 0 || strcmp(spec->method, "PUT") == 0 ||
        strcmp(spec->method, "PATCH") == 0)
        buf_addf(&c->out, "Content-Length: %zu\r\n", spec->body.n);
    buf_add_text(&c->out, "\r\n");
    if (spec->body.n)
        buf_add_bytes(&c->out, spec->body);
}

struct http_call *http_send(struct http *h, const struct http_spec *spec)
{
    struct http_call *c = NEW(struct http_call);
    c->http = h;
    c->ops = *spec->ops;
    c->ctx = spec->ctx;
    c->fd = -1;
    c->is_head_method = strcmp(spec->method, "HEAD") == 0;
    add_request(c, spec);
    timer_init(&c->timer, h->loop, late, c);
    if (spec->timeout_ms)
        timer_start(&c->timer, spec->timeout_ms);
    list_add(&h->calls, &c->link);
    if (spec->is_once || list_is_empty(&h->idle)) {
        connect_call(c);
        return c;
    }
    c->is_reused = true;
    c->fd = idle_take(list_entry(h->idle.prev, struct idle, link));
    c->watch = watch_new(h->loop, c->fd, WATCH_READ | WATCH_WRITE, ready, c);
    return c;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    list_each (k, &h->calls)
        call_free(list_entry(k, struct http_call, link));
    list_each (l, &h->idle)
        close(idle_take(list_entry(l, struct idle, link)));
    free(h);
}

/* ---- blocking ---- */

struct fetch {
    struct buf *out;
    struct why *why;
    int status;
    bool is_done;
};

static void fetch_head(struct http_call *c, int status, void *ctx)
{
    struct fetch *f = ctx;
    (void)c;
    f->status = status;
}

static void fetch_piece(struct http_call *c, struct bytes piece, void *ctx)
{
    struct fetch *f = ctx;
    (void)c;
    buf_add_bytes(f->out, piece);
}

static void fetch_end(struct http_call *c, const struct why *why, void *ctx)
{
    struct fetch *f = ctx;
    (void)c;
    f->is_done = true;
    if (!why)
        return;
    f->status = -1;
    if (f->why)
        *f->why = *why;
}

int http_fetch(const char *base, const struct http_spec *spec, struct buf *out, struct why *why)
{
    static const struct http_ops ops = {.on_head = fetch_head, .on_piece = fetch_piece, .on_end = fetch_end};
    struct fetch f = {.out = out, .why = why, .status = -1};
    struct http_spec mine = *spec;
    struct loop *loop = loop_new();
    struct http *h = http_new(loop, base, why);
    mine.ops = &ops;
    mine.ctx = &f;
    if (h) {
        http_send(h, &mine);
        while (!f.is_done)
            loop_turn(loop, -1);
    }
    http_free(h);
    loop_free(loop);
    return f.status;
}
