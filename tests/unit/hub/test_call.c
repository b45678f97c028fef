/* One call, from a resolved request to exactly one answer: names, meta, progress, deadline, cancel, loss. */
#include "tests/unit/hub/trunk_asker.h"

static void a_call_goes_out_under_the_servers_name_and_its_answer_comes_back(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, "{\"name\":\"one__echo\",\"arguments\":{\"x\":1.0,\"y\":12345678901234567}}");
    json_t *m = bed_expect(0, "tools/call");
    kit_json_eq(json_object_get(m, "params"),
                "{\"name\":\"echo\",\"arguments\":{\"x\":1.0,\"y\":12345678901234567}}");
    copy_result(&bed.copies[0], m, HELLO);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    kit_bytes_eq(buf_bytes(&a.answer), HELLO);
    assert_string_equal(bed.outcome, "ok");
    assert_int_equal(calls_count(bed.hub.calls), 0);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void an_unknown_name_is_refused_at_once(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, "{\"name\":\"one__none\"}");
    assert_int_equal(a.done, 1);
    assert_int_equal(a.outcome, CALL_FAULT);
    assert_int_equal(a.fault.fault, FAULT_INVALID_PARAMS);
    assert_true(a.is_protocol);
    asker_end(&a);
    ask_tool(&a, &plain, "{\"name\":5}");
    assert_int_equal(a.fault.fault, FAULT_INVALID_PARAMS);
    asker_end(&a);
    ask_of(&a, CALL_READ, "resources/read", &plain, "{\"uri\":\"nobody://has/it\"}");
    assert_int_equal(a.fault.fault, FAULT_RESOURCE_NOT_FOUND);
    assert_string_equal(a.fault.data, "\"uri\":\"nobody://has/it\"");
    asker_end(&a);
    bed_settle();
    assert_int_equal(bed.copies[0].waiting_count, 0);
    bed_end();
}

static void a_stranger_is_denied_before_the_server_hears_of_it(void **state)
{
    struct caller stranger = plain;
    struct asker a;
    stranger.principal = "nobody";
    bed_up(false);
    ask_tool(&a, &stranger, ECHO);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.fault.fault, FAULT_DENIED);
    assert_string_equal(bed.outcome, "denied");
    bed_settle();
    assert_int_equal(bed.copies[0].waiting_count, 0);
    asker_end(&a);
    bed_end();
}

static void meta_of_others_passes_and_ours_is_stamped_anew(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(
        &a, &modern,
        "{\"name\":\"one__echo\",\"_meta\":{\"io.modelcontextprotocol/clientInfo\":{\"name\":\"x\"},"
        "\"dev.trunkline/call\":{\"call\":\"forged\"},\"progressToken\":\"t\",\"traceparent\":\"00-1-2-3\","
        "\"com.example/k\":[1]}}");
    json_t *m = bed_expect(0, "tools/call");
    json_t *meta = json_object_get(json_object_get(m, "params"), "_meta");
    assert_string_equal(json_str(json_object_get(meta, "io.modelcontextprotocol/clientInfo"), "name"),
                        "trunkline");
    assert_null(json_object_get(meta, "dev.trunkline/call"));
    assert_int_equal(json_int(meta, "progressToken", -1), json_int(m, "id", -2));
    assert_string_equal(json_str(meta, "traceparent"), "00-1-2-3");
    assert_non_null(json_object_get(meta, "com.example/k"));
    copy_result(&bed.copies[0], m, "{\"resultType\":\"complete\",\"content\":[]}");
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void progress(struct copy *c, const json_t *m, const char *value)
{
    char text[200];
    snprintf(text, sizeof(text),
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":%lld,"
             "\"progress\":%s,\"total\":100}}",
             (long long)json_int(m, "id", 0), value);
    copy_say(c, text);
}

static void the_last_frame_of_progress_goes_before_the_result(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, "{\"name\":\"one__echo\",\"_meta\":{\"progressToken\":\"T\\u0041\"}}");
    json_t *m = bed_expect(0, "tools/call");
    for (int i = 1; i <= 50; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", 2 * i);
        progress(&bed.copies[0], m, number);
    }
    progress(&bed.copies[0], m, "3"); /* does not rise: dropped */
    copy_result(&bed.copies[0], m, HELLO);
    bed_until(a.done);
    assert_in_range(a.notified, 1, 50);
    kit_bytes_eq(buf_bytes(&a.note),
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":"
                 "\"T\\u0041\",\"progress\":100,\"total\":100}}");
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void a_deadline_is_obeyed_and_told_to_the_server(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, "{\"name\":\"one__echo\",\"_meta\":{\"dev.trunkline/timeoutMs\":5000}}");
    json_decref(bed_expect(0, "tools/call"));
    kit_clock_move_ms(4900);
    bed_settle();
    assert_int_equal(a.done, 0);
    kit_clock_move_ms(200);
    bed_until(a.done && bed.copies[0].cancelled == 1);
    assert_int_equal(a.fault.fault, FAULT_DEADLINE);
    assert_string_equal(bed.outcome, "timeout");
    asker_end(&a);
    /* Only lower, never higher. */
    ask_tool(&a, &plain, "{\"name\":\"one__echo\",\"_meta\":{\"dev.trunkline/timeoutMs\":99999999}}");
    json_decref(bed_expect(0, "tools/call"));
    kit_clock_move_ms(121000);
    bed_until(a.done);
    asker_end(&a);
    bed_end();
}

static void a_caller_that_leaves_is_told_to_the_server_once(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, ECHO);
    json_t *m = bed_expect(0, "tools/call");
    call_cancel(a.call, "caller gone");
    bed_until(bed.copies[0].cancelled == 1);
    assert_string_equal(bed.copies[0].cancel_reason, "caller gone");
    assert_string_equal(bed.outcome, "cancelled");
    copy_result(&bed.copies[0], m, HELLO); /* late: dropped */
    bed_settle();
    assert_int_equal(a.done, 0);
    assert_int_equal(bed.finished, 1);
    assert_int_equal(calls_count(bed.hub.calls), 0);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void an_operator_ends_a_call(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, ECHO);
    json_decref(bed_expect(0, "tools/call"));
    assert_int_equal(call_stop(&bed.hub, "call_none", "me"), 1);
    char id[64];
    snprintf(id, sizeof(id), "%s", call_id(a.call));
    assert_int_equal(call_stop(&bed.hub, id, "me"), 0);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.fault.fault, FAULT_CANCELLED);
    bed_until(bed.copies[0].cancelled == 1);
    asker_end(&a);
    bed_end();
}

static void a_server_that_dies_mid_call_leaves_an_unknown_outcome(void **state)
{
    struct asker a, b;
    bed_up(false);
    ask_tool(&a, &plain, ECHO);
    json_decref(bed_expect(0, "tools/call"));
    copy_die(&bed.copies[0]);
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_OUTCOME_UNKNOWN);
    assert_non_null(strstr(a.fault.data, "\"outcome\":\"unknown\""));
    /* The next one is told at once, with the time of the next try. */
    assert_int_equal(upstream_state(bed.upstream), UPSTREAM_LOST);
    ask_tool(&b, &plain, ECHO);
    assert_int_equal(b.done, 1);
    assert_int_equal(b.fault.fault, FAULT_SERVER_DOWN);
    assert_non_null(strstr(b.fault.data, "\"state\":\"lost\""));
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_call_that_never_left_says_so(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &plain, ECHO);
    copy_die(&bed.copies[0]);
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_SERVER_DOWN);
    asker_end(&a);
    bed_end();
}

static void a_call_waits_for_a_server_that_starts_and_no_longer_than_it_may(void **state)
{
    struct asker a, b;
    bed_plan();
    bed_start();
    upstream_start(bed.upstream);
    bed_until(is_ready());
    upstream_stop(bed.upstream, "stopped");
    bed_until(upstream_state(bed.upstream) == UPSTREAM_OFF);
    bed.keeps_start = true;
    ask_tool(&a, &plain, ECHO); /* the first call starts it */
    assert_int_equal(upstream_state(bed.upstream), UPSTREAM_STARTING);
    kit_clock_move_ms(10100);
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_SERVER_DOWN);
    ask_tool(&b, &plain, ECHO);
    bed.keeps_start = false;
    json_t *m = bed_expect(1, "tools/call");
    copy_result(&bed.copies[1], m, HELLO);
    bed_until(b.done);
    assert_int_equal(b.outcome, CALL_RESULT);
    json_decref(m);
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_server_that_is_not_configured_any_more_is_no_silence(void **state)
{
    struct asker a;
    bed_up(false);
    struct upstream *kept = bed.upstream;
    const char *name = bed.server.name;
    bed.server.name = "two"; /* hub_find_upstream knows no "one" */
    ask_tool(&a, &plain, ECHO);
    assert_int_equal(a.done, 1);
    bed.server.name = name;
    bed.upstream = kept;
    asker_end(&a);
    bed_end();
}

static void completion_speaks_of_the_servers_own_prompt(void **state)
{
    struct asker a;
    bed_up(false);
    ask_of(
        &a, CALL_COMPLETE, "completion/complete", &plain,
        "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"one__greet\"},\"argument\":{\"name\":\"a\",\"value\":"
        "\"b\"}}");
    json_t *m = bed_expect(0, "completion/complete");
    kit_json_eq(json_object_get(m, "params"),
                "{\"ref\":{\"type\":\"ref/"
                "prompt\",\"name\":\"greet\"},\"argument\":{\"name\":\"a\",\"value\":\"b\"}}");
    copy_error(&bed.copies[0], m, "{\"code\":-32001,\"message\":\"own words\",\"data\":{\"k\":1}}");
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_ERROR);
    kit_json_text_eq(buf_bytes(&a.answer), "{\"code\":-32001,\"message\":\"own words\",\"data\":{\"k\":1}}");
    json_decref(m);
    asker_end(&a);
    ask_of(&a, CALL_COMPLETE, "completion/complete", &plain, "{\"ref\":5}");
    assert_int_equal(a.fault.fault, FAULT_INVALID_PARAMS);
    asker_end(&a);
    bed_end();
}

static void a_structured_result_is_wrapped_when_its_schema_is(void **state)
{
    struct asker a;
    bed_plan();
    bed.tools =
        "{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"anyOf\":[{\"type\":"
        "\"object\"},{\"type\":\"array\"}]}}";
    bed.is_modern = true;
    bed.server.era = "modern";
    bed_start();
    upstream_start(bed.upstream);
    bed_until(is_ready());
    ask_tool(&a, &plain, ECHO);
    json_t *m = bed_expect(0, "tools/call");
    copy_result(&bed.copies[0], m,
                "{\"resultType\":\"complete\",\"content\":[],\"structuredContent\":{\"k\":1.0}}");
    bed_until(a.done);
    kit_json_text_eq(buf_bytes(&a.answer), "{\"content\":[],\"structuredContent\":{\"result\":{\"k\":1.0}}}");
    json_decref(m);
    asker_end(&a);
    bed_end();
}

KIT_MAIN(cmocka_unit_test(a_call_goes_out_under_the_servers_name_and_its_answer_comes_back),
         cmocka_unit_test(an_unknown_name_is_refused_at_once),
         cmocka_unit_test(a_stranger_is_denied_before_the_server_hears_of_it),
         cmocka_unit_test(meta_of_others_passes_and_ours_is_stamped_anew),
         cmocka_unit_test(the_last_frame_of_progress_goes_before_the_result),
         cmocka_unit_test(a_deadline_is_obeyed_and_told_to_the_server),
         cmocka_unit_test(a_caller_that_leaves_is_told_to_the_server_once),
         cmocka_unit_test(an_operator_ends_a_call),
         cmocka_unit_test(a_server_that_dies_mid_call_leaves_an_unknown_outcome),
         cmocka_unit_test(a_call_that_never_left_says_so),
         cmocka_unit_test(a_call_waits_for_a_server_that_starts_and_no_longer_than_it_may),
         cmocka_unit_test(a_server_that_is_not_configured_any_more_is_no_silence),
         cmocka_unit_test(completion_speaks_of_the_servers_own_prompt),
         cmocka_unit_test(a_structured_result_is_wrapped_when_its_schema_is))
