#pragma once
/*
 * face_bed -- the MCP front with a real web server before it and nothing behind it: calls, catalogue and
 * upstreams are stand-ins that write down what they were asked and answer when the test says so.
 */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "hub/call.h"
#include "hub/catalogue.h"
#include "hub/face_mcp.h"
#include "hub/hub.h"
#include "hub/policy.h"
#include "hub/upstream.h"
#include "tests/kit/kit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BED_CALLS = 128, BED_PEERS = 512 };

struct call {
    const struct call_ops *ops;
    void *ctx;
    enum call_kind kind;
    char id[160]; /* of the request, raw */
    bool is_open, is_cancelled, can_ask;
    uint64_t answered; /* the latest question answered */
    char answer[128];  /* its result, or "error" */
    enum era era;
    int log_level;
};

struct upstream {
    struct config_server config;
};

struct bed {
    struct hub hub;
    struct config config;
    struct config_server servers[2];
    struct upstream upstreams[2];
    struct upstream *upstream_list[2];
    struct web_listener listener;
    struct call calls[BED_CALLS];
    size_t call_count;
    bool answers_at_once; /* call_start answers before it returns */
    int peers[BED_PEERS];
    size_t peer_count;
    int subscribed, unsubscribed, wanted_log, ended_sessions;
    bool refuses_subscriptions;
    int64_t uid; /* of those who connect next; set listener.is_unix with it */
};

static struct bed bed;

/* --- stand-ins --- */

struct call *call_start(struct hub *hub, const struct call_spec *spec)
{
    struct call *c = &bed.calls[bed.call_count++];
    (void)hub;
    assert(bed.call_count < BED_CALLS);
    *c = (struct call){.ops = spec->ops,
                       .ctx = spec->ctx,
                       .kind = spec->kind,
                       .is_open = true,
                       .can_ask = spec->ops->on_question != NULL,
                       .era = spec->caller->era,
                       .log_level = spec->caller->log_level};
    snprintf(c->id, sizeof(c->id), "%.*s", (int)spec->envelope->id.value.n, spec->envelope->id.value.p);
    if (!bed.answers_at_once)
        return c;
    struct call_done done = {.outcome = CALL_RESULT, .parts = {BYTES("{\"at\":\"once\"}")}, .part_count = 1};
    c->is_open = false;
    spec->ops->on_done(spec->ctx, &done);
    return NULL;
}

void call_cancel(struct call *c, const char *why)
{
    (void)why;
    assert(c->is_open && bed.hub.calls);
    c->is_open = false;
    c->is_cancelled = true;
}

void call_answer(struct call *c, uint64_t question, const struct bytes *result)
{
    c->answered = question;
    snprintf(c->answer, sizeof(c->answer), "%.*s", result ? (int)result->n : 5, result ? result->p : "error");
}

bool catalogue_has_server(const struct catalogue *c, const char *server)
{
    (void)c;
    return strcmp(server, "one") == 0 || strcmp(server, "two") == 0;
}

bool catalogue_declares(const struct catalogue *c, const char *server, const char *capability)
{
    (void)c;
    return !server || strcmp(capability, "prompts") != 0;
}

int catalogue_add_list(struct catalogue *c, enum item_kind kind, const char *server,
                       const struct caller *caller, struct bytes cursor, struct buf *out)
{
    static const char *const names[] = {"tools", "prompts", "resources", "resourceTemplates"};
    (void)c;
    (void)caller;
    if (cursor.p && !bytes_say(cursor, "good"))
        return 1;
    buf_addf(out, "{\"%s\":[],\"of\":\"%s\"}", names[kind], server ? server : "all");
    return 0;
}

void catalogue_add_discover(struct catalogue *c, const char *server, const struct caller *caller,
                            struct buf *out)
{
    (void)c;
    (void)server;
    (void)caller;
    buf_add_text(out, "{\"supportedVersions\":[\"2026-07-28\"]}");
}

void catalogue_add_initialize(struct catalogue *c, const char *server, enum revision version,
                              struct bytes version_text, struct buf *out)
{
    (void)c;
    (void)server;
    (void)version;
    buf_add_text(out, "{\"protocolVersion\":");
    buf_add_json(out, version_text);
    buf_add_char(out, '}');
}

const struct item *catalogue_find(const struct catalogue *c, enum item_kind kind, const char *server,
                                  struct bytes name)
{
    static const struct item headed = {
        .server = "one",
        .raw = BYTES("{\"name\":\"headed\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                     "\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}}}}"),
    };
    (void)c;
    (void)kind;
    (void)server;
    return bytes_say(name, "headed") ? &headed : NULL;
}

bool catalogue_route(const struct catalogue *c, const char *server, struct bytes uri, const char **to,
                     struct bytes *uri_there)
{
    (void)c;
    (void)server;
    *to = "one";
    *uri_there = uri;
    return bytes_begin(uri, "test://");
}

bool policy_permits(struct hub *hub, const struct policy_ask *ask)
{
    (void)hub;
    return !bytes_begin(ask->name, "test://secret");
}

struct upstream *hub_find_upstream(const struct hub *hub, const char *name)
{
    (void)hub;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(bed.upstreams[i].config.name, name) == 0)
            return &bed.upstreams[i];
    return NULL;
}

const struct config_server *upstream_config(const struct upstream *u)
{
    return &u->config;
}

void upstream_subscribe(struct upstream *u, struct bytes uri,
                        void (*done)(void *ctx, const struct fault_told *fault), void *ctx)
{
    struct fault_told fault;
    (void)u;
    (void)uri;
    bed.subscribed++;
    fault_tell(&fault, FAULT_UPSTREAM_ERROR, "refused");
    done(ctx, bed.refuses_subscriptions ? &fault : NULL);
}

void upstream_unsubscribe(struct upstream *u, struct bytes uri)
{
    (void)u;
    (void)uri;
    bed.unsubscribed++;
}

void upstream_want_log(struct upstream *u, int level)
{
    (void)u;
    bed.wanted_log = level;
}

int upstream_wanted_log(const struct upstream *u)
{
    (void)u;
    return bed.wanted_log;
}

void upstream_end_session(struct upstream *u, const char *session)
{
    (void)u;
    (void)session;
    bed.ended_sessions++;
}

const struct config_server *config_find_server(const struct config *c, const char *name)
{
    (void)c;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(bed.servers[i].name, name) == 0)
            return &bed.servers[i];
    return NULL;
}

/* --- the web before it --- */

static int bed_head(struct request *r, void *ctx)
{
    (void)ctx;
    return face_on_head(bed.hub.face, r);
}

static void bed_body(struct request *r, struct bytes body, void *ctx)
{
    (void)ctx;
    face_on_body(bed.hub.face, r, body);
}

static void bed_end(struct request *r, void *ctx)
{
    (void)ctx;
    face_on_end(bed.hub.face, r);
}

static void bed_refusal(struct request *r, const struct gate_verdict *v, struct buf *out, void *ctx)
{
    (void)r;
    (void)ctx;
    face_refusal(v, out);
}

static const struct gate_route bed_routes[] = {FACE_ROUTES, {.path = NULL}};
static const struct web_ops bed_ops = {bed_head, bed_body, bed_end, bed_refusal, bed_routes};

static int bed_open(void **state)
{
    (void)state;
    kit_clock_hold();
    memset(&bed, 0, sizeof(bed));
    bed.config.sse_after_ms = 60000; /* tests that mean it say less */
    bed.config.session_idle_ms = 1800000;
    bed.servers[0].name = bed.upstreams[0].config.name = "one";
    bed.servers[1].name = bed.upstreams[1].config.name = "two";
    bed.upstream_list[0] = &bed.upstreams[0];
    bed.upstream_list[1] = &bed.upstreams[1];
    bed.listener = (struct web_listener){.name = "bed", .is_loopback = true};
    bed.hub.config = &bed.config;
    bed.hub.upstreams = bed.upstream_list;
    bed.hub.upstream_count = 2;
    bed.hub.calls = (struct calls *)&bed;
    bed.hub.loop = loop_new();
    bed.hub.web = web_new(bed.hub.loop, &(struct web_limits){0}, &bed_ops, NULL);
    bed.hub.face = face_new(&bed.hub);
    return bed.hub.web ? 0 : -1;
}

static int bed_close(void **state)
{
    (void)state;
    face_free(bed.hub.face);
    web_free(bed.hub.web);
    for (size_t i = 0; i < bed.peer_count; i++)
        fd_close(&bed.peers[i]);
    loop_free(bed.hub.loop);
    return 0;
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)

/* --- a client --- */

struct reply {
    int status;
    struct buf head, body; /* body as it came, chunks undone */
};

static int bed_connect(void)
{
    int pair[2];
    assert_int_equal(fd_pair(SOCK_STREAM, true, pair), 0);
    assert(bed.peer_count < BED_PEERS);
    bed.peers[bed.peer_count++] = pair[0];
    assert_int_equal(web_take(bed.hub.web, pair[1], &bed.listener, "bed", bed.uid), 0);
    return pair[0];
}

static void bed_hang_up(int fd)
{
    for (size_t i = 0; i < bed.peer_count; i++)
        if (bed.peers[i] == fd)
            bed.peers[i] = -1;
    close(fd);
}

static void bed_turn(void)
{
    loop_turn(bed.hub.loop, 1);
}

/* Sends one request; `headers` end with CRLF each. */
static void bed_send(int fd, const char *method, const char *path, const char *headers, const char *body)
{
    struct buf text = {0};
    buf_addf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body)
        buf_addf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    buf_addf(&text, "\r\n%s", body ? body : "");
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    buf_end(&text);
}

static bool bed_read(int fd, struct buf *in)
{
    char piece[65536];
    ssize_t n = read(fd, piece, sizeof(piece));
    if (n > 0)
        buf_add(in, piece, (size_t)n);
    return n == 0 || (n < 0 && errno != EAGAIN); /* the end */
}

static void undo_chunks(struct buf *body)
{
    struct buf out = {0};
    for (size_t at = 0; at < body->n;) {
        char *end;
        size_t n = strtoul(body->p + at, &end, 16);
        at = (size_t)(end - body->p) + 2;
        if (n == 0 || at + n > body->n)
            break;
        buf_add(&out, body->p + at, n);
        at += n + 2;
    }
    buf_end(body);
    *body = out;
    buf_reserve(body, 0);
}

/* What has come so far on this connection, split. */
static void bed_split(const struct buf *in, struct reply *r)
{
    buf_end(&r->head);
    buf_end(&r->body);
    r->status = 0;
    char *end = in->n ? strstr(in->p, "\r\n\r\n") : NULL;
    if (!end)
        return;
    buf_add(&r->head, in->p, (size_t)(end - in->p) + 2);
    buf_add(&r->body, end + 4, in->n - (size_t)(end + 4 - in->p));
    r->status = (int)strtol(in->p + 9, NULL, 10);
    if (strcasestr(r->head.p, "chunked"))
        undo_chunks(&r->body);
}

static bool bed_is_whole(const struct buf *in)
{
    char *end = in->n ? strstr(in->p, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    char *length = strcasestr(in->p, "content-length:");
    if (!length || length > end)
        return strcasestr(in->p, "chunked") == NULL;
    return in->n - (size_t)(end + 4 - in->p) >= strtoul(length + 15, NULL, 10);
}

/* Until an answer of known length is whole. */
static void bed_until_whole(int fd, struct buf *in, struct reply *r)
{
    int64_t until = kit_real_ms() + 3000;
    while (!bed_is_whole(in) && !bed_read(fd, in)) {
        if (kit_real_ms() > until)
            fail_msg("no whole answer, only: %s", in->p ? in->p : "");
        bed_turn();
    }
    bed_split(in, r);
}

/* One request and its whole answer of known length. */
static void bed_ask(struct reply *r, const char *method, const char *path, const char *headers,
                    const char *body)
{
    int fd = bed_connect();
    struct buf in = {0};
    bed_send(fd, method, path, headers, body);
    bed_until_whole(fd, &in, r);
    buf_end(&in);
    bed_hang_up(fd);
    bed_turn();
}

/* Reads a stream until `piece` was in its body; `in` gathers what came. */
static void bed_until(int fd, struct buf *in, struct reply *r, const char *piece)
{
    int64_t until = kit_real_ms() + 3000;
    for (;;) {
        bed_split(in, r);
        if (r->body.n && strstr(r->body.p, piece))
            return;
        if (kit_real_ms() > until)
            fail_msg("'%s' did not come, only: %s", piece, in->n ? in->p : "");
        bed_turn();
        bed_read(fd, in);
    }
}

/* Reads until the server has ended the stream. */
static __attribute__((unused)) void bed_until_end(int fd, struct buf *in, struct reply *r)
{
    int64_t until = kit_real_ms() + 3000;
    while (!bed_read(fd, in) && !(in->n > 5 && memcmp(in->p + in->n - 5, "0\r\n\r\n", 5) == 0)) {
        if (kit_real_ms() > until)
            fail_msg("the stream goes on: %s", in->p ? in->p : "");
        bed_turn();
    }
    bed_split(in, r);
}

static __attribute__((unused)) void bed_turn_ms(int64_t ms)
{
    for (int64_t until = kit_real_ms() + ms; kit_real_ms() < until;)
        bed_turn();
}

static void reply_end(struct reply *r)
{
    buf_end(&r->head);
    buf_end(&r->body);
}

/* The value of a header into `out`; "" when it is not there. */
static __attribute__((unused)) const char *reply_header(const struct reply *r, const char *name,
                                                        char out[static 128])
{
    struct buf line = {0};
    buf_addf(&line, "\r\n%s: ", name);
    char *at = r->head.p ? strcasestr(r->head.p, line.p) : NULL;
    out[0] = 0;
    if (at)
        snprintf(out, 128, "%.*s", (int)strcspn(at + line.n, "\r"), at + line.n);
    buf_end(&line);
    return out;
}

/* --- two clients --- */

#define BOTH_TYPES "Accept: application/json, text/event-stream\r\n"

static __attribute__((unused)) void bed_initialize(const char *path, const char *version,
                                                   char headers[static 256])
{
    struct reply r = {0};
    char body[256], session[128];
    snprintf(body, sizeof(body),
             "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\","
             "\"capabilities\":{\"elicitation\":{}},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}",
             version);
    bed_ask(&r, "POST", path, BOTH_TYPES, body);
    assert_int_equal(r.status, 200);
    snprintf(headers, 256, BOTH_TYPES "Mcp-Session-Id: %s\r\n", reply_header(&r, "Mcp-Session-Id", session));
    assert_int_equal(strlen(session), 43);
    bed_ask(&r, "POST", path, headers, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    assert_int_equal(r.status, 202);
    reply_end(&r);
}

#define MODERN_META                                                          \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define MODERN_HEADERS(method) BOTH_TYPES "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " method "\r\n"

static __attribute__((unused)) void bed_done(size_t i, const char *result)
{
    struct call *c = &bed.calls[i];
    struct call_done done = {.outcome = CALL_RESULT, .parts = {bytes_of(result)}, .part_count = 1};
    assert(c->is_open);
    c->is_open = false;
    c->ops->on_done(c->ctx, &done);
}

static __attribute__((unused)) void bed_notify(size_t i, const char *message)
{
    assert(bed.calls[i].is_open);
    bed.calls[i].ops->on_notification(bed.calls[i].ctx, bytes_of(message));
}

static __attribute__((unused)) void bed_wait_calls(size_t n)
{
    kit_loop_until(bed.hub.loop, 3000, bed.call_count >= n);
}

static __attribute__((unused)) void bed_wait_cancelled(size_t i)
{
    kit_loop_until(bed.hub.loop, 3000, bed.calls[i].is_cancelled);
}

static __attribute__((unused)) void bed_wait_listens(size_t n)
{
    kit_loop_until(bed.hub.loop, 3000, face_counts(bed.hub.face).listens == n);
}
