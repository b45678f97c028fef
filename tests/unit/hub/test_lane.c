/* Lanes: who shares, who gets a line of their own, how many there are, and how they end. */
#include "tests/unit/hub/trunk_asker.h"

/* Sixteen sessions and more, each with a client that can be asked. */
static struct caller sessions[24];
static char names[24][8];

static const struct caller *session(size_t i)
{
    snprintf(names[i], sizeof(names[i]), "s%zu", i);
    sessions[i] = asking;
    sessions[i].session = names[i];
    return &sessions[i];
}

static void answer_call(size_t copy)
{
    json_t *m = bed_expect(copy, "tools/call");
    copy_result(&bed.copies[copy], m, HELLO);
    json_decref(m);
}

static void only_callers_that_can_be_asked_get_a_line_of_their_own(void **state)
{
    struct asker a, b, c;
    bed_up(false);
    ask_tool(&a, &plain, ECHO);
    ask_tool(&b, &modern, ECHO);
    ask_tool(&c, &asking, ECHO);
    answer_call(0);
    answer_call(0);
    answer_call(1);
    bed_until(a.done && b.done && c.done);
    assert_int_equal(bed.copy_count, 2);
    assert_false(bed.copies[1].is_sibling);
    asker_end(&a);
    asker_end(&b);
    asker_end(&c);
    bed_end();
}

static void a_private_line_carries_one_call_at_a_time_and_is_used_again(void **state)
{
    struct asker a, b, c;
    bed_up(false);
    ask_tool(&a, &asking, ECHO);
    ask_tool(&b, &asking, ECHO);
    answer_call(1);
    bed_until(a.done);
    ask_tool(&c, &asking, ECHO);
    answer_call(1);
    bed_until(c.done);
    assert_int_equal(bed.copy_count, 3);
    answer_call(2);
    bed_until(b.done);
    asker_end(&a);
    asker_end(&b);
    asker_end(&c);
    bed_end();
}

static void an_idle_line_ends_and_a_busy_one_does_not(void **state)
{
    struct asker a;
    bed_plan();
    bed.server.timeout.call = 3600000;
    bed_start();
    upstream_start(bed.upstream);
    bed_until(is_ready());
    ask_tool(&a, &asking, ECHO);
    json_t *m = bed_expect(1, "tools/call");
    kit_clock_move_ms(310000);
    bed_settle();
    assert_int_equal(a.done, 0);
    copy_result(&bed.copies[1], m, HELLO);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    kit_clock_move_ms(290000);
    bed_settle();
    assert_false(bed.copies[1].is_stopped);
    kit_clock_move_ms(20000);
    bed_until(bed.copies[1].is_stopped);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void a_session_takes_its_lines_with_it(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &asking, ECHO);
    answer_call(1);
    bed_until(a.done);
    upstream_end_session(bed.upstream, "another");
    bed_settle();
    assert_false(bed.copies[1].is_stopped);
    upstream_end_session(bed.upstream, asking.session);
    assert_true(bed.copies[1].is_stopped);
    asker_end(&a);
    bed_end();
}

/* Sixteen lines are made and busy. */
static void fill(struct asker *a)
{
    for (size_t i = 0; i < 16; i++)
        ask_tool(&a[i], session(i), ECHO);
    bed_until(bed.copy_count == 17 && bed.copies[16].waiting_count == 1);
}

static void beyond_sixteen_lines_the_shared_one_serves(void **state)
{
    struct asker a[17];
    bed_up(false);
    fill(a);
    ask_tool(&a[16], session(16), ECHO);
    answer_call(0);
    bed_until(a[16].done);
    assert_int_equal(bed.copy_count, 17);
    for (size_t i = 0; i < 17; i++)
        asker_end(&a[i]);
    bed_end();
}

static void callers_of_an_asking_server_queue_for_a_line(void **state)
{
    struct asker a[18];
    bed_up(false);
    upstream_saw_question(bed.upstream);
    fill(a);
    ask_tool(&a[16], session(16), ECHO);
    ask_tool(&a[17], session(17), ECHO);
    bed_settle();
    assert_int_equal(bed.copies[0].waiting_count, 0);
    /* A line of another session becomes idle and makes room. */
    answer_call(1);
    bed_until(bed.copies[1].is_stopped);
    answer_call(17);
    bed_until(a[16].done);
    assert_int_equal(a[16].outcome, CALL_RESULT);
    /* A line that dies makes room too. */
    copy_die(&bed.copies[5]);
    answer_call(18);
    bed_until(a[17].done);
    assert_int_equal(a[17].outcome, CALL_RESULT);
    for (size_t i = 0; i < 18; i++)
        asker_end(&a[i]);
    bed_end();
}

static void a_line_that_is_lost_is_given_to_nobody(void **state)
{
    struct asker a[17];
    bed_up(false);
    upstream_saw_question(bed.upstream);
    fill(a);
    ask_tool(&a[16], session(3), ECHO); /* waits for a line of this very session */
    bed_settle();
    copy_die(&bed.copies[4]);
    bed_until(a[3].done);
    assert_int_equal(a[3].fault.fault, FAULT_OUTCOME_UNKNOWN);
    assert_int_equal(a[16].done, 0);
    answer_call(17);
    bed_until(a[16].done);
    assert_int_equal(a[16].outcome, CALL_RESULT);
    for (size_t i = 0; i < 17; i++)
        asker_end(&a[i]);
    bed_end();
}

static void who_waited_too_long_for_a_line_is_told_why(void **state)
{
    struct asker a[17];
    bed_up(false);
    upstream_saw_question(bed.upstream);
    fill(a);
    ask_tool(&a[16], session(16), ECHO);
    kit_clock_move_ms(10100);
    bed_until(a[16].done);
    assert_int_equal(a[16].fault.fault, FAULT_SERVER_DOWN);
    assert_null(strstr(a[16].fault.text, "is ready"));
    for (size_t i = 0; i < 17; i++)
        asker_end(&a[i]);
    bed_end();
}

/* That copy gets a whole call. */
static void is_asked(size_t copy)
{
    struct asker a;
    ask_tool(&a, &asking, ECHO);
    answer_call(copy);
    bed_until(a.done);
    asker_end(&a);
}

static void a_server_that_never_asks_is_shared_by_all(void **state)
{
    bed_up(false);
    for (int i = 0; i < 100; i++)
        is_asked(1);
    is_asked(0);
    bed_end();
}

static void the_configuration_says_who_shares(void **state)
{
    struct asker a, b;
    bed_plan();
    bed.server.interactive = "shared";
    bed_start();
    upstream_start(bed.upstream);
    bed_until(is_ready());
    ask_tool(&a, &asking, ECHO);
    answer_call(0);
    bed_until(a.done);
    asker_end(&a);
    bed.server.interactive = "per-client";
    ask_tool(&b, &plain, ECHO);
    answer_call(1);
    bed_until(b.done);
    asker_end(&b);
    bed_end();
}

static void a_private_line_that_cannot_be_made_is_told(void **state)
{
    struct asker a, b;
    bed_up(false);
    bed.keeps_start = true;
    ask_tool(&a, &asking, ECHO);
    copy_fail(last_copy(), "cannot run it");
    assert_int_equal(a.done, 1);
    assert_non_null(strstr(a.fault.text, "cannot run it"));
    /* The shared line serves on. */
    ask_tool(&b, &plain, ECHO);
    answer_call(0);
    bed_until(b.done);
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_caller_that_left_leaves_its_line_to_the_next(void **state)
{
    struct asker a, b;
    bed_up(false);
    ask_tool(&a, &asking, ECHO);
    call_cancel(a.call, "caller gone"); /* while the line is being made */
    bed_until(bed.copies[1].initialized == 1);
    bed_settle();
    ask_tool(&b, &asking, ECHO);
    answer_call(1);
    bed_until(b.done);
    assert_int_equal(bed.copy_count, 2);
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_question_between_calls_is_refused(void **state)
{
    struct asker a;
    bed_up(false);
    ask_tool(&a, &asking, ECHO);
    answer_call(1);
    bed_until(a.done);
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"roots/list\"}");
    copy_say(&bed.copies[0], "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"roots/list\"}");
    for (size_t i = 0; i < 2; i++) {
        json_t *said = bed_expect(i, NULL);
        assert_int_equal(json_int(json_object_get(said, "error"), "code", 0), -32601);
        json_decref(said);
    }
    asker_end(&a);
    bed_end();
}

static void the_hub_ends_with_everything_under_way(void **state)
{
    struct asker a[17], b;
    bed_up(false);
    upstream_saw_question(bed.upstream);
    fill(a);
    ask_tool(&a[16], session(16), ECHO);
    ask_tool(&b, &plain, ECHO);
    bed_end();
    for (size_t i = 0; i < 17; i++)
        assert_int_equal(a[i].done, 0);
    for (size_t i = 0; i < bed.copy_count; i++)
        assert_true(bed.copies[i].is_stopped);
    for (size_t i = 0; i < 17; i++)
        asker_end(&a[i]);
    asker_end(&b);
}

KIT_MAIN(cmocka_unit_test(only_callers_that_can_be_asked_get_a_line_of_their_own),
         cmocka_unit_test(a_private_line_carries_one_call_at_a_time_and_is_used_again),
         cmocka_unit_test(an_idle_line_ends_and_a_busy_one_does_not),
         cmocka_unit_test(a_session_takes_its_lines_with_it),
         cmocka_unit_test(beyond_sixteen_lines_the_shared_one_serves),
         cmocka_unit_test(callers_of_an_asking_server_queue_for_a_line),
         cmocka_unit_test(a_line_that_is_lost_is_given_to_nobody),
         cmocka_unit_test(who_waited_too_long_for_a_line_is_told_why),
         cmocka_unit_test(a_server_that_never_asks_is_shared_by_all),
         cmocka_unit_test(the_configuration_says_who_shares),
         cmocka_unit_test(a_private_line_that_cannot_be_made_is_told),
         cmocka_unit_test(a_caller_that_left_leaves_its_line_to_the_next),
         cmocka_unit_test(a_question_between_calls_is_refused),
         cmocka_unit_test(the_hub_ends_with_everything_under_way))
