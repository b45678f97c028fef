#include "hub/follow.h"

#include "core/base/mem.h"
#include "hub/hub.h"
#include "hub/upstream.h"

#include <assert.h>
#include <stdlib.h>

struct topic {
    struct link followers;
    struct buf key; /* server NUL uri */
    size_t server_n;
};

struct follows {
    struct hub *hub;
    struct table topics;
};

struct follows *follows_new(struct hub *hub)
{
    struct follows *all = NEW(struct follows);

    all->hub = hub;
    return all;
}

void follows_free(struct follows *all)
{
    if (!all)
        return;
    assert(all->topics.count == 0);
    table_end(&all->topics);
    free(all);
}

static void add_key(struct buf *out, const char *server, struct bytes uri)
{
    buf_add(out, server, strlen(server) + 1);
    buf_add_bytes(out, uri);
}

static struct topic *topic_of(struct follows *all, const char *server, struct bytes uri)
{
    struct buf key = {0};

    add_key(&key, server, uri);
    struct topic *t = table_get(&all->topics, buf_bytes(&key));
    if (t) {
        buf_end(&key);
        return t;
    }
    t = NEW(struct topic);
    list_init(&t->followers);
    t->server_n = strlen(server);
    t->key = key;
    table_put(&all->topics, buf_bytes(&t->key), t);
    return t;
}

static struct bytes topic_uri(const struct topic *t)
{
    return (struct bytes){t->key.p + t->server_n + 1, t->key.n - t->server_n - 1};
}

static void nobody_cares(void *ctx, const struct fault_told *fault)
{
    (void)ctx;
    (void)fault;
}

struct follow *follow_start(struct follows *all, const struct follow_spec *spec)
{
    struct follow *f = mem_new(sizeof(*f) + spec->here.n + 1);
    struct upstream *u = hub_find_upstream(all->hub, spec->server);

    memcpy(f->uri, spec->here.p, spec->here.n);
    f->uri_n = spec->here.n;
    f->all = all;
    f->topic = topic_of(all, spec->server, spec->there);
    f->on_updated = spec->on_updated;
    f->ctx = spec->ctx;
    list_add(&f->topic->followers, &f->topic_link);
    list_add(spec->owner, &f->owner_link);
    if (u)
        upstream_subscribe(u, topic_uri(f->topic), spec->on_done ? spec->on_done : nobody_cares,
                           spec->done_ctx);
    return f;
}

static void topic_free(struct follows *all, struct topic *t)
{
    table_drop(&all->topics, buf_bytes(&t->key));
    buf_end(&t->key);
    free(t);
}

void follow_stop(struct follow *f)
{
    struct topic *t = f->topic;
    struct upstream *u = hub_find_upstream(f->all->hub, t->key.p);

    if (u)
        upstream_unsubscribe(u, topic_uri(t));
    list_drop(&f->topic_link);
    list_drop(&f->owner_link);
    if (list_is_empty(&t->followers))
        topic_free(f->all, t);
    free(f);
}

struct follow *follow_find(struct link *owner, struct bytes here)
{
    list_each (l, owner) {
        struct follow *f = list_entry(l, struct follow, owner_link);
        if (bytes_are((struct bytes){f->uri, f->uri_n}, here))
            return f;
    }
    return NULL;
}

void follows_tell(struct follows *all, const char *server, struct bytes there)
{
    struct buf key = {0};

    add_key(&key, server, there);
    struct topic *t = table_get(&all->topics, buf_bytes(&key));
    buf_end(&key);
    if (!t)
        return;
    list_each (l, &t->followers) {
        struct follow *f = list_entry(l, struct follow, topic_link);
        f->on_updated(f, f->ctx);
    }
}
