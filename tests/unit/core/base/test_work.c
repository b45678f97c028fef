#include "core/base/work.h"
#include "tests/kit/kit.h"

#include <pthread.h>

struct job {
    pthread_t ran_on, done_on;
    int runs, dones;
};

static void run(void *ctx)
{
    struct job *j = ctx;
    j->ran_on = pthread_self();
    j->runs++;
}

static void done(void *ctx)
{
    struct job *j = ctx;
    j->done_on = pthread_self();
    j->dones += j->runs;
}

static int count_done(const struct job *jobs, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += jobs[i].dones;
    return count;
}

static void runs_elsewhere_and_is_done_here(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    struct job jobs[20] = {0};
    for (int i = 0; i < 20; i++)
        work(l, run, done, &jobs[i]);
    kit_loop_until(l, 2000, count_done(jobs, 20) == 20);
    for (int i = 0; i < 20; i++) {
        assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
        assert_true(pthread_equal(jobs[i].done_on, pthread_self()));
    }
    loop_free(l);
}

static void freeing_the_loop_waits_for_its_work(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    struct job j = {0};
    work(l, run, done, &j);
    loop_free(l);
    assert_int_equal(j.dones, 1);
}

KIT_MAIN(cmocka_unit_test(runs_elsewhere_and_is_done_here),
         cmocka_unit_test(freeing_the_loop_waits_for_its_work))
