#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/rpc/envelope.h"
#include "core/rpc/serve.h"
#include "tests/kit/kit.h"

#include <sys/socket.h>
#include <unistd.h>

/* A server of a few tools on one end of a socket; the test is its client on the other. */

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

static void open_bed(struct bed *b)
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

static void close_bed(struct bed *b)
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
static const char *say(struct bed *b, const char *line)
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

static void assert_error(struct bed *b, const char *line, int code)
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

static void legacy_client_initializes(void **state)
{
    (void)state;
    static const char *const versions[][2] = {
        {"2024-10-07", "2024-10-07"},
        {"2024-11-05", "2024-11-05"},
        {"2025-03-26", "2025-03-26"},
        {"2025-06-18", "2025-06-18"},
        {"2025-11-25", "2025-11-25"},
        {"2026-07-28", "2025-11-25"},
        {"1999-01-01", "2025-11-25"}
    };
    struct bed b;

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        open_bed(&b);
        char *asks = text_format(
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
            "\"%s\",\"capabilities\":{},\"clientInfo\":{\"name\":\"x\",\"version\":\"1\"}}}",
            versions[i][0]);
        char *wants = text_format("{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"%s\","
                                  "\"capabilities\":" CAPABILITIES
                                  ",\"serverInfo\":{\"name\":\"bed\",\"title\":\"Bed\",\"version\":\"1.2\"},"
                                  "\"instructions\":\"Lie down\"}}",
                                  versions[i][1]);
        assert_says(&b, asks, wants);
        free(asks);
        free(wants);
        assert_string_equal(say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), "");
        assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}",
                    "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}");
        assert_says(
            &b,
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"info\"}}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
        close_bed(&b);
    }
}

static void modern_client_discovers(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,"
                "\"cacheScope\":\"private\","
                "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":" CAPABILITIES
                ",\"instructions\":\"Lie down\"," INFO "}}}");
    close_bed(&b);
}

static void modern_request_must_bear_its_meta(void **state)
{
    (void)state;
#define VERSION "\"io.modelcontextprotocol/protocolVersion\":"
#define CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
    static const struct {
        const char *line;
        int code;
    } rows[] = {
        {CALL VERSION "\"2026-07-28\"}}}",                                                           -32602},
        {CALL VERSION "\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":[]}}}",         -32602},
        {CALL VERSION "\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{},"
                      "\"io.modelcontextprotocol/clientInfo\":7}}}",                        -32602},
        {CALL VERSION "\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{},"
                      "\"io.modelcontextprotocol/logLevel\":\"loud\"}}}",                   -32602},
        {CALL VERSION "7,\"io.modelcontextprotocol/clientCapabilities\":{}}}}",                      -32602},
        {CALL VERSION "\"2027-01-01\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}",         -32022},
        {CALL VERSION "\"2025-11-25\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}",         -32022},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",                                 -32602}, /* it was modern before */
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{" META "}}}",          -32601},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META "}}}",                -32601},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":{" META "}}}", -32601},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META
         ",\"progressToken\":1.5}}}",                                                       -32602},
    };
    struct bed b;
    open_bed(&b);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_error(&b, rows[i].line, rows[i].code);
    json_t *answer = kit_json(say(&b, rows[5].line));
    kit_json_eq(json_object_get(json_object_get(answer, "error"), "data"),
                "{\"supported\":[\"2026-07-28\"],\"requested\":\"2027-01-01\"}");
    json_decref(answer);
    close_bed(&b);
}

static void tools_are_listed_from_their_rows(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(
        &b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":["
        "{\"name\":\"echo\",\"description\":\"Says it "
        "again\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
        "{\"text\":{\"type\":\"string\",\"maxLength\":100,\"description\":\"What to "
        "say\"},\"times\":{\"type\":"
        "\"integer\",\"minimum\":1,\"maximum\":10,\"default\":1,\"description\":\"How often\"}},\"required\":"
        "[\"text\"],\"additionalProperties\":false},\"annotations\":{\"readOnlyHint\":true}},"
        "{\"name\":\"hold\",\"description\":\"Waits\",\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
        "\"additionalProperties\":false},\"annotations\":{\"readOnlyHint\":false,\"destructiveHint\":false,"
        "\"idempotentHint\":true,\"openWorldHint\":false}},"
        "{\"name\":\"forget\",\"description\":\"Says "
        "nothing\",\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
        "\"additionalProperties\":false},\"annotations\":{\"readOnlyHint\":false,\"destructiveHint\":false,"
        "\"idempotentHint\":false}},"
        "{\"name\":\"fail\",\"description\":\"Fails\",\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
        "\"additionalProperties\":false},\"annotations\":{\"readOnlyHint\":false,\"destructiveHint\":true,"
        "\"idempotentHint\":true}}]}}");
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"\"}}",
                 -32602);
    close_bed(&b);
}

#define LEGACY_CALL(name, arguments)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" name \
    "\",\"arguments\":" arguments "}}"
#define MODERN_CALL(name, arguments, meta)                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"" name \
    "\",\"arguments\":" arguments "," META meta "}}}"

static void tool_answers_in_the_words_of_its_caller(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(&b, LEGACY_CALL("echo", "{\"text\":\"a\\u00e9\",\"times\":2}"),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"aéaé\"}"
                "],\"_meta\":"
                "{\"dev.trunkline/origin\":\"untrusted\"}}}");
    assert_says(&b, MODERN_CALL("echo", "{\"text\":\"a\"}", ""),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\",\"content\":[{"
                "\"type\":\"text\",\"text\":"
                "\"a\"}]," INFO ",\"dev.trunkline/origin\":\"untrusted\"}}}");
    assert_says(&b, MODERN_CALL("fail", "{}", ""),
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\",\"content\":[{"
                "\"type\":\"text\",\"text\":"
                "\"conflict: it is \\\"taken\\\"\"}],\"isError\":true," INFO
                ",\"dev.trunkline/fault\":{\"name\":\"conflict\"}}}}");
    close_bed(&b);
}

static void wrong_calls_are_told_what_is_wrong(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(
        &b, LEGACY_CALL("echo", "{\"times\":11}"),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"invalid: "
        "'text' is missing; "
        "'times' must be a whole number from 1 to 10\"}],\"isError\":true,\"_meta\":{\"dev.trunkline/fault\":"
        "{\"name\":\"invalid\",\"fields\":[{\"pointer\":\"/text\",\"text\":\"'text' is "
        "missing\"},{\"pointer\":"
        "\"/times\",\"text\":\"'times' must be a whole number from 1 to 10\"}]}}}}");
    assert_error(&b, LEGACY_CALL("ecko", "{}"), -32602);
    assert_non_null(strstr(b.seen.p, "did you mean 'echo'?"));
    assert_error(&b, LEGACY_CALL("echo", "[]"), -32602);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{}}", -32602);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":[]}", -32602);
    assert_error(&b, LEGACY_CALL("forget", "{}"), -32603);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"prompts/list\"}", -32601);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"server/discover\"}", -32601);
    close_bed(&b);
}

static void messages_that_are_none_are_refused(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(&b, "{nonsense",
                "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"not JSON at byte 1\"}}");
    assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":1}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":\"neither 'method' nor "
                "'result' nor "
                "'error'\"}}");
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600);
    assert_null(strstr(b.seen.p, "\"id\""));
    assert_error(&b, "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"id\":1}", -32600);
    assert_error(&b, "[]", -32600);
    assert_error(&b, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600);
    assert_string_equal(say(&b, " \r\n\n"), "");
    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-"
            "03-26\"}}");
    assert_says(&b, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");

    struct buf deep = {0};
    buf_add_text(&deep, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\",\"params\":");
    for (int i = 0; i < 70; i++)
        buf_add_char(&deep, '[');
    assert_error(&b, deep.p, -31413);
    assert_non_null(strstr(b.seen.p, "\"id\":9"));
    buf_end(&deep);
    close_bed(&b);
}

static void waiting_call_is_answered_later_with_progress_before(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_string_equal(say(&b, MODERN_CALL("hold", "{}", ",\"progressToken\":\"t\"")), "");
    struct order *o = b.held;
    assert_error(&b, MODERN_CALL("hold", "{}", ""), -32600); /* the same id again */
    order_progress(o, 1, 3, "one");
    order_progress(o, 1, 3, "one again");
    assert_says(
        &b, NULL,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"t\","
        "\"progress\":1,\"total\":3,\"message\":\"one\"}}");
    assert_true(order_deadline_ms(o) == INT64_MAX);
    order_answer_text(o, BYTES("now"));
    assert_non_null(strstr(say(&b, NULL), "\"text\":\"now\""));
    assert_string_equal(
        say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}"),
        "");
    assert_int_equal(b.cancels, 0);
    close_bed(&b);
}

static void cancelled_call_is_told_and_never_heard_of_again(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    say(&b, LEGACY_CALL("hold", "{}"));
    struct order *o = b.held;
    say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"7\"}}");
    assert_int_equal(b.cancels, 0);
    say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}");
    say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}");
    assert_int_equal(b.cancels, 1);
    say(&b, LEGACY_CALL("hold", "{}")); /* the id is free again */
    order_answer_text(o, BYTES("too late"));
    assert_string_equal(say(&b, NULL), "");
    order_answer_text(b.held, BYTES("in time"));
    assert_non_null(strstr(say(&b, NULL), "in time"));
    close_bed(&b);
}

static void deadline_of_the_hub_is_kept(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    say(&b, MODERN_CALL("hold", "{}", ",\"dev.trunkline/call\":{\"call\":\"c\",\"deadlineMs\":20}"));
    struct order *o = b.held;
    assert_true(order_deadline_ms(o) < INT64_MAX);
    kit_loop_until(b.loop, 2000, b.cancels);
    assert_non_null(strstr(say(&b, NULL), "\"dev.trunkline/fault\":{\"name\":\"deadline\"}"));
    order_answer_text(o, BYTES("too late"));
    assert_string_equal(say(&b, NULL), "");
    close_bed(&b);
}

static void resources_are_listed_and_read(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resources\":[{\"uri\":\"bed://"
                "a\",\"name\":\"a\",\"description\":"
                "\"The a\",\"mimeType\":\"text/plain\"}]}}");
    assert_says(
        &b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/templates/list\",\"params\":{" META "}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":"
        "\"private\","
        "\"resourceTemplates\":[{\"uriTemplate\":\"bed://{+path}\",\"name\":\"file\"}]," INFO "}}}");
    assert_says(&b,
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed:\\/\\/"
                "a\"," META "}}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,"
                "\"cacheScope\":\"private\","
                "\"contents\":[{\"uri\":\"bed://a\",\"text\":\"A\"}]," INFO "}}}");
    assert_says(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed://b\"," META
        "}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"no 'bed://b' here\",\"data\":"
        "{\"uri\":\"bed://b\"}}}");
    close_bed(&b);
    open_bed(&b);
    assert_error(
        &b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed://b\"}}",
        -32002);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{}}", -32602);
    assert_says(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":"
        "\"ref/resource\",\"uri\":\"bed://{+path}\"},\"argument\":{\"name\":\"path\",\"value\":\"x\"}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"completion\":{\"values\":[\"bed://"
        "{+path}\",\"path\",\"x\"]}}}");
    assert_error(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":"
        "\"ref/prompt\",\"name\":\"p\"},\"argument\":{\"name\":\"path\",\"value\":\"x\"}}}",
        -32602);
    close_bed(&b);
}

static void legacy_subscriber_hears_of_its_resource_only(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-"
            "11-25\"}}");

    serve_resources_changed(b.serve);
    assert_string_equal(say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), "");
    for (int i = 0; i < 2; i++)
        assert_says(&b,
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/"
                    "subscribe\",\"params\":{\"uri\":\"bed://a\"}}",
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    assert_int_equal(b.subscribed, 1);
    assert_error(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":{\"uri\":\"x://a\"}}",
        -32002);
    serve_resource_updated(b.serve, BYTES("bed://a"));
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                "updated\",\"params\":{\"uri\":\"bed://a\"}}");
    serve_resources_changed(b.serve);
    assert_says(&b, NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\"}");
    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/unsubscribe\",\"params\":{\"uri\":\"bed://"
            "a\"}}");
    assert_int_equal(b.unsubscribed, 1);
    serve_resource_updated(b.serve, BYTES("bed://a"));
    assert_string_equal(say(&b, NULL), "");
    close_bed(&b);
}

#define LISTEN(id, filter)            \
    "{\"jsonrpc\":\"2.0\",\"id\":" id \
    ",\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":" filter "," META "}}}"

static void stream_hears_what_it_asked_for(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(
        &b,
        LISTEN("\"L\"", "{\"toolsListChanged\":true,\"resourcesListChanged\":true,\"resourceSubscriptions\":"
                        "[\"bed://a\",\"x://nothing\"]}"),
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":"
        "{\"io.modelcontextprotocol/subscriptionId\":\"L\"},\"notifications\":{\"resourcesListChanged\":true,"
        "\"resourceSubscriptions\":[\"bed://a\"]}}}");
    say(&b, LISTEN("2", "{\"resourceSubscriptions\":[\"bed://a\",\"bed://b\"]}"));
    assert_int_equal(b.subscribed, 2);
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"_meta\":"
                "{\"io.modelcontextprotocol/subscriptionId\":2},\"uri\":\"bed://b\"}}");
    serve_resources_changed(b.serve);
    assert_says(
        &b, NULL,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\",\"params\":{\"_meta\":"
        "{\"io.modelcontextprotocol/subscriptionId\":\"L\"}}}");
    assert_error(&b, LISTEN("2", "{}"), -32600);
    say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":2}}");
    assert_int_equal(b.unsubscribed, 1); /* the other stream still wants bed://a */
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_string_equal(say(&b, NULL), "");
    assert_error(&b, LISTEN("3", "7"), -32602);
    assert_error(&b, LISTEN("3", "{\"resourceSubscriptions\":[7]}"), -32602);
    assert_error(&b, LISTEN("3", "{\"toolsListChanged\":1}"), -32602);
    shutdown(b.client, SHUT_WR);
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":\"L\",\"result\":{\"resultType\":\"complete\"," INFO
                ",\"io.modelcontextprotocol/subscriptionId\":\"L\"}}}");
    assert_int_equal(b.unsubscribed, 2);
    close_bed(&b);
}

static void end_of_input_cancels_and_waits_for_the_last(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    say(&b, LEGACY_CALL("hold", "{}"));
    say(&b, LISTEN("\"L\"", "{}"));
    shutdown(b.client, SHUT_WR);
    assert_string_equal(say(&b, NULL), "");
    assert_int_equal(b.cancels, 1);
    order_fail(b.held, "cancelled", "stopped");
    loop_run(b.loop); /* ends, because nothing is in flight any more */
    assert_non_null(strstr(say(&b, NULL), "{\"jsonrpc\":\"2.0\",\"id\":\"L\",\"result\""));
    close_bed(&b);
}

static void too_many_calls_are_refused(void **state)
{
    (void)state;
    struct bed b;
    struct order *held[64];
    open_bed(&b);

    for (int i = 0; i < 65; i++) {
        char *line = text_format(
            "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":\"hold\"}}", i);
        if (i == 64)
            assert_error(&b, line, -31429);
        else
            assert_string_equal(say(&b, line), "");
        if (i < 64)
            held[i] = b.held;
        free(line);
    }
    for (int i = 0; i < 64; i++)
        order_answer_text(held[i], BYTES("x"));
    close_bed(&b);
}

static void over_long_line_is_refused_by_its_id(void **state)
{
    (void)state;
    struct bed b;
    struct buf line = {0};
    open_bed(&b);

    buf_add_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"x\":\"");
    buf_reserve(&line, 9 << 20);
    memset(line.p + line.n, 'x', 9 << 20);
    line.n += 9 << 20;
    buf_add_text(&line, "\"}}\n");
    for (size_t at = 0; at < line.n;) {
        ssize_t n = send(b.client, line.p + at, line.n - at, MSG_DONTWAIT);
        at += n > 0 ? (size_t)n : 0;
        loop_turn(b.loop, 0);
    }
    for (int i = 0; i < 200 && b.seen.n == 0; i++)
        say(&b, NULL);
    kit_json_text_eq(
        buf_bytes(&b.seen),
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":-31413,\"message\":\"a message has at "
        "most 8388608 bytes\",\"data\":{\"name\":\"too_large\",\"limit\":\"message\",\"max\":"
        "8388608}}}");
    for (int i = 0; i < 200; i++)
        loop_turn(b.loop, 0);
    assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    buf_end(&line);
    close_bed(&b);
}

KIT_MAIN(cmocka_unit_test(legacy_client_initializes), cmocka_unit_test(modern_client_discovers),
         cmocka_unit_test(modern_request_must_bear_its_meta),
         cmocka_unit_test(tools_are_listed_from_their_rows),
         cmocka_unit_test(tool_answers_in_the_words_of_its_caller),
         cmocka_unit_test(wrong_calls_are_told_what_is_wrong),
         cmocka_unit_test(messages_that_are_none_are_refused),
         cmocka_unit_test(waiting_call_is_answered_later_with_progress_before),
         cmocka_unit_test(cancelled_call_is_told_and_never_heard_of_again),
         cmocka_unit_test(deadline_of_the_hub_is_kept), cmocka_unit_test(resources_are_listed_and_read),
         cmocka_unit_test(legacy_subscriber_hears_of_its_resource_only),
         cmocka_unit_test(stream_hears_what_it_asked_for),
         cmocka_unit_test(end_of_input_cancels_and_waits_for_the_last),
         cmocka_unit_test(too_many_calls_are_refused), cmocka_unit_test(over_long_line_is_refused_by_its_id))
