/*
 * The ladder down to the era: path, body, envelope. What comes after is in face_modern.c and face_legacy.c,
 * what a method does in face_rows.c, how an answer travels in exchange.c.
 */
#include "hub/face_mcp.h"

#include "core/base/mem.h"
#include "hub/face_parts.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct face *face_new(struct hub *hub)
{
    struct face *f = NEW(struct face);
    const struct config *c = hub->config;
    const struct envelope_limits limits = {.depth = (size_t)c->json.depth,
                                           .values = (size_t)c->json.values,
                                           .keys = (size_t)c->json.keys,
                                           .refuse_duplicates = true};

    f->hub = hub;
    f->envelope = envelope_new(&limits);
    f->element = envelope_new(&limits);
    f->sessions = sessions_new(hub->loop, c->session_idle_ms, &face_sessions_ops, f);
    f->follows = follows_new(hub);
    f->listens = listens_new(hub, f->follows);
    list_init(&f->live);
    list_init(&f->spare);
    return f;
}

void face_free(struct face *f)
{
    if (!f)
        return;
    sessions_free(f->sessions);
    listens_free(f->listens);
    follows_free(f->follows);
    exchanges_end(f);
    size_t at = 0;
    uint64_t uid;
    void *name;
    while (ids_next(&f->people, &at, &uid, &name))
        free(name);
    ids_end(&f->people);
    envelope_free(f->envelope);
    envelope_free(f->element);
    buf_end(&f->room);
    free(f);
}

bool face_owns(struct bytes path)
{
    return bytes_say(path, "/mcp") || bytes_begin(path, "/mcp/");
}

/* --- what the parts share --- */

void refuse_text(struct exchange *x, int status, enum fault fault, struct bytes id, const char *format, ...)
{
    struct fault_told told;
    char text[sizeof(told.text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_tell(&told, fault, "%s", text);
    exchange_refuse(x, status, &told, id);
}

/* Looked up once for each user: the file behind it may be slow, and names do not change under us. */
static const char *person(struct face *f, int64_t uid)
{
    char *name = ids_get(&f->people, (uint64_t)uid + 1);
    struct passwd entry, *found = NULL;
    char room[4096];

    if (name)
        return name;
    if (getpwuid_r((uid_t)uid, &entry, room, sizeof(room), &found) == 0 && found)
        name = text_format("local:%s", entry.pw_name);
    else
        name = text_format("local:%lld", (long long)uid);
    ids_put(&f->people, (uint64_t)uid + 1, name);
    return name;
}

const char *face_principal(struct face *f, const struct request *r)
{
    return request_listener(r)->is_unix ? person(f, request_uid(r)) : "loopback";
}

struct bytes quotable_id(const struct envelope *e)
{
    struct bytes id = e->id.value;
    bool is_whole = e->id.type == JSON_T_NUMBER && !memchr(id.p, '.', id.n) && !memchr(id.p, 'e', id.n) &&
                    !memchr(id.p, 'E', id.n);

    return e->id.type == JSON_T_STRING || is_whole ? id : BYTES_NONE;
}

struct bytes decoded(struct face *f, const struct member *m)
{
    if (!m || m->type != JSON_T_STRING)
        return BYTES_NONE;
    struct bytes plain = member_plain(m);
    if (plain.p)
        return plain;
    buf_clear(&f->room);
    buf_reserve(&f->room, 1);
    return member_decode(m, &f->room) == 0 ? buf_bytes(&f->room) : BYTES_NONE;
}

/* Bytewise, as dates sort: whatever is not older than the first stateless version. */
bool is_modern_version(struct bytes version)
{
    return bytes_order(version, BYTES("2026-07-28")) >= 0;
}

void face_dispatch(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct fault_told fault;

    if (e->params.type != JSON_T_NONE && e->params.type != JSON_T_OBJECT) {
        fault_tell(&fault, FAULT_INVALID_PARAMS, "'params' is no object");
        ask_answer_fault(a, 200, &fault);
    } else if (a->row->capability &&
               !catalogue_declares(x->face->hub->catalogue, x->server, a->row->capability)) {
        fault_tell(&fault, FAULT_METHOD_NOT_FOUND, "this server has no %s", a->row->capability);
        ask_answer_fault(a, x->era == ERA_MODERN ? 404 : 200, &fault);
    } else {
        a->row->handle(a, e);
    }
}

/* --- the ladder --- */

static void serve_message(struct exchange *x, const struct envelope *e)
{
    const struct member *member = members_find(&e->meta, "io.modelcontextprotocol/protocolVersion");
    struct bytes claim = decoded(x->face, member);
    struct bytes header = request_header(x->request, "MCP-Protocol-Version");
    bool has_modern_header = header.p && is_modern_version(header);
    bool begins = bytes_say(e->method, "initialize");

    if ((claim.p && is_modern_version(claim)) || (!member && has_modern_header && !begins)) {
        if (e->kind == ENVELOPE_REQUEST)
            modern_serve(x, e);
        else
            exchange_accept(x); /* this version defines no notifications of clients over HTTP */
    } else if (begins && has_modern_header) {
        refuse_text(x, 400, FAULT_HEADER_MISMATCH, quotable_id(e),
                    "header 'MCP-Protocol-Version' names a version without 'initialize'");
    } else if (claim.p && !begins) {
        modern_refuse_version(x, e, claim);
    } else if (member && !begins) {
        refuse_text(x, 400, FAULT_INVALID_PARAMS, quotable_id(e),
                    "'io.modelcontextprotocol/protocolVersion' is no string");
    } else {
        legacy_serve(x, e);
    }
}

static void serve_scanned(struct exchange *x, const struct envelope *e)
{
    struct bytes header = request_header(x->request, "MCP-Protocol-Version");

    if (e->kind != ENVELOPE_BATCH && e->kind != ENVELOPE_ODD && !e->has_jsonrpc) {
        refuse_text(x, 400, FAULT_INVALID_REQUEST, quotable_id(e), "'jsonrpc' is not \"2.0\"");
        return;
    }
    switch (e->kind) {
    case ENVELOPE_REQUEST:
    case ENVELOPE_NOTIFICATION:
        serve_message(x, e);
        break;
    case ENVELOPE_RESULT:
    case ENVELOPE_ERROR:
        if (header.p && is_modern_version(header))
            refuse_text(x, 400, FAULT_INVALID_REQUEST, BYTES_NONE,
                        "nobody asked anything that this could answer");
        else
            legacy_take_answer(x, e);
        break;
    case ENVELOPE_BATCH:
        if (header.p && is_modern_version(header))
            refuse_text(x, 400, FAULT_INVALID_REQUEST, BYTES_NONE, "this protocol version knows no batches");
        else
            legacy_serve_batch(x, e);
        break;
    default:
        refuse_text(x, 400, FAULT_INVALID_REQUEST, quotable_id(e), "%s", e->fault);
        break;
    }
}

static void serve_post(struct exchange *x, struct bytes body)
{
    struct envelope *e = x->face->envelope;
    struct why why = {0};

    x->era = ERA_LEGACY;
    envelope_begin(e);
    switch (envelope_scan(e, body, true, &why)) {
    case 0:
        serve_scanned(x, e);
        break;
    case ENVELOPE_LIMIT:
        refuse_text(x, 400, FAULT_TOO_LARGE, BYTES_NONE, "%s", why.text);
        break;
    case ENVELOPE_DUPLICATE:
        refuse_text(x, 400, FAULT_INVALID_REQUEST, BYTES_NONE, "%s", why.text);
        break;
    default:
        refuse_text(x, 400, FAULT_PARSE, BYTES_NONE, "%s", why.text[0] ? why.text : "the body is not JSON");
        break;
    }
}

/* --- requests --- */

static int refuse_head(struct request *r, int status, enum fault fault, const char *text)
{
    struct fault_told told;
    struct buf body = {0};

    fault_tell(&told, fault, "%s", text);
    fault_add_response(&body, &told, ERA_LEGACY, BYTES_NONE);
    request_answer(r, status, "application/json", buf_bytes(&body));
    buf_end(&body);
    return 1;
}

/* The server a path means, in the configuration's own memory; NULL is all. false: there is none. */
static bool find_server(struct face *f, struct bytes path, const char **server)
{
    size_t prefix = sizeof("/mcp/") - 1;
    char name[32];

    *server = NULL;
    if (path.n < prefix)
        return true;
    if (path.n == prefix || path.n - prefix >= sizeof(name))
        return false;
    memcpy(name, path.p + prefix, path.n - prefix);
    name[path.n - prefix] = 0;
    const struct config_server *c = config_find_server(f->hub->config, name);
    if (!c || !catalogue_has_server(f->hub->catalogue, name))
        return false;
    *server = c->name;
    return true;
}

int face_on_head(struct face *f, struct request *r)
{
    const char *server;

    if (!find_server(f, request_path(r), &server))
        return refuse_head(r, 404, FAULT_INVALID_REQUEST, "there is no such server");
    if (f->hub->is_draining) {
        request_add_header(r, "Retry-After", "2");
        return refuse_head(r, 503, FAULT_DRAINING, "the hub is about to stop");
    }
    switch (request_method(r)) {
    case METHOD_POST:
        exchange_new(f, r, server);
        return 0;
    case METHOD_GET:
    case METHOD_DELETE:
        return 0;
    default: /* the gate lets no other pass */
        request_add_header(r, "Allow", "GET, POST, DELETE");
        return refuse_head(r, 405, FAULT_INVALID_REQUEST, "this path takes GET, POST and DELETE");
    }
}

void face_on_body(struct face *f, struct request *r, struct bytes body)
{
    struct exchange *x = request_ctx(r);
    const char *server;

    if (x) {
        serve_post(x, body);
    } else if (!find_server(f, request_path(r), &server)) {
        refuse_head(r, 404, FAULT_INVALID_REQUEST, "there is no such server");
    } else if (request_method(r) == METHOD_GET) {
        legacy_get(f, r, server);
    } else {
        legacy_delete(f, r, server);
    }
}

void face_on_end(struct face *f, struct request *r)
{
    struct guest *g = request_ctx(r);

    (void)f;
    if (g)
        g->on_end(g, r);
}

void face_refusal(const struct gate_verdict *verdict, struct buf *out)
{
    enum fault fault = fault_by_name(verdict->name);
    struct fault_told told;

    /* What only HTTP knows has no JSON-RPC code of its own. */
    fault_tell(&told, fault != FAULT_NONE && fault_row(fault)->legacy ? fault : FAULT_INVALID_REQUEST, "%s",
               verdict->text);
    fault_add_response(out, &told, ERA_LEGACY, BYTES_NONE);
}

/* --- what servers say unasked --- */

void face_list_changed(struct face *f, int item_kind, const char *server)
{
    /* One notification stands for resources and their templates. */
    unsigned kind = item_kind == ITEM_TEMPLATE ? ITEM_RESOURCE : (unsigned)item_kind;

    list_each (l, sessions_list(f->sessions))
        session_tell(list_entry(l, struct session, link), kind, server);
    listens_tell(f->listens, kind, server);
}

void face_resource_updated(struct face *f, const char *server, struct bytes uri)
{
    follows_tell(f->follows, server, uri);
}

struct face_counts face_counts(const struct face *f)
{
    struct face_counts counts = {.sessions = sessions_count(f->sessions),
                                 .listens = listens_count(f->listens)};

    counts.streams = counts.listens;
    counts.dropped = f->dropped;
    list_each (l, sessions_list(f->sessions))
        counts.streams += session_streams(list_entry(l, struct session, link));
    return counts;
}

void face_drain(struct face *f)
{
    listens_drain(f->listens);
    list_each (l, sessions_list(f->sessions))
        tape_free(list_entry(l, struct session, link)->unsolicited);
}
