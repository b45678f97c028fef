#include "core/base/mem.h"
#include "core/rpc/serve_parts.h"

/*
 * Who wants to hear of changes. A legacy client subscribes to URIs one by one and hears of lists unasked; a
 * modern one opens streams (subscriptions/listen), each with its own filter, and every frame bears the id of
 * its stream. The server itself sees one subscription a URI, however many want it.
 */

static const char present; /* what table values point at where only the key matters */

struct watched {
    size_t count;
};

/* 0, or 1 with `why`: there is no such resource. */
static int watch_begin(struct serve *s, struct bytes uri, struct why *why)
{
    struct watched *w = table_get(&s->watched, uri);

    if (w) {
        w->count++;
        return 0;
    }
    if (!s->row->subscribe || s->row->subscribe(s->object, uri, why) != 0)
        return 1;
    w = NEW(struct watched);
    w->count = 1;
    table_put(&s->watched, uri, w);
    return 0;
}

static void watch_end(struct serve *s, struct bytes uri)
{
    struct watched *w = table_get(&s->watched, uri);

    if (!w || --w->count > 0)
        return;
    if (s->row->unsubscribe)
        s->row->unsubscribe(s->object, uri);
    table_drop(&s->watched, uri);
    free(w);
}

/* --- legacy --- */

static bool uri_param(const struct asked *a, struct buf *uri)
{
    if (member_decode(members_find(&a->e->inside, "uri"), uri) == 0 && uri->n > 0 && uri->n <= 4096)
        return true;
    fault_tell(a->fault, FAULT_INVALID_PARAMS, "'uri' must be a string of at most 4096 bytes");
    return false;
}

static void answer_empty(struct serve *s, const struct asked *a)
{
    message_begin(s);
    buf_add_text(&s->out, "\"id\":");
    buf_add_bytes(&s->out, a->e->id.value);
    buf_add_text(&s->out, ",\"result\":{}");
    message_end(s);
}

static bool subscribe(struct serve *s, const struct asked *a, struct bytes uri)
{
    struct why why = {0};

    if (table_get(&s->by_legacy, uri))
        return true;
    if (s->by_legacy.count >= SERVE_URIS) {
        fault_tell(a->fault, FAULT_TOO_LARGE, "at most %d resources may be subscribed to", (int)SERVE_URIS);
        return false;
    }
    if (watch_begin(s, uri, &why) != 0) {
        struct buf quoted = {0};
        buf_add_json(&quoted, uri);
        fault_tell(a->fault, FAULT_RESOURCE_NOT_FOUND, "%s",
                   why.text[0] ? why.text : "there is no such resource");
        fault_data(a->fault, "\"uri\":%s", quoted.p);
        buf_end(&quoted);
        return false;
    }
    table_put(&s->by_legacy, uri, (void *)&present);
    return true;
}

bool serve_subscribe(struct serve *s, const struct asked *a)
{
    struct buf uri = {0};
    bool done = uri_param(a, &uri) && subscribe(s, a, buf_bytes(&uri));

    buf_end(&uri);
    if (done)
        answer_empty(s, a);
    return done;
}

bool serve_unsubscribe(struct serve *s, const struct asked *a)
{
    struct buf uri = {0};
    bool done = uri_param(a, &uri);

    if (done && table_drop(&s->by_legacy, buf_bytes(&uri)))
        watch_end(s, buf_bytes(&uri));
    buf_end(&uri);
    if (done)
        answer_empty(s, a);
    return done;
}

/* --- modern --- */

static struct listen *listen_find(const struct serve *s, struct bytes id)
{
    list_each (l, &s->listens) {
        struct listen *each = list_entry(l, struct listen, link);
        if (bytes_are(each->id, id))
            return each;
    }
    return NULL;
}

bool listen_is_open(const struct serve *s, struct bytes id)
{
    return listen_find(s, id) != NULL;
}

static void listen_free(struct serve *s, struct listen *l)
{
    struct bytes uri;
    void *value;

    for (size_t at = 0; table_next(&l->uris, &at, &uri, &value);)
        watch_end(s, uri);
    table_end(&l->uris);
    list_drop(&l->link);
    s->listen_count--;
    free((char *)l->id.p);
    free(l);
}

/* Takes over what of the filter can be had; the rest is left out of the acknowledgement. */
static void take_uris(struct serve *s, struct listen *l, struct bytes list)
{
    struct members uris = {0};
    struct buf uri = {0};

    elements_read(&uris, list);
    for (size_t i = 0; i < uris.n && l->uris.count < SERVE_URIS; i++) {
        buf_clear(&uri);
        if (member_decode(&uris.p[i], &uri) < 0 || uri.n == 0 || uri.n > 4096)
            continue;
        if (!table_get(&l->uris, buf_bytes(&uri)) && watch_begin(s, buf_bytes(&uri), NULL) == 0)
            table_put(&l->uris, buf_bytes(&uri), (void *)&present);
    }
    members_end(&uris);
    buf_end(&uri);
}

static void begin_frame(struct serve *s, const struct listen *l, const char *method)
{
    message_begin(s);
    buf_addf(&s->out, "\"method\":\"%s\",\"params\":{\"_meta\":{\"" META_PREFIX "subscriptionId\":", method);
    buf_add_bytes(&s->out, l->id);
    buf_add_char(&s->out, '}');
}

static void end_frame(struct serve *s)
{
    buf_add_char(&s->out, '}');
    message_end(s);
}

static void acknowledge(struct serve *s, const struct listen *l)
{
    struct bytes uri;
    void *value;
    bool is_first = true;

    begin_frame(s, l, "notifications/subscriptions/acknowledged");
    buf_add_text(&s->out, ",\"notifications\":{");
    if (l->wants_resources)
        buf_add_text(&s->out, "\"resourcesListChanged\":true");
    if (l->uris.count) {
        buf_add_text(&s->out,
                     l->wants_resources ? ",\"resourceSubscriptions\":[" : "\"resourceSubscriptions\":[");
        for (size_t at = 0; table_next(&l->uris, &at, &uri, &value); is_first = false) {
            if (!is_first)
                buf_add_char(&s->out, ',');
            buf_add_json(&s->out, uri);
        }
        buf_add_char(&s->out, ']');
    }
    buf_add_char(&s->out, '}');
    end_frame(s);
}

/* Each wish must be what the schema says, whether we can fulfil it or not. */
static bool filter_is_legal(const struct members *filter)
{
    static const char *const flags[] = {"toolsListChanged", "promptsListChanged", "resourcesListChanged"};
    const struct member *uris = members_find(filter, "resourceSubscriptions");

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const struct member *m = members_find(filter, flags[i]);
        if (m && m->type != JSON_T_BOOL)
            return false;
    }
    if (!uris)
        return true;
    struct members each = {0};
    bool are_strings = elements_read(&each, uris->value) == 0;
    for (size_t i = 0; i < each.n; i++)
        are_strings &= each.p[i].type == JSON_T_STRING;
    members_end(&each);
    return are_strings;
}

bool serve_listen(struct serve *s, const struct asked *a)
{
    const struct member *wanted = members_find(&a->e->inside, "notifications");
    struct members filter = {0};
    bool has_resources = s->row->resources || s->row->list_resources || s->row->read;

    if (!wanted || members_read(&filter, wanted->value) < 0 || !filter_is_legal(&filter)) {
        members_end(&filter);
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'notifications' must be a filter of notifications");
        return false;
    }
    if (s->listen_count >= SERVE_LISTENS) {
        members_end(&filter);
        fault_tell(a->fault, FAULT_INTERNAL, "at most %d streams may be open", (int)SERVE_LISTENS);
        return false;
    }
    struct listen *l = NEW(struct listen);
    l->id = (struct bytes){bytes_copy(a->e->id.value), a->e->id.value.n};
    l->wants_resources = has_resources && member_is_true(members_find(&filter, "resourcesListChanged"));
    list_add(&s->listens, &l->link);
    s->listen_count++;
    const struct member *uris = members_find(&filter, "resourceSubscriptions");
    if (uris)
        take_uris(s, l, uris->value);
    members_end(&filter);
    acknowledge(s, l);
    return true;
}

bool listen_cancel(struct serve *s, struct bytes id)
{
    struct listen *l = listen_find(s, id);

    if (l)
        listen_free(s, l);
    return l != NULL;
}

void listens_end(struct serve *s, bool tells)
{
    struct bytes uri;
    void *value;

    list_each (l, &s->listens) {
        struct listen *each = list_entry(l, struct listen, link);
        if (tells) {
            message_begin(s);
            buf_add_text(&s->out, "\"id\":");
            buf_add_bytes(&s->out, each->id);
            buf_add_text(&s->out, ",\"result\":{\"resultType\":\"complete\",\"_meta\":{\"" META_PREFIX
                                  "subscriptionId\":");
            buf_add_bytes(&s->out, each->id);
            buf_add_text(&s->out, ",\"" META_PREFIX "serverInfo\":");
            buf_add_bytes(&s->out, buf_bytes(&s->server_info));
            buf_add_text(&s->out, "}}");
            message_end(s);
        }
        listen_free(s, each);
    }
    for (size_t at = 0; table_next(&s->by_legacy, &at, &uri, &value);)
        watch_end(s, uri);
    table_end(&s->by_legacy);
    table_end(&s->watched);
}

/* --- changes --- */

void serve_resource_updated(struct serve *s, struct bytes uri)
{
    if (table_get(&s->by_legacy, uri)) {
        message_begin(s);
        buf_add_text(&s->out, "\"method\":\"notifications/resources/updated\",\"params\":{\"uri\":");
        buf_add_json(&s->out, uri);
        buf_add_char(&s->out, '}');
        message_end(s);
    }
    list_each (l, &s->listens) {
        const struct listen *each = list_entry(l, struct listen, link);
        if (!table_get(&each->uris, uri))
            continue;
        begin_frame(s, each, "notifications/resources/updated");
        buf_add_text(&s->out, ",\"uri\":");
        buf_add_json(&s->out, uri);
        end_frame(s);
    }
}

void serve_resources_changed(struct serve *s)
{
    if (s->is_initialized) {
        message_begin(s);
        buf_add_text(&s->out, "\"method\":\"notifications/resources/list_changed\"");
        message_end(s);
    }
    list_each (l, &s->listens) {
        const struct listen *each = list_entry(l, struct listen, link);
        if (!each->wants_resources)
            continue;
        begin_frame(s, each, "notifications/resources/list_changed");
        end_frame(s);
    }
}
