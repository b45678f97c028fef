/* The timers of the loop; its descriptors, defers and signals are in test_loop.c. */
#include "core/base/id.h"
#include "core/base/loop.h"
#include "tests/kit/kit.h"

#include <pthread.h>
#include <string.h>

enum { TIMERS = 2000, HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

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

static void timers_fire_in_the_order_they_are_due(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer a, b, c;
    timer_init(&a, l, tell, "a");
    timer_init(&b, l, tell, "b");
    timer_init(&c, l, tell, "c");
    timer_start(&a, 30);
    timer_start(&b, 10);
    timer_start(&c, 20);
    assert_true(timer_is_started(&a));
    kit_loop_until(l, 2000, strlen(story) == 3);
    assert_string_equal(story, "bca");
    assert_false(timer_is_started(&a));
    loop_free(l);
}

static void a_timer_never_fires_early(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer t;
    timer_init(&t, l, tell, "t");
    int64_t from = kit_real_ms();
    timer_start(&t, 25);
    kit_loop_until(l, 2000, story[0]);
    assert_true(kit_real_ms() - from >= 25);
    loop_free(l);
}

static void starting_again_moves_a_timer(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer a, b;
    timer_init(&a, l, tell, "a");
    timer_init(&b, l, tell, "b");
    timer_start(&a, 60000);
    timer_start(&b, 5);
    timer_start(&a, 1);
    kit_loop_until(l, 2000, strlen(story) == 2);
    assert_string_equal(story, "ab");
    timer_start(&a, 1);
    timer_start(&a, 60000);
    loop_turn(l, 20);
    assert_string_equal(story, "ab");
    timer_stop(&a);
    timer_stop(&a);
    loop_free(l);
}

static int64_t last_due;
static int fired;

static void note_due(void *ctx)
{
    const struct timer *t = ctx;
    assert_true(t->due_ms >= last_due);
    last_due = t->due_ms;
    fired++;
}

/* Starts, moves and stops by chance; what is left fires in order, each once. */
static void the_heap_keeps_its_order(void **state)
{
    (void)state;
    struct loop *l = begin();
    static struct timer timers[TIMERS];
    unsigned char random[TIMERS * 4];
    random_fill(random, sizeof random);
    int started = 0;
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], l, note_due, &timers[i]);
        timer_start(&timers[i], random[i] % 50);
    }
    for (size_t i = TIMERS; i + 1 < sizeof random; i += 2) {
        struct timer *t = &timers[(size_t)(random[i] << 8 | random[i + 1]) % TIMERS];
        if (random[i] & 1)
            timer_stop(t);
        else
            timer_start(t, random[i + 1] % 50);
    }
    for (int i = 0; i < TIMERS; i++)
        started += timer_is_started(&timers[i]);
    assert_in_range(started, 1, TIMERS);
    last_due = fired = 0;
    kit_loop_until(l, 5000, fired == started);
    loop_free(l);
}

struct pair {
    struct timer a, b;
};

static void stop_the_other(void *ctx)
{
    struct pair *p = ctx;
    tell("x");
    timer_stop(&p->a);
    timer_stop(&p->b);
}

static void a_timer_may_stop_another_that_is_due(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct pair p;
    timer_init(&p.a, l, stop_the_other, &p);
    timer_init(&p.b, l, stop_the_other, &p);
    timer_start(&p.a, 0);
    timer_start(&p.b, 0);
    loop_turn(l, 20);
    loop_turn(l, 20);
    assert_string_equal(story, "x");
    loop_free(l);
}

static void again_at_once(void *ctx)
{
    tell("r");
    timer_start(ctx, 0);
}

static void a_timer_that_starts_itself_with_0_lets_others_live(void **state)
{
    (void)state;
    struct loop *l = begin();
    struct timer t;
    timer_init(&t, l, again_at_once, &t);
    timer_start(&t, 0);
    loop_turn(l, 100);
    assert_string_equal(story, "r");
    loop_turn(l, 100);
    assert_true(strlen(story) <= 2);
    timer_stop(&t);
    loop_free(l);
}

static void timers_follow_the_clock_of_the_test(void **state)
{
    (void)state;
#ifndef TEST_CLOCK
    skip();
#endif
    struct loop *l = begin();
    struct timer t;
    timer_init(&t, l, tell, "t");
    timer_start(&t, DAY_MS);
    loop_turn(l, 5);
    assert_string_equal(story, "");
    kit_clock_move_ms(DAY_MS);
    kit_loop_until(l, 1000, story[0]);
    loop_free(l);
}

static void *move_an_hour(void *ctx)
{
    kit_clock_move_ms(HOUR_MS);
    return ctx;
}

/* A loop that waits for tomorrow still sees within 10 ms that it is tomorrow. Another thread moves the clock,
 * because the wait has begun then. */
static void a_waiting_loop_sees_the_clock_move(void **state)
{
    (void)state;
#ifndef TEST_CLOCK
    skip();
#endif
    struct loop *l = begin();
    struct timer t;
    pthread_t mover;
    timer_init(&t, l, tell, "t");
    for (int i = 0; i < 20; i++) {
        story[0] = 0;
        timer_start(&t, HOUR_MS);
        int64_t from = kit_real_ms();
        assert_int_equal(pthread_create(&mover, NULL, move_an_hour, NULL), 0);
        while (!story[0] && kit_real_ms() - from < 2000)
            loop_turn(l, 3000);
        pthread_join(mover, NULL);
        assert_in_range(kit_real_ms() - from, 0, 1000);
        assert_string_equal(story, "t");
    }
    loop_free(l);
}

static int hold_the_clock(void **state)
{
    (void)state;
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(timers_fire_in_the_order_they_are_due, hold_the_clock),
         cmocka_unit_test(a_timer_never_fires_early), cmocka_unit_test(starting_again_moves_a_timer),
         cmocka_unit_test(the_heap_keeps_its_order), cmocka_unit_test(a_timer_may_stop_another_that_is_due),
         cmocka_unit_test(a_timer_that_starts_itself_with_0_lets_others_live),
         cmocka_unit_test(timers_follow_the_clock_of_the_test),
         cmocka_unit_test(a_waiting_loop_sees_the_clock_move))
