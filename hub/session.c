#include "hub/session.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "hub/follow.h"

#include <stdlib.h>

struct sessions {
    struct loop *loop;
    int64_t idle_ms;
    const struct sessions_ops *ops;
    void *ctx;
    struct table by_id;
    struct link list; /* idlest first */
    size_t count;
};

struct sessions *sessions_new(struct loop *loop, int64_t idle_ms, const struct sessions_ops *ops, void *ctx)
{
    struct sessions *all = NEW(struct sessions);

    all->loop = loop;
    all->idle_ms = idle_ms;
    all->ops = ops;
    all->ctx = ctx;
    list_init(&all->list);
    return all;
}

void sessions_free(struct sessions *all)
{
    if (!all)
        return;
    while (!list_is_empty(&all->list))
        session_end(list_entry(all->list.next, struct session, link));
    table_end(&all->by_id);
    free(all);
}

/* The loopback stands for everybody on this machine, so a share of one principal would be a share of all. */
static bool is_one_person(const char *principal)
{
    return strcmp(principal, "loopback") != 0;
}

static bool is_at_rest(const struct session *s)
{
    if (s->ask_count)
        return false;
    list_each (l, &s->tapes)
        if (list_entry(l, struct tape, link)->reader)
            return false;
    return true;
}

/* Makes room by ending the idlest session at rest, of `principal` or (NULL) of anybody. */
static bool end_idlest(struct sessions *all, const char *principal)
{
    list_each (l, &all->list) {
        struct session *s = list_entry(l, struct session, link);
        if (!is_at_rest(s) || (principal && strcmp(principal, s->principal) != 0))
            continue;
        log_info("session.crowded_out", "principal", s->principal);
        session_end(s);
        return true;
    }
    return false;
}

/* One that must go for its own principal's sake makes room for all, so one is enough. */
static bool has_room(struct sessions *all, const char *principal, bool *is_total)
{
    size_t theirs = 0;

    if (is_one_person(principal))
        list_each (l, &all->list)
            theirs += strcmp(list_entry(l, struct session, link)->principal, principal) == 0;
    *is_total = theirs < SESSIONS_PER_PRINCIPAL;
    if (!*is_total)
        return end_idlest(all, principal);
    return all->count < SESSIONS_MOST || end_idlest(all, NULL);
}

static void idle_fired(void *ctx)
{
    struct session *s = ctx;
    int64_t quiet_ms = loop_now_ms(s->all->loop) - s->touched_ms;

    if (!is_at_rest(s))
        s->touched_ms += quiet_ms;
    else if (quiet_ms >= s->all->idle_ms) {
        session_end(s);
        return;
    }
    timer_start(&s->idle, s->all->idle_ms - (loop_now_ms(s->all->loop) - s->touched_ms));
}

static void fill_caller(struct session *s, const struct session_spec *spec)
{
    buf_add_bytes(&s->capabilities, spec->capabilities.n ? spec->capabilities : BYTES("{}"));
    buf_add_bytes(&s->client_info, spec->client_info);
    s->caller = (struct caller){
        .via = VIA_MCP,
        .era = ERA_LEGACY,
        .revision = spec->revision,
        .principal = s->principal,
        .session = s->id,
        .capabilities = buf_bytes(&s->capabilities),
        .client_info = buf_bytes(&s->client_info),
        .log_level = 0, /* until it sets one, a client hears everything */
        .wants_frames = spec->wants_frames,
    };
    s->caller.can = caller_can(s->caller.capabilities, spec->revision);
}

struct session *session_new(struct sessions *all, const struct session_spec *spec, bool *is_total)
{
    if (!has_room(all, spec->principal, is_total))
        return NULL;
    struct session *s = NEW(struct session);
    s->all = all;
    s->principal = mem_text(spec->principal);
    s->server = spec->server;
    token_make(s->id);
    fill_caller(s, spec);
    list_init(&s->asks);
    list_init(&s->questions);
    list_init(&s->tapes);
    list_init(&s->follows);
    s->next_question = s->next_stream = 1;
    s->touched_ms = loop_now_ms(all->loop);
    timer_init(&s->idle, all->loop, idle_fired, s);
    timer_start(&s->idle, all->idle_ms);
    table_put(&all->by_id, bytes_of(s->id), s);
    list_add(&all->list, &s->link);
    all->count++;
    return s;
}

struct session *session_find(struct sessions *all, struct bytes id, const char *principal, const char *server)
{
    struct session *s = table_get(&all->by_id, id);

    if (!s || s->server != server || strcmp(s->principal, principal) != 0)
        return NULL;
    s->touched_ms = loop_now_ms(all->loop);
    list_drop(&s->link);
    list_add(&all->list, &s->link);
    return s;
}

void session_end(struct session *s)
{
    struct sessions *all = s->all;

    timer_stop(&s->idle);
    table_drop(&all->by_id, bytes_of(s->id));
    list_drop(&s->link);
    all->count--;
    all->ops->on_end(s, all->ctx);
    while (!list_is_empty(&s->follows))
        follow_stop(list_entry(s->follows.next, struct follow, owner_link));
    while (!list_is_empty(&s->tapes))
        tape_free(list_entry(s->tapes.next, struct tape, link));
    list_each (l, &s->questions)
        free(list_entry(l, struct asked, link));
    buf_end(&s->capabilities);
    buf_end(&s->client_info);
    free(s->principal);
    free(s);
}

size_t sessions_count(const struct sessions *all)
{
    return all->count;
}

struct link *sessions_list(struct sessions *all)
{
    return &all->list;
}

struct tape *session_find_tape(struct session *s, uint64_t number)
{
    list_each (l, &s->tapes) {
        struct tape *t = list_entry(l, struct tape, link);
        if (t->number == number)
            return t;
    }
    return NULL;
}

size_t session_streams(const struct session *s)
{
    size_t n = 0;

    list_each (l, &s->tapes)
        n += list_entry(l, struct tape, link)->reader != NULL;
    return n;
}
