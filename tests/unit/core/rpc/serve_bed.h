#pragma once
/* serve_bed -- a server of a few tools on one end of a socket; the test is its client on the other. */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/rpc/envelope.h"
#include "core/rpc/serve.h"
#include "tests/kit/kit.h"

#include <sys/socket.h>
#include <unistd.h>

struct echo {
    const char *text;
    int64_t times;
};
static const struct shape echo_shape[] = {STRING(struct echo, text, REQUIRED, "What to say", .max = 100),
                                          INT(struct echo, times, 1, 10, 1, "How often"),
                                          {0}};

struct nothing {
    char none;
};
static const struct shape nothing_shape[] = {{0}};

static void echo(struct order *o, const void *args)
{
    const struct echo *e = args;
    struct buf text = {0};

    for (int64_t i = 0; i < e->times; i++)
        buf_add_text(&text, e->text);
    order_answer_text(o, buf_bytes(&text));
    buf_end(&text);
}

struct bed {
    struct loop *loop;
    struct serve *serve;
    int client;
    struct buf seen;
    struct order *held; /* by the tool `hold`, until the test lets go */
    size_t cancels, subscribed, unsubscribed, closed;
};

static struct bed *bed_of(struct order *o)
{
    return order_server(o);
}

static void cancelled(struct order *o, void *ctx)
{
    struct bed *b = ctx;

    assert_true(order_is_cancelled(o));
    b->cancels++;
}

static void hold(struct order *o, const void *args)
{
    (void)args;
    bed_of(o)->held = o;
    order_wait(o, cancelled, bed_of(o));
}

static void forget(struct order *o, const void *args)
{
    (void)o;
    (void)args;
}

static void fail_it(struct order *o, const void *args)
{
    (void)args;
    order_fail(o, "conflict", "it is %s", "\"taken\"");
}

static const struct tool tools[] = {
    TOOL("echo", echo, struct echo, echo_shape, TOOL_READS | TOOL_UNTRUSTED, "default", "Says it again"),
    TOOL("hold", hold, struct nothing, nothing_shape, TOOL_SETS | TOOL_AT_HOME, "default", "Waits"),
    TOOL("forget", forget, struct nothing, nothing_shape, TOOL_WRITES, "default", "Says nothing"),
    TOOL("fail", fail_it, struct nothing, NULL, TOOL_DESTROYS, "default", "Fails"),
    {0}};

static const struct resource_row resources[] = {
    {"bed://a", "a", "The a", "text/plain", false},
    {"bed://{+path}",  "file", NULL, NULL, true},
    {0   }
};

static struct bed *opening;

static int open_server(struct serve *s, const json_t *settings, void **out, struct why *why)
{
    (void)s;
    if (settings)
        return why_set(why, -1, "no settings are known");
    *out = opening;
    return 0;
}

static void close_server(void *server)
{
    ((struct bed *)server)->closed++;
}

static void read_resource(struct order *o, struct bytes uri)
{
    if (bytes_say(uri, "bed://a"))
        order_answer_members(o, BYTES("\"contents\":[{\"uri\":\"bed://a\",\"text\":\"A\"}]"));
    else
        order_refuse(o, FAULT_RESOURCE_NOT_FOUND, "no '%.*s' here", (int)uri.n, uri.p);
}

static int subscribe(void *server, struct bytes uri, struct why *why)
{
    if (!bytes_begin(uri, "bed://"))
        return why_set(why, 1, "not one of mine");
    ((struct bed *)server)->subscribed++;
    return 0;
}

static void unsubscribe(void *server, struct bytes uri)
{
    (void)uri;
    ((struct bed *)server)->unsubscribed++;
}

static void complete(struct order *o, struct bytes ref, struct bytes argument, struct bytes value)
{
    struct buf out = {0};

    buf_add_text(&out, "\"completion\":{\"values\":[");
    buf_add_json(&out, ref);
    buf_add_char(&out, ',');
    buf_add_json(&out, argument);
    buf_add_char(&out, ',');
    buf_add_json(&out, value);
    buf_add_text(&out, "]}");
    order_answer_members(o, buf_bytes(&out));
    buf_end(&out);
}

static const struct server row = {.name = "bed",
                                  .title = "Bed",
                                  .version = "1.2",
                                  .instructions = "Lie down",
                                  .tools = tools,
                                  .resources = resources,
                                  .open = open_server,
                                  .close = close_server,
                                  .read = read_resource,
                                  .subscribe = subscribe,
                                  .unsubscribe = unsubscribe,
                                  .complete = complete};

static int server_fds[2];

static inline void open_bed(struct bed *b)
{
    int fds[2];

    *b = (struct bed){.loop = loop_new()};
    opening = b;
    assert_int_equal(fd_pair(SOCK_STREAM, true, fds), 0);
    server_fds[0] = fds[0];
    server_fds[1] = dup(fds[0]);
    b->client = fds[1];
    b->serve = serve_new(b->loop, &row, NULL, server_fds[0], server_fds[1], NULL);
    assert_non_null(b->serve);
}

static inline void close_bed(struct bed *b)
{
    serve_free(b->serve);
    fd_close(&b->client);
    fd_close(&server_fds[0]);
    fd_close(&server_fds[1]);
    loop_turn(b->loop, 0);
    loop_free(b->loop);
    buf_end(&b->seen);
    assert_int_equal(b->closed, 1);
}

/* Sends a line and gives what came back in that turn. */
static inline const char *say(struct bed *b, const char *line)
{
    char room[8192];
    ssize_t n;

    if (line) {
        char *whole = text_format("%s\n", line);
        assert_int_equal(send(b->client, whole, strlen(whole), 0), strlen(whole));
        free(whole);
    }
    loop_turn(b->loop, 0);
    loop_turn(b->loop, 0);
    buf_clear(&b->seen);
    while ((n = recv(b->client, room, sizeof(room), MSG_DONTWAIT)) > 0)
        buf_add(&b->seen, room, (size_t)n);
    return b->seen.p && b->seen.n ? b->seen.p : "";
}

#define assert_says(bed, line, wanted) kit_json_text_eq(bytes_of(say(bed, line)), wanted)

static inline void assert_error(struct bed *b, const char *line, int code)
{
    json_t *answer = kit_json(say(b, line));
    json_int_t seen = json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));

    if (seen != code)
        fail_msg("%s: %s, wanted %d", line, b->seen.p, code);
    json_decref(answer);
}

#define META                                                                                           \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/" \
    "clientCapabilities\":{}"
#define INFO                                \
    "\"_meta\":{\"io.modelcontextprotocol/" \
    "serverInfo\":{\"name\":\"bed\",\"title\":\"Bed\",\"version\":\"1.2\"}"
#define CAPABILITIES \
    "{\"tools\":{},\"resources\":{\"listChanged\":true,\"subscribe\":true},\"completions\":{}}"

#define LEGACY_CALL(name, arguments)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" name \
    "\",\"arguments\":" arguments "}}"
#define MODERN_CALL(name, arguments, meta)                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" name \
    "\",\"arguments\":" arguments "," META meta "}}}"

#define LISTEN(id, filter)            \
    "{\"jsonrpc\":\"2.0\",\"id\":" id \
    ",\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":" filter "," META "}}}"
