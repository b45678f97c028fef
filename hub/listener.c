/* Who listens to events: topics asked for, what was missed, and those who read too slowly. */
#include "core/base/mem.h"
#include "core/base/text.h"
#include "hub/events_parts.h"
#include "hub/hub.h"
#include "hub/policy.h"

#include <stdlib.h>

struct sub {
    struct topic *topic;
    char *call; /* NULL: all of the topic */
};

struct listener {
    struct link link;
    struct events *events;
    char *principal;
    const struct listener_ops *ops;
    void *ctx;
    struct sub subs[LISTENER_TOPICS];
    size_t count;
    bool is_behind; /* its queue overflowed: hears nothing until it has caught up */
};

struct listener *listener_new(struct events *e, const char *principal, const struct listener_ops *ops,
                              void *ctx)
{
    int64_t same = 0;
    list_each (i, &e->listeners) {
        same += strcmp(list_entry(i, struct listener, link)->principal, principal) == 0;
    }
    if (same >= e->hub->config->stream.per_principal)
        return NULL;
    struct listener *l = NEW(struct listener);
    l->events = e;
    l->principal = mem_text(principal);
    l->ops = ops;
    l->ctx = ctx;
    list_add(&e->listeners, &l->link);
    e->listener_count++;
    return l;
}

static void drop(struct listener *l, size_t i)
{
    topic_give(l->events, l->subs[i].topic);
    free(l->subs[i].call);
    l->subs[i] = l->subs[--l->count];
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    while (l->count)
        drop(l, l->count - 1);
    list_drop(&l->link);
    l->events->listener_count--;
    free(l->principal);
    free(l);
}

static bool is_permitted(const struct listener *l, struct bytes topic)
{
    struct policy_ask ask = {.principal = l->principal, .action = "list", .name = topic};
    return policy_permits(l->events->hub, &ask);
}

/* --- sending --- */

static void send_op(struct listener *l, const char *op, const struct buf *json)
{
    const struct frame f = {.type = bytes_of(op), .json = buf_bytes(json)};
    l->ops->send(l->ctx, &f);
}

static void add_name(struct buf *out, const struct sub *s)
{
    if (s->call) {
        buf_add_text(out, "\"call:");
        struct buf id = {0};
        buf_add_json_text(&id, s->call);
        buf_add(out, id.p + 1, id.n - 1);
        buf_end(&id);
    } else {
        buf_add_json(out, (struct bytes){s->topic->name, s->topic->n});
    }
}

static void send_resync(struct listener *l, const struct sub *subs, size_t count)
{
    struct buf json = {0};
    buf_add_text(&json, "{\"op\":\"resync\",\"topics\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&json, ',');
        add_name(&json, &subs[i]);
    }
    buf_add_text(&json, "],\"at\":\"");
    size_t at = json.n;
    events_add_id(l->events, &json);
    struct frame f = {.type = BYTES("resync"), .id.n = json.n - at};
    buf_add_text(&json, "\"}");
    f.id.p = json.p + at;
    f.json = buf_bytes(&json);
    l->events->counts.resyncs++;
    l->ops->send(l->ctx, &f);
    buf_end(&json);
}

static void send_event(struct listener *l, const struct event *event)
{
    if (l->is_behind || !is_permitted(l, event->topic))
        return;
    if (l->ops->queued(l->ctx) + event->json.n > (size_t)l->events->hub->config->stream.queue) {
        l->is_behind = true;
        return;
    }
    const struct frame f = {event->id, event->type, event->json};
    l->ops->send(l->ctx, &f);
}

static bool is_about(const struct sub *s, const struct event *event)
{
    return !s->call || bytes_say(event->call, s->call);
}

void listeners_tell(struct events *e, const struct topic *t, const struct event *event)
{
    list_each (i, &e->listeners) {
        struct listener *l = list_entry(i, struct listener, link);
        for (size_t k = 0; k < l->count; k++) {
            if (l->subs[k].topic == t && is_about(&l->subs[k], event)) {
                send_event(l, event);
                break;
            }
        }
    }
}

void listeners_missed(struct events *e, const struct topic *t)
{
    list_each (i, &e->listeners) {
        struct listener *l = list_entry(i, struct listener, link);
        for (size_t k = 0; k < l->count; k++)
            l->is_behind = l->is_behind || l->subs[k].topic == t;
    }
}

void listeners_tick(struct events *e)
{
    list_each (i, &e->listeners) {
        struct listener *l = list_entry(i, struct listener, link);
        if (!l->is_behind || l->ops->queued(l->ctx) > (size_t)e->hub->config->stream.queue / 4)
            continue;
        l->is_behind = false;
        send_resync(l, l->subs, l->count);
    }
}

/* --- asking --- */

static bool is_same(const struct sub *s, const struct topic *t, struct bytes call)
{
    return s->topic == t && (s->call ? call.p && bytes_say(call, s->call) : !call.p);
}

/* True when it listens to the topic now. */
static bool add(struct listener *l, struct bytes name)
{
    struct bytes call;
    if (l->count >= LISTENER_TOPICS || !is_permitted(l, name))
        return false;
    struct topic *t = topic_take(l->events, name, &call);
    if (!t)
        return false;
    for (size_t i = 0; i < l->count; i++) {
        if (is_same(&l->subs[i], t, call)) {
            topic_give(l->events, t);
            return true;
        }
    }
    l->subs[l->count++] = (struct sub){t, call.p ? bytes_copy(call) : NULL};
    return true;
}

/* "<epoch>-<n>" of this epoch, not from the future; else false. */
static bool read_id(const struct events *e, struct bytes id, uint64_t *number)
{
    size_t n = strlen(e->epoch);
    int64_t value;
    if (id.n <= n + 1 || memcmp(id.p, e->epoch, n) != 0 || id.p[n] != '-' ||
        number_read((struct bytes){id.p + n + 1, id.n - n - 1}, &value) < 0 || (uint64_t)value > e->last)
        return false;
    *number = (uint64_t)value;
    return true;
}

static bool is_of(const struct sub *subs, size_t count, const struct event *event)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_are(event->topic, (struct bytes){subs[i].topic->name, subs[i].topic->n}) &&
            is_about(&subs[i], event))
            return true;
    return false;
}

/* What these topics told after `after`, or that it cannot be had any more. */
static void replay(struct listener *l, const struct sub *subs, size_t count, struct bytes after)
{
    const struct events *e = l->events;
    uint64_t number = 0;
    bool is_whole = read_id(e, after, &number) && number >= e->evicted;
    for (size_t i = 0; is_whole && i < count; i++)
        is_whole = subs[i].topic->gap <= number;
    if (!is_whole) {
        send_resync(l, subs, count);
        return;
    }
    for (size_t i = 0; i < e->count; i++) {
        const struct event *event = events_at(e, i);
        if (event->number > number && is_of(subs, count, event))
            send_event(l, event);
    }
}

static void add_names(struct buf *out, const struct bytes *names, const bool *is_in, size_t count)
{
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        if (!is_in[i])
            continue;
        buf_add_text(out, is_first ? "" : ",");
        buf_add_json(out, names[i]);
        is_first = false;
    }
}

void listener_subscribe(struct listener *l, const struct listener_ask *ask)
{
    size_t count = ask->count < LISTENER_TOPICS ? ask->count : LISTENER_TOPICS, before = l->count;
    bool is_in[LISTENER_TOPICS], is_out[LISTENER_TOPICS];
    struct buf json = {0};
    for (size_t i = 0; i < count; i++) {
        is_in[i] = add(l, ask->topics[i]);
        is_out[i] = !is_in[i];
    }
    buf_add_text(&json, "{\"op\":\"subscribed\",\"topics\":[");
    add_names(&json, ask->topics, is_in, count);
    buf_add_text(&json, "],\"refused\":[");
    add_names(&json, ask->topics, is_out, count);
    buf_add_text(&json, "],\"at\":\"");
    events_add_id(l->events, &json);
    buf_add_text(&json, "\"}");
    send_op(l, "subscribed", &json);
    buf_end(&json);
    if (ask->after.n && l->count > before)
        replay(l, l->subs + before, l->count - before, ask->after);
}

void listener_catch_up(struct listener *l, struct bytes after)
{
    replay(l, l->subs, l->count, after);
}

static bool remove_sub(struct listener *l, struct bytes name)
{
    bool is_call = bytes_begin(name, "call:");
    struct bytes call = is_call ? (struct bytes){name.p + 5, name.n - 5} : BYTES_NONE;
    for (size_t i = 0; i < l->count; i++) {
        const struct sub *s = &l->subs[i];
        if (s->call ? is_call && bytes_say(call, s->call)
                    : bytes_are(name, (struct bytes){s->topic->name, s->topic->n})) {
            drop(l, i);
            return true;
        }
    }
    return false;
}

void listener_unsubscribe(struct listener *l, const struct bytes *topics, size_t count)
{
    bool is_out[LISTENER_TOPICS];
    struct buf json = {0};
    count = count < LISTENER_TOPICS ? count : LISTENER_TOPICS;
    for (size_t i = 0; i < count; i++)
        is_out[i] = remove_sub(l, topics[i]);
    buf_add_text(&json, "{\"op\":\"unsubscribed\",\"topics\":[");
    add_names(&json, topics, is_out, count);
    buf_add_text(&json, "],\"at\":\"");
    events_add_id(l->events, &json);
    buf_add_text(&json, "\"}");
    send_op(l, "unsubscribed", &json);
    buf_end(&json);
}
