/*
 * A turn of the loop, as libuv 1.44 runs it, and what we do in it:
 *
 *   prepare   run what was deferred outside of a turn, then set libuv's one timer to our nearest due time
 *   poll      wait; descriptors, signals and finished work call back
 *   check     fire what is due, then run what was deferred in this turn
 *   closing   libuv lets go of handles that were closed; only then their memory is freed
 *
 * So libuv's timer only ends the waiting, and starting or stopping one of ours touches nothing but the heap.
 */
#include "core/base/loop.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <uv.h>

enum { HELD_CLOCK_MS = 10 }; /* how often a clock that a test moves is looked at */

struct loop {
    uv_loop_t uv;
    uv_timer_t alarm;
    uv_prepare_t prepare;
    uv_check_t check;
    struct timer **heap; /* from 1: children of i are 2i and 2i+1 */
    size_t count, cap;
    struct defer *first, **last;
    int64_t now_ms;   /* as of this turn; 0: not asked yet */
    int64_t fired_ms; /* while timers fire: the time they fire for; else 0 */
    int64_t turn_ms;  /* the longest wait of this turn; -1: none set */
    bool is_running;
};

struct watch {
    uv_poll_t poll;
    int events;
    bool is_free;
    watch_fn fn;
    void *ctx;
};

struct signal_watch {
    uv_signal_t uv;
    void (*fn)(int signo, void *ctx);
    void *ctx;
};

static void run_defers(struct loop *l)
{
    while (l->first) {
        struct defer *d = l->first;
        l->first = d->next;
        if (!l->first)
            l->last = &l->first;
        d->next = NULL;
        d->is_queued = false;
        d->fn(d->ctx);
    }
}

static void fire_timers(struct loop *l)
{
    l->fired_ms = clock_ms();
    while (l->count && l->heap[1]->due_ms <= l->fired_ms) {
        struct timer *t = l->heap[1];
        timer_stop(t);
        t->fn(t->ctx);
    }
    l->fired_ms = 0;
}

static void alarm_rang(uv_timer_t *alarm)
{
    (void)alarm; /* it has ended the waiting; check does the rest */
}

static int64_t longest_wait(const struct loop *l)
{
    int64_t wait = l->turn_ms;
    if (l->count) {
        int64_t left = l->heap[1]->due_ms - clock_ms();
        left = left < 0 ? 0 : left;
        wait = wait < 0 || left < wait ? left : wait;
    }
#ifdef TEST_CLOCK
    if (clock_is_held() && (wait < 0 || wait > HELD_CLOCK_MS))
        wait = HELD_CLOCK_MS;
#endif
    return wait;
}

static void before_poll(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    run_defers(l);
    int64_t wait = longest_wait(l);
    /* libuv adds this to its own idea of now and takes the same off again: the wait is what we say. */
    if (wait < 0)
        uv_timer_stop(&l->alarm);
    else
        uv_timer_start(&l->alarm, alarm_rang, (uint64_t)wait, 0);
    l->now_ms = 0;
}

static void after_poll(uv_check_t *check)
{
    struct loop *l = check->data;
    fire_timers(l);
    run_defers(l);
}

struct loop *loop_new(void)
{
    struct loop *l = NEW(struct loop);
    int rc = uv_loop_init(&l->uv);
    assert(rc == 0);
    rc |= uv_timer_init(&l->uv, &l->alarm);
    rc |= uv_prepare_init(&l->uv, &l->prepare);
    rc |= uv_check_init(&l->uv, &l->check);
    l->prepare.data = l->check.data = l;
    rc |= uv_prepare_start(&l->prepare, before_poll);
    rc |= uv_check_start(&l->check, after_poll);
    assert(rc == 0);
    l->last = &l->first;
    l->turn_ms = -1;
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    assert(!l->is_running && l->count == 0 && !l->first);
    uv_close((uv_handle_t *)&l->alarm, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* until the last close callback and the last work are done */
    int rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    free(l->heap);
    free(l);
}

void loop_run(struct loop *l)
{
    l->is_running = true;
    l->turn_ms = -1;
    uv_run(&l->uv, UV_RUN_DEFAULT);
    l->is_running = false;
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

void loop_turn(struct loop *l, int64_t ms)
{
    l->is_running = true;
    l->turn_ms = ms;
    uv_run(&l->uv, ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    l->turn_ms = -1;
    l->is_running = false;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

int64_t loop_now_ms(struct loop *l)
{
    if (!l->is_running)
        return clock_ms();
    if (l->now_ms == 0)
        l->now_ms = clock_ms();
    return l->now_ms;
}

static void put(struct loop *l, size_t place, struct timer *t)
{
    l->heap[place] = t;
    t->place = place;
}

static void sift_up(struct loop *l, struct timer *t)
{
    size_t at = t->place;
    for (; at > 1 && l->heap[at / 2]->due_ms > t->due_ms; at /= 2)
        put(l, at, l->heap[at / 2]);
    put(l, at, t);
}

static void sift_down(struct loop *l, struct timer *t)
{
    size_t at = t->place;
    for (size_t child; (child = at * 2) <= l->count; at = child) {
        if (child < l->count && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
            child++;
        if (l->heap[child]->due_ms >= t->due_ms)
            break;
        put(l, at, l->heap[child]);
    }
    put(l, at, t);
}

void timer_init(struct timer *t, struct loop *l, loop_fn fn, void *ctx)
{
    *t = (struct timer){.loop = l, .fn = fn, .ctx = ctx};
}

void timer_start(struct timer *t, int64_t ms)
{
    struct loop *l = t->loop;
    int64_t due;
    if (__builtin_add_overflow(clock_ms(), ms < 0 ? 0 : ms, &due))
        due = INT64_MAX;
    /* A timer that starts itself again with 0 must not fire for ever within one turn. */
    if (l->fired_ms && due <= l->fired_ms)
        due = l->fired_ms + 1;
    if (t->place) {
        bool is_later = due > t->due_ms;
        t->due_ms = due;
        (is_later ? sift_down : sift_up)(l, t);
        return;
    }
    if (l->count + 1 >= l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->heap = mem_grow(l->heap, l->cap, sizeof *l->heap);
    }
    t->due_ms = due;
    put(l, ++l->count, t);
    sift_up(l, t);
}

void timer_stop(struct timer *t)
{
    struct loop *l = t->loop;
    if (t->place == 0)
        return;
    struct timer *last = l->heap[l->count--];
    if (last != t) {
        put(l, t->place, last);
        sift_up(l, last);
        sift_down(l, last);
    }
    t->place = 0;
}

bool timer_is_started(const struct timer *t)
{
    return t->place != 0;
}

static int uv_events(int events)
{
    return (events & WATCH_READ ? UV_READABLE : 0) | (events & WATCH_WRITE ? UV_WRITABLE : 0) |
           (events & WATCH_HANGUP ? UV_DISCONNECT : 0);
}

static void fd_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int told = (events & UV_READABLE ? WATCH_READ : 0) | (events & UV_WRITABLE ? WATCH_WRITE : 0) |
               (events & UV_DISCONNECT ? WATCH_HANGUP : 0);
    if (status < 0)
        told =
            w->events; /* EPOLLERR: libuv has stopped the handle; the next read or write tells what it is */
    if (told)
        w->fn(told, w->ctx);
    if (status < 0 && !w->is_free)
        uv_poll_start(poll, uv_events(w->events), fd_ready);
}

struct watch *watch_new(struct loop *l, int fd, int events, watch_fn fn, void *ctx)
{
    struct watch *w = NEW(struct watch);
    int rc = uv_poll_init(&l->uv, &w->poll, fd);
    if (rc < 0) {
        free(w);
        errno = -rc;
        return NULL;
    }
    w->poll.data = w;
    w->fn = fn;
    w->ctx = ctx;
    watch_set(w, events);
    return w;
}

void watch_set(struct watch *w, int events)
{
    if (w->events == events)
        return; /* libuv would take the descriptor out and put it in again */
    w->events = events;
    int rc = uv_poll_start(&w->poll, uv_events(events), fd_ready);
    assert(rc == 0); /* a second watch on the same descriptor */
}

static void watch_closed(uv_handle_t *poll)
{
    free(poll->data);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    assert(!w->is_free);
    w->is_free = true;
    uv_close((uv_handle_t *)&w->poll, watch_closed); /* stops it at once */
}

void defer_init(struct defer *d, loop_fn fn, void *ctx)
{
    *d = (struct defer){.fn = fn, .ctx = ctx};
}

void loop_defer(struct loop *l, struct defer *d)
{
    if (d->is_queued)
        return;
    d->is_queued = true;
    d->next = NULL;
    *l->last = d;
    l->last = &d->next;
}

void defer_drop(struct loop *l, struct defer *d)
{
    if (!d->is_queued)
        return;
    struct defer **at = &l->first;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    if (l->last == &d->next)
        l->last = at;
    d->next = NULL;
    d->is_queued = false;
}

static void signal_came(uv_signal_t *uv, int signo)
{
    struct signal_watch *s = uv->data;
    s->fn(signo, s->ctx);
}

struct signal_watch *signal_watch_new(struct loop *l, int signo, void (*fn)(int signo, void *ctx), void *ctx)
{
    struct signal_watch *s = NEW(struct signal_watch);
    s->fn = fn;
    s->ctx = ctx;
    int rc = uv_signal_init(&l->uv, &s->uv);
    s->uv.data = s;
    rc |= uv_signal_start(&s->uv, signal_came, signo);
    assert(rc == 0);
    return s;
}

static void signal_closed(uv_handle_t *uv)
{
    free(uv->data);
}

void signal_watch_free(struct signal_watch *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, signal_closed);
}
