/* 2026-07-28 clients on /mcp: the ladder, the headers, cancelling by leaving, listen streams. */
#include "tests/unit/hub/face_bed.h"

static struct reply r;

#define DISCOVER "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" MODERN_META "}}"
#define CALL(name, more)                                                                             \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"" name "\"" more \
    "," MODERN_META "}}"

static void post(const char *headers, const char *body)
{
    bed_ask(&r, "POST", "/mcp", headers, body);
}

static void refused(int status, const char *piece)
{
    if (r.status != status || !r.body.p || !strstr(r.body.p, piece))
        fail_msg("wanted %d with %s, got %d: %s", status, piece, r.status, r.body.p ? r.body.p : "");
}

static void discover_needs_no_session(void **state)
{
    (void)state;
    post(MODERN_HEADERS("server/discover"), DISCOVER);
    assert_int_equal(r.status, 200);
    kit_bytes_eq(buf_bytes(&r.body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"supportedVersions\":[\"2026-07-28\"]}}");
    assert_int_equal(face_counts(bed.hub.face).sessions, 0);
    reply_end(&r);
}

#define META(inside) \
    "{\"jsonrpc\":\"2.0\",\"id\":101,\"method\":\"server/discover\",\"params\":{\"_meta\":{" inside "}}}"
#define VERSION_KEY "\"io.modelcontextprotocol/protocolVersion\":"
#define CAPABILITIES "\"io.modelcontextprotocol/clientCapabilities\":{}"

static void the_ladder_answers_its_first_failure(void **state)
{
    static const struct {
        const char *headers, *body;
        int status;
        const char *piece;
    } rows[] = {
        {MODERN_HEADERS("server/discover"),                                              "{\"jsonrpc\":\"2.0\",\"id\":101,\"method\":\"server/discover\"}",
         400,                                                                                                                                                    "\"id\":101,\"error\":{\"code\":-32602"},
        {MODERN_HEADERS("server/discover"),                                              META(CAPABILITIES),                                                400,
         "lacks 'io.modelcontextprotocol/protocolVersion'\""                                                                                                                                            },
        {MODERN_HEADERS("server/discover"),                                              META(VERSION_KEY "\"2026-07-28\""),                                400, "-32602"                               },
        {MODERN_HEADERS("server/discover"),
         META(VERSION_KEY "\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":[]"),                                                              400,
         "is no object"                                                                                                                                                                                 },
        {MODERN_HEADERS("server/discover"),
         META(VERSION_KEY "\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":7," CAPABILITIES),                                                         400,
         "is no object"                                                                                                                                                                                 },
        {MODERN_HEADERS("server/discover"),                                              META(VERSION_KEY "7," CAPABILITIES),                               400, "-32602"                               },
        {MODERN_HEADERS("server/discover"),                                              META(VERSION_KEY "\"2025-11-25\"," CAPABILITIES),                  400, "-32022"                               },
        {MODERN_HEADERS("server/discover"),                                              META(VERSION_KEY "\"v999.0.0\"," CAPABILITIES),                    400, "-32020"                               },
        {BOTH_TYPES "MCP-Protocol-Version: v999.0.0\r\nMcp-Method: server/discover\r\n",
         META(VERSION_KEY "\"v999.0.0\"," CAPABILITIES),                                                                                                    400,
         "-32022,\"message\":\"this protocol version is not served "
         "here\",\"data\":{\"supported\":[\"2026-07-28\"],"
         "\"requested\":\"v999.0.0\"}"                                                                                                                                                                  },
        {BOTH_TYPES "Mcp-Method: server/discover\r\n",                                   DISCOVER,                                                          400, "-32020"                               },
        {BOTH_TYPES "MCP-Protocol-Version: 2026-07-28\r\n",                              DISCOVER,                                                          400, "-32020"                               },
        {MODERN_HEADERS("SERVER/DISCOVER"),                                              DISCOVER,                                                          400, "-32020"                               },
        {MODERN_HEADERS("ping"),
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" MODERN_META "}}",                                                                 404, "-32601"                               },
        {MODERN_HEADERS("initialize"),
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{" MODERN_META "}}",                                                           404,
         "-32601"                                                                                                                                                                                       },
        {BOTH_TYPES "MCP-Protocol-Version: 2026-07-28\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-"
         "25\"}}",                                                                                                                                          400, "-32020"                               },
        {BOTH_TYPES "MCP-Protocol-Version: 2026-07-28\r\n",                              "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
         400,                                                                                                                                                    "-32600"                               },
        {BOTH_TYPES "MCP-Protocol-Version: 2026-07-28\r\n",                              "[]",                                                              400, "-32600"                               },
        {MODERN_HEADERS("prompts/list") "Mcp-Session-Id: made-up\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"prompts/list\",\"params\":{" MODERN_META "}}",                                                         200,
         "\"of\":\"all\""                                                                                                                                                                               },
        {MODERN_HEADERS("tools/list"),
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"\"," MODERN_META
         "}}",                                                                                                                                              200, "-32602"                               },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        post(rows[i].headers, rows[i].body);
        refused(rows[i].status, rows[i].piece);
    }
    bed_ask(&r, "POST", "/mcp/one", MODERN_HEADERS("prompts/list"),
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"prompts/list\",\"params\":{" MODERN_META "}}");
    refused(404, "-32601");
    reply_end(&r);
}

static void notifications_are_dropped_and_get_is_for_sessions(void **state)
{
    char allow[128];
    (void)state;
    post(MODERN_HEADERS("notifications/cancelled"),
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
         "\"requestId\":1}}");
    assert_int_equal(r.status, 202);
    bed_ask(&r, "GET", "/mcp", BOTH_TYPES, NULL);
    assert_int_equal(r.status, 405);
    assert_string_equal(reply_header(&r, "Allow", allow), "POST");
    bed_ask(&r, "DELETE", "/mcp", BOTH_TYPES "Mcp-Session-Id: x\r\nMCP-Protocol-Version: 2026-07-28\r\n",
            NULL);
    assert_int_equal(r.status, 405);
    reply_end(&r);
}

static void the_name_header_repeats_the_body(void **state)
{
    static const struct {
        const char *name;
        int status;
    } rows[] = {
        {"Mcp-Name: caf\r\n",                    400},
        {"",                                     400},
        {"Mcp-Name:  tool  \r\n",                200},
        {"mcp-name: tool\r\n",                   200},
        {"Mcp-Name: Tool\r\n",                   400},
        {"Mcp-Name: =?base64?dG9vbA==?=\r\n",    200},
        {"Mcp-Name: =?base64?dG9vbA?=\r\n",      400},
        {"Mcp-Name: =?BASE64?dG9vbA==?=\r\n",    400},
        {"Mcp-Name: tool\r\nMcp-Name: tool\r\n", 400},
    };
    (void)state;
    bed.answers_at_once = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), "%s%s", MODERN_HEADERS("tools/call"), rows[i].name);
        post(headers, CALL("tool", ""));
        refused(rows[i].status, rows[i].status == 200 ? "\"at\":\"once\"" : "-32020");
    }
    assert_int_equal(bed.call_count, 3); /* what was refused was never dispatched */
    post(MODERN_HEADERS("resources/read") "Mcp-Name: test://\xc3\xa9\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"test://"
         "\xc3\xa9\"," MODERN_META "}}");
    assert_int_equal(r.status, 400);
    post(MODERN_HEADERS("resources/read") "Mcp-Name: =?base64?dGVzdDovL8Op?=\r\n",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"test://"
         "\\u00e9\"," MODERN_META "}}");
    assert_int_equal(r.status, 200);
    reply_end(&r);
}

static void declared_parameters_are_repeated_too(void **state)
{
    static const struct {
        const char *header;
        int status;
    } rows[] = {
        {"Mcp-Param-Region: eu\r\n",              200},
        {"",                                      400},
        {"Mcp-Param-Region: us\r\n",              400},
        {"Mcp-Param-Region: =?base64?ZXU=?=\r\n", 200},
        {"Mcp-Param-Region: =?base64?ZXU?=\r\n",  400},
    };
    (void)state;
    bed.answers_at_once = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), "%sMcp-Name: headed\r\n%s", MODERN_HEADERS("tools/call"),
                 rows[i].header);
        post(headers, CALL("headed", ",\"arguments\":{\"region\":\"eu\"}"));
        refused(rows[i].status, rows[i].status == 200 ? "\"at\":\"once\"" : "-32020");
    }
    post(MODERN_HEADERS("tools/call") "Mcp-Name: headed\r\nMcp-Param-Other: x\r\n",
         CALL("headed", ",\"arguments\":{}"));
    assert_int_equal(r.status, 200);
    reply_end(&r);
}

static void log_level_is_of_the_request_alone(void **state)
{
    static const char with[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/"
        "call\",\"params\":{\"name\":\"t\",\"_meta\":{" VERSION_KEY "\"2026-07-28\"," CAPABILITIES
        ",\"io.modelcontextprotocol/logLevel\":\"%s\"}}}";
    char body[320];
    (void)state;
    bed.answers_at_once = true;
    post(MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
    assert_int_equal(bed.calls[0].log_level, -1);
    snprintf(body, sizeof(body), with, "warning");
    post(MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", body);
    assert_int_equal(bed.calls[1].log_level, 3);
    snprintf(body, sizeof(body), with, "loud");
    post(MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", body);
    refused(200, "-32602");
    assert_int_equal(bed.call_count, 2);
    reply_end(&r);
}

static void a_missing_capability_is_told_with_400(void **state)
{
    struct call_done done = {.outcome = CALL_FAULT, .is_protocol = true};
    struct buf in = {0};
    (void)state;
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
    bed_wait_calls(1);
    assert_false(bed.calls[0].can_ask);
    fault_tell(&done.fault, FAULT_MISSING_CAPABILITY, "it asks for more");
    fault_data(&done.fault, "\"requiredCapabilities\":{\"sampling\":{}}");
    bed.calls[0].is_open = false;
    bed.calls[0].ops->on_done(bed.calls[0].ctx, &done);
    bed_until_whole(fd, &in, &r);
    refused(400, "\"data\":{\"requiredCapabilities\":{\"sampling\":{}}}");
    buf_end(&in);
    reply_end(&r);
}

static void leaving_cancels_the_call(void **state)
{
    struct buf in = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* before and after the first byte of a stream */
        int fd = bed_connect();
        bed_send(fd, "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
        bed_wait_calls(i + 1);
        if (i == 1) {
            bed_notify(1, "{\"progress\":1}");
            bed_until(fd, &in, &r, "{\"progress\":1}");
        }
        bed_hang_up(fd);
        bed_wait_cancelled(i);
    }
    buf_end(&in);
    reply_end(&r);
}

static void what_takes_long_becomes_a_stream_without_ids(void **state)
{
    struct buf in = {0};
    char type[128];
    (void)state;
    bed.config.sse_after_ms = 5;
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
    bed_wait_calls(1);
    kit_loop_until(bed.hub.loop, 1000, web_counts(bed.hub.web).streams == 1);
    bed_notify(0, "{\"progress\":1}");
    bed_done(0, "{\"late\":true}");
    bed_until_end(fd, &in, &r);
    assert_string_equal(reply_header(&r, "Content-Type", type), "text/event-stream");
    kit_bytes_eq(buf_bytes(&r.body),
                 "event: message\ndata: {\"progress\":1}\n\n"
                 "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"late\":true}}\n\n");
    buf_end(&in);
    reply_end(&r);
}

static void a_slow_reader_keeps_the_last_notification(void **state)
{
    struct buf in = {0}, big = {0};
    (void)state;
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
    bed_wait_calls(1);
    for (size_t i = 0; i < 40000; i++)
        buf_add_text(&big, "0123456789");
    for (size_t i = 0; i < 40; i++) { /* 16 MB, far more than the sockets take */
        struct buf one = {0};
        buf_addf(&one, "{\"n\":%zu,\"big\":\"%s\"}", i, big.p);
        bed_notify(0, one.p);
        buf_end(&one);
        bed_turn();
    }
    bed_notify(0, "{\"n\":\"last\"}");
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    char *last = strstr(r.body.p, "{\"n\":\"last\"}");
    assert_non_null(last);
    assert_non_null(strstr(last, "\"result\":{}"));
    assert_true(r.body.n < 8u << 20); /* those between were left out */
    buf_end(&in);
    buf_end(&big);
    reply_end(&r);
}

/* --- listen --- */

#define LISTEN(id, filter)            \
    "{\"jsonrpc\":\"2.0\",\"id\":" id \
    ",\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":" filter "," MODERN_META "}}"

static int listen_with(const char *path, const char *body, struct buf *in)
{
    int fd = bed_connect();
    bed_send(fd, "POST", path, MODERN_HEADERS("subscriptions/listen"), body);
    bed_until(fd, in, &r, "notifications/subscriptions/acknowledged");
    return fd;
}

static void a_listen_acknowledges_what_it_honours_and_sends_only_that(void **state)
{
    struct buf in = {0};
    (void)state;
    int fd = listen_with(
        "/mcp/one",
        LISTEN("\"l\"",
               "{\"toolsListChanged\":true,\"promptsListChanged\":true,\"resourcesListChanged\":false,"
               "\"resourceSubscriptions\":[\"test://a\",\"other://b\",\"test://secret\",\"test://a\"]}"),
        &in);
    kit_bytes_eq(buf_bytes(&r.body),
                 "event: message\ndata: "
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{"
                 "\"_meta\":{\"io.modelcontextprotocol/"
                 "subscriptionId\":\"l\"},\"notifications\":{\"toolsListChanged\":true,"
                 "\"resourceSubscriptions\":[\"test://a\"]}}}\n\n");
    assert_int_equal(bed.subscribed, 1);
    face_list_changed(bed.hub.face, ITEM_RESOURCE, "one");
    face_list_changed(bed.hub.face, ITEM_TOOL, "two");
    face_resource_updated(bed.hub.face, "two", BYTES("test://a"));
    face_resource_updated(bed.hub.face, "one", BYTES("test://a"));
    face_list_changed(bed.hub.face, ITEM_TOOL, "one");
    bed_until(fd, &in, &r, "tools/list_changed");
    assert_non_null(strstr(
        r.body.p,
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"_meta\":{"
        "\"io.modelcontextprotocol/subscriptionId\":\"l\"},\"uri\":\"test://a\"}}\n\n"));
    assert_null(strstr(r.body.p, "resources/list_changed"));
    assert_null(strstr(strstr(r.body.p, "tools/list_changed") + 1, "tools/list_changed"));
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, bed.unsubscribed == 1);
    assert_int_equal(face_counts(bed.hub.face).listens, 0);
    buf_end(&in);
    reply_end(&r);
}

static void a_listen_ends_with_cancelled_and_its_result(void **state)
{
    struct buf in = {0};
    (void)state;
    int fd = listen_with("/mcp", LISTEN("7", "{\"toolsListChanged\":true}"), &in);
    assert_int_equal(face_counts(bed.hub.face).listens, 1);
    face_drain(bed.hub.face);
    bed_until_end(fd, &in, &r);
    char *cancelled = strstr(r.body.p, "\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7,");
    assert_non_null(cancelled);
    assert_non_null(strstr(cancelled,
                           "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\",\"_meta\":{"
                           "\"io.modelcontextprotocol/subscriptionId\":7}}}\n\n"));
    buf_end(&in);
    reply_end(&r);
}

static void a_listen_that_honours_nothing_ends_at_once(void **state)
{
    struct buf in = {0};
    (void)state;
    int fd = listen_with("/mcp/one", LISTEN("7", "{\"promptsListChanged\":true}"), &in);
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "\"notifications\":{}}}"));
    assert_non_null(strstr(r.body.p, "\"id\":7,\"result\""));
    buf_end(&in);
    reply_end(&r);
}

static void a_listen_needs_a_filter_of_the_right_kinds(void **state)
{
    static const char *const filters[] = {"[]", "{\"toolsListChanged\":1}",
                                          "{\"resourceSubscriptions\":\"test://a\"}",
                                          "{\"resourceSubscriptions\":[1]}"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char body[400];
        snprintf(body, sizeof(body), LISTEN("7", "%s"), filters[i]);
        post(MODERN_HEADERS("subscriptions/listen"), body);
        refused(200, "-32602");
    }
    post("Accept: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: "
         "subscriptions/listen\r\n",
         LISTEN("7", "{\"toolsListChanged\":true}"));
    assert_int_equal(r.status, 406);
    reply_end(&r);
}

static void a_slow_listener_gets_one_frame_for_many_changes(void **state)
{
    struct buf in = {0};
    size_t seen = 0;
    (void)state;
    int fd = listen_with(
        "/mcp", LISTEN("7", "{\"toolsListChanged\":true,\"resourceSubscriptions\":[\"test://a\"]}"), &in);
    for (size_t i = 0; i < 5000; i++) { /* in one turn: nothing is taken meanwhile */
        face_list_changed(bed.hub.face, ITEM_TOOL, "two");
        face_resource_updated(bed.hub.face, "one", BYTES("test://a"));
    }
    bed_until(fd, &in, &r, "tools/list_changed");
    bed_turn_ms(30);
    bed_read(fd, &in);
    bed_split(&in, &r);
    for (const char *at = r.body.p; (at = strstr(at, "list_changed\"")); at++)
        seen++;
    for (const char *at = r.body.p; (at = strstr(at, "resources/updated\"")); at++)
        seen++;
    assert_int_equal(seen,
                     3); /* the first, and one for all the others of each; the ack left before any update */
    buf_end(&in);
    reply_end(&r);
}

static void quiet_streams_are_kept_alive(void **state)
{
    struct buf call = {0}, ear = {0};
    (void)state;
    bed.config.sse_after_ms = 5;
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n", CALL("t", ""));
    bed_wait_calls(1);
    kit_loop_until(bed.hub.loop, 1000, web_counts(bed.hub.web).streams == 1);
    int listening = listen_with("/mcp", LISTEN("7", "{\"toolsListChanged\":true}"), &ear);
    for (int i = 0; i < 2; i++) {
        kit_clock_move_ms(15000);
        bed_turn_ms(3);
    }
    bed_until(fd, &call, &r, ":\n\n:\n\n");
    bed_until(listening, &ear, &r, ":\n\n:\n\n");
    buf_end(&call);
    buf_end(&ear);
    reply_end(&r);
}

KIT_MAIN(BED_TEST(quiet_streams_are_kept_alive), BED_TEST(discover_needs_no_session),
         BED_TEST(the_ladder_answers_its_first_failure),
         BED_TEST(notifications_are_dropped_and_get_is_for_sessions),
         BED_TEST(the_name_header_repeats_the_body), BED_TEST(declared_parameters_are_repeated_too),
         BED_TEST(log_level_is_of_the_request_alone), BED_TEST(a_missing_capability_is_told_with_400),
         BED_TEST(leaving_cancels_the_call), BED_TEST(what_takes_long_becomes_a_stream_without_ids),
         BED_TEST(a_slow_reader_keeps_the_last_notification),
         BED_TEST(a_listen_acknowledges_what_it_honours_and_sends_only_that),
         BED_TEST(a_listen_ends_with_cancelled_and_its_result),
         BED_TEST(a_listen_that_honours_nothing_ends_at_once),
         BED_TEST(a_listen_needs_a_filter_of_the_right_kinds),
         BED_TEST(a_slow_listener_gets_one_frame_for_many_changes))
