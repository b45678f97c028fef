#pragma once
/*
 * loop -- the one event loop of a process, over libuv.
 *
 * libuv's handles are closed asynchronously, which makes them poor members of structs that are freed at once.
 * So this door gives three things that can be dropped at any moment, from inside their own callback too:
 *   struct timer   a node in one heap behind one uv_timer: starting and stopping costs no system call;
 *   struct watch   a file descriptor (heap object over uv_poll; the fd stays the caller's);
 *   struct defer   work for the end of this turn, after all descriptors were served: one writev per peer and
 * turn.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct uv_loop_s;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* closes what it holds; no timer, watch or defer may be left */
/* Until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One turn, waiting at most `ms` (0: not at all; -1: until something happens). For tests. */
void loop_turn(struct loop *l, int64_t ms);
struct uv_loop_s *loop_uv(struct loop *l);
int64_t loop_now_ms(struct loop *l); /* the clock as of this turn */

typedef void (*loop_fn)(void *ctx);

struct timer {
    int64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not started */
    struct loop *loop;
    loop_fn fn;
    void *ctx;
};
void timer_init(struct timer *t, struct loop *l, loop_fn fn, void *ctx);
void timer_start(struct timer *t, int64_t ms); /* from now; starting a started one moves it */
void timer_stop(struct timer *t);
bool timer_is_started(const struct timer *t);

enum { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_HANGUP = 4 };
struct watch;
typedef void (*watch_fn)(int events, void *ctx);
struct watch *watch_new(struct loop *l, int fd, int events, watch_fn fn, void *ctx);
void watch_set(struct watch *w, int events);
void watch_free(struct watch *w); /* before the fd is closed; NULL is fine */

struct defer {
    struct defer *next;
    bool is_queued;
    loop_fn fn;
    void *ctx;
};
void defer_init(struct defer *d, loop_fn fn, void *ctx);
/* Runs once at the end of this turn; queueing a queued one does nothing. A defer queued by a defer runs in
 * the same turn. */
void loop_defer(struct loop *l, struct defer *d);
void defer_drop(struct loop *l, struct defer *d);

struct signal_watch;
struct signal_watch *signal_watch_new(struct loop *l, int signo, void (*fn)(int signo, void *ctx), void *ctx);
void signal_watch_free(struct signal_watch *s);
