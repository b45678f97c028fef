/*
 * libwebsockets as a guest of our loop. It only ever sees sockets whose whole head the door has checked; its
 * HTTP role must never serve anybody, so every callback of that role refuses.
 *
 * What surprised us in 4.1.6: it loads its libuv part as a plug-in and unloads it while libuv still holds
 * close callbacks in it, so we pin that library first. It keeps timeouts in a sorted list that costs O(n) for
 * each event, so an open socket has none, and our own timers do that work. It allocates two arrays as long as
 * the limit of open files, a million somewhere, and writes to all of it.
 */
#include "core/net/ws.h"

#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <sys/resource.h>

enum { PING_MS = 20000, SILENCE_MS = 45000, FILES_MAX = 32768, CLOSE_MS = 5000, RX = 2048 };

struct message {
    struct link link;
    size_t n;
    unsigned char room[]; /* LWS_PRE, then the text */
};

struct socket {
    struct ws *ws;
    struct lws *wsi;
    struct link link;
    char *target;
    void *ctx;
    struct link queue;
    size_t queued;
    struct buf in;
    struct timer timer;
    int64_t heard_ms;
    int code; /* != 0: to be closed with it */
    char reason[124];
    bool is_open, is_closing, wants_ping;
};

struct ws {
    struct loop *loop;
    const struct ws_ops *ops;
    void *ctx;
    size_t message_max, count;
    struct link sockets;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws_protocols protocols[2];
};

static void socket_free(struct socket *s)
{
    list_each (l, &s->queue) {
        struct message *m = list_entry(l, struct message, link);
        list_drop(&m->link);
        free(m);
    }
    list_drop(&s->link);
    timer_stop(&s->timer);
    s->ws->count--;
    buf_end(&s->in);
    free(s->target);
    free(s);
}

static void tell_closed(struct socket *s)
{
    if (!s->is_open)
        return;
    s->is_open = false;
    timer_stop(&s->timer);
    s->ws->ops->on_close(s, s->ws->ctx);
}

static void close_with(struct socket *s, int code, const char *reason)
{
    if (s->code)
        return;
    s->code = code;
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
    lws_callback_on_writable(s->wsi);
}

/* Debian's 4.1.6 is built with _DEBUG, and then, under libuv, closes a socket twice when WRITEABLE returns
 * -1: the second time kills it before the close frame has left. So it is closed from our own timer, which
 * goes the polite way: the frame, and at most 5 s for the peer's. */
static void close_now(struct socket *s)
{
    s->is_closing = true;
    lws_close_reason(s->wsi, (enum lws_close_status)s->code, (unsigned char *)s->reason, strlen(s->reason));
    lws_set_timeout(s->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
}

static void timer_fired(void *ctx)
{
    struct socket *s = ctx;
    int64_t left = s->heard_ms + SILENCE_MS - loop_now_ms(s->ws->loop);
    if (s->is_closing || left <= 0) { /* LWS_TO_KILL_ASYNC would wait for the next event of anybody */
        lws_set_timeout(s->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
    } else if (s->code && list_is_empty(&s->queue)) {
        timer_start(&s->timer, CLOSE_MS);
        close_now(s);
    } else {
        s->wants_ping = true;
        lws_callback_on_writable(s->wsi);
        timer_start(&s->timer, left < PING_MS ? left : PING_MS);
    }
}

/* ---- what libwebsockets tells, a row each ---- */

static int refuse(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    (void)s, (void)wsi, (void)in, (void)n;
    return -1;
}

static int confirm(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    char what[16];
    (void)in, (void)n; /* CVE-2025-11677 is in what `in` points to */
    if (!s || lws_hdr_copy(wsi, what, sizeof(what), WSI_TOKEN_UPGRADE) != 9 ||
        strcasecmp(what, "websocket") != 0)
        return -1;
    return 0;
}

static int established(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    struct ws *w = s->ws;
    struct bytes target = bytes_of(s->target);
    size_t mark = bytes_find(target, '?');
    struct bytes query =
        mark < target.n ? (struct bytes){target.p + mark + 1, target.n - mark - 1} : BYTES_NONE;
    (void)in, (void)n;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    s->is_open = true;
    s->heard_ms = loop_now_ms(w->loop);
    timer_start(&s->timer, PING_MS);
    w->ops->on_open(s, (struct bytes){target.p, mark}, query, w->ctx);
    return 0;
}

static int received(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    struct ws *w = s->ws;
    s->heard_ms = loop_now_ms(w->loop);
    if (s->code)
        return 0; /* on its way out */
    if (lws_frame_is_binary(wsi))
        return close_with(s, 1003, "text only"), 0;
    if (n > w->message_max - s->in.n)
        return close_with(s, 1009, "message too large"), 0;
    buf_add(&s->in, in, n);
    if (lws_remaining_packet_payload(wsi) || !lws_is_final_fragment(wsi))
        return 0;
    struct bytes text = {s->in.p ? s->in.p : "", s->in.n};
    if (!utf8_is_valid(text))
        return close_with(s, 1007, "not UTF-8"), 0;
    w->ops->on_text(s, text, w->ctx);
    buf_clear(&s->in);
    if (s->in.cap > RX)
        buf_end(&s->in);
    return 0;
}

static int ponged(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    (void)wsi, (void)in, (void)n;
    s->heard_ms = loop_now_ms(s->ws->loop);
    return 0;
}

static int writeable(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    unsigned char ping[LWS_PRE + 1] = {[LWS_PRE] = '?'}; /* of an empty pong we would not be told */
    (void)in, (void)n;
    if (s->is_closing)
        return 0;
    if (s->wants_ping) {
        s->wants_ping = false;
        if (lws_write(wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0)
            return -1;
    }
    list_each (l, &s->queue) {
        if (lws_send_pipe_choked(wsi))
            break;
        struct message *m = list_entry(l, struct message, link);
        int sent = lws_write(wsi, m->room + LWS_PRE, m->n, LWS_WRITE_TEXT);
        list_drop(&m->link);
        s->queued -= m->n;
        free(m);
        if (sent < 0)
            return -1;
    }
    if (!list_is_empty(&s->queue))
        lws_callback_on_writable(wsi);
    else if (s->code)
        timer_start(&s->timer, 0); /* not from in here: see close_now */
    return 0;
}

static int closed(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    (void)wsi, (void)in, (void)n;
    tell_closed(s);
    return 0;
}

static int destroyed(struct socket *s, struct lws *wsi, void *in, size_t n)
{
    (void)in, (void)n;
    lws_set_opaque_user_data(wsi, NULL);
    tell_closed(s);
    socket_free(s);
    return 0;
}

static const struct row {
    int (*fn)(struct socket *s, struct lws *wsi, void *in, size_t n);
    bool may_be_nobodys; /* called without a socket of ours, too */
} rows[] = {
    [LWS_CALLBACK_HTTP] = {refuse,      true },
    [LWS_CALLBACK_HTTP_BODY] = {refuse,      true },
    [LWS_CALLBACK_HTTP_BODY_COMPLETION] = {refuse,      true },
    [LWS_CALLBACK_HTTP_CONFIRM_UPGRADE] = {confirm,     true },
    [LWS_CALLBACK_ESTABLISHED] = {established, false},
    [LWS_CALLBACK_RECEIVE] = {received,    false},
    [LWS_CALLBACK_RECEIVE_PONG] = {ponged,      false},
    [LWS_CALLBACK_SERVER_WRITEABLE] = {writeable,   false},
    [LWS_CALLBACK_CLOSED] = {closed,      false},
    [LWS_CALLBACK_WSI_DESTROY] = {destroyed,   false},
};

static int call(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    const struct row *row = (size_t)reason < sizeof(rows) / sizeof(rows[0]) ? &rows[reason] : NULL;
    struct socket *s = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    (void)user;
    if (!row || !row->fn || (!s && !row->may_be_nobodys))
        return 0;
    return row->fn(s, wsi, in, n);
}

/* ---- the door's side ---- */

int ws_take(struct ws *w, int fd, struct bytes target)
{
    struct lws *wsi = lws_adopt_socket_vhost(w->vhost, fd);
    if (!wsi)
        return -1;
    struct socket *s = NEW(struct socket);
    s->ws = w;
    s->wsi = wsi;
    s->target = bytes_copy(target);
    list_init(&s->queue);
    timer_init(&s->timer, w->loop, timer_fired, s);
    list_add(&w->sockets, &s->link);
    w->count++;
    lws_set_opaque_user_data(wsi, s);
    return 0;
}

static struct lws_context *create(struct ws *w)
{
    static const lws_retry_bo_t no_pings = {0}; /* ours are in timer_fired */
    void *loops[] = {loop_uv(w->loop)};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = w->protocols,
        .foreign_loops = loops,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .max_http_header_data = 20480,
        .retry_and_idle_policy = &no_pings,
        .timeout_secs = 10,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .vhost_name = "ws",
    };
    struct rlimit files = {0}, fewer;
    getrlimit(RLIMIT_NOFILE, &files);
    fewer = files;
    fewer.rlim_cur = files.rlim_cur < FILES_MAX ? files.rlim_cur : FILES_MAX;
    setrlimit(RLIMIT_NOFILE, &fewer);
    w->context = lws_create_context(&info);
    setrlimit(RLIMIT_NOFILE, &files);
    w->vhost = w->context ? lws_create_vhost(w->context, &info) : NULL;
    return w->vhost ? w->context : NULL;
}

int ws_check(struct why *why)
{
    if (dlopen("libwebsockets-evlib_uv.so", RTLD_NOW | RTLD_NODELETE))
        return 0;
    return why_set(why, -ENOENT, "cannot load libwebsockets' libuv plug-in: %s", dlerror());
}

struct ws *ws_new(struct loop *loop, const char *subprotocol, size_t message_max, const struct ws_ops *ops,
                  void *ctx)
{
    lws_set_log_level(0, NULL);
    if (ws_check(NULL) < 0)
        return NULL;
    struct ws *w = NEW(struct ws);
    w->loop = loop;
    w->ops = ops;
    w->ctx = ctx;
    w->message_max = message_max;
    list_init(&w->sockets);
    w->protocols[0] = (struct lws_protocols){.name = subprotocol, .callback = call, .rx_buffer_size = RX};
    if (!create(w)) {
        ws_free(w);
        return NULL;
    }
    return w;
}

void ws_free(struct ws *w)
{
    if (!w)
        return;
    if (w->context) {
        lws_context_destroy(w->context);
        loop_turn(w->loop, 0); /* libuv's close callbacks */
        lws_context_destroy(w->context);
        loop_turn(w->loop, 0);
    }
    list_each (l, &w->sockets) /* those whose end libwebsockets has not told */
    {
        struct socket *s = list_entry(l, struct socket, link);
        tell_closed(s);
        socket_free(s);
    }
    free(w);
}

/* ---- the handler's side ---- */

void socket_send(struct socket *s, struct bytes text)
{
    if (!s->is_open || s->code)
        return;
    struct message *m = mem_new(sizeof(*m) + LWS_PRE + text.n);
    m->n = text.n;
    memcpy(m->room + LWS_PRE, text.p, text.n);
    list_add(&s->queue, &m->link);
    s->queued += text.n;
    lws_callback_on_writable(s->wsi);
}

size_t socket_queued(const struct socket *s)
{
    return s->queued;
}

void socket_close(struct socket *s, int code, const char *reason)
{
    char text[sizeof(s->reason)];
    size_t n = strlen(reason);
    if (!s->is_open)
        return;
    n = utf8_cut((struct bytes){reason, n}, n < sizeof(text) ? n : sizeof(text) - 1);
    memcpy(text, reason, n);
    text[n] = 0;
    close_with(s, code, text);
}

void socket_set_ctx(struct socket *s, void *ctx)
{
    s->ctx = ctx;
}

void *socket_ctx(const struct socket *s)
{
    return s->ctx;
}

size_t ws_count(const struct ws *w)
{
    return w->count;
}
