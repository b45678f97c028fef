#include "hub/tape.h"

#include "core/base/mem.h"
#include "core/base/text.h"

#include <stdlib.h>

struct event {
    struct link link;
    size_t n;
    char text[]; /* as it goes over the wire */
};

static void timer_fired(void *ctx);
static void reader_ended(struct guest *g, struct request *r);

struct tape *tape_new(struct loop *loop, uint64_t number, struct link *list)
{
    struct tape *t = NEW(struct tape);

    t->guest.on_end = reader_ended;
    t->loop = loop;
    t->number = number;
    list_init(&t->events);
    list_add(list, &t->link);
    timer_init(&t->timer, loop, timer_fired, t);
    return t;
}

/* The reader is no longer ours; its stream ends when what is queued has left. */
static void part(struct tape *t)
{
    struct request *r = take_ptr(&t->reader);

    timer_stop(&t->timer);
    if (!r)
        return;
    guest_leave(r);
    request_finish(r);
}

void tape_free(struct tape *t)
{
    if (!t)
        return;
    part(t);
    list_each (l, &t->events)
        free(list_entry(l, struct event, link));
    list_drop(&t->link);
    if (t->holder)
        *t->holder = NULL;
    free(t);
}

static void timer_fired(void *ctx)
{
    struct tape *t = ctx;

    if (!t->reader) {
        tape_free(t);
        return;
    }
    request_push(t->reader, BYTES(":\n\n"));
    timer_start(&t->timer, KEEP_ALIVE_MS);
}

/* The connection broke: the tape waits for the client to come back. */
static void reader_gone(struct request *r, void *ctx)
{
    struct tape *t = ctx;

    (void)r;
    part(t);
    timer_start(&t->timer, TAPE_KEEP_MS);
}

/* The whole stream left in order. */
static void reader_ended(struct guest *g, struct request *r)
{
    struct tape *t = (struct tape *)g;

    (void)r;
    t->reader = NULL;
    timer_stop(&t->timer);
    if (t->is_finished)
        tape_free(t);
    else
        timer_start(&t->timer, TAPE_KEEP_MS);
}

static void reader_drained(struct request *r, void *ctx)
{
    struct tape *t = ctx;

    (void)r;
    if (t->on_drained)
        t->on_drained(t, t->ctx);
}

static void begin(struct tape *t, struct request *r)
{
    part(t);
    t->reader = r;
    request_set_ctx(r, &t->guest);
    request_on_gone(r, reader_gone, t);
    request_stream(r, 200, "text/event-stream");
    request_on_drained(r, reader_drained);
    timer_start(&t->timer, KEEP_ALIVE_MS);
}

static void keep(struct tape *t, struct event *e)
{
    list_add(&t->events, &e->link);
    t->bytes += e->n;
    t->next++;
    list_each (l, &t->events) { /* oldest first */
        struct event *oldest = list_entry(l, struct event, link);
        if (t->next - t->first <= TAPE_EVENTS && t->bytes <= TAPE_BYTES)
            break;
        list_drop(l);
        t->bytes -= oldest->n;
        t->first++;
        free(oldest);
    }
}

static struct event *event_of(struct buf *text)
{
    struct event *e = mem_new(sizeof(*e) + text->n);

    e->n = text->n;
    memcpy(e->text, text->p, text->n);
    return e;
}

/* One that alone is more than the tape holds goes out all the same, and takes what came before along. */
static void put(struct tape *t, struct buf *text)
{
    if (t->reader)
        request_push(t->reader, buf_bytes(text));
    keep(t, event_of(text));
}

void tape_read(struct tape *t, struct request *r, bool primes)
{
    begin(t, r);
    if (!primes) {
        request_push(r, BYTES(":\n\n"));
        return;
    }
    struct buf text = {0};
    buf_addf(&text, "id: %llu-%llu\nretry: %d\ndata: \n\n", (unsigned long long)t->number,
             (unsigned long long)t->next, TAPE_RETRY_MS);
    put(t, &text);
    buf_end(&text);
}

bool tape_reaches(const struct tape *t, uint64_t seq)
{
    return seq < t->next && seq + 1 >= t->first;
}

void tape_resume(struct tape *t, struct request *r, uint64_t seq)
{
    uint64_t at = t->first;

    begin(t, r);
    request_push(r, BYTES(":\n\n"));
    list_each (l, &t->events) {
        const struct event *e = list_entry(l, struct event, link);
        if (at++ > seq)
            request_push(r, (struct bytes){e->text, e->n});
    }
    if (t->is_finished)
        request_finish(r);
    else if (t->on_drained)
        t->on_drained(t, t->ctx);
}

void tape_write(struct tape *t, const struct bytes *parts, size_t n)
{
    struct buf text = {0};

    buf_addf(&text, "id: %llu-%llu\nevent: message\ndata: ", (unsigned long long)t->number,
             (unsigned long long)t->next);
    for (size_t i = 0; i < n; i++)
        buf_add_bytes(&text, parts[i]);
    buf_add(&text, "\n\n", 2);
    put(t, &text);
    buf_end(&text);
}

void tape_finish(struct tape *t)
{
    t->is_finished = true;
    if (t->reader)
        request_finish(t->reader);
}

size_t tape_queued(const struct tape *t)
{
    return t->reader ? request_queued(t->reader) : 0;
}

bool event_id_read(struct bytes text, uint64_t *stream, uint64_t *seq)
{
    size_t dash = bytes_find(text, '-');
    int64_t a, b;

    if (dash == text.n || number_read((struct bytes){text.p, dash}, &a) < 0 ||
        number_read((struct bytes){text.p + dash + 1, text.n - dash - 1}, &b) < 0)
        return false;
    *stream = (uint64_t)a;
    *seq = (uint64_t)b;
    return true;
}
