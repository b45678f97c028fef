/* Methods that make or change a legacy session: initialize, logging/setLevel, resources/subscribe. */
#include "core/base/mem.h"
#include "hub/face_parts.h"
#include "hub/policy.h"
#include "hub/upstream.h"

#include <stdlib.h>

static void answer_empty(struct ask *a)
{
    struct buf message = {0};

    ask_begin_result(a, &message);
    buf_add_text(&message, "{}}");
    ask_answer(a, 200, &message);
}

static void answer_invalid(struct ask *a, const char *text)
{
    struct fault_told fault;

    fault_tell(&fault, FAULT_INVALID_PARAMS, "%s", text);
    ask_answer_fault(a, 200, &fault);
}

/* --- initialize --- */

static struct bytes object_of(const struct envelope *e, const char *key)
{
    const struct member *m = members_find(&e->inside, key);

    return m && m->type == JSON_T_OBJECT ? m->value : BYTES_NONE;
}

static void refuse_session(struct ask *a, bool is_total)
{
    struct fault_told fault;

    fault_tell(&fault, is_total ? FAULT_OVERLOADED : FAULT_RATE_LIMITED, "too many sessions are open");
    fault_data(&fault, "\"limit\":\"sessions\",\"max\":%d",
               is_total ? SESSIONS_MOST : SESSIONS_PER_PRINCIPAL);
    ask_answer_fault(a, is_total ? 503 : 429, &fault);
}

void handle_initialize(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct bytes asked = decoded(x->face, members_find(&e->inside, "protocolVersion"));
    bool is_total;

    if (!asked.p) {
        answer_invalid(a, "'protocolVersion' is missing or no string");
        return;
    }
    /* A version we know is echoed as it was written; for all others ours is the newest one with sessions. */
    int known = revision_read(asked);
    bool is_echo = known >= 0 && known <= REVISION_2025_11_25;
    enum revision revision = is_echo ? (enum revision)known : REVISION_2025_11_25;
    const struct session_spec spec = {.principal = x->principal,
                                      .server = x->server,
                                      .revision = revision,
                                      .capabilities = object_of(e, "capabilities"),
                                      .client_info = object_of(e, "clientInfo"),
                                      .wants_frames = x->accepts_stream};
    struct session *s = session_new(x->face->sessions, &spec, &is_total);
    if (!s) {
        refuse_session(a, is_total);
        return;
    }
    /* It hears everything until it says otherwise, whatever others have said. */
    face_want_log(x->face, x->server, 0, false);
    struct buf message = {0};
    ask_begin_result(a, &message);
    catalogue_add_initialize(x->face->hub->catalogue, x->server, revision,
                             is_echo ? asked : bytes_of(revision_text(revision)), &message);
    buf_add_char(&message, '}');
    if (x->request)
        request_add_header(x->request, "Mcp-Session-Id", s->id);
    ask_answer(a, 200, &message);
}

/* --- logging/setLevel --- */

static bool endpoint_has(const char *endpoint, const char *server)
{
    return !endpoint || strcmp(endpoint, server) == 0;
}

/* The most verbose level that any session wants of this server. One that said nothing hears everything, so
 * what another says must not take it away. */
static int wanted_level(struct face *f, const char *server)
{
    int least = -1;

    list_each (l, sessions_list(f->sessions)) {
        const struct session *s = list_entry(l, struct session, link);
        if (endpoint_has(s->server, server) && (least < 0 || s->caller.log_level < least))
            least = s->caller.log_level;
    }
    return least;
}

void face_want_log(struct face *f, const char *endpoint, int level, bool is_said)
{
    for (size_t i = 0; i < f->hub->upstream_count; i++) {
        struct upstream *u = f->hub->upstreams[i];
        int now = upstream_wanted_log(u);
        if (endpoint_has(endpoint, upstream_config(u)->name) &&
            (now < 0 ? is_said && level == 0 : level < now))
            upstream_want_log(u, level);
    }
}

void handle_set_level(struct ask *a, const struct envelope *e)
{
    struct face *f = a->exchange->face;
    struct session *s = a->exchange->session;
    struct bytes name = decoded(f, members_find(&e->inside, "level"));
    int level = name.p ? log_level_read(name) : -1;

    if (level < 0) {
        answer_invalid(a,
                       "'level' is none of debug, info, notice, warning, error, critical, alert, emergency");
        return;
    }
    s->caller.log_level = level;
    for (size_t i = 0; i < f->hub->upstream_count; i++) {
        struct upstream *u = f->hub->upstreams[i];
        const char *server = upstream_config(u)->name;
        if (endpoint_has(s->server, server))
            upstream_want_log(u, wanted_level(f, server));
    }
    answer_empty(a);
}

/* --- resources/subscribe --- */

/* Outlives its ask: the server's word may come when the session is gone. */
struct subscribing {
    struct ask *ask;
    size_t uri_n;
    char uri[];
};

void subscribing_forget(struct subscribing *s)
{
    s->ask = NULL;
}

static void subscribed(void *ctx, const struct fault_told *fault)
{
    struct subscribing *s = ctx;
    struct ask *a = s->ask;
    struct follow *f =
        a && fault ? follow_find(&a->exchange->session->follows, (struct bytes){s->uri, s->uri_n}) : NULL;

    free(s);
    if (f)
        follow_stop(f);
    if (!a)
        return;
    a->subscribing = NULL;
    if (fault)
        ask_answer_fault(a, fault_row(fault->fault)->http_legacy, fault);
    else
        answer_empty(a);
}

static void send_updated(struct session *s, struct follow *f)
{
    struct buf message = {0};

    f->is_pending = false;
    buf_add_text(&message,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"uri\":");
    buf_add_json(&message, (struct bytes){f->uri, f->uri_n});
    buf_add_text(&message, "}}");
    tape_write(s->unsolicited, &(struct bytes){message.p, message.n}, 1);
    buf_end(&message);
}

static bool has_room(const struct session *s)
{
    return s->unsolicited && s->unsolicited->reader && tape_queued(s->unsolicited) == 0;
}

static void updated(struct follow *f, void *ctx)
{
    struct session *s = ctx;

    if (has_room(s))
        send_updated(s, f);
    else
        f->is_pending = s->unsolicited != NULL;
}

void session_send_pending(struct session *s)
{
    static const char *const names[] = {
        [ITEM_TOOL] = "tools", [ITEM_PROMPT] = "prompts", [ITEM_RESOURCE] = "resources"};
    struct buf message = {0};

    for (unsigned kind = 0; kind < sizeof(names) / sizeof(names[0]); kind++) {
        if (!(s->pending & 1u << kind))
            continue;
        buf_clear(&message);
        buf_addf(&message, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s/list_changed\"}", names[kind]);
        tape_write(s->unsolicited, &(struct bytes){message.p, message.n}, 1);
    }
    s->pending = 0;
    list_each (l, &s->follows) {
        struct follow *f = list_entry(l, struct follow, owner_link);
        if (f->is_pending)
            send_updated(s, f);
    }
    buf_end(&message);
}

void session_tell(struct session *s, unsigned kind, const char *server)
{
    if (!s->unsolicited || !endpoint_has(s->server, server))
        return;
    s->pending |= 1u << kind;
    if (has_room(s))
        session_send_pending(s);
}

static bool may_read(struct ask *a, const char *server, struct bytes uri)
{
    const struct policy_ask ask = {
        .principal = a->exchange->principal, .action = "read", .server = server, .name = uri};

    return policy_permits(a->exchange->face->hub, &ask);
}

static void answer_not_found(struct ask *a, struct bytes uri)
{
    struct fault_told fault;
    struct buf quoted = {0};

    fault_tell(&fault, FAULT_RESOURCE_NOT_FOUND, "there is no such resource");
    buf_add_json(&quoted, uri);
    fault_data(&fault, "\"uri\":%s", quoted.p);
    buf_end(&quoted);
    ask_answer_fault(a, 200, &fault);
}

static void start_following(struct ask *a, const char *server, struct bytes there, struct bytes here)
{
    struct subscribing *waiting = mem_new(sizeof(*waiting) + here.n);
    const struct follow_spec spec = {.server = server,
                                     .there = there,
                                     .here = here,
                                     .owner = &a->exchange->session->follows,
                                     .on_updated = updated,
                                     .ctx = a->exchange->session,
                                     .on_done = subscribed,
                                     .done_ctx = waiting};

    waiting->ask = a;
    waiting->uri_n = here.n;
    memcpy(waiting->uri, here.p, here.n);
    a->subscribing = waiting;
    follow_start(a->exchange->face->follows, &spec);
}

static size_t count_links(const struct link *head)
{
    size_t n = 0;

    list_each (l, head)
        n++;
    return n;
}

void handle_subscribe(struct ask *a, const struct envelope *e)
{
    struct face *f = a->exchange->face;
    struct session *s = a->exchange->session;
    struct bytes uri = decoded(f, members_find(&e->inside, "uri")), there;
    const char *server;

    if (!uri.p) {
        answer_invalid(a, "'uri' is missing or no string");
        return;
    }
    if (!catalogue_route(f->hub->catalogue, s->server, uri, &server, &there) || !may_read(a, server, there) ||
        !hub_find_upstream(f->hub, server)) {
        answer_not_found(a, uri);
        return;
    }
    if (follow_find(&s->follows, uri)) {
        answer_empty(a);
        return;
    }
    if (count_links(&s->follows) >= SESSION_URIS) {
        struct fault_told fault;
        fault_tell(&fault, FAULT_TOO_LARGE, "too many subscriptions in this session");
        fault_data(&fault, "\"limit\":\"subscriptions\",\"max\":%d,\"seen\":%d", SESSION_URIS,
                   SESSION_URIS + 1);
        ask_answer_fault(a, 200, &fault);
        return;
    }
    start_following(a, server, there, uri);
}

void handle_unsubscribe(struct ask *a, const struct envelope *e)
{
    struct bytes uri = decoded(a->exchange->face, members_find(&e->inside, "uri"));

    if (!uri.p) {
        answer_invalid(a, "'uri' is missing or no string");
        return;
    }
    struct follow *f = follow_find(&a->exchange->session->follows, uri);
    if (f)
        follow_stop(f);
    answer_empty(a);
}
