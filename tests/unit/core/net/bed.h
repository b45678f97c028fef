#pragma once
/*
 * bed -- a web behind a door on a free port of 127.0.0.1, and clients that are bare sockets in the same
 * thread.
 *
 * Paths: /now answers at once with what it saw; /head answers in on_head; /hold keeps the request for the
 * test; /stream begins a stream; /mcp is held to the rules of an MCP path; /ws is a WebSocket; /big answers 8
 * MB.
 */
#include "core/base/mem.h"
#include "core/net/door.h"
#include "core/net/unix.h"
#include "tests/kit/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BED_HELD = 2048, BED_BIG = 8 << 20 };

struct bed {
    struct loop *loop;
    struct web *web;
    struct door *door;
    struct ws *ws;
    int port;
    struct request *held[BED_HELD];
    size_t held_count, heads, bodies, ends, gone, drained;
    struct buf told; /* what /now said last */
    bool answers_when_gone;
};

static const struct web_listener bed_listener = {.name = "bed", .is_loopback = true};

static void bed_gone(struct request *r, void *ctx)
{
    struct bed *b = ctx;
    b->gone++;
    if (!b->answers_when_gone)
        return;
    if (request_is_streaming(r))
        request_finish(r);
    else
        request_answer(r, 200, NULL, BYTES("too late"));
}

static void bed_drained(struct request *r, void *ctx)
{
    struct bed *b = ctx;
    (void)r;
    b->drained++;
}

static void bed_keep(struct bed *b, struct request *r)
{
    assert_true(b->held_count < BED_HELD);
    b->held[b->held_count++] = r;
    request_on_gone(r, bed_gone, b);
}

static int bed_on_head(struct request *r, void *ctx)
{
    struct bed *b = ctx;
    b->heads++;
    request_set_ctx(r, b);
    if (bytes_say(request_path(r), "/head")) {
        request_answer(r, 401, "application/json", BYTES("{\"who\":1}"));
        return 1;
    }
    if (bytes_say(request_path(r), "/stream")) {
        request_stream(r, 200, "text/event-stream");
        request_on_drained(r, bed_drained);
        bed_keep(b, r);
        return 1;
    }
    return 0;
}

static void bed_on_body(struct request *r, struct bytes body, void *ctx)
{
    struct bed *b = ctx;
    struct bytes path = request_path(r);
    b->bodies++;
    if (bytes_say(path, "/hold")) {
        bed_keep(b, r);
        return;
    }
    if (bytes_say(path, "/big")) {
        char *big = mem_new(BED_BIG);
        memset(big, 'b', BED_BIG);
        request_answer_take(r, 200, "text/plain", big, BED_BIG);
        return;
    }
    buf_clear(&b->told);
    buf_addf(&b->told, "%s %.*s?%.*s body %zu:%.*s", method_name(request_method(r)), (int)path.n, path.p,
             (int)request_query(r).n, request_query(r).p, body.n, body.n < 64 ? (int)body.n : 64, body.p);
    request_answer(r, 200, "text/plain", (struct bytes){b->told.p, b->told.n});
}

static void bed_on_end(struct request *r, void *ctx)
{
    struct bed *b = ctx;
    b->ends++;
    for (size_t i = 0; i < b->held_count; i++)
        if (b->held[i] == r)
            b->held[i] = NULL;
}

static const struct gate_route bed_routes[] = {
    {.path = "/mcp",
     .methods = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST) | METHOD_BIT(METHOD_DELETE),
     .flags = GATE_STREAMS | GATE_CORS},
    {.path = "/api/*", .flags = GATE_QUERY, .uri = 8192},
    {.path = "/small",                  .body = 10, .flags = GATE_ANY_TYPE},
    {.path = "*",                      .flags = GATE_QUERY | GATE_ANY_TYPE},
    {0                 },
};
static const struct web_ops bed_ops = {
    .on_head = bed_on_head, .on_body = bed_on_body, .on_end = bed_on_end, .routes = bed_routes};

static void bed_begin(struct bed *b, const struct web_limits *limits, const struct ws_ops *ws_ops)
{
    static const char *const sockets[] = {"/ws", NULL};
    static const struct door_paths paths = {.websocket = sockets};
    char name[64];
    *b = (struct bed){.loop = loop_new()};
    b->web = web_new(b->loop, limits, &bed_ops, b);
    b->ws = ws_ops ? ws_new(b->loop, "bed.v1", 1 << 16, ws_ops, b) : NULL;
    b->door = door_new(b->loop, b->web, b->ws, &paths);
    int fd = listen_open("127.0.0.1:0", 0, kit_why());
    assert_true(fd >= 0);
    assert_int_equal(listen_name(fd, name, sizeof(name)), 0);
    b->port = (int)strtol(strchr(name, ':') + 1, NULL, 10);
    door_listen(b->door, fd, &bed_listener);
}

static void bed_end(struct bed *b)
{
    door_free(b->door);
    web_free(b->web);
    ws_free(b->ws);
    loop_free(b->loop);
    buf_end(&b->told);
}

static __attribute__((unused)) int bed_dial(struct bed *b)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)b->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* ---- waiting ---- */

static __attribute__((unused)) void bed_wait_held(struct bed *b, size_t count)
{
    kit_loop_until(b->loop, 2000, b->held_count == count);
}

static __attribute__((unused)) void bed_wait_heads(struct bed *b, size_t count)
{
    kit_loop_until(b->loop, 2000, b->heads == count);
}

static __attribute__((unused)) void bed_wait_ends(struct bed *b, size_t count)
{
    kit_loop_until(b->loop, 2000, b->ends == count);
}

static __attribute__((unused)) void bed_wait_gone(struct bed *b, size_t count)
{
    kit_loop_until(b->loop, 2000, b->gone == count);
}

static __attribute__((unused)) void bed_wait_empty(struct bed *b)
{
    kit_loop_until(b->loop, 3000, web_counts(b->web).connections == 0);
}

/* Turns the loop for this long: longer than 20 ms, and what is held is suspended. */
static __attribute__((unused)) void bed_pass(struct bed *b, int64_t ms)
{
    for (int64_t end = kit_real_ms() + ms; kit_real_ms() < end;)
        loop_turn(b->loop, 5);
}

/* Sends all of it, turning the loop while the other side is slow; false when it has hung up. */
static __attribute__((unused)) bool bed_say(struct bed *b, int fd, struct bytes text)
{
    int64_t end = kit_real_ms() + 5000;
    while (text.n) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        assert_true(kit_real_ms() < end);
        text.p += n > 0 ? n : 0;
        text.n -= n > 0 ? (size_t)n : 0;
        loop_turn(b->loop, 0);
    }
    return true;
}

/* Appends what comes until `until` was seen (NULL: until the end); true when the connection has ended. */
static __attribute__((unused)) bool bed_hear(struct bed *b, int fd, struct buf *in, const char *until)
{
    char some[65536];
    int64_t end = kit_real_ms() + 5000;
    while (!until || !in->p || !strstr(in->p, until)) {
        ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return true;
        if (n > 0)
            buf_add(in, some, (size_t)n);
        if (kit_real_ms() > end)
            fail_msg("waited for '%s', got '%.300s'", until ? until : "the end", in->p ? in->p : "");
        loop_turn(b->loop, n > 0 ? 0 : 5);
    }
    return false;
}

static __attribute__((unused)) bool bed_heard(const struct buf *in, const char *text)
{
    return in->p && strcasestr(in->p, text);
}

/* One whole exchange on a connection of its own: what came back until it ended or an answer was whole. */
static __attribute__((unused)) bool bed_ask(struct bed *b, struct bytes request, struct buf *in)
{
    int fd = bed_dial(b);
    buf_clear(in);
    bed_say(b, fd, request);
    bool has_ended = bed_hear(b, fd, in, "\r\n\r\n");
    if (!has_ended) { /* the body is at hand in the same piece or comes in the next moments */
        const char *length = strstr(in->p, "Content-Length: ");
        size_t whole = (size_t)(strstr(in->p, "\r\n\r\n") - in->p) + 4 +
                       (size_t)(length ? strtol(length + 16, NULL, 10) : 0);
        while (in->n < whole && !has_ended)
            has_ended = bed_hear(b, fd, in, NULL);
    }
    close(fd);
    return has_ended;
}

static __attribute__((unused)) int bed_status(const struct buf *in)
{
    return in->p && in->n > 12 && memcmp(in->p, "HTTP/1.1 ", 9) == 0 ? (int)strtol(in->p + 9, NULL, 10) : 0;
}
