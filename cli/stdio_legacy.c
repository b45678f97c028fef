/*
 * 2025-11-25 and older: the session behind the client's connection.
 *
 *   NONE     initialize was not answered yet, or refused
 *   OPENING  an initialize is on its way; what comes meanwhile is held
 *   LIVE     messages go out; once the client has said `initialized`, a stream for what belongs to no request
 * is open LOST     the hub has forgotten the session and would not open another: the next message tries again
 *
 * A hub that was restarted knows no old session (404, and such a request was not looked at). Then the
 * client's own initialize is said again, its subscriptions and log level too, and what was held goes out: it
 * notices nothing.
 */
#include "cli/stdio_parts.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdlib.h>

enum { CANCEL_BEHIND_MS = 20, REOPENS_MOST = 3, FAREWELL_MS = 1000 };

/* A resource the client subscribed to. */
struct wish {
    struct link link;
    char *uri;  /* raw JSON */
    char *line; /* the whole request */
};

/* --- state --- */

static void release_held(struct front *f)
{
    struct link held;
    list_init(&held);
    while (!list_is_empty(&f->held)) {
        struct link *l = f->held.next;
        list_drop(l);
        list_add(&held, l);
    }
    while (!list_is_empty(&held))
        post_send(list_entry(held.next, struct post, link));
}

static void fail_held(struct front *f)
{
    struct fault_told fault;
    fault_tell(&fault, FAULT_SESSION_NOT_FOUND, "the hub has forgotten this session, and opened no other");
    while (!list_is_empty(&f->held))
        post_fail(list_entry(f->held.next, struct post, link), &fault);
}

static void begin_session(struct front *f)
{
    struct session *s = &f->session;
    s->state = SESSION_OPENING;
    s->number++;
    buf_clear(&s->id);
    buf_clear(&s->version);
    legacy_close_stream(f);
    buf_clear(&s->last_event);
}

static void begin_reopen(struct front *f)
{
    begin_session(f);
    post_send(post_new(f, POST_REOPEN, buf_bytes(&f->session.initialize)));
}

/* --- what to say again --- */

static void wish_free(struct wish *w)
{
    list_drop(&w->link);
    free(w->uri);
    free(w->line);
    free(w);
}

static void forget_wish(struct session *s, struct bytes uri)
{
    list_each (l, &s->wishes) {
        struct wish *w = list_entry(l, struct wish, link);
        if (bytes_say(uri, w->uri))
            wish_free(w);
    }
}

static void remember(struct session *s, const struct envelope *e, struct bytes line)
{
    const struct member *uri = members_find(&e->inside, "uri");
    if (bytes_say(e->method, "logging/setLevel")) {
        buf_clear(&s->log_level);
        buf_add_bytes(&s->log_level, line);
    } else if (uri && bytes_say(e->method, "resources/unsubscribe")) {
        forget_wish(s, uri->value);
    } else if (uri && bytes_say(e->method, "resources/subscribe")) {
        forget_wish(s, uri->value);
        struct wish *w = NEW(struct wish);
        w->uri = bytes_copy(uri->value);
        w->line = bytes_copy(line);
        list_add(&s->wishes, &w->link);
    }
}

static void replay(struct front *f)
{
    struct session *s = &f->session;
    if (s->log_level.n)
        post_send(post_new(f, POST_REPLAY, buf_bytes(&s->log_level)));
    list_each (l, &s->wishes) {
        post_send(post_new(f, POST_REPLAY, bytes_of(list_entry(l, struct wish, link)->line)));
    }
}

/* --- from the client --- */

static void take_initialize(struct front *f, const struct envelope *e, struct bytes line)
{
    struct session *s = &f->session;
    begin_session(f);
    s->is_announced = false;
    buf_clear(&s->initialize);
    buf_add_bytes(&s->initialize, line);
    struct post *p = post_new(f, POST_INITIALIZE, line);
    post_add_id(p, e->id.value);
    p->is_repeatable = true;
    post_send(p);
}

static void send_in_session(struct post *p)
{
    struct front *f = p->front;
    if (f->session.state == SESSION_LOST)
        begin_reopen(f);
    if (f->session.state == SESSION_OPENING)
        post_hold(p);
    else
        post_send(p);
}

/* On its way: the hub must see the request before the cancel, and they take two connections. Not sent yet: it
 * never will be. */
static void take_cancel(struct front *f, const struct envelope *e, struct bytes line)
{
    const struct member *id = members_find(&e->inside, "requestId");
    struct post *asked = id ? posts_find(f, id->value) : NULL;
    if (!asked)
        return;
    if (!asked->call) {
        post_drop(asked);
        return;
    }
    int64_t wait = asked->status ? 0 : CANCEL_BEHIND_MS - (clock_ms() - asked->sent_at_ms);
    post_forget_id(asked, id->value);
    post_send_later(post_new(f, POST_MESSAGE, line), wait);
}

static void add_ids(struct post *p, const struct envelope *batch)
{
    struct envelope *e = p->front->answered;
    for (size_t i = 0; i < batch->elements.n; i++) {
        envelope_begin(e);
        if (envelope_scan(e, batch->elements.p[i].value, true, NULL) == 0 && e->kind == ENVELOPE_REQUEST)
            post_add_id(p, e->id.value);
    }
}

void legacy_take(struct front *f, const struct envelope *e, struct bytes line)
{
    bool is_request = e->kind == ENVELOPE_REQUEST;
    if (is_request && bytes_say(e->method, "initialize")) {
        take_initialize(f, e, line);
        return;
    }
    if (e->kind == ENVELOPE_NOTIFICATION && bytes_say(e->method, "notifications/cancelled")) {
        take_cancel(f, e, line);
        return;
    }
    struct post *p = post_new(f, POST_MESSAGE, line);
    if (is_request) {
        post_add_id(p, e->id.value);
        remember(&f->session, e, line);
        p->is_repeatable = !bytes_say(e->method, "tools/call");
    } else if (e->kind == ENVELOPE_BATCH) {
        add_ids(p, e);
    } else {
        p->is_initialized = bytes_say(e->method, "notifications/initialized");
    }
    if (p->is_initialized)
        f->session.is_announced = true;
    send_in_session(p);
}

/* --- from the hub --- */

void legacy_add_headers(const struct front *f, struct buf *out)
{
    if (f->session.id.n)
        buf_addf(out, "Mcp-Session-Id: %s\r\n", f->session.id.p);
    if (f->session.version.n)
        buf_addf(out, "MCP-Protocol-Version: %s\r\n", f->session.version.p);
}

void legacy_head(struct post *p)
{
    struct session *s = &p->front->session;
    bool begins = p->kind == POST_INITIALIZE || p->kind == POST_REOPEN;
    if (begins && p->status == 200 && p->session == s->number) {
        buf_clear(&s->id);
        buf_add_bytes(&s->id, http_header(p->call, "Mcp-Session-Id"));
    } else if (!begins && p->status == 404 && (s->id.n || p->session != s->number)) {
        p->must_reopen = true;
    }
}

void legacy_reopen(struct post *p)
{
    struct front *f = p->front;
    struct session *s = &f->session;
    p->must_reopen = false;
    if (s->state == SESSION_LIVE && p->session == s->number)
        begin_reopen(f);
    if (f->is_ended || p->kind == POST_LIVE || p->kind == POST_REPLAY) {
        post_drop(p); /* the new session says it itself */
    } else if (++p->reopens > REOPENS_MOST) {
        struct fault_told fault;
        fault_tell(&fault, FAULT_SESSION_NOT_FOUND, "the hub forgets every session");
        post_fail(p, &fault);
    } else {
        send_in_session(p);
    }
}

static void keep_version(struct session *s, struct envelope *e)
{
    const struct member *m = members_find(&e->inside, "protocolVersion");
    buf_clear(&s->version);
    if (m)
        buf_add_bytes(&s->version, member_plain(m));
}

static void opened(struct post *p)
{
    struct front *f = p->front;
    struct session *s = &f->session;
    struct envelope *e = f->answered;
    envelope_begin(e);
    bool is_open = envelope_scan(e, buf_bytes(&p->answer), true, NULL) == 0 && e->kind == ENVELOPE_RESULT;
    if (p->session != s->number)
        return; /* the client has begun another meanwhile */
    if (!is_open) {
        legacy_failed(p);
        return;
    }
    keep_version(s, e);
    s->state = SESSION_LIVE;
    if (p->kind == POST_REOPEN && s->is_announced) {
        s->state = SESSION_OPENING;
        post_send(
            post_new(f, POST_LIVE, BYTES("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}")));
    } else {
        release_held(f);
    }
}

void legacy_answered(struct post *p)
{
    struct front *f = p->front;
    if (p->era != ERA_LEGACY || f->is_ended)
        return;
    if (p->kind == POST_INITIALIZE || p->kind == POST_REOPEN) {
        opened(p);
    } else if (p->kind == POST_LIVE && p->session == f->session.number) {
        f->session.state = SESSION_LIVE;
        legacy_open_stream(f);
        replay(f);
        release_held(f);
    } else if (p->is_initialized) {
        legacy_open_stream(f);
    }
}

void legacy_failed(struct post *p)
{
    struct front *f = p->front;
    if (p->session != f->session.number || p->kind == POST_REPLAY)
        return;
    if (p->kind == POST_INITIALIZE) {
        f->session.state = SESSION_NONE;
        release_held(f);
    } else {
        f->session.state = SESSION_LOST;
        fail_held(f);
    }
}

void legacy_stream_is_unknown(struct front *f)
{
    if (f->session.state == SESSION_LIVE)
        begin_reopen(f);
}

/* --- begin and end --- */

void legacy_begin(struct front *f)
{
    list_init(&f->session.wishes);
    legacy_begin_stream(f);
}

static void said_farewell(struct http_call *call, const struct why *why, void *ctx)
{
    struct front *f = ctx;
    (void)call;
    (void)why;
    f->farewell = NULL;
    front_rest(f);
}

void legacy_leave(struct front *f)
{
    static const struct http_ops ops = {.on_end = said_farewell};
    struct buf headers = {0};
    legacy_close_stream(f);
    if (!f->session.id.n)
        return;
    legacy_add_headers(f, &headers);
    struct http_spec spec = {.method = "DELETE",
                             .path = f->path.p,
                             .headers = headers.p,
                             .timeout_ms = FAREWELL_MS,
                             .ops = &ops,
                             .ctx = f};
    f->farewell = http_send(f->http, &spec);
    buf_end(&headers);
}

void legacy_end(struct front *f)
{
    struct session *s = &f->session;
    legacy_close_stream(f);
    if (f->farewell)
        http_cancel(f->farewell);
    for (struct link *l; (l = list_take(&s->wishes));)
        wish_free(list_entry(l, struct wish, link));
    buf_end(&s->id);
    buf_end(&s->version);
    buf_end(&s->initialize);
    buf_end(&s->log_level);
    buf_end(&s->last_event);
    sse_reader_end(&s->reader);
}
