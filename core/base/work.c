#include "core/base/work.h"

#include "core/base/mem.h"

#include <assert.h>
#include <uv.h>

struct ticket {
    uv_work_t uv;
    void (*run)(void *job);
    void (*done)(void *job);
    void *job;
};

static void run_ticket(uv_work_t *uv)
{
    struct ticket *t = uv->data;
    t->run(t->job);
}

static void ticket_done(uv_work_t *uv, int status)
{
    (void)status; /* never cancelled through libuv */
    struct ticket *t = uv->data;
    void (*done)(void *job) = t->done;
    void *job = t->job;
    free(t);
    done(job);
}

void work(struct loop *l, void (*run)(void *job), void (*done)(void *job), void *job)
{
    struct ticket *t = NEW(struct ticket);
    t->uv.data = t;
    t->run = run;
    t->done = done;
    t->job = job;
    int rc = uv_queue_work(loop_uv(l), &t->uv, run_ticket, ticket_done);
    assert(rc == 0);
}
