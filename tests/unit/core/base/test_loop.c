#include "core/base/fd.h"
#include "core/base/loop.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What happened, in order, one letter each. */
static char story[64];

static void tell(void *letter)
{
    size_t n = strlen(story);
    if (n + 1 < sizeof story) {
        story[n] = *(const char *)letter;
        story[n + 1] = 0;
    }
}

static struct loop *begin(void)
{
    story[0] = 0;
    return loop_new();
}

struct reader {
    struct watch *watch;
    int fd, calls, events;
    bool frees;
};

static void on_readable(int events, void *ctx)
{
    struct reader *r = ctx;
    char byte;
    r->calls++;
    r->events |= events;
    if (events & WATCH_READ && read(r->fd, &byte, 1) == 1)
        tell(&byte);
    if (r->frees) {
        watch_free(r->watch);
        r->watch = NULL;
    }
}

static void a_watch_tells_what_can_be_read(void **state)
{
    (void)state;
    struct loop *l = begin();
    int pair[2];
    passes(fd_pair(SOCK_STREAM, true, pair));
    struct reader r = {.fd = pair[0]};
    r.watch = watch_new(l, pair[0], WATCH_READ, on_readable, &r);
    loop_turn(l, 0);
    assert_int_equal(r.calls, 0);
    assert_int_equal(write(pair[1], "ab", 2), 2);
    kit_loop_until(l, 1000, strlen(story) == 2);
    assert_string_equal(story, "ab");
    watch_set(r.watch, 0);
    assert_int_equal(write(pair[1], "c", 1), 1);
    loop_turn(l, 5);
    assert_int_equal(r.calls, 2);
    watch_set(r.watch, WATCH_READ | WATCH_WRITE);
    kit_loop_until(l, 1000, r.events & WATCH_WRITE);
    assert_string_equal(story, "abc");
    watch_free(r.watch);
    watch_free(NULL);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    loop_free(l);
}

static void a_watch_may_be_freed_in_its_own_callback(void **state)
{
    (void)state;
    struct loop *l = begin();
    int pair[2];
    passes(fd_pair(SOCK_STREAM, true, pair));
    struct reader r = {.fd = pair[0], .frees = true};
    r.watch = watch_new(l, pair[0], WATCH_READ, on_readable, &r);
    assert_int_equal(write(pair[1], "ab", 2), 2);
    kit_loop_until(l, 1000, !r.watch);
    fd_close(&pair[0]);
    loop_turn(l, 5);
    assert_int_equal(r.calls, 1);
    fd_close(&pair[1]);
    loop_free(l);
}

/* Both are ready in one turn; the first to be told frees the second. */
static struct reader *victim;

static void free_the_victim(int events, void *ctx)
{
    struct reader *r = ctx;
    (void)events;
    r->calls++;
    struct reader *other = r == victim ? r - 1 : victim;
    watch_free(other->watch);
    other->watch = NULL;
    fd_close(&other->fd);
    watch_set(r->watch, 0);
}

static void a_freed_watch_is_not_told_any_more(void **state)
{
    (void)state;
    struct loop *l = begin();
    int a[2], b[2];
    passes(fd_pair(SOCK_STREAM, true, a));
    passes(fd_pair(SOCK_STREAM, true, b));
    struct reader r[2] = {{.fd = a[0]}, {.fd = b[0]}};
    victim = &r[1];
    r[0].watch = watch_new(l, a[0], WATCH_READ, free_the_victim, &r[0]);
    r[1].watch = watch_new(l, b[0], WATCH_READ, free_the_victim, &r[1]);
    assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    loop_turn(l, 100);
    loop_turn(l, 5);
    assert_int_equal(r[0].calls + r[1].calls, 1);
    for (int i = 0; i < 2; i++) {
        watch_free(r[i].watch);
        fd_close(&r[i].fd);
    }
    fd_close(&a[1]);
    fd_close(&b[1]);
    loop_free(l);
}

static void one_byte_is_told_once(struct loop *l)
{
    int pair[2];
    passes(fd_pair(SOCK_STREAM, true, pair));
    struct reader r = {.fd = pair[0]};
    r.watch = watch_new(l, pair[0], WATCH_READ, on_readable, &r);
    loop_turn(l, 0);
    assert_int_equal(r.calls, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    kit_loop_until(l, 1000, r.calls == 1);
    watch_free(r.watch);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
}

/* The number of a closed descriptor comes back at once; a watch on it must not see the old one's events. */
static void a_number_used_again_is_another_descriptor(void **state)
{
    (void)state;
    struct loop *l = begin();
    for (int i = 0; i < 50; i++)
        one_byte_is_told_once(l);
    loop_free(l);
}

static void on_hangup(int events, void *ctx)
{
    struct reader *r = ctx;
    r->calls++;
    r->events |= events;
    watch_set(r->watch, 0);
}

static void a_client_that_goes_is_seen_without_reading(void **state)
{
    (void)state;
    struct loop *l = begin();
    int pair[2];
    passes(fd_pair(SOCK_STREAM, true, pair));
    struct reader r = {.fd = pair[0]};
    r.watch = watch_new(l, pair[0], WATCH_HANGUP, on_hangup, &r);
    assert_int_equal(write(pair[1], "unread", 6), 6);
    loop_turn(l, 5);
    assert_int_equal(r.calls, 0);
    assert_int_equal(shutdown(pair[1], SHUT_WR), 0); /* half closed counts */
    kit_loop_until(l, 1000, r.calls);
    assert_int_equal(r.events, WATCH_HANGUP);
    watch_free(r.watch);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    loop_free(l);
}

static void count_calls(int events, void *ctx)
{
    struct reader *r = ctx;
    r->calls++;
    r->events |= events;
}

/* EPOLLERR makes libuv stop the handle and say EBADF; the owner must still learn of it, as long as it asks.
 */
static void an_error_on_the_descriptor_is_told(void **state)
{
    (void)state;
    struct loop *l = begin();
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct reader r = {.fd = ends[1]};
    while (write(ends[1], "0123456789abcdef", 16) == 16)
        ;
    r.watch = watch_new(l, ends[1], WATCH_WRITE, count_calls, &r);
    loop_turn(l, 5);
    assert_int_equal(r.calls, 0);
    fd_close(&ends[0]);
    kit_loop_until(l, 1000, r.calls == 2);
    assert_true(r.events & WATCH_WRITE);
    watch_free(r.watch);
    fd_close(&ends[1]);
    loop_free(l);
}

static void what_cannot_be_polled_is_refused(void **state)
{
    (void)state;
    struct loop *l = begin();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_null(watch_new(l, fd, WATCH_READ, on_hangup, NULL));
    assert_int_equal(errno, EPERM);
    fd_close(&fd);
    loop_free(l);
}

struct job {
    struct loop *loop;
    struct defer first, second;
    struct watch *watch;
    int fd;
};

static void second_ran(void *ctx)
{
    (void)ctx;
    tell("2");
}

static void first_ran(void *ctx)
{
    struct job *j = ctx;
    tell("1");
    loop_defer(j->loop, &j->second);
}

static void defer_twice(int events, void *ctx)
{
    struct job *j = ctx;
    char byte;
    (void)events;
    assert_int_equal(read(j->fd, &byte, 1), 1);
    tell(&byte);
    loop_defer(j->loop, &j->first);
    loop_defer(j->loop, &j->first);
}

static void defers_run_after_all_descriptors_of_the_turn(void **state)
{
    (void)state;
    struct loop *l = begin();
    int a[2], b[2];
    passes(fd_pair(SOCK_STREAM, true, a));
    passes(fd_pair(SOCK_STREAM, true, b));
    struct job j[2] = {
        {.loop = l, .fd = a[0]},
        {.loop = l, .fd = b[0]}
    };
    for (int i = 0; i < 2; i++) {
        defer_init(&j[i].first, first_ran, &j[i]);
        defer_init(&j[i].second, second_ran, &j[i]);
        j[i].watch = watch_new(l, j[i].fd, WATCH_READ, defer_twice, &j[i]);
    }
    assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    loop_turn(l, 100);
    assert_string_equal(story, "xx1122");
    for (int i = 0; i < 2; i++)
        watch_free(j[i].watch);
    fd_close(&a[0]), fd_close(&a[1]), fd_close(&b[0]), fd_close(&b[1]);
    loop_free(l);
}

static void a_defer_queued_before_the_turn_runs_before_it_waits(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct defer d;
    defer_init(&d, tell, "d");
    loop_defer(l, &d);
    int64_t from = kit_real_ms();
    loop_turn(l, 5);
    assert_string_equal(story, "d");
    assert_true(kit_real_ms() - from < 1000);
    loop_free(l);
}

static void a_defer_queued_twice_runs_once(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct defer d;
    defer_init(&d, tell, "d");
    loop_defer(l, &d);
    loop_defer(l, &d);
    loop_turn(l, 0);
    assert_string_equal(story, "d");
    loop_defer(l, &d);
    loop_turn(l, 0);
    assert_string_equal(story, "dd");
    loop_free(l);
}

static void defer_from_timer(void *ctx)
{
    struct job *j = ctx;
    tell("t");
    loop_defer(j->loop, &j->second);
}

static void a_defer_of_a_timer_runs_in_its_turn(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct job j = {.loop = l};
    struct timer t;
    defer_init(&j.second, second_ran, NULL);
    timer_init(&t, l, defer_from_timer, &j);
    timer_start(&t, 0);
    loop_turn(l, 100);
    assert_string_equal(story, "t2");
    loop_free(l);
}

static void a_dropped_defer_does_not_run(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct defer d[4];
    for (int i = 0; i < 4; i++) {
        defer_init(&d[i], tell, &"abcd"[i]);
        loop_defer(l, &d[i]);
    }
    defer_drop(l, &d[1]);
    defer_drop(l, &d[3]); /* the last: the queue's end must move */
    defer_drop(l, &d[3]);
    loop_defer(l, &d[1]);
    loop_turn(l, 0);
    assert_string_equal(story, "acb");
    loop_free(l);
}

static void stop_it(void *ctx)
{
    tell("s");
    loop_stop(ctx);
}

static void run_goes_on_until_stopped(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer t, late;
    timer_init(&t, l, stop_it, l);
    timer_init(&late, l, tell, "l");
    timer_start(&t, 5);
    timer_start(&late, 60000);
    loop_run(l);
    assert_string_equal(story, "s");
    timer_start(&t, 5);
    loop_run(l); /* and may run again */
    assert_string_equal(story, "ss");
    timer_stop(&late);
    loop_free(l);
}

static void on_signal(int signo, void *ctx)
{
    (void)ctx;
    tell(signo == SIGUSR1 ? "u" : "?");
}

static void signals_come_through_the_loop(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct signal_watch *s = signal_watch_new(l, SIGUSR1, on_signal, NULL);
    raise(SIGUSR1);
    kit_loop_until(l, 1000, story[0]);
    assert_string_equal(story, "u");
    signal_watch_free(s);
    signal_watch_free(NULL);
    loop_free(l);
}

static void a_turn_waits_no_longer_than_told(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer t;
    timer_init(&t, l, tell, "t");
    timer_start(&t, 60000);
    int64_t from = kit_real_ms();
    loop_turn(l, 0);
    loop_turn(l, 10);
    assert_in_range(kit_real_ms() - from, 9, 1000);
    assert_true(loop_now_ms(l) >= from);
    timer_stop(&t);
    loop_free(l);
}

KIT_MAIN(cmocka_unit_test(a_watch_tells_what_can_be_read),
         cmocka_unit_test(a_watch_may_be_freed_in_its_own_callback),
         cmocka_unit_test(a_freed_watch_is_not_told_any_more),
         cmocka_unit_test(a_number_used_again_is_another_descriptor),
         cmocka_unit_test(a_client_that_goes_is_seen_without_reading),
         cmocka_unit_test(an_error_on_the_descriptor_is_told),
         cmocka_unit_test(what_cannot_be_polled_is_refused),
         cmocka_unit_test(defers_run_after_all_descriptors_of_the_turn),
         cmocka_unit_test(a_defer_queued_before_the_turn_runs_before_it_waits),
         cmocka_unit_test(a_defer_queued_twice_runs_once),
         cmocka_unit_test(a_defer_of_a_timer_runs_in_its_turn),
         cmocka_unit_test(a_dropped_defer_does_not_run), cmocka_unit_test(run_goes_on_until_stopped),
         cmocka_unit_test(signals_come_through_the_loop), cmocka_unit_test(a_turn_waits_no_longer_than_told))
