/*
 * Topics and the ring. An event is written once, as the JSON that all its listeners get.
 *
 * Numbers: each event has one, and so has each that is not kept, so that a listener that comes back with a
 * number can be told whether it missed anything of its topics.
 */
#include "hub/events.h"

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/mem.h"
#include "hub/catalogue.h"
#include "hub/events_parts.h"
#include "hub/hub.h"
#include "hub/overview.h"
#include "hub/upstream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    KEPT_MS = 60000,       /* after the last listener */
    CALLS_A_SECOND = 1000, /* kept when nobody listens */
    LOGS_A_SECOND = 200,
    DATA_MOST = 60 * 1024,
    RING_FIRST = 256,
    TOPIC_MOST = 2048, /* bytes of a name */
};

static const struct group_row {
    const char *name;   /* of the topic, and in metrics */
    const char *prefix; /* of topics with a subject */
    bool is_always_kept;
} groups[EVENTS_GROUPS] = {
    [GROUP_OVERVIEW] = {"overview",  NULL,        false},
      [GROUP_CALLS] = {"calls",     NULL,        false},
    [GROUP_SERVERS] = {"servers",   NULL,        true },
      [GROUP_LOGS] = {"logs",      "logs:",     false},
    [GROUP_CATALOGUE] = {"catalogue", NULL,        true },
      [GROUP_RESOURCE] = {"resource",  "resource:", false},
};

const char *events_group_name(size_t group)
{
    return groups[group].name;
}

/* --- topics --- */

static struct topic *topic_new(struct events *e, enum group group, struct bytes name)
{
    struct topic *t = mem_new(sizeof(*t) + name.n + 1);
    t->group = group;
    t->n = name.n;
    memcpy(t->name, name.p, name.n);
    /* Nobody kept anything of it until now. */
    t->gap = ++e->last;
    table_put(&e->topics, name, t);
    return t;
}

static void topic_free(struct topic *t)
{
    free(t->there);
    free(t);
}

static void tick(void *ctx);

struct events *events_new(struct hub *hub)
{
    struct events *e = NEW(struct events);
    e->hub = hub;
    snprintf(e->epoch, sizeof(e->epoch), "%08x", (unsigned)random_number());
    list_init(&e->listeners);
    timer_init(&e->tick, hub->loop, tick, e);
    for (int i = 0; i < EVENTS_GROUPS; i++)
        if (!groups[i].prefix)
            e->fixed[i] = topic_new(e, (enum group)i, bytes_of(groups[i].name));
    e->last = 0;
    for (int i = 0; i < EVENTS_GROUPS; i++)
        if (e->fixed[i])
            e->fixed[i]->gap = 0; /* nothing has happened yet */
    return e;
}

void events_free(struct events *e)
{
    if (!e)
        return;
    assert(e->listener_count == 0);
    timer_stop(&e->tick);
    for (size_t i = 0; i < e->count; i++)
        free(events_at(e, i));
    free(e->ring);
    size_t at = 0;
    struct bytes key;
    void *t;
    while (table_next(&e->topics, &at, &key, &t))
        topic_free(t);
    table_end(&e->topics);
    members_end(&e->room);
    free(e);
}

static struct topic *find(const struct events *e, const char *name)
{
    for (int i = 0; i < EVENTS_GROUPS; i++)
        if (e->fixed[i] && strcmp(groups[i].name, name) == 0)
            return e->fixed[i];
    return table_get_text(&e->topics, name);
}

static void nobody_cares(void *ctx, const struct fault_told *fault)
{
    (void)ctx;
    (void)fault;
}

/* Asks the server of a resource to tell of changes; false when no server has it. */
static bool watch_resource(struct events *e, struct topic *t)
{
    const char *server;
    struct bytes uri = {t->name + strlen(groups[GROUP_RESOURCE].prefix), 0}, there;
    uri.n = strlen(uri.p);
    if (!e->hub->catalogue || !catalogue_route(e->hub->catalogue, NULL, uri, &server, &there))
        return false;
    t->source = hub_find_upstream(e->hub, server);
    if (!t->source)
        return false;
    t->there = bytes_copy(there);
    upstream_subscribe(t->source, bytes_of(t->there), nobody_cares, NULL);
    return true;
}

static bool is_known_subject(struct events *e, struct topic *t)
{
    if (t->group == GROUP_RESOURCE)
        return watch_resource(e, t);
    return hub_find_upstream(e->hub, t->name + strlen(groups[t->group].prefix)) != NULL;
}

static struct topic *make(struct events *e, struct bytes name)
{
    for (int i = 0; i < EVENTS_GROUPS; i++) {
        if (!groups[i].prefix || !bytes_begin(name, groups[i].prefix))
            continue;
        struct topic *t = topic_new(e, (enum group)i, name);
        if (is_known_subject(e, t))
            return t;
        table_drop(&e->topics, name);
        topic_free(t);
        return NULL;
    }
    return NULL;
}

struct topic *topic_take(struct events *e, struct bytes name, struct bytes *call)
{
    *call = BYTES_NONE;
    if (name.n > TOPIC_MOST || memchr(name.p, '\0', name.n))
        return NULL;
    struct topic *t;
    if (bytes_begin(name, "call:")) {
        *call = (struct bytes){name.p + 5, name.n - 5};
        t = e->fixed[GROUP_CALLS];
    } else {
        t = table_get(&e->topics, name);
        t = t ? t : make(e, name);
    }
    if (!t)
        return NULL;
    t->listeners++;
    if (!timer_is_started(&e->tick))
        timer_start(&e->tick, TICK_MS);
    return t;
}

void topic_give(struct events *e, struct topic *t)
{
    assert(t->listeners > 0);
    if (--t->listeners == 0)
        t->kept_until = loop_now_ms(e->hub->loop) + KEPT_MS;
}

/* A new second of the topic's clock. */
static void turn_second(struct events *e, struct topic *t)
{
    int64_t now = loop_now_ms(e->hub->loop) / 1000;
    if (t->second != now) {
        t->second = now;
        t->told = 0;
    }
}

bool events_wanted(const struct events *const_e, const char *topic)
{
    struct events *e = (struct events *)const_e; /* a number is spent on what is not kept */
    struct topic *t = e ? find(e, topic) : NULL;
    if (!t)
        return false;
    if (t->listeners || groups[t->group].is_always_kept || loop_now_ms(e->hub->loop) < t->kept_until)
        return true;
    if (t->group == GROUP_CALLS) {
        turn_second(e, t);
        if (t->told < CALLS_A_SECOND)
            return true;
    }
    t->gap = ++e->last;
    return false;
}

/* --- the ring --- */

struct event *events_at(const struct events *e, size_t i)
{
    return e->ring[(e->head + i) % e->cap];
}

void events_add_id(const struct events *e, struct buf *out)
{
    buf_addf(out, "%s-%llu", e->epoch, (unsigned long long)e->last);
}

static void evict(struct events *e)
{
    struct event *oldest = events_at(e, 0);
    e->evicted = oldest->number;
    e->bytes -= oldest->size;
    free(oldest);
    e->head = (e->head + 1) % e->cap;
    e->count--;
}

static void grow(struct events *e)
{
    size_t cap = e->cap ? e->cap * 2 : RING_FIRST;
    struct event **ring = mem_array(cap, sizeof(ring[0]));
    for (size_t i = 0; i < e->count; i++)
        ring[i] = events_at(e, i);
    free(e->ring);
    e->ring = ring;
    e->head = 0;
    e->cap = cap;
}

static void keep(struct events *e, struct event *event)
{
    size_t most = (size_t)e->hub->config->stream.ring, bytes = (size_t)e->hub->config->stream.ring_bytes;
    while (e->count && (e->count >= most || e->bytes + event->size > bytes))
        evict(e);
    if (e->count == e->cap)
        grow(e);
    e->ring[(e->head + e->count++) % e->cap] = event;
    e->bytes += event->size;
}

static struct bytes place(char **at, struct bytes s)
{
    struct bytes placed = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return placed;
}

/* The id of the call that the event is about: member `id` of its data. */
static struct bytes call_of(struct events *e, const struct topic *t, struct bytes data)
{
    const struct member *id =
        t->group == GROUP_CALLS && members_read(&e->room, data) == 0 ? members_find(&e->room, "id") : NULL;
    return id ? member_plain(id) : BYTES_NONE;
}

static struct event *event_new(struct events *e, const struct topic *t, const char *type, struct bytes data)
{
    struct buf json = {0}, id = {0};
    char now[25];
    stamp_text(stamp_now(), now);
    events_add_id(e, &id);
    buf_addf(&json, "{\"id\":\"%s\",\"topic\":", id.p);
    buf_add_json(&json, (struct bytes){t->name, t->n});
    buf_addf(&json, ",\"type\":\"%s\",\"ts\":\"%s\",\"data\":", type, now);
    buf_add_bytes(&json, data);
    buf_add_char(&json, '}');
    struct bytes call = call_of(e, t, data);
    size_t size = sizeof(struct event) + json.n + id.n + t->n + strlen(type) + call.n;
    struct event *event = mem_new(size);
    char *at = (char *)(event + 1);
    event->number = e->last;
    event->size = size;
    event->id = place(&at, buf_bytes(&id));
    event->topic = place(&at, (struct bytes){t->name, t->n});
    event->type = place(&at, bytes_of(type));
    event->call = place(&at, call);
    event->json = place(&at, buf_bytes(&json));
    buf_end(&json);
    buf_end(&id);
    return event;
}

static void publish(struct events *e, struct topic *t, const char *type, struct bytes data)
{
    t->told++;
    e->last++;
    e->counts.published[t->group]++;
    struct event *event = event_new(e, t, type, data);
    keep(e, event);
    if (e->listener_count)
        listeners_tell(e, t, event);
}

static void tell_dropped(struct events *e, struct topic *t)
{
    struct buf data = {0};
    if (t->dropped == 0)
        return;
    buf_add_text(&data, "{\"server\":");
    buf_add_json_text(&data, t->name + strlen(groups[GROUP_LOGS].prefix));
    buf_addf(&data, ",\"dropped\":%zu}", t->dropped);
    t->dropped = 0;
    publish(e, t, "log.line", buf_bytes(&data));
    buf_end(&data);
}

void events_publish(struct events *e, const char *topic, const char *type, struct bytes data)
{
    struct topic *t = e ? find(e, topic) : NULL;
    if (e && e->tap)
        e->tap(e->tap_ctx, topic, type, data);
    if (!t)
        return;
    if (data.n > DATA_MOST) {
        t->gap = ++e->last;
        listeners_missed(e, t);
        return;
    }
    int64_t second = t->second;
    turn_second(e, t);
    if (t->group == GROUP_LOGS) {
        if (second != t->second)
            tell_dropped(e, t);
        if (t->told >= LOGS_A_SECOND) {
            t->dropped++;
            return;
        }
    }
    publish(e, t, type, data);
}

void events_resource_updated(struct events *e, const char *server, struct bytes uri)
{
    struct buf name = {0}, data = {0};
    if (!e || !e->hub->catalogue)
        return;
    buf_add_text(&name, groups[GROUP_RESOURCE].prefix);
    catalogue_add_exposed_uri(e->hub->catalogue, NULL, server, uri, &name);
    if (events_wanted(e, name.p)) {
        buf_add_text(&data, "{\"uri\":");
        buf_add_json_text(&data, name.p + strlen(groups[GROUP_RESOURCE].prefix));
        buf_add_text(&data, ",\"server\":");
        buf_add_json_text(&data, server);
        buf_add_char(&data, '}');
        events_publish(e, name.p, "resource.updated", buf_bytes(&data));
    }
    buf_end(&name);
    buf_end(&data);
}

void events_tap(struct events *e,
                void (*fn)(void *ctx, const char *topic, const char *type, struct bytes data), void *ctx)
{
    e->tap = fn;
    e->tap_ctx = ctx;
}

struct events_counts events_counts(const struct events *e)
{
    struct events_counts counts = e->counts;
    counts.listeners = e->listener_count;
    counts.has_skipped_calls = e->fixed[GROUP_CALLS]->gap > 0;
    return counts;
}

/* --- once a second, while there is somebody to hear --- */

/* Topics with a subject go when nobody has listened for a while. */
static bool is_over(struct events *e, struct topic *t)
{
    if (t->listeners || !groups[t->group].prefix || loop_now_ms(e->hub->loop) < t->kept_until)
        return false;
    if (t->source)
        upstream_unsubscribe(t->source, bytes_of(t->there));
    return true;
}

static void tick(void *ctx)
{
    struct events *e = ctx;
    size_t at = 0;
    struct bytes key;
    void *value;
    bool has_more = e->listener_count > 0;
    if (e->fixed[GROUP_OVERVIEW]->listeners) {
        struct buf data = {0};
        overview_add(e->hub, &data);
        events_publish(e, groups[GROUP_OVERVIEW].name, "tick", buf_bytes(&data));
        buf_end(&data);
    }
    while (table_next(&e->topics, &at, &key, &value)) {
        struct topic *t = value;
        if (t->group == GROUP_LOGS)
            tell_dropped(e, t);
        if (is_over(e, t)) {
            table_drop(&e->topics, key);
            topic_free(t);
        } else {
            has_more = has_more || groups[t->group].prefix;
        }
    }
    listeners_tick(e);
    if (has_more)
        timer_start(&e->tick, TICK_MS);
}
