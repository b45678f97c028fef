/* Calls by REST: what goes on to the server, what comes back, and what can be asked for later. */
#include "tests/unit/hub/api_bed.h"

#define CALLS "/api/v1/calls"

static void arguments_go_on_as_the_bytes_they_came_in(void **state)
{
    int fd = bed_send(
        "POST", CALLS, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "{ \"arguments\": {\"b\":1.0, \"a\" : -0,\"n\":9007199254740993}, \"tool\":\"files__read\" }");
    struct call *c = bed_call(0);
    assert_non_null(strstr(c->params, "\"arguments\":{\"b\":1.0, \"a\" : -0,\"n\":9007199254740993}"));
    assert_non_null(strstr(c->params, "\"name\":\"files__read\""));
    assert_string_equal(c->method, "tools/call");
    assert_string_equal(c->principal, "loopback");
    assert_string_equal(c->traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    bed_result(c, "{\"content\":[],\"big\":9007199254740993}");
    assert_int_equal(bed_answer(fd), 200);
    assert_true(bed_has("\"result\":{\"content\":[],\"big\":9007199254740993}}"));
    assert_true(bed_has("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    _cleanup_json_ json_t *json = bed_json();
    assert_string_equal(json_str(json, "outcome"), "ok");
    assert_string_equal(json_str(json, "server"), "files");
}

static void a_body_that_is_wrong_never_becomes_a_call(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {"{\"tool\":\"files__read\",\"argument\":{}}",                 422, "\"field\":\"/argument\""       },
        {"{\"tool\":\"files__read\",\"arguments\":[]}",                422, "\"field\":\"/arguments\""      },
        {"{\"tool\":\"files__read\",\"deadline_ms\":0}",               422, "\"field\":\"/deadline_ms\""    },
        {"{\"arguments\":{}}",                                         422, "tool"                          },
        {"[]",                                                         422, "object"                        },
        {"{\"tool\":\"files__read\",\n\"arguments\":}",                400, "\"line\":2"                    },
        {"{\"tool\":\"files__read\",\"arguments\":{\"a\":1,\"a\":2}}", 400, "invalid_request"               },
        {"{\"tool\":\"files__none\"}",                                 404, "there is no tool 'files__none'"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(bed_ask("POST", CALLS, "", rows[i].body), rows[i].status);
        assert_true(bed_has(rows[i].says));
    }
    assert_int_equal(bed.call_count, 0);
}

static void arguments_nested_too_deeply_are_refused_by_name(void **state)
{
    struct buf body = {0};
    buf_add_text(&body, "{\"tool\":\"files__read\",\"arguments\":{\"a\":");
    for (int i = 0; i < 100; i++)
        buf_add_char(&body, '[');
    for (int i = 0; i < 100; i++)
        buf_add_char(&body, ']');
    buf_add_text(&body, "}}");
    assert_int_equal(bed_ask("POST", CALLS, "", body.p), 413);
    buf_end(&body);
}

static void who_cannot_wait_asks_again(void **state)
{
    int fd = bed_send("POST", CALLS, "Prefer: wait=2\r\n", "{\"tool\":\"files__read\"}");
    struct call *c = bed_call(0);
    kit_clock_move_ms(2001);
    assert_int_equal(bed_answer(fd), 202);
    assert_true(bed_has("Location: /api/v1/calls/call_1\r\n"));
    assert_true(bed_has("\"state\":\"running\""));
    assert_int_equal(bed_get(CALLS "/call_1"), 200);
    assert_true(bed_has("\"state\":\"running\""));
    assert_int_equal(bed_get(CALLS "/call_1/result"), 409);
    assert_false(c->is_cancelled);
    bed_result(c, "{\"content\":[1]}");
    assert_int_equal(bed_get(CALLS "/call_1/result"), 200);
    assert_string_equal(bed_body_text(), "{\"content\":[1]}");
    assert_int_equal(bed_get(CALLS "/call_1"), 200);
    assert_true(bed_has("\"outcome\":\"ok\""));
}

static void who_does_not_want_to_wait_is_told_at_once(void **state)
{
    assert_int_equal(bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}"), 202);
    assert_true(bed.calls[0].is_open);
    bed_result(&bed.calls[0], "{}");
}

static void results_are_kept_for_a_while_only(void **state)
{
    bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}");
    bed_result(&bed.calls[0], "{}");
    kit_clock_move_ms(bed.config.keep_ms - 1000);
    assert_int_equal(bed_get(CALLS "/call_1"), 200);
    kit_clock_move_ms(2000);
    assert_int_equal(bed_get(CALLS "/call_1"), 404);
}

static void results_are_kept_within_their_bytes(void **state)
{
    bed.config.keep_bytes = 600;
    for (size_t i = 0; i < 2; i++) {
        struct buf result = {0};
        buf_add_text(&result, "{\"text\":\"");
        for (int k = 0; k < 250; k++)
            buf_add_char(&result, 'x');
        buf_add_text(&result, "\"}");
        bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}");
        bed_result(&bed.calls[i], result.p);
        buf_end(&result);
    }
    assert_int_equal(bed_get(CALLS "/call_1/result"), 404);
    assert_int_equal(bed_get(CALLS "/call_2/result"), 200);
}

static void a_caller_who_leaves_before_the_id_cancels(void **state)
{
    int fd = bed_send("POST", CALLS, "", "{\"tool\":\"files__read\"}");
    struct call *c = bed_call(0);
    close(fd);
    kit_loop_until(bed.hub.loop, 3000, c->is_cancelled);
}

static void a_call_that_was_accepted_outlives_its_caller(void **state)
{
    int fd = bed_send("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}");
    struct call *c = bed_call(0);
    bed_answer(fd);
    for (int i = 0; i < 20; i++)
        loop_turn(bed.hub.loop, 1);
    assert_false(c->is_cancelled);
    bed_result(c, "{}");
}

static void cancelling_ends_it_and_says_who(void **state)
{
    int fd = bed_send("POST", CALLS, "", "{\"tool\":\"files__read\"}");
    bed_call(0);
    assert_int_equal(bed_ask("POST", CALLS "/call_1/cancel", "", "{\"reason\":\"enough\"}"), 200);
    assert_int_equal(bed_answer(fd), 409);
    assert_true(bed_has("\"code\":\"cancelled\""));
    assert_true(bed_has("cancelled by loopback: enough"));
    assert_int_equal(bed_ask("POST", CALLS "/call_1/cancel", "", ""), 409);
    assert_int_equal(bed_ask("POST", CALLS "/call_9/cancel", "", ""), 404);
    assert_int_equal(bed_get(CALLS "/call_1/result"), 409); /* as it ended */
}

static void faults_are_told_by_their_row(void **state)
{
    bed.refuses_calls = true;
    assert_int_equal(bed_ask("POST", CALLS, "", "{\"tool\":\"files__read\"}"), 503);
    assert_true(bed_has("\"code\":\"server_down\""));
    assert_true(bed_has("Retry-After: 2\r\n"));
    assert_true(bed_has("\"trace_id\":null"));
}

static void errors_of_servers_are_theirs_unless_the_parameters_are_bad(void **state)
{
    static const struct {
        const char *error;
        int status;
        const char *says;
    } rows[] = {
        {"{\"code\":-32602,\"message\":\"no such \\\"x\\\"\"}", 422, "\"message\":\"no such \\\"x\\\"\""},
        {"{\"code\":-5,\"message\":\"oops\",\"data\":{}}",      502, "\"server_code\":-5"               },
    };
    for (size_t i = 0; i < 2; i++) {
        int fd = bed_send("POST", CALLS, "", "{\"tool\":\"files__read\"}");
        struct call_done done = {.outcome = CALL_ERROR, .parts = {bytes_of(rows[i].error)}, .part_count = 1};
        bed_finish(bed_call(i), &done);
        assert_int_equal(bed_answer(fd), rows[i].status);
        assert_true(bed_has(rows[i].says));
    }
}

static void resources_and_prompts_are_answered_as_mcp_has_them(void **state)
{
    int fd = bed_send("GET", "/api/v1/resources/content?uri=file:///a+b%20c", "", NULL);
    assert_string_equal(bed_call(0)->method, "resources/read");
    assert_non_null(strstr(bed_call(0)->params, "\"uri\":\"file:///a+b c\""));
    bed_result(bed_call(0), "{\"contents\":[]}");
    assert_int_equal(bed_answer(fd), 200);
    assert_string_equal(bed_body_text(), "{\"contents\":[]}");

    fd = bed_send("POST", "/api/v1/prompts/files__ask", "", "{\"arguments\":{\"a\":\"b\"}}");
    assert_string_equal(bed_call(1)->method, "prompts/get");
    assert_non_null(strstr(bed_call(1)->params, "\"arguments\":{\"a\":\"b\"}"));
    bed_result(bed_call(1), "{\"messages\":[]}");
    assert_int_equal(bed_answer(fd), 200);
    assert_int_equal(bed_ask("POST", "/api/v1/prompts/files__none", "", ""), 404);

    fd = bed_send("POST", "/api/v1/completions", "",
                  "{\"ref\":{\"type\":\"ref/"
                  "prompt\",\"name\":\"files__ask\"},\"argument\":{\"name\":\"a\",\"value\":\"\"}}");
    assert_string_equal(bed_call(2)->method, "completion/complete");
    bed_result(bed_call(2), "{\"completion\":{}}");
    assert_int_equal(bed_answer(fd), 200);
    assert_int_equal(bed_ask("POST", "/api/v1/completions", "", "{\"ref\":{},\"argument\":{},\"_meta\":{}}"),
                     422);
}

static void the_list_is_newest_first_and_paged_without_gaps(void **state)
{
    for (size_t i = 0; i < 5; i++) {
        bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}");
        bed_result(&bed.calls[i], "{}");
    }
    bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__write\"}");
    assert_int_equal(bed_get(CALLS "?limit=3"), 200);
    _cleanup_json_ json_t *first = bed_json();
    assert_string_equal(json_str(json_array_get(json_object_get(first, "items"), 0), "state"), "running");
    assert_string_equal(json_str(json_array_get(json_object_get(first, "items"), 1), "id"), "call_5");
    bed_result(&bed.calls[5], "{}"); /* the list grows at its front meanwhile */
    char *path = text_format(CALLS "?limit=3&cursor=%s", json_str(first, "next_cursor"));
    assert_int_equal(bed_get(path), 200);
    free(path);
    _cleanup_json_ json_t *second = bed_json();
    assert_string_equal(json_str(json_array_get(json_object_get(second, "items"), 0), "id"), "call_3");
    assert_int_equal(json_array_size(json_object_get(second, "items")), 3);
    assert_true(json_is_null(json_object_get(second, "next_cursor")));
    assert_int_equal(bed_get(CALLS "?tool=*wri*&state=finished"), 200);
    _cleanup_json_ json_t *some = bed_json();
    assert_int_equal(json_array_size(json_object_get(some, "items")), 1);
}

static void progress_is_told_on_the_live_stream(void **state)
{
    bed_ask("POST", CALLS, "Prefer: respond-async\r\n", "{\"tool\":\"files__read\"}");
    uint64_t before = events_counts(bed.hub.events).published[1];
    const struct call *c = &bed.calls[0];
    for (int i = 0; i < 5; i++) /* more than ten a second are left out */
        c->spec.ops->on_notification(
            c->spec.ctx, BYTES("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
                               "\"progressToken\":1,\"progress\":5,\"total\":10}}"));
    assert_int_equal(events_counts(bed.hub.events).published[1], before + 1);
    bed_result(&bed.calls[0], "{}");
}

static void the_end_of_the_hub_lets_go_of_waiting_callers(void **state)
{
    int fd = bed_send("POST", CALLS, "", "{\"tool\":\"files__read\"}");
    bed_call(0);
    close(fd); /* and bed_close does the rest, with the call still open */
}

KIT_MAIN(BED_TEST(arguments_go_on_as_the_bytes_they_came_in),
         BED_TEST(a_body_that_is_wrong_never_becomes_a_call),
         BED_TEST(arguments_nested_too_deeply_are_refused_by_name), BED_TEST(who_cannot_wait_asks_again),
         BED_TEST(who_does_not_want_to_wait_is_told_at_once), BED_TEST(results_are_kept_for_a_while_only),
         BED_TEST(results_are_kept_within_their_bytes), BED_TEST(a_caller_who_leaves_before_the_id_cancels),
         BED_TEST(a_call_that_was_accepted_outlives_its_caller), BED_TEST(cancelling_ends_it_and_says_who),
         BED_TEST(faults_are_told_by_their_row),
         BED_TEST(errors_of_servers_are_theirs_unless_the_parameters_are_bad),
         BED_TEST(resources_and_prompts_are_answered_as_mcp_has_them),
         BED_TEST(the_list_is_newest_first_and_paged_without_gaps),
         BED_TEST(progress_is_told_on_the_live_stream),
         BED_TEST(the_end_of_the_hub_lets_go_of_waiting_callers))
