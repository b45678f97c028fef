#include "hub/activity.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/rpc/envelope.h"
#include "hub/hub.h"

#include <stdlib.h>

enum { ENTRIES_MOST = 10000 };

struct activity {
    struct hub *hub;
    struct link entries; /* oldest first */
    struct table by_id;
    struct members room;
    size_t count;
    int64_t bytes, last; /* number given last */
};

struct activity *activity_new(struct hub *hub)
{
    struct activity *a = NEW(struct activity);
    a->hub = hub;
    list_init(&a->entries);
    return a;
}

static struct activity_entry *oldest(struct activity *a)
{
    return list_entry(a->entries.next, struct activity_entry, link);
}

static void drop(struct activity *a, struct activity_entry *e)
{
    table_drop(&a->by_id, e->id);
    list_drop(&e->link);
    a->count--;
    a->bytes -= (int64_t)(e->json.n + e->result.n);
    free((char *)e->id.p);
    free((char *)e->json.p);
    free((char *)e->result.p);
    free(e);
}

void activity_free(struct activity *a)
{
    if (!a)
        return;
    while (!list_is_empty(&a->entries))
        drop(a, oldest(a));
    table_end(&a->by_id);
    members_end(&a->room);
    free(a);
}

static void forget_old(struct activity *a)
{
    int64_t limit = stamp_now().ms - a->hub->config->keep_ms;
    while (!list_is_empty(&a->entries) && (oldest(a)->finished_ms < limit || a->count > ENTRIES_MOST ||
                                           a->bytes > a->hub->config->keep_bytes))
        drop(a, oldest(a));
}

static void add_time(struct buf *out, const char *name, int64_t ms)
{
    char text[25];
    stamp_text((struct stamp){ms}, text);
    buf_addf(out, ",\"%s\":\"%s\"", name, text);
}

void activity_take(struct activity *a, struct bytes data)
{
    int64_t ms = 0, now = stamp_now().ms;
    struct buf json = {0};
    if (members_read(&a->room, data) < 0)
        return;
    const struct member *id = members_find(&a->room, "id"), *took = members_find(&a->room, "ms");
    struct bytes plain = id ? member_plain(id) : BYTES_NONE;
    if (plain.n == 0 || table_get(&a->by_id, plain))
        return;
    if (took)
        member_int(took, &ms);
    buf_add(&json, data.p, data.n - 1);
    add_time(&json, "started_at", now - ms);
    add_time(&json, "finished_at", now);
    buf_add_char(&json, '}');
    struct activity_entry *e = NEW(struct activity_entry);
    e->number = ++a->last;
    e->id = (struct bytes){bytes_copy(plain), plain.n};
    e->finished_ms = now;
    e->json.n = json.n;
    e->json.p = buf_take(&json);
    list_add(&a->entries, &e->link);
    table_put(&a->by_id, e->id, e);
    a->count++;
    a->bytes += (int64_t)e->json.n;
    forget_old(a);
}

void activity_keep_result(struct activity *a, struct bytes id, int status, struct bytes result)
{
    struct activity_entry *e = table_get(&a->by_id, id);
    if (!e || e->result.p)
        return;
    e->status = status;
    e->result = (struct bytes){bytes_copy(result), result.n};
    a->bytes += (int64_t)result.n;
    forget_old(a);
}

const struct activity_entry *activity_find(struct activity *a, struct bytes id)
{
    forget_old(a);
    return table_get(&a->by_id, id);
}

void activity_each(struct activity *a, void (*fn)(const struct activity_entry *e, void *ctx), void *ctx)
{
    forget_old(a);
    for (struct link *l = a->entries.prev; l != &a->entries; l = l->prev)
        fn(list_entry(l, struct activity_entry, link), ctx);
}

void activity_add(const struct activity_entry *e, struct buf *out)
{
    buf_add(out, e->json.p, e->json.n - 1);
    if (e->result.p)
        buf_addf(out, ",\"result_bytes\":%zu", e->result.n);
    buf_add_char(out, '}');
}
