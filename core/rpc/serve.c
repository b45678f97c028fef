#include "core/rpc/serve.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/rpc/serve_parts.h"

#include <assert.h>
#include <errno.h>

/*
 * Every message says by itself which era it is of: a request of 2026-07-28 bears its version in `_meta`, an
 * older one does not. What is remembered of a connection is only what an older client may rely on (its
 * version, its subscriptions), and that a client was modern once: it may not forget its `_meta` later.
 */

enum { LEGACY = 1, MODERN = 2, BOTH = 3 };

struct method {
    const char *name;
    unsigned eras;
    bool (*run)(struct serve *s, const struct asked *a);
    bool (*is_offered)(const struct server *row); /* NULL: always */
};

static bool offers_resources(const struct server *row)
{
    return row->resources || row->list_resources || row->read;
}

static bool offers_subscriptions(const struct server *row)
{
    return row->subscribe != NULL;
}

static bool offers_completion(const struct server *row)
{
    return row->complete != NULL;
}

static bool answer_empty(struct serve *s, const struct asked *a)
{
    message_begin(s);
    buf_add_text(&s->out, "\"id\":");
    buf_add_bytes(&s->out, a->e->id.value);
    buf_add_text(&s->out, ",\"result\":{}");
    message_end(s);
    return true;
}

static bool is_log_level(const struct member *m)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
    struct bytes level = member_plain(m);

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (bytes_say(level, levels[i]))
            return true;
    return false;
}

/* Taken, because clients send it without looking; our servers have no log for clients. */
static bool set_level(struct serve *s, const struct asked *a)
{
    if (is_log_level(members_find(&a->e->inside, "level")))
        return answer_empty(s, a);
    fault_tell(a->fault, FAULT_INVALID_PARAMS, "'level' is no log level");
    return false;
}

static const struct method methods[] = {
    {"initialize",               LEGACY, serve_initialize,     NULL                },
    {"ping",                     LEGACY, answer_empty,         NULL                },
    {"logging/setLevel",         LEGACY, set_level,            NULL                },
    {"server/discover",          MODERN, serve_discover,       NULL                },
    {"subscriptions/listen",     MODERN, serve_listen,         NULL                },
    {"tools/list",               BOTH,   serve_tools_list,     NULL                },
    {"tools/call",               BOTH,   serve_tool_call,      NULL                },
    {"resources/list",           BOTH,   serve_resources_list, offers_resources    },
    {"resources/templates/list", BOTH,   serve_templates_list, offers_resources    },
    {"resources/read",           BOTH,   serve_read,           offers_resources    },
    {"resources/subscribe",      LEGACY, serve_subscribe,      offers_subscriptions},
    {"resources/unsubscribe",    LEGACY, serve_unsubscribe,    offers_subscriptions},
    {"completion/complete",      BOTH,   serve_complete,       offers_completion   },
};

static const struct method *method_find(const struct server *row, struct bytes name, enum era era)
{
    unsigned bit = era == ERA_MODERN ? MODERN : LEGACY;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct method *m = &methods[i];
        if (bytes_say(name, m->name))
            return m->eras & bit && (!m->is_offered || m->is_offered(row)) ? m : NULL;
    }
    return NULL;
}

/* --- era --- */

static bool is_modern_version(struct bytes version)
{
    return bytes_order(version, BYTES(MCP_MODERN)) >= 0;
}

static bool says_missing(struct fault_told *f, const char *what, const char *key)
{
    fault_tell(f, FAULT_INVALID_PARAMS, "'%s' in _meta is %s", key, what);
    fault_data(f, "\"envelope\":{\"key\":\"%s\"}", key);
    return false;
}

/* A modern request's `_meta` must hold version and capabilities; the rest may be absent, but not wrong.
 * MCP 2026-07-28 basic, "Per-request metadata". */
static bool meta_is_complete(const struct envelope *e, struct fault_told *f)
{
    const struct member *capabilities = members_find(&e->meta, META_PREFIX "clientCapabilities");
    const struct member *client = members_find(&e->meta, META_PREFIX "clientInfo");
    const struct member *level = members_find(&e->meta, META_PREFIX "logLevel");

    if (!members_find(&e->meta, META_PREFIX "protocolVersion"))
        return says_missing(f, "missing", META_PREFIX "protocolVersion");
    if (!capabilities)
        return says_missing(f, "missing", META_PREFIX "clientCapabilities");
    if (capabilities->type != JSON_T_OBJECT)
        return says_missing(f, "no object", META_PREFIX "clientCapabilities");
    if (client && client->type != JSON_T_OBJECT)
        return says_missing(f, "no object", META_PREFIX "clientInfo");
    if (level && !is_log_level(level))
        return says_missing(f, "no log level", META_PREFIX "logLevel");
    return true;
}

static bool version_is_served(struct bytes version, struct fault_told *f)
{
    if (bytes_say(version, MCP_MODERN))
        return true;
    struct buf quoted = {0};
    buf_add_json(&quoted, (struct bytes){version.p, version.n < 64 ? version.n : 64});
    fault_tell(f, FAULT_VERSION, "protocol version %s is not served", quoted.p);
    fault_data(f, "\"supported\":[\"" MCP_MODERN "\"],\"requested\":%s", quoted.p);
    buf_end(&quoted);
    return false;
}

/* 20-mcp's table of eras, without the rows about headers. False: refused. */
static bool era_of(struct serve *s, struct asked *a)
{
    const struct envelope *e = a->e;
    const struct member *claim = members_find(&e->meta, META_PREFIX "protocolVersion");
    struct bytes version = member_plain(claim);
    bool initializes = bytes_say(e->method, "initialize");

    a->era = ERA_LEGACY;
    if (!claim) {
        if (s->version || initializes || !s->saw_modern)
            return true;
        a->era = ERA_MODERN;
        return meta_is_complete(e, a->fault);
    }
    bool is_modern = version.p && is_modern_version(version);
    if (initializes && !is_modern)
        return true;
    a->era = ERA_MODERN;
    if (!version.p)
        return says_missing(a->fault, "no plain string", META_PREFIX "protocolVersion");
    if (!is_modern)
        return version_is_served(version, a->fault);
    s->saw_modern = true;
    return meta_is_complete(e, a->fault) && version_is_served(version, a->fault);
}

/* --- messages --- */

static bool token_is_legal(const struct envelope *e)
{
    const struct member *token = members_find(&e->meta, "progressToken");
    int64_t number;

    return !token || (token->type == JSON_T_STRING && token->value.n <= 258) ||
           member_int(token, &number) == 0;
}

static bool run(struct serve *s, struct asked *a)
{
    const struct envelope *e = a->e;

    if (!era_of(s, a))
        return false;
    const struct method *m = method_find(s->row, e->method, a->era);
    if (!m) {
        fault_tell(a->fault, FAULT_METHOD_NOT_FOUND, "there is no method '%.*s' here", (int)e->method.n,
                   e->method.p);
        return false;
    }
    if (e->params.type != JSON_T_NONE && e->params.type != JSON_T_OBJECT) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'params' is no object");
        return false;
    }
    if (!token_is_legal(e)) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'progressToken' is neither a string nor a whole number");
        return false;
    }
    if (order_is_in_flight(s, e->id.value) || listen_is_open(s, e->id.value)) {
        fault_tell(a->fault, FAULT_INVALID_REQUEST, "a request with this id is in flight already");
        return false;
    }
    return m->run(s, a);
}

static void notified(struct serve *s, const struct envelope *e)
{
    if (bytes_say(e->method, "notifications/initialized")) {
        s->is_initialized = true;
        return;
    }
    if (!bytes_say(e->method, "notifications/cancelled"))
        return;
    const struct member *id = members_find(&e->inside, "requestId");
    if (id && !listen_cancel(s, id->value))
        orders_cancel(s, id->value);
}

void serve_message(struct serve *s, const struct envelope *e)
{
    struct fault_told told;
    struct asked asked = {.e = e, .fault = &told};

    if (e->kind == ENVELOPE_NOTIFICATION) {
        notified(s, e);
        return;
    }
    if (e->kind != ENVELOPE_REQUEST)
        return; /* an answer: we never ask */
    if (!run(s, &asked))
        serve_answer_fault(s, &told, asked.era, e->id.value);
}

/* --- life --- */

struct serve *serve_new(struct loop *loop, const struct server *row, const json_t *settings, int fd_in,
                        int fd_out, struct why *why)
{
    static const struct envelope_limits strict = {.refuse_duplicates = true};
    struct serve *s = NEW(struct serve);

    s->loop = loop;
    s->row = row;
    s->fd_in = fd_in;
    s->fd_out = fd_out;
    list_init(&s->orders);
    list_init(&s->done);
    list_init(&s->listens);
    defer_init(&s->turn_end, serve_turn_end, s);
    s->watch_in = watch_new(loop, fd_in, WATCH_READ, serve_input, s);
    if (!s->watch_in) {
        why_errno(why, errno, "the input is no pipe and no socket");
        free(s);
        return NULL;
    }
    s->watch_out = watch_new(loop, fd_out, 0, serve_output, s); /* NULL: a file, which never makes us wait */
    fd_set_nonblocking(fd_out, true);
    if (row->open && row->open(s, settings, &s->object, why) != 0) {
        watch_free(s->watch_in);
        watch_free(s->watch_out);
        defer_drop(loop, &s->turn_end);
        free(s);
        return NULL;
    }
    serve_prepare_lists(s);
    s->envelope = envelope_new(&strict);
    s->element = envelope_new(&strict);
    return s;
}

void serve_free(struct serve *s)
{
    if (!s)
        return;
    orders_cancel_all(s);
    orders_sweep(s);
    assert(s->in_flight == 0); /* handlers in flight would come back to freed memory: end the input first */
    listens_end(s, false);
    watch_free(s->watch_in);
    watch_free(s->watch_out);
    defer_drop(s->loop, &s->turn_end);
    if (s->row->close)
        s->row->close(s->object);
    serve_end_lists(s);
    envelope_free(s->envelope);
    envelope_free(s->element);
    buf_end(&s->in);
    buf_end(&s->out);
    free(s);
}

void *serve_server(struct serve *s)
{
    return s->object;
}

struct loop *serve_loop(struct serve *s)
{
    return s->loop;
}
