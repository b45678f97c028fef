#include "tests/unit/core/rpc/serve_bed.h"

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
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"id\":{\"a\":2}}", -32600);
    assert_null(strstr(b.seen.p, "\"id\""));
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
         cmocka_unit_test(deadline_of_the_hub_is_kept),
         cmocka_unit_test(end_of_input_cancels_and_waits_for_the_last),
         cmocka_unit_test(too_many_calls_are_refused), cmocka_unit_test(over_long_line_is_refused_by_its_id))
