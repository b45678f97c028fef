#pragma once
/*
 * api_bed -- the api with a real web server before it, a real catalogue, and stand-ins for servers and calls
 * that write down what they were asked and answer when the test says so.
 */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "hub/api.h"
#include "hub/call.h"
#include "hub/calls.h"
#include "hub/catalogue.h"
#include "hub/events.h"
#include "hub/face_parts.h"
#include "hub/hub.h"
#include "hub/metrics.h"
#include "hub/upstream.h"
#include "tests/kit/kit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BED_CALLS = 16, BED_LINES = 4 };

struct call {
    struct call_spec spec;
    char id[40], method[40], params[512], traceparent[64];
    char principal[40];
    bool is_open, is_cancelled;
};

struct upstream {
    const struct config_server *config;
    enum upstream_state state;
    const char *reason;
    struct log_line lines[BED_LINES];
    size_t line_count;
    int started, stopped, restarted, subscribed, unsubscribed;
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
    bool refuses_calls; /* call_start fails before it returns */
    struct buf in;
};

static struct bed bed;

/* --- stand-ins: calls --- */

struct call *call_start(struct hub *hub, const struct call_spec *spec)
{
    assert(bed.call_count < BED_CALLS);
    struct call *c = &bed.calls[bed.call_count++];
    (void)hub;
    *c = (struct call){.spec = *spec, .is_open = true};
    snprintf(c->id, sizeof(c->id), "call_%zu", bed.call_count);
    snprintf(c->method, sizeof(c->method), "%s", spec->method);
    snprintf(c->principal, sizeof(c->principal), "%s", spec->caller->principal);
    snprintf(c->params, sizeof(c->params), "%.*s", (int)spec->envelope->params.value.n,
             spec->envelope->params.value.p);
    snprintf(c->traceparent, sizeof(c->traceparent), "%.*s", (int)spec->traceparent.n,
             spec->traceparent.p ? spec->traceparent.p : "");
    if (!bed.refuses_calls)
        return c;
    struct call_done done = {.outcome = CALL_FAULT};
    fault_tell(&done.fault, FAULT_SERVER_DOWN, "the server is lost");
    done.fault.retry_after_ms = 1500;
    c->is_open = false;
    spec->ops->on_done(spec->ctx, &done);
    return NULL;
}

const char *call_id(const struct call *c)
{
    return c->id;
}

void call_cancel(struct call *c, const char *why)
{
    (void)why;
    assert(c->is_open);
    c->is_open = false;
    c->is_cancelled = true;
}

void call_each(struct hub *hub, void (*fn)(const struct call_view *v, void *ctx), void *ctx)
{
    (void)hub;
    for (size_t i = 0; i < bed.call_count; i++) {
        const struct call *c = &bed.calls[i];
        struct call_view v = {.id = c->id,
                              .server = "files",
                              .principal = c->principal,
                              .method = c->method,
                              .tool = BYTES("files__read"),
                              .started_ms = 1,
                              .state = "running"};
        if (c->is_open)
            fn(&v, ctx);
    }
}

static inline void bed_finish(struct call *c, const struct call_done *done)
{
    assert(c->is_open);
    c->is_open = false;
    c->spec.ops->on_done(c->spec.ctx, done);
}

int call_stop(struct hub *hub, const char *id, const char *by)
{
    (void)hub;
    for (size_t i = 0; i < bed.call_count; i++) {
        struct call_done done = {.outcome = CALL_FAULT};
        if (!bed.calls[i].is_open || strcmp(bed.calls[i].id, id) != 0)
            continue;
        fault_tell(&done.fault, FAULT_CANCELLED, "cancelled by %s", by);
        bed_finish(&bed.calls[i], &done);
        return 0;
    }
    return 1;
}

size_t calls_count(const struct calls *s)
{
    size_t n = 0;
    (void)s;
    for (size_t i = 0; i < bed.call_count; i++)
        n += bed.calls[i].is_open;
    return n;
}

/* --- stand-ins: servers --- */

struct upstream *hub_find_upstream(const struct hub *hub, const char *name)
{
    for (size_t i = 0; i < hub->upstream_count; i++)
        if (strcmp(bed.upstreams[i].config->name, name) == 0)
            return &bed.upstreams[i];
    return NULL;
}

const struct config_server *upstream_config(const struct upstream *u)
{
    return u->config;
}

enum upstream_state upstream_state(const struct upstream *u)
{
    return u->state;
}

const char *upstream_state_name(enum upstream_state s)
{
    return s == UPSTREAM_READY  ? "ready"
           : s == UPSTREAM_LOST ? "lost"
           : s == UPSTREAM_OFF  ? "off"
                                : "starting";
}

const char *upstream_reason(const struct upstream *u)
{
    return u->reason ? u->reason : "";
}

int64_t upstream_since_ms(const struct upstream *u)
{
    (void)u;
    return 1000;
}

int upstream_pid(const struct upstream *u)
{
    (void)u;
    return 0;
}

int upstream_restarts(const struct upstream *u)
{
    return u->restarted;
}

int upstream_sandbox(const struct upstream *u)
{
    (void)u;
    return 2;
}

int64_t upstream_retry_ms(const struct upstream *u)
{
    (void)u;
    return 700;
}

size_t upstream_log(const struct upstream *u, struct log_line *out, size_t room)
{
    size_t n = u->line_count < room ? u->line_count : room;
    memcpy(out, u->lines + u->line_count - n, n * sizeof(out[0]));
    return n;
}

void upstream_start(struct upstream *u)
{
    u->started++;
    u->state = UPSTREAM_STARTING;
}

void upstream_stop(struct upstream *u, const char *why)
{
    (void)why;
    u->stopped++;
    u->state = UPSTREAM_OFF;
}

void upstream_restart(struct upstream *u)
{
    u->restarted++;
}

void upstream_subscribe(struct upstream *u, struct bytes uri,
                        void (*done)(void *ctx, const struct fault_told *fault), void *ctx)
{
    (void)uri;
    u->subscribed++;
    done(ctx, NULL);
}

void upstream_unsubscribe(struct upstream *u, struct bytes uri)
{
    (void)uri;
    u->unsubscribed++;
}

/* --- stand-ins: the front --- */

const char *face_principal(struct face *f, const struct request *r)
{
    (void)f;
    return request_listener(r)->is_unix ? "local:someone" : "loopback";
}

struct face_counts face_counts(const struct face *f)
{
    (void)f;
    return (struct face_counts){0};
}

/* --- the hub around it --- */

static inline int bed_head(struct request *r, void *ctx)
{
    (void)ctx;
    return api_on_head(bed.hub.api, r);
}

static inline void bed_body(struct request *r, struct bytes body, void *ctx)
{
    (void)ctx;
    api_on_body(bed.hub.api, r, body);
}

static inline void bed_end(struct request *r, void *ctx)
{
    (void)ctx;
    api_on_end(bed.hub.api, r);
}

static inline void bed_refusal(struct request *r, const struct gate_verdict *v, struct buf *out, void *ctx)
{
    (void)r;
    (void)ctx;
    api_refusal(v, out);
}

static const struct gate_route bed_routes[] = {API_ROUTES, {.path = NULL}};
static const struct web_ops bed_ops = {bed_head, bed_body, bed_end, bed_refusal, bed_routes};
static const struct catalogue_ops bed_catalogue_ops = {NULL};

static inline void bed_configure(void)
{
    static const char *const names[] = {"files", "extra"};
    struct config *c = &bed.config;
    c->name = "trunkline";
    c->name_max = 64;
    c->metrics = true;
    c->keep_ms = 900000;
    c->keep_bytes = 1048576;
    c->stream.ring = 1000;
    c->stream.ring_bytes = 1048576;
    c->stream.queue = 65536;
    c->stream.per_principal = 4;
    c->servers = bed.servers;
    c->server_count = 2;
    for (size_t i = 0; i < 2; i++) {
        bed.servers[i] = (struct config_server){.name = names[i],
                                                .prefix = names[i],
                                                .kind = SERVER_COMMAND,
                                                .command = "secret-command",
                                                .enabled = true};
        bed.upstreams[i] = (struct upstream){.config = &bed.servers[i], .state = UPSTREAM_READY};
        bed.upstream_list[i] = &bed.upstreams[i];
    }
}

static inline void bed_fill_catalogue(void)
{
    static const struct bytes tools[] = {
        BYTES("{\"name\":\"read\",\"description\":\"Reads a file\",\"inputSchema\":{\"type\":\"object\"}}"),
        BYTES("{\"name\":\"write\",\"title\":\"Writer\",\"inputSchema\":{\"type\":\"object\"}}"),
        BYTES("{\"name\":\"list\",\"inputSchema\":{\"type\":\"object\"}}")};
    static const struct bytes prompts[] = {BYTES("{\"name\":\"ask\"}")};
    static const struct bytes resources[] = {BYTES("{\"uri\":\"file:///a+b\",\"name\":\"a\"}")};
    catalogue_take(bed.hub.catalogue, "files", ITEM_TOOL, tools, 3);
    catalogue_take(bed.hub.catalogue, "files", ITEM_PROMPT, prompts, 1);
    catalogue_take(bed.hub.catalogue, "files", ITEM_RESOURCE, resources, 1);
}

static inline int bed_open(void **state)
{
    (void)state;
    kit_clock_hold();
    memset(&bed, 0, sizeof(bed));
    bed_configure();
    bed.listener = (struct web_listener){.name = "127.0.0.1:8080", .is_loopback = true};
    bed.hub.config = &bed.config;
    bed.hub.upstreams = bed.upstream_list;
    bed.hub.upstream_count = 2;
    bed.hub.calls = (struct calls *)&bed;
    bed.hub.is_ready = true;
    bed.hub.loop = loop_new();
    bed.hub.store = store_open(":memory:", kit_why());
    bed.hub.catalogue =
        catalogue_new(bed.hub.loop, bed.hub.store, &bed.config, &bed_catalogue_ops, NULL, kit_why());
    bed.hub.metrics = metrics_new(&bed.hub);
    bed.hub.events = events_new(&bed.hub);
    bed.hub.web = web_new(bed.hub.loop, &(struct web_limits){0}, &bed_ops, NULL);
    bed.hub.api = api_new(&bed.hub);
    bed_fill_catalogue();
    return bed.hub.web && bed.hub.catalogue ? 0 : -1;
}

static inline int bed_close(void **state)
{
    (void)state;
    bed.hub.calls = NULL;
    api_free(bed.hub.api);
    bed.hub.api = NULL; /* what the web still tells must not need it */
    web_free(bed.hub.web);
    catalogue_free(bed.hub.catalogue);
    store_close(bed.hub.store);
    events_free(bed.hub.events);
    metrics_free(bed.hub.metrics);
    loop_free(bed.hub.loop);
    buf_end(&bed.in);
    return 0;
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)

/* --- a client --- */

static inline int bed_send(const char *method, const char *path, const char *headers, const char *body)
{
    int pair[2];
    struct buf text = {0};
    assert_int_equal(fd_pair(SOCK_STREAM, true, pair), 0);
    assert_int_equal(web_take(bed.hub.web, pair[1], &bed.listener, "bed", -1), 0);
    buf_addf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body)
        buf_addf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    buf_addf(&text, "\r\n%s", body ? body : "");
    assert_int_equal(write(pair[0], text.p, text.n), (ssize_t)text.n);
    buf_end(&text);
    return pair[0];
}

/* What has come on this connection is appended to bed.in; true at its end. */
static inline bool bed_read(int fd)
{
    char piece[65536];
    ssize_t n = read(fd, piece, sizeof(piece));
    if (n > 0)
        buf_add(&bed.in, piece, (size_t)n);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static inline bool bed_has(const char *text)
{
    return bed.in.n && strstr(bed.in.p, text) != NULL;
}

static inline bool bed_is_whole(void)
{
    char *end = bed.in.n ? strstr(bed.in.p, "\r\n\r\n") : NULL;
    char *length = end ? strcasestr(bed.in.p, "content-length:") : NULL;
    if (!end || !length || length > end)
        return false;
    return bed.in.n - (size_t)(end + 4 - bed.in.p) >= (size_t)strtol(length + 15, NULL, 10);
}

static inline bool bed_has_come(int fd)
{
    bed_read(fd);
    return bed_is_whole();
}

static inline const char *bed_body_text(void)
{
    return strstr(bed.in.p, "\r\n\r\n") + 4;
}

/* The status of the answer; head and body are in bed.in. */
static inline int bed_answer(int fd)
{
    buf_clear(&bed.in);
    kit_loop_until(bed.hub.loop, 3000, bed_has_come(fd));
    close(fd);
    loop_turn(bed.hub.loop, 1);
    return (int)strtol(bed.in.p + 9, NULL, 10);
}

static inline int bed_ask(const char *method, const char *path, const char *headers, const char *body)
{
    return bed_answer(bed_send(method, path, headers, body));
}

static inline int bed_get(const char *path)
{
    return bed_ask("GET", path, "", NULL);
}

static inline json_t *bed_json(void)
{
    return kit_json(bed_body_text());
}

/* Turns the loop until the call has begun. */
static inline struct call *bed_call(size_t n)
{
    kit_loop_until(bed.hub.loop, 3000, bed.call_count > n);
    return &bed.calls[n];
}

static inline void bed_result(struct call *c, const char *result)
{
    struct call_done done = {.outcome = CALL_RESULT, .parts = {bytes_of(result)}, .part_count = 1};
    bed_finish(c, &done);
}
