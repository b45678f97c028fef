/* The life of one server: start, era, lists, loss, back-off, quarantine, stop. */
#include "hub/upstream_parts.h"
#include "tests/unit/hub/trunk_asker.h"

static void begin(const char *era)
{
    bed_plan();
    bed.server.era = era;
    bed_start();
    upstream_start(bed.upstream);
}

static enum upstream_state state_now(void)
{
    return upstream_state(bed.upstream);
}

static void a_server_is_greeted_listed_and_ready(void **state)
{
    begin("legacy");
    assert_int_equal(state_now(), UPSTREAM_STARTING);
    bed_until(is_ready());
    assert_int_equal(bed.copies[0].initialized, 1);
    assert_int_equal(bed.copies[0].listed, 4);
    assert_non_null(catalogue_find(bed.hub.catalogue, ITEM_TOOL, NULL, BYTES("one__echo")));
    assert_non_null(catalogue_find(bed.hub.catalogue, ITEM_PROMPT, "one", BYTES("greet")));
    assert_int_equal(upstream_pid(bed.upstream), 1001);
    assert_int_equal(upstream_sandbox(bed.upstream), 2);
    assert_int_equal(upstream_era(bed.upstream), ERA_LEGACY);
    bed_end();
}

static void begin_silent(void)
{
    bed_plan();
    bed.server.era = "auto";
    bed.is_silent = true;
    bed_start();
    upstream_start(bed.upstream);
}

static void finds_out(bool is_modern)
{
    bed_plan();
    bed.is_modern = is_modern;
    bed.server.era = "auto";
    bed_start();
    upstream_start(bed.upstream);
    assert_int_equal(state_now(), UPSTREAM_PROBING);
    bed_until(is_ready());
    assert_int_equal(bed.copy_count, 2);
    assert_true(bed.copies[0].is_sibling && bed.copies[0].is_stopped);
    assert_false(bed.copies[1].is_sibling);
    assert_int_equal(bed.copies[0].initialized, 0);
    assert_int_equal(upstream_era(bed.upstream), is_modern ? ERA_MODERN : ERA_LEGACY);
    /* The verdict is known at the next start; a legacy one for a day. */
    upstream_restart(bed.upstream);
    bed_until(bed.copy_count == 3 && is_ready());
    assert_false(bed.copies[2].is_sibling);
    kit_clock_move_ms((int64_t)25 * 3600 * 1000);
    upstream_restart(bed.upstream);
    bed_until(bed.copy_count > 3 && is_ready());
    assert_int_equal(bed.copies[3].is_sibling, !is_modern);
    bed_end();
}

static void the_era_is_found_out_on_a_copy_that_is_thrown_away(void **state)
{
    finds_out(false);
    finds_out(true);
}

static void a_copy_that_exits_or_is_silent_speaks_the_old_language(void **state)
{
    begin_silent();
    json_decref(bed_expect(0, "server/discover"));
    copy_die(&bed.copies[0]);
    bed.is_silent = false;
    bed_until(is_ready());
    assert_int_equal(upstream_era(bed.upstream), ERA_LEGACY);
    bed_end();
    begin_silent();
    json_decref(bed_expect(0, "server/discover"));
    kit_clock_move_ms(5100);
    bed.is_silent = false;
    bed_until(is_ready());
    assert_int_equal(upstream_era(bed.upstream), ERA_LEGACY);
    bed_end();
}

static void is_refused_for(const char *error)
{
    begin_silent();
    json_t *m = bed_expect(0, "server/discover");
    copy_error(&bed.copies[0], m, error);
    json_decref(m);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_true(upstream_reason(bed.upstream)[0] != 0);
    assert_int_equal(bed.copy_count, 1);
    bed_end();
}

static void a_server_of_a_later_time_is_named_and_not_served(void **state)
{
    is_refused_for("{\"code\":-32022,\"message\":\"no\",\"data\":{\"supported\":[\"2027-01-01\"]}}");
    is_refused_for("{\"code\":-32021,\"message\":\"no\"}");
    is_refused_for("{\"code\":-32022,\"message\":\"no\"}");
}

static void an_endpoint_is_known_by_its_verdict_only_when_it_has_spoken(void **state)
{
    begin_silent();
    json_t *m = bed_expect(0, "server/discover");
    copy_error(&bed.copies[0], m, "{\"code\":-32601,\"message\":\"no\"}");
    json_decref(m);
    bed_until(bed.copy_count == 2);
    const struct facts *facts = catalogue_facts(bed.hub.catalogue, "one");
    assert_true(facts->known);
    assert_int_equal(facts->capabilities.n, 0);
    bed_end();
}

static void has_copies(size_t count)
{
    bed_until(bed.copy_count == count);
    bed_settle();
}

static void comes_back_within(int64_t most_ms)
{
    bed_until(state_now() == UPSTREAM_LOST);
    int64_t wait = upstream_retry_ms(bed.upstream);
    assert_in_range(wait, 0, most_ms);
    kit_clock_move_ms(wait + 1);
}

static void a_lost_server_comes_back_later_each_time(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    bed.refuses_initialize = true;
    copy_die(&bed.copies[0]);
    for (size_t copies = 2; copies < 5; copies++) {
        comes_back_within((int64_t)100 << (copies - 2));
        has_copies(copies);
    }
    comes_back_within(800);
    bed_settle();
    /* The fifth death within a minute: it is left alone for five. */
    bed_until(state_now() == UPSTREAM_QUARANTINED);
    assert_true(strncmp(upstream_reason(bed.upstream), "crash loop: ", 12) == 0);
    size_t copies = bed.copy_count;
    kit_clock_move_ms(299000);
    bed_settle();
    assert_int_equal(bed.copy_count, copies);
    bed.refuses_initialize = false;
    kit_clock_move_ms(2000);
    bed_until(is_ready());
    bed_end();
}

static void its_items_stay_while_it_is_away(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    copy_die(&bed.copies[0]);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_non_null(catalogue_find(bed.hub.catalogue, ITEM_TOOL, NULL, BYTES("one__echo")));
    bed_end();
}

static void an_operator_ends_a_quarantine(void **state)
{
    begin("legacy");
    bed.refuses_initialize = true;
    for (int i = 0; i < 200 && state_now() != UPSTREAM_QUARANTINED; i++) {
        kit_clock_move_ms(upstream_retry_ms(bed.upstream) + 1);
        bed_settle();
    }
    assert_int_equal(state_now(), UPSTREAM_QUARANTINED);
    bed.refuses_initialize = false;
    upstream_start(bed.upstream);
    bed_until(is_ready());
    bed_end();
}

static void its_last_words_are_kept(void **state)
{
    struct log_line lines[4];
    begin("legacy");
    bed_until(is_ready());
    struct copy *c = &bed.copies[0];
    assert_int_equal(write(c->err, "first\r\n\nsecond\n", 15), 15);
    bed_settle();
    assert_int_equal(upstream_log(bed.upstream, lines, 4), 2);
    kit_bytes_eq(lines[0].text, "first");
    assert_int_equal(write(c->err, "Error: cannot find module", 25), 25);
    copy_die(c);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_int_equal(upstream_log(bed.upstream, lines, 4), 3);
    kit_bytes_eq(lines[2].text, "Error: cannot find module");
    bed_end();
}

static void how_it_ended_is_said_when_it_is_known(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    copy_die(&bed.copies[0]);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_true(tell("{\"op\":\"exited\",\"line\":1,\"status\":0,\"signal\":9}", NULL));
    assert_string_equal(upstream_reason(bed.upstream), "was killed by signal 9");
    assert_false(tell("{\"op\":\"exited\",\"line\":99,\"status\":0,\"signal\":9}", NULL));
    bed_end();
}

static void what_cannot_be_started_says_why(void **state)
{
    begin("legacy");
    bed.keeps_start = true;
    copy_fail(&bed.copies[0], "cannot run 'x'");
    assert_int_equal(state_now(), UPSTREAM_LOST);
    assert_string_equal(upstream_reason(bed.upstream), "cannot run 'x'");
    /* Nothing comes at all. */
    kit_clock_move_ms(200);
    bed_until(bed.copy_count == 2);
    kit_clock_move_ms(120100);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_string_equal(upstream_reason(bed.upstream), "did not start within 120 s");
    assert_true(bed.copies[1].is_stopped);
    bed_end();
}

static void a_stopped_server_lets_its_calls_end_and_no_longer_than_they_need(void **state)
{
    struct asker a, b, c;
    begin("legacy");
    bed_until(is_ready());
    ask_tool(&a, &plain, ECHO);
    ask_tool(&b, &asking, ECHO);
    json_t *shared = bed_expect(0, "tools/call"), *private = bed_expect(1, "tools/call");
    upstream_stop(bed.upstream, "stopped by me");
    assert_int_equal(state_now(), UPSTREAM_DRAINING);
    ask_tool(&c, &plain, ECHO);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.fault.fault, FAULT_SERVER_DOWN);
    bed_settle();
    copy_result(&bed.copies[1], private, HELLO);
    bed_until(b.done && bed.copies[1].is_stopped);
    assert_int_equal(b.outcome, CALL_RESULT);
    kit_clock_move_ms(1000);
    bed_settle();
    assert_int_equal(state_now(), UPSTREAM_DRAINING);
    copy_result(&bed.copies[0], shared, HELLO);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    kit_clock_move_ms(100); /* far from the ten seconds it might have had */
    bed_until(state_now() == UPSTREAM_OFF);
    json_decref(shared);
    json_decref(private);
    asker_end(&a);
    asker_end(&b);
    asker_end(&c);
    bed_end();
}

static void calls_that_outlast_the_drain_are_lost(void **state)
{
    struct asker a, b;
    begin("legacy");
    bed_until(is_ready());
    ask_tool(&a, &plain, ECHO);
    ask_tool(&b, &asking, ECHO);
    json_decref(bed_expect(0, "tools/call"));
    json_decref(bed_expect(1, "tools/call"));
    upstream_restart(bed.upstream);
    bed_settle();
    kit_clock_move_ms(10100);
    bed_until(a.done && b.done);
    assert_int_equal(a.fault.fault, FAULT_OUTCOME_UNKNOWN);
    assert_int_equal(b.fault.fault, FAULT_OUTCOME_UNKNOWN);
    bed_until(is_ready()); /* and it starts again */
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_server_stopped_while_it_starts_stays_stopped(void **state)
{
    /* In each step of the start the answer comes in the same turn as the stop. */
    for (int step = 0; step < 4; step++) {
        bed_plan();
        bed.server.era = step < 2 ? "auto" : "legacy";
        bed.is_silent = true;
        bed.keeps_start = true;
        bed_start();
        upstream_start(bed.upstream);
        if (step == 1 || step == 3) {
            bed.keeps_start = false;
            json_t *m = bed_expect(0, step == 1 ? "server/discover" : "initialize");
            copy_error(&bed.copies[0], m, "{\"code\":-32601,\"message\":\"no\"}");
            json_decref(m);
            bed.keeps_start = true;
        }
        upstream_stop(bed.upstream, "stopped");
        if (!bed.copies[0].is_up)
            copy_start(&bed.copies[0]);
        bed_settle();
        kit_clock_move_ms(50);
        bed_settle();
        assert_int_equal(state_now(), UPSTREAM_OFF);
        assert_int_equal(bed.copy_count, 1);
        assert_true(bed.copies[0].is_stopped);
        bed_end();
    }
}

static void a_disabled_server_is_not_started_by_a_call(void **state)
{
    struct asker a;
    begin("legacy");
    bed_until(is_ready());
    upstream_stop(bed.upstream, "stopped");
    bed_until(state_now() == UPSTREAM_OFF);
    bed.server.enabled = false;
    ask_tool(&a, &plain, ECHO);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.fault.fault, FAULT_SERVER_DOWN);
    asker_end(&a);
    bed_end();
}

static void a_call_made_while_it_lists_is_served(void **state)
{
    struct asker a;
    bed_plan();
    bed.keeps_start = true;
    bed_start();
    upstream_start(bed.upstream);
    bed_until(state_now() == UPSTREAM_STARTING);
    const struct bytes items[] = {BYTES("{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}")};
    catalogue_take(bed.hub.catalogue, "one", ITEM_TOOL, items, 1);
    ask_tool(&a, &plain, ECHO);
    bed.keeps_start = false;
    json_t *m = bed_expect(0, "tools/call");
    copy_result(&bed.copies[0], m, HELLO);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

/* --- lists --- */

static void a_changed_list_is_fetched_again_once(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    bed.tools = "{\"name\":\"other\",\"inputSchema\":{\"type\":\"object\"}}";
    for (int i = 0; i < 10; i++)
        copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
    bed_settle();
    kit_clock_move_ms(60);
    bed_until(catalogue_find(bed.hub.catalogue, ITEM_TOOL, NULL, BYTES("one__other")));
    bed_settle();
    assert_null(catalogue_find(bed.hub.catalogue, ITEM_TOOL, NULL, BYTES("one__echo")));
    assert_int_equal(bed.copies[0].listed, 5);
    bed_end();
}

static void all_pages_are_fetched_and_a_repeated_cursor_ends_them(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    bed.is_silent = true;
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/prompts/list_changed\"}");
    bed_settle();
    kit_clock_move_ms(60);
    static const char *const pages[] = {
        "{\"prompts\":[{\"name\":\"p1\"}],\"nextCursor\":\"\"}",
        "{\"prompts\":[{\"name\":\"p2\"}],\"nextCursor\":\"two\"}",
        "{\"prompts\":[{\"name\":\"p3\"}],\"nextCursor\":\"two\"}",
    };
    static const char *const cursors[] = {NULL, "", "two"};
    for (int i = 0; i < 3; i++) {
        json_t *m = bed_expect(0, "prompts/list");
        const char *cursor = json_str(json_object_get(m, "params"), "cursor");
        if (cursors[i])
            assert_string_equal(cursor, cursors[i]);
        else
            assert_null(cursor);
        copy_result(&bed.copies[0], m, pages[i]);
        json_decref(m);
    }
    bed_until(catalogue_find(bed.hub.catalogue, ITEM_PROMPT, NULL, BYTES("one__p3")));
    assert_non_null(catalogue_find(bed.hub.catalogue, ITEM_PROMPT, NULL, BYTES("one__p1")));
    assert_null(catalogue_find(bed.hub.catalogue, ITEM_PROMPT, NULL, BYTES("one__greet")));
    bed_end();
}

static void a_list_that_fails_keeps_its_items(void **state)
{
    begin("legacy");
    bed_until(is_ready());
    bed.is_silent = true;
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
    bed_settle();
    kit_clock_move_ms(60);
    json_t *m = bed_expect(0, "tools/list");
    copy_result(&bed.copies[0], m, "{\"tools\":5}");
    json_decref(m);
    bed_settle();
    assert_non_null(catalogue_find(bed.hub.catalogue, ITEM_TOOL, NULL, BYTES("one__echo")));
    /* And a change while one is under way leads to one more. */
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
    bed_settle();
    kit_clock_move_ms(60);
    m = bed_expect(0, "tools/list");
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
    bed_settle();
    kit_clock_move_ms(60);
    bed_settle();
    assert_null(copy_next(&bed.copies[0], "tools/list"));
    copy_result(&bed.copies[0], m, "{\"tools\":[]}");
    json_decref(m);
    json_decref(bed_expect(0, "tools/list"));
    bed_end();
}

/* --- what is followed --- */

static size_t told_done;
static enum fault told_fault;

static void subscribed(void *ctx, const struct fault_told *fault)
{
    (void)ctx;
    told_done++;
    told_fault = fault ? fault->fault : FAULT_NONE;
}

static void subscriptions_are_counted_and_made_again(void **state)
{
    told_done = 0;
    begin("legacy");
    bed_until(is_ready());
    upstream_subscribe(bed.upstream, BYTES("x://one"), subscribed, NULL);
    json_t *m = bed_expect(0, "resources/subscribe");
    kit_json_eq(json_object_get(m, "params"), "{\"uri\":\"x://one\"}");
    assert_int_equal(told_done, 0);
    copy_result(&bed.copies[0], m, "{}");
    json_decref(m);
    bed_until(told_done == 1);
    assert_int_equal(told_fault, FAULT_NONE);
    upstream_subscribe(bed.upstream, BYTES("x://one"), subscribed, NULL);
    assert_int_equal(told_done, 2);
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                             "updated\",\"params\":{\"uri\":\"x://one\"}}");
    bed_until(bed.updated == 1);
    copy_die(&bed.copies[0]);
    bed_until(state_now() == UPSTREAM_LOST);
    kit_clock_move_ms(200);
    json_decref(bed_expect(1, "resources/subscribe"));
    upstream_unsubscribe(bed.upstream, BYTES("x://one"));
    bed_settle();
    assert_null(copy_next(&bed.copies[1], "resources/unsubscribe"));
    upstream_unsubscribe(bed.upstream, BYTES("x://one"));
    json_decref(bed_expect(1, "resources/unsubscribe"));
    bed_end();
}

static void a_refused_subscription_is_told(void **state)
{
    told_done = 0;
    begin("legacy");
    bed_until(is_ready());
    upstream_subscribe(bed.upstream, BYTES("x://one"), subscribed, NULL);
    json_t *m = bed_expect(0, "resources/subscribe");
    copy_error(&bed.copies[0], m, "{\"code\":-32002,\"message\":\"no\"}");
    json_decref(m);
    bed_until(told_done == 1);
    assert_int_equal(told_fault, FAULT_UPSTREAM_ERROR);
    bed_end();
}

static json_t *expect_listen(size_t copy, const char *uris)
{
    json_t *m = bed_expect(copy, "subscriptions/listen");
    json_t *filter = json_object_get(json_object_get(m, "params"), "notifications");
    kit_json_eq(json_object_get(filter, "resourceSubscriptions"), uris);
    assert_true(json_is_true(json_object_get(filter, "toolsListChanged")));
    return m;
}

static void a_modern_server_has_one_stream_with_all_that_is_followed(void **state)
{
    told_done = 0;
    bed_up(true);
    json_decref(expect_listen(0, "[]"));
    upstream_subscribe(bed.upstream, BYTES("x://one"), subscribed, NULL);
    assert_int_equal(told_done, 1);
    json_t *m = expect_listen(0, "[\"x://one\"]");
    assert_int_equal(bed.copies[0].cancelled, 1);
    /* Ended in good order by the server: asked for again. */
    copy_result(&bed.copies[0], m, "{\"resultType\":\"complete\"}");
    json_decref(m);
    bed_settle();
    kit_clock_move_ms(1100);
    json_decref(expect_listen(0, "[\"x://one\"]"));
    upstream_unsubscribe(bed.upstream, BYTES("x://one"));
    kit_clock_move_ms(30);
    json_decref(expect_listen(0, "[]"));
    bed_end();
}

static void a_refused_stream_is_not_asked_for_again(void **state)
{
    bed_up(true);
    json_t *m = expect_listen(0, "[]");
    copy_error(&bed.copies[0], m, "{\"code\":-32601,\"message\":\"no\"}");
    json_decref(m);
    bed_settle();
    kit_clock_move_ms(60000);
    bed_settle();
    assert_null(copy_next(&bed.copies[0], "subscriptions/listen"));
    bed_end();
}

static void the_level_that_is_wanted_is_set_from_the_first_line_on(void **state)
{
    bed_plan();
    bed_start();
    upstream_want_log(bed.upstream, 2);
    upstream_start(bed.upstream);
    json_t *m = bed_expect(0, "logging/setLevel");
    kit_json_eq(json_object_get(m, "params"), "{\"level\":\"notice\"}");
    copy_result(&bed.copies[0], m, "{}");
    json_decref(m);
    bed_end();
}

static void a_legacy_server_must_name_a_version_that_is_known(void **state)
{
    bed_plan();
    bed.is_silent = true;
    bed_start();
    upstream_start(bed.upstream);
    json_t *m = bed_expect(0, "initialize");
    assert_string_equal(json_str(json_object_get(m, "params"), "protocolVersion"), "2025-11-25");
    copy_result(&bed.copies[0], m, "{\"protocolVersion\":\"1999-01-01\",\"capabilities\":{}}");
    json_decref(m);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_non_null(strstr(upstream_reason(bed.upstream), "unknown protocol version"));
    bed_end();
}

static void silence_in_the_handshake_ends_it(void **state)
{
    bed_plan();
    bed.is_silent = true;
    bed_start();
    upstream_start(bed.upstream);
    json_decref(bed_expect(0, "initialize"));
    kit_clock_move_ms(30100);
    bed_until(state_now() == UPSTREAM_LOST);
    assert_true(bed.copies[0].is_stopped);
    assert_int_equal(bed.copies[0].cancelled, 0); /* initialize is never cancelled */
    bed_end();
}

KIT_MAIN(cmocka_unit_test(a_server_is_greeted_listed_and_ready),
         cmocka_unit_test(the_era_is_found_out_on_a_copy_that_is_thrown_away),
         cmocka_unit_test(a_copy_that_exits_or_is_silent_speaks_the_old_language),
         cmocka_unit_test(a_server_of_a_later_time_is_named_and_not_served),
         cmocka_unit_test(an_endpoint_is_known_by_its_verdict_only_when_it_has_spoken),
         cmocka_unit_test(a_lost_server_comes_back_later_each_time),
         cmocka_unit_test(its_items_stay_while_it_is_away), cmocka_unit_test(an_operator_ends_a_quarantine),
         cmocka_unit_test(its_last_words_are_kept), cmocka_unit_test(how_it_ended_is_said_when_it_is_known),
         cmocka_unit_test(what_cannot_be_started_says_why),
         cmocka_unit_test(a_stopped_server_lets_its_calls_end_and_no_longer_than_they_need),
         cmocka_unit_test(calls_that_outlast_the_drain_are_lost),
         cmocka_unit_test(a_server_stopped_while_it_starts_stays_stopped),
         cmocka_unit_test(a_disabled_server_is_not_started_by_a_call),
         cmocka_unit_test(a_call_made_while_it_lists_is_served),
         cmocka_unit_test(a_changed_list_is_fetched_again_once),
         cmocka_unit_test(all_pages_are_fetched_and_a_repeated_cursor_ends_them),
         cmocka_unit_test(a_list_that_fails_keeps_its_items),
         cmocka_unit_test(subscriptions_are_counted_and_made_again),
         cmocka_unit_test(a_refused_subscription_is_told),
         cmocka_unit_test(a_modern_server_has_one_stream_with_all_that_is_followed),
         cmocka_unit_test(a_refused_stream_is_not_asked_for_again),
         cmocka_unit_test(the_level_that_is_wanted_is_set_from_the_first_line_on),
         cmocka_unit_test(a_legacy_server_must_name_a_version_that_is_known),
         cmocka_unit_test(silence_in_the_handshake_ends_it))
