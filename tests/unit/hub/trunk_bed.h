#pragma once
/*
 * trunk_bed -- calls, lanes and upstreams as they are, between a scripted server and a caller that writes
 * everything down.
 *
 * The supervisor is a stand-in: what the hub asks it to start becomes a socketpair whose far end the test
 * speaks for. A server answers the handshake and its lists by itself; tools/call and whatever else waits for
 * the test. The clock is held.
 */
#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/proc/control.h"
#include "core/store/store.h"
#include "hub/call.h"
#include "hub/calls.h"
#include "hub/catalogue.h"
#include "hub/events.h"
#include "hub/face_mcp.h"
#include "hub/hub.h"
#include "hub/metrics.h"
#include "hub/ticket.h"
#include "hub/upstream.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COPIES_MOST = 64, WAITING_MOST = 64 };

/* One process of a server, as the supervisor started it. */
struct copy {
    int64_t number;
    bool is_sibling, is_up, is_stopped;
    int fd, err; /* the far ends */
    struct buf in;
    json_t *waiting[WAITING_MOST]; /* messages the script left to the test, oldest first */
    size_t waiting_count;
    size_t initialized, discovered, listed, cancelled;
    char cancel_reason[80];
    json_t *capabilities; /* of initialize */
};

struct bed {
    struct hub hub;
    struct config config;
    struct config_server server;
    struct upstream *upstream, *upstreams[1];
    struct copy copies[COPIES_MOST];
    size_t copy_count;
    int64_t last_line;
    /* the script */
    bool is_modern, keeps_start, is_silent, refuses_initialize;
    const char *capabilities; /* of the server */
    const char *tools;        /* elements of tools/list */
    size_t updated;
    size_t finished; /* metrics_call */
    char outcome[24];
};

static struct bed bed;

/* --- stand-ins for what lies around --- */

struct upstream *hub_find_upstream(const struct hub *hub, const char *name)
{
    (void)hub;
    return strcmp(name, bed.server.name) == 0 ? bed.upstream : NULL;
}

int64_t hub_next_line(struct hub *hub)
{
    (void)hub;
    return ++bed.last_line;
}

void face_resource_updated(struct face *f, const char *server, struct bytes uri)
{
    (void)f;
    (void)server;
    (void)uri;
    bed.updated++;
}

bool events_wanted(const struct events *e, const char *topic)
{
    (void)e;
    (void)topic;
    return true;
}

void events_publish(struct events *e, const char *topic, const char *type, struct bytes data)
{
    (void)e;
    (void)topic;
    (void)type;
    assert_true(json_is_valid(data));
}

void events_resource_updated(struct events *e, const char *server, struct bytes uri)
{
    (void)e;
    (void)server;
    (void)uri;
}

/* NOLINTNEXTLINE(readability-function-size): as hub/metrics.h has it */
void metrics_call(struct metrics *m, const char *server, const char *method, struct bytes tool,
                  const char *via, const char *outcome, int64_t us)
{
    (void)m;
    (void)server;
    (void)method;
    (void)tool;
    (void)via;
    (void)us;
    bed.finished++;
    snprintf(bed.outcome, sizeof(bed.outcome), "%s", outcome);
}

/* --- the supervisor --- */

static inline struct copy *copy_of(int64_t number)
{
    for (size_t i = 0; i < bed.copy_count; i++)
        if (bed.copies[i].number == number)
            return &bed.copies[i];
    return NULL;
}

static inline void copy_close(struct copy *c)
{
    fd_close(&c->fd);
    fd_close(&c->err);
}

void control_send(struct control *c, json_t *message, const int *fds, size_t fd_count)
{
    const char *op = json_str(message, "op");
    int64_t number = json_int(message, "line", 0);
    (void)c;
    (void)fds;
    (void)fd_count;
    assert_string_equal(json_str(message, "server"), bed.server.name);
    if (strcmp(op, "start") == 0) {
        assert_true(bed.copy_count < COPIES_MOST);
        struct copy *made = &bed.copies[bed.copy_count++];
        made->number = number;
        made->is_sibling = json_is_true(json_object_get(message, "sibling"));
        made->fd = made->err = -1;
    } else {
        assert_string_equal(op, "stop");
        copy_of(number)->is_stopped = true;
    }
    json_decref(message);
}

static inline bool tell(const char *text, const int *with)
{
    int fds[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    json_t *message = kit_json(text);
    for (int i = 0; with && i < 2; i++)
        fds[i] = with[i];
    bool was_ours = upstream_on_control(bed.upstream, message, fds);
    for (int i = 0; i < 8; i++)
        fd_close(&fds[i]);
    json_decref(message);
    return was_ours;
}

static inline void copy_start(struct copy *c)
{
    int line[2], err[2], give[2];
    char text[120];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, line), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC | O_NONBLOCK), 0);
    c->is_up = true;
    c->fd = line[1];
    c->err = err[1];
    give[0] = line[0];
    give[1] = err[0];
    snprintf(text, sizeof(text), "{\"op\":\"started\",\"line\":%lld,\"pid\":%d,\"sandbox\":2}",
             (long long)c->number, 1000 + (int)c->number);
    tell(text, give);
}

static inline void copy_fail(struct copy *c, const char *why)
{
    char text[200];
    snprintf(text, sizeof(text), "{\"op\":\"failed\",\"line\":%lld,\"why\":\"%s\"}", (long long)c->number,
             why);
    c->is_stopped = true;
    assert_true(tell(text, NULL));
}

/* --- the script --- */

static inline void copy_say(struct copy *c, const char *text)
{
    struct buf out = {0};
    buf_add_text(&out, text);
    buf_add_char(&out, '\n');
    assert_int_equal(write(c->fd, out.p, out.n), (ssize_t)out.n);
    buf_end(&out);
}

static inline void copy_result(struct copy *c, const json_t *request, const char *result)
{
    struct buf out = {0};
    char *id = json_dumps(json_object_get(request, "id"), JSON_ENCODE_ANY);
    buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":", id);
    buf_add_text(&out, result);
    buf_add_char(&out, '}');
    copy_say(c, out.p);
    buf_end(&out);
    free(id);
}

static inline void copy_error(struct copy *c, const json_t *request, const char *error)
{
    struct buf out = {0};
    char *id = json_dumps(json_object_get(request, "id"), JSON_ENCODE_ANY);
    buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":%s}", id, error);
    copy_say(c, out.p);
    buf_end(&out);
    free(id);
}

static inline void answer_list(struct copy *c, const json_t *m, const char *member, const char *items)
{
    struct buf out = {0};
    c->listed++;
    buf_addf(&out, "{\"resultType\":\"complete\",\"%s\":[", member);
    buf_add_text(&out, items);
    buf_add_text(&out, "]}");
    copy_result(c, m, out.p);
    buf_end(&out);
}

static inline void copy_greet(struct copy *c, const json_t *m, bool is_modern)
{
    struct buf out = {0};
    if (is_modern) {
        c->discovered++;
        buf_addf(&out,
                 "{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":%s}",
                 bed.capabilities);
    } else {
        c->initialized++;
        json_decref(c->capabilities);
        c->capabilities = json_deep_copy(json_object_get(json_object_get(m, "params"), "capabilities"));
        buf_addf(&out,
                 "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":%s,\"serverInfo\":{\"name\":\"s\","
                 "\"version\":\"1\"}}",
                 bed.capabilities);
    }
    copy_result(c, m, out.p);
    buf_end(&out);
}

/* true: the script has dealt with it. */
static inline bool copy_deals(struct copy *c, const json_t *m)
{
    const char *method = json_str(m, "method");
    if (!method || bed.is_silent)
        return false;
    if (strcmp(method, "initialize") == 0 && !bed.is_modern && !bed.refuses_initialize)
        copy_greet(c, m, false);
    else if (strcmp(method, "server/discover") == 0 && bed.is_modern)
        copy_greet(c, m, true);
    else if (strcmp(method, "initialize") == 0 || strcmp(method, "server/discover") == 0)
        copy_error(c, m, "{\"code\":-32601,\"message\":\"no such method\"}");
    else if (strcmp(method, "tools/list") == 0)
        answer_list(c, m, "tools", bed.tools);
    else if (strcmp(method, "prompts/list") == 0)
        answer_list(c, m, "prompts", "{\"name\":\"greet\"}");
    else if (strcmp(method, "resources/list") == 0)
        answer_list(c, m, "resources", "{\"uri\":\"x://one\",\"name\":\"one\"}");
    else if (strcmp(method, "resources/templates/list") == 0)
        answer_list(c, m, "resourceTemplates", "");
    else if (strcmp(method, "notifications/initialized") != 0)
        return false;
    return true;
}

static inline void copy_take(struct copy *c, const char *line, size_t n)
{
    json_t *m = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
    assert_non_null(m);
    if (json_str(m, "method") && strcmp(json_str(m, "method"), "notifications/cancelled") == 0) {
        const char *reason = json_str(json_object_get(m, "params"), "reason");
        c->cancelled++;
        snprintf(c->cancel_reason, sizeof(c->cancel_reason), "%s", reason ? reason : "");
    }
    if (copy_deals(c, m)) {
        json_decref(m);
        return;
    }
    assert_true(c->waiting_count < WAITING_MOST);
    c->waiting[c->waiting_count++] = m;
}

static inline void copy_read(struct copy *c)
{
    char piece[65536];
    ssize_t n;
    while (c->fd >= 0 && (n = read(c->fd, piece, sizeof(piece))) > 0)
        buf_add(&c->in, piece, (size_t)n);
    size_t end;
    while ((end = bytes_find(buf_bytes(&c->in), '\n')) < c->in.n) {
        copy_take(c, c->in.p, end);
        buf_drop_front(&c->in, end + 1);
    }
    if (c->is_stopped && c->is_up)
        copy_close(c);
}

/* The servers' and the supervisor's turn. Always true, to stand in a condition. */
static inline bool bed_serve(void)
{
    for (size_t i = 0; i < bed.copy_count; i++) {
        struct copy *c = &bed.copies[i];
        if (!c->is_up && !c->is_stopped && !bed.keeps_start)
            copy_start(c);
        copy_read(c);
    }
    return true;
}

#define bed_until(condition) kit_loop_until(bed.hub.loop, 5000, bed_serve() && (condition))

/* Everything that is under way has arrived. */
static inline void bed_settle(void)
{
    for (int i = 0; i < 6; i++) {
        bed_serve();
        loop_turn(bed.hub.loop, 1);
    }
    bed_serve();
}

/* The copy's oldest message with this method, taken from those that wait; yours to decref. NULL: none. */
static inline json_t *copy_next(struct copy *c, const char *method)
{
    for (size_t i = 0; i < c->waiting_count; i++) {
        json_t *m = c->waiting[i];
        const char *is = json_str(m, "method");
        if (method ? !is || strcmp(is, method) != 0 : is != NULL)
            continue;
        memmove(&c->waiting[i], &c->waiting[i + 1], (--c->waiting_count - i) * sizeof(m));
        return m;
    }
    return NULL;
}

static inline json_t *bed_expect(size_t at, const char *method)
{
    json_t *m = NULL;
    bed_until(at < bed.copy_count && (m = copy_next(&bed.copies[at], method)));
    return m;
}

/* The process is gone: end of its input and output. */
static inline void copy_die(struct copy *c)
{
    copy_close(c);
    c->is_stopped = true;
}

static inline struct copy *last_copy(void)
{
    return &bed.copies[bed.copy_count - 1];
}

/* --- life --- */

static const struct catalogue_ops no_ops = {0};

static inline const char *key_file(void)
{
    return kit_file("hub.key", "0123456789abcdef0123456789abcdef");
}

static inline void bed_plan(void)
{
    kit_clock_hold();
    bed = (struct bed){
        .capabilities = "{\"tools\":{},\"prompts\":{},\"resources\":{\"subscribe\":true},\"logging\":{},"
                        "\"completions\":{}}",
        .tools = "{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}",
        .server = {.name = "one",
                   .prefix = "one",
                   .kind = SERVER_COMMAND,
                   .enabled = true,
                   .era = "legacy",
                   .interactive = "auto",
                   .probe = "sibling",
                   .timeout = {.call = 120000,
                               .progress = 60000,
                               .start = 120000,
                               .ready = 10000,
                               .question = 600000},
                   .result_bytes = 1 << 20,
                   .restart = {.max = 5, .window_ms = 60000}},
    };
    memset(bed.server.digest, 'a', sizeof(bed.server.digest) - 1);
    bed.config = (struct config){.servers = &bed.server,
                                 .server_count = 1,
                                 .name_max = 64,
                                 .drain_ms = 10000,
                                 .deadline_ms = 120000,
                                 .deadline_max_ms = 3600000};
}

static inline void bed_start(void)
{
    struct hub *h = &bed.hub;
    h->loop = loop_new();
    h->config = &bed.config;
    h->store = store_open(":memory:", kit_why());
    assert_non_null(h->store);
    h->tickets = tickets_new(h->store, key_file(), kit_why());
    assert_non_null(h->tickets);
    h->calls = calls_new(h);
    h->catalogue = catalogue_new(h->loop, h->store, &bed.config, &no_ops, NULL, kit_why());
    assert_non_null(h->catalogue);
    bed.upstream = bed.upstreams[0] = upstream_new(h, &bed.server);
    h->upstreams = bed.upstreams;
    h->upstream_count = 1;
}

static inline bool is_ready(void)
{
    return upstream_state(bed.upstream) == UPSTREAM_READY;
}

/* A server of that era is up and its lists are there. */
static inline void bed_up(bool is_modern)
{
    bed_plan();
    bed.is_modern = is_modern;
    bed.server.era = is_modern ? "modern" : "legacy";
    bed_start();
    upstream_start(bed.upstream);
    bed_until(is_ready());
}

static inline void bed_end(void)
{
    calls_free(bed.hub.calls);
    bed.hub.calls = NULL;
    upstream_free(bed.upstream);
    catalogue_free(bed.hub.catalogue);
    tickets_free(bed.hub.tickets);
    store_close(bed.hub.store);
    loop_turn(bed.hub.loop, 0);
    loop_free(bed.hub.loop);
    for (size_t i = 0; i < bed.copy_count; i++) {
        struct copy *c = &bed.copies[i];
        copy_close(c);
        buf_end(&c->in);
        json_decref(c->capabilities);
        for (size_t k = 0; k < c->waiting_count; k++)
            json_decref(c->waiting[k]);
    }
}
