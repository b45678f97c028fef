/*
 * A socket that waits for its first line (or, on a WebSocket path, for its whole head) sits in an
 * edge-triggered epoll of the door's own: a peek takes nothing off the socket, so a level-triggered watch
 * would fire for ever.
 */
#include "core/net/door.h"

#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/unix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WAIT_MS = 10000, /* for the first line; from its first byte on web counts by itself */
    ACCEPTS = 64,    /* per turn and listener */
    PAUSE_MS = 100,  /* when there is no descriptor left */
    HEAD_MAX = 16384,
    WAITING_MAX = 4096, /* sockets that have said nothing yet; the oldest goes when one more comes */
};

struct listening {
    struct door *door;
    struct link link;
    int fd;
    const struct web_listener *listener;
    struct watch *watch;
    struct timer pause;
};

struct waiting {
    struct link link; /* oldest first */
    int fd;
    int64_t due_ms, uid;
    const struct web_listener *listener;
    char address[48];
    char *target; /* of a WebSocket's head that has passed */
};

struct door {
    struct loop *loop;
    struct web *web;
    struct ws *ws;
    const char *const *paths;
    int epoll;
    struct watch *watch;
    struct timer timer;
    struct link listenings, waitings;
    size_t count;
};

enum verdict { WAIT, TO_WEB, TO_WS, REFUSED, LOST };

static void forget(struct door *d, struct waiting *s)
{
    list_drop(&s->link);
    d->count--;
    free(s->target);
    free(s);
}

/* What has come of the head says which of us it is for. */
static enum verdict sort(const struct door *d, struct bytes seen, bool *is_longer)
{
    *is_longer = false;
    for (const char *const *path = d->paths; d->ws && path && *path; path++) {
        struct bytes want = bytes_of(*path);
        size_t all = 4 + want.n, n = seen.n < all ? seen.n : all;
        if (memcmp(seen.p, "GET ", n < 4 ? n : 4) != 0 || (n > 4 && memcmp(seen.p + 4, want.p, n - 4) != 0))
            continue;
        if (seen.n <= all)
            return WAIT;
        if (seen.p[all] == ' ' || seen.p[all] == '?') {
            *is_longer = true;
            return TO_WS;
        }
    }
    return TO_WEB;
}

static enum verdict check_head(struct waiting *s, struct bytes seen, struct gate_verdict *v)
{
    struct gate_rules rules = {.listener = s->listener, .uri = 2048, .headers = HEAD_MAX, .body = 1};
    const char *end = memmem(seen.p, seen.n, "\r\n\r\n", 4);
    if (!end && seen.n >= HEAD_MAX) {
        *v = (struct gate_verdict){431, "headers_too_large", "headers over 16384 bytes", 0};
        return REFUSED;
    }
    if (!end)
        return WAIT;
    if (gate_check_websocket(seen, &rules, v))
        return REFUSED;
    const char *target = seen.p + 4; /* "GET " */
    size_t n = bytes_find((struct bytes){target, seen.n - 4}, ' ');
    s->target = bytes_copy((struct bytes){target, n});
    return TO_WS;
}

static enum verdict look(struct door *d, struct waiting *s, struct gate_verdict *v)
{
    char peek[HEAD_MAX];
    bool needs_head;
    ssize_t n = recv(s->fd, peek, sizeof(peek), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return WAIT;
    if (n <= 0)
        return LOST;
    enum verdict to = sort(d, (struct bytes){peek, (size_t)n}, &needs_head);
    return needs_head ? check_head(s, (struct bytes){peek, (size_t)n}, v) : to;
}

/* True when it is no longer ours. */
static bool serve(struct door *d, struct waiting *s)
{
    struct gate_verdict v;
    enum verdict to = look(d, s, &v);
    if (to == WAIT)
        return false;
    epoll_ctl(d->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    if (to == TO_WEB)
        web_take(d->web, s->fd, s->listener, s->address, s->uid);
    else if (to == TO_WS)
        ws_take(d->ws, s->fd, bytes_of(s->target));
    else if (to == REFUSED)
        web_refuse(d->web, s->fd, s->listener, s->address, &v);
    else
        close(s->fd);
    return true;
}

static void hang_up(struct door *d, struct waiting *s)
{
    close(s->fd);
    forget(d, s);
}

static void ready(int events, void *ctx)
{
    struct door *d = ctx;
    struct epoll_event seen[64];
    int n;
    (void)events;
    do {
        n = epoll_wait(d->epoll, seen, 64, 0);
        for (int i = 0; i < n; i++) {
            struct waiting *s = seen[i].data.ptr;
            if (serve(d, s))
                forget(d, s);
            else if (seen[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                hang_up(d, s);
        }
    } while (n == 64);
}

static void timed_out(void *ctx)
{
    struct door *d = ctx;
    int64_t now = loop_now_ms(d->loop);
    list_each (l, &d->waitings) {
        struct waiting *s = list_entry(l, struct waiting, link);
        if (s->due_ms > now) {
            timer_start(&d->timer, s->due_ms - now);
            return;
        }
        hang_up(d, s);
    }
}

static void describe(struct waiting *s, const struct sockaddr_storage *peer)
{
    const void *p = peer->ss_family == AF_INET6
                        ? (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr
                        : &((const struct sockaddr_in *)peer)->sin_addr;
    int on = 1;
    s->uid = -1;
    if (s->listener->is_unix) {
        unix_peer_uid(s->fd, &s->uid);
        return;
    }
    inet_ntop(peer->ss_family, p, s->address, sizeof(s->address));
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void admit(struct door *d, int fd, const struct web_listener *listener,
                  const struct sockaddr_storage *peer)
{
    list_each (l, &d->waitings) {
        if (d->count < WAITING_MAX)
            break;
        hang_up(d, list_entry(l, struct waiting, link));
    }
    struct waiting *s = NEW(struct waiting);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s};
    s->fd = fd;
    s->listener = listener;
    s->due_ms = loop_now_ms(d->loop) + WAIT_MS;
    describe(s, peer);
    list_add(&d->waitings, &s->link);
    d->count++;
    if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        hang_up(d, s);
        return;
    }
    if (!timer_is_started(&d->timer))
        timer_start(&d->timer, WAIT_MS);
}

static void someone_knocks(int events, void *ctx)
{
    struct listening *l = ctx;
    (void)events;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t n = sizeof(peer);
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(l->door, fd, l->listener, &peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN) { /* no descriptor left: trying at once again would only burn the processor */
            log_warn("door.full", "listener", l->listener->name, "why", strerror(errno));
            watch_set(l->watch, 0);
            timer_start(&l->pause, PAUSE_MS);
        }
        return;
    }
}

static void go_on(void *ctx)
{
    struct listening *l = ctx;
    watch_set(l->watch, WATCH_READ);
}

struct door *door_new(struct loop *loop, struct web *web, struct ws *ws, const struct door_paths *paths)
{
    struct door *d = NEW(struct door);
    d->loop = loop;
    d->web = web;
    d->ws = ws;
    d->paths = paths ? paths->websocket : NULL;
    list_init(&d->listenings);
    list_init(&d->waitings);
    timer_init(&d->timer, loop, timed_out, d);
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (d->epoll < 0)
        mem_end();
    d->watch = watch_new(loop, d->epoll, WATCH_READ, ready, d);
    return d;
}

int door_listen(struct door *d, int fd, const struct web_listener *listener)
{
    struct listening *l = NEW(struct listening);
    l->door = d;
    l->fd = fd;
    l->listener = listener;
    timer_init(&l->pause, d->loop, go_on, l);
    l->watch = watch_new(d->loop, fd, WATCH_READ, someone_knocks, l);
    list_add(&d->listenings, &l->link);
    return 0;
}

void door_stop(struct door *d)
{
    list_each (k, &d->listenings) {
        struct listening *l = list_entry(k, struct listening, link);
        list_drop(&l->link);
        timer_stop(&l->pause);
        watch_free(l->watch);
        close(l->fd);
        free(l);
    }
}

void door_free(struct door *d)
{
    if (!d)
        return;
    door_stop(d);
    list_each (k, &d->waitings)
        hang_up(d, list_entry(k, struct waiting, link));
    timer_stop(&d->timer);
    watch_free(d->watch);
    close(d->epoll);
    free(d);
}
