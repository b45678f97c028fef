#include "core/proc/control.h"

#include "core/base/fd.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

enum { MOST_FDS = 8, MOST_BYTES = 64 * 1024, MOST_A_TURN = 32 };

struct waiting { /* a message the socket had no room for */
    struct link link;
    struct buf text;
    int fds[MOST_FDS];
    size_t fd_count;
};

struct control {
    struct loop *loop;
    int fd;
    struct watch *watch;
    const struct control_ops *ops;
    void *ctx;
    struct link queue;
    bool is_lost;
    bool *is_freed; /* set while a handler runs: it may free us */
    char *room;
};

static void waiting_free(struct waiting *w)
{
    list_drop(&w->link);
    for (size_t i = 0; i < w->fd_count; i++)
        fd_close(&w->fds[i]);
    buf_end(&w->text);
    free(w);
}

static void drop_queue(struct control *c)
{
    list_each (at, &c->queue)
        waiting_free(list_entry(at, struct waiting, link));
}

static void lose(struct control *c)
{
    assert(!c->is_lost); /* who is lost is read no more */
    c->is_lost = true;
    watch_free(c->watch);
    c->watch = NULL;
    drop_queue(c);
    c->ops->on_lost(c->ctx);
}

static void flush(struct control *c)
{
    list_each (at, &c->queue) {
        struct waiting *w = list_entry(at, struct waiting, link);
        int rc = fd_send(c->fd, w->text.p, w->text.n, w->fds, w->fd_count);
        if (rc == -EAGAIN)
            return;
        waiting_free(w);
        /* Anything else means that the peer is gone: reading will say so, after what it still had to tell. */
    }
    if (c->watch)
        watch_set(c->watch, WATCH_READ);
}

/* 1: a message was handled; 0: nothing there; -1: over, or freed by the handler. */
static int receive(struct control *c)
{
    int fds[MOST_FDS];
    size_t n = MOST_BYTES;
    int rc = fd_receive(c->fd, c->room, &n, fds, MOST_FDS);
    if (rc == -EAGAIN)
        return 0;
    if (rc < 0 || n == 0) {
        lose(c);
        return -1;
    }
    struct why why;
    _cleanup_json_ json_t *message = json_read((struct bytes){c->room, n}, &why);
    if (!json_is_object(message)) {
        log_error("control.garbled", "why", message ? "not an object" : why.text);
        for (size_t i = 0; i < MOST_FDS; i++)
            fd_close(&fds[i]);
        lose(c);
        return -1;
    }
    bool is_freed = false;
    c->is_freed = &is_freed;
    c->ops->on_message(message, fds, c->ctx);
    if (is_freed)
        return -1;
    c->is_freed = NULL;
    return 1;
}

static void ready(int events, void *ctx)
{
    struct control *c = ctx;
    if (events & WATCH_WRITE)
        flush(c);
    /* Bounded, so that a talkative peer does not keep the loop from everybody else. */
    for (int i = 0; i < MOST_A_TURN; i++) {
        if (receive(c) != 1)
            return;
    }
}

struct control *control_new(struct loop *loop, int fd, const struct control_ops *ops, void *ctx)
{
    struct control *c = NEW(struct control);
    *c = (struct control){.loop = loop, .fd = fd, .ops = ops, .ctx = ctx, .room = mem_new(MOST_BYTES)};
    list_init(&c->queue);
    fd_set_nonblocking(fd, true);
    c->watch = watch_new(loop, fd, WATCH_READ, ready, c);
    assert(c->watch);
    return c;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    if (c->is_freed)
        *c->is_freed = true;
    watch_free(c->watch);
    drop_queue(c);
    fd_close(&c->fd);
    free(c->room);
    free(c);
}

static void keep_waiting(struct control *c, struct buf *text, const int *fds, size_t fd_count)
{
    struct waiting *w = NEW(struct waiting);
    w->text = *text;
    *text = (struct buf){0};
    for (size_t i = 0; i < fd_count; i++) {
        w->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (w->fds[i] < 0) {
            log_error("control.no_descriptor", "why", strerror(errno));
            break;
        }
        w->fd_count++;
    }
    list_add(&c->queue, &w->link);
    watch_set(c->watch, WATCH_READ | WATCH_WRITE);
}

void control_send(struct control *c, json_t *message, const int *fds, size_t fd_count)
{
    assert(fd_count <= MOST_FDS);
    struct buf text = {0};
    json_add(&text, message);
    json_decref(message);
    assert(text.n <= MOST_BYTES);
    if (!c->is_lost) {
        int rc = list_is_empty(&c->queue) ? fd_send(c->fd, text.p, text.n, fds, fd_count) : -EAGAIN;
        if (rc == -EAGAIN)
            keep_waiting(c, &text, fds, fd_count);
    }
    buf_end(&text);
}
