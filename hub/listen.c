#include "hub/listen.h"

#include "core/base/mem.h"
#include "hub/catalogue.h"
#include "hub/guest.h"
#include "hub/hub.h"
#include "hub/policy.h"

#include <stdlib.h>

struct listens {
    struct hub *hub;
    struct follows *follows;
    struct link list;
    size_t count;
};

struct listen {
    struct guest guest;
    struct link link;
    struct listens *all;
    struct request *request;
    const char *server;
    char *principal;
    char *id;                /* raw */
    unsigned kinds, pending; /* bits 1 << item_kind */
    struct link follows;
    struct timer timer;
};

/* What the filter calls a list, and what the notification about it is called. */
static const struct kind {
    const char *member, *capability, *method;
} kinds[] = {
    [ITEM_TOOL] = {"toolsListChanged",     "tools",     "notifications/tools/list_changed"    },
    [ITEM_PROMPT] = {"promptsListChanged",   "prompts",   "notifications/prompts/list_changed"  },
    [ITEM_RESOURCE] = {"resourcesListChanged", "resources", "notifications/resources/list_changed"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* --- the filter --- */

static bool are_strings(struct bytes array)
{
    struct members elements = {0};
    bool fine = elements_read(&elements, array) == 0;

    for (size_t i = 0; i < elements.n && fine; i++)
        fine = elements.p[i].type == JSON_T_STRING;
    members_end(&elements);
    return fine;
}

static int read_members(const struct members *all, struct listen_filter *filter, struct fault_told *fault)
{
    for (unsigned i = 0; i < KINDS; i++) {
        const struct member *m = members_find(all, kinds[i].member);
        if (m && m->type != JSON_T_BOOL) {
            fault_tell(fault, FAULT_INVALID_PARAMS, "'%s' is neither true nor false", kinds[i].member);
            return 1;
        }
        if (m && member_is_true(m))
            filter->kinds |= 1u << i;
    }
    const struct member *uris = members_find(all, "resourceSubscriptions");
    if (uris && !are_strings(uris->value)) {
        fault_tell(fault, FAULT_INVALID_PARAMS, "'resourceSubscriptions' is no array of strings");
        return 1;
    }
    filter->uris = uris ? uris->value : BYTES_NONE;
    return 0;
}

int listen_read_filter(const struct envelope *e, struct listen_filter *filter, struct fault_told *fault)
{
    const struct member *wanted = members_find(&e->inside, "notifications");
    struct members all = {0};
    int rc = 1;

    *filter = (struct listen_filter){0};
    if (!wanted || wanted->type != JSON_T_OBJECT || members_read(&all, wanted->value) < 0)
        fault_tell(fault, FAULT_INVALID_PARAMS, "'notifications' is missing or no object");
    else
        rc = read_members(&all, filter, fault);
    members_end(&all);
    return rc;
}

/* --- frames --- */

static void push(struct listen *l, struct buf *message)
{
    request_push(l->request, BYTES("event: message\ndata: "));
    request_push(l->request, buf_bytes(message));
    request_push(l->request, BYTES("\n\n"));
    buf_clear(message);
}

static void begin_frame(const struct listen *l, const char *method, struct buf *out)
{
    buf_addf(out,
             "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"_meta\":{"
             "\"io.modelcontextprotocol/subscriptionId\":%s}",
             method, l->id);
}

static void send_updated(struct listen *l, struct follow *f)
{
    struct buf message = {0};

    f->is_pending = false;
    begin_frame(l, "notifications/resources/updated", &message);
    buf_add_text(&message, ",\"uri\":");
    buf_add_json(&message, (struct bytes){f->uri, f->uri_n});
    buf_add_text(&message, "}}");
    push(l, &message);
    buf_end(&message);
}

/* The reader has taken all there was: one frame for each list and resource that changed meanwhile. */
static void send_pending(struct listen *l)
{
    struct buf message = {0};

    for (unsigned i = 0; i < KINDS; i++) {
        if (!(l->pending & 1u << i))
            continue;
        begin_frame(l, kinds[i].method, &message);
        buf_add_text(&message, "}}");
        push(l, &message);
    }
    l->pending = 0;
    list_each (at, &l->follows) {
        struct follow *f = list_entry(at, struct follow, owner_link);
        if (f->is_pending)
            send_updated(l, f);
    }
    buf_end(&message);
}

static void drained(struct request *r, void *ctx)
{
    (void)r;
    send_pending(ctx);
}

static void updated(struct follow *f, void *ctx)
{
    struct listen *l = ctx;

    if (request_queued(l->request) == 0)
        send_updated(l, f);
    else
        f->is_pending = true;
}

static void keep_alive(void *ctx)
{
    struct listen *l = ctx;

    request_push(l->request, BYTES(":\n\n"));
    timer_start(&l->timer, KEEP_ALIVE_MS);
}

/* --- life --- */

struct listens *listens_new(struct hub *hub, struct follows *follows)
{
    struct listens *all = NEW(struct listens);

    all->hub = hub;
    all->follows = follows;
    list_init(&all->list);
    return all;
}

static void listen_free(struct listen *l)
{
    guest_leave(l->request);
    timer_stop(&l->timer);
    while (!list_is_empty(&l->follows))
        follow_stop(list_entry(l->follows.next, struct follow, owner_link));
    list_drop(&l->link);
    l->all->count--;
    free(l->principal);
    free(l->id);
    free(l);
}

static void gone(struct request *r, void *ctx)
{
    listen_free(ctx);
    request_finish(r);
}

static void request_ended(struct guest *g, struct request *r)
{
    (void)r;
    listen_free((struct listen *)g);
}

void listens_free(struct listens *all)
{
    if (!all)
        return;
    while (!list_is_empty(&all->list)) {
        struct listen *l = list_entry(all->list.next, struct listen, link);
        struct request *r = l->request;
        listen_free(l);
        request_finish(r);
    }
    free(all);
}

/* Our own end: two pages of the specification each ask for one of these two. */
static void end(struct listen *l)
{
    struct request *r = l->request;
    struct buf message = {0};

    buf_addf(
        &message,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%s,\"_meta\":{"
        "\"io.modelcontextprotocol/subscriptionId\":%s}}}",
        l->id, l->id);
    push(l, &message);
    buf_addf(&message,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"resultType\":\"complete\",\"_meta\":{"
             "\"io.modelcontextprotocol/subscriptionId\":%s}}}",
             l->id, l->id);
    push(l, &message);
    buf_end(&message);
    listen_free(l);
    request_finish(r);
}

void listens_drain(struct listens *all)
{
    while (!list_is_empty(&all->list))
        end(list_entry(all->list.next, struct listen, link));
}

size_t listens_count(const struct listens *all)
{
    return all->count;
}

/* As with sessions: the loopback is many people. */
bool listens_have_room(const struct listens *all, const char *principal, struct fault_told *fault)
{
    size_t theirs = 0;

    list_each (at, &all->list)
        theirs += strcmp(list_entry(at, struct listen, link)->principal, principal) == 0;
    bool is_full = all->count >= LISTENS_MOST;
    if (!is_full && (theirs < LISTENS_PER_PRINCIPAL || strcmp(principal, "loopback") == 0))
        return true;
    fault_tell(fault, FAULT_INTERNAL, "too many listen streams are open");
    fault_data(fault, "\"limit\":\"%s\",\"max\":%d",
               is_full ? "listen_streams" : "listen_streams_per_principal",
               is_full ? LISTENS_MOST : LISTENS_PER_PRINCIPAL);
    return false;
}

/* --- opening --- */

static bool may_follow(const struct listen *l, struct bytes uri, const char **server, struct bytes *there)
{
    struct hub *hub = l->all->hub;

    if (!catalogue_declares(hub->catalogue, l->server, "resources") ||
        !catalogue_route(hub->catalogue, l->server, uri, server, there))
        return false;
    const struct policy_ask ask = {
        .principal = l->principal, .action = "read", .server = *server, .name = *there};
    return policy_permits(hub, &ask) && hub_find_upstream(hub, *server);
}

static void follow_uri(struct listen *l, struct bytes uri)
{
    const char *server;
    struct bytes there;

    if (follow_find(&l->follows, uri) || !may_follow(l, uri, &server, &there))
        return;
    const struct follow_spec spec = {
        .server = server, .there = there, .here = uri, .owner = &l->follows, .on_updated = updated, .ctx = l};
    follow_start(l->all->follows, &spec);
}

static void follow_all(struct listen *l, struct bytes uris)
{
    struct members elements = {0};
    struct buf room = {0};

    if (uris.n && elements_read(&elements, uris) == 0)
        for (size_t i = 0; i < elements.n && i < LISTEN_URIS; i++) {
            buf_clear(&room);
            if (member_decode(&elements.p[i], &room) == 0 && room.n)
                follow_uri(l, buf_bytes(&room));
        }
    members_end(&elements);
    buf_end(&room);
}

/* The first frame: what of the filter is honoured. */
static void acknowledge(struct listen *l)
{
    struct buf message = {0};
    const char *comma = "";

    begin_frame(l, "notifications/subscriptions/acknowledged", &message);
    buf_add_text(&message, ",\"notifications\":{");
    for (unsigned i = 0; i < KINDS; i++) {
        if (!(l->kinds & 1u << i))
            continue;
        buf_addf(&message, "%s\"%s\":true", comma, kinds[i].member);
        comma = ",";
    }
    if (!list_is_empty(&l->follows)) {
        buf_addf(&message, "%s\"resourceSubscriptions\":", comma);
        comma = "[";
        list_each (at, &l->follows) {
            const struct follow *f = list_entry(at, struct follow, owner_link);
            buf_add_text(&message, comma);
            buf_add_json(&message, (struct bytes){f->uri, f->uri_n});
            comma = ",";
        }
        buf_add_char(&message, ']');
    }
    buf_add_text(&message, "}}}");
    push(l, &message);
    buf_end(&message);
}

void listen_begin(struct listens *all, struct request *r, const struct listen_spec *spec)
{
    struct listen *l = NEW(struct listen);

    l->guest.on_end = request_ended;
    l->all = all;
    l->request = r;
    l->server = spec->server;
    l->principal = mem_text(spec->principal);
    l->id = bytes_copy(spec->id);
    list_init(&l->follows);
    list_add(&all->list, &l->link);
    all->count++;
    timer_init(&l->timer, all->hub->loop, keep_alive, l);
    timer_start(&l->timer, KEEP_ALIVE_MS);
    for (unsigned i = 0; i < KINDS; i++)
        if (spec->filter.kinds & 1u << i &&
            catalogue_declares(all->hub->catalogue, l->server, kinds[i].capability))
            l->kinds |= 1u << i;
    request_set_ctx(r, &l->guest);
    request_stream(r, 200, "text/event-stream");
    request_on_drained(r, drained);
    follow_all(l, spec->filter.uris);
    acknowledge(l);
    if (!l->kinds && list_is_empty(&l->follows))
        end(l); /* nothing could ever come */
    else
        request_on_gone(r, gone, l);
}

void listens_tell(struct listens *all, unsigned kind, const char *server)
{
    list_each (at, &all->list) {
        struct listen *l = list_entry(at, struct listen, link);
        if (!(l->kinds & 1u << kind) || (l->server && strcmp(l->server, server) != 0))
            continue;
        l->pending |= 1u << kind;
        if (request_queued(l->request) == 0)
            send_pending(l);
    }
}
