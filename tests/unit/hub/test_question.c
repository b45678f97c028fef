/* Asking the client back: cells A, B and C of 20-mcp §9, the clock, tickets, log messages. */
#include "tests/unit/hub/trunk_asker.h"

#define ELICIT "{\"method\":\"elicitation/create\",\"params\":{\"mode\":\"form\",\"message\":\"Who?\"}}"
#define NAME "{\"action\":\"accept\",\"content\":{\"name\":\"Ann\"}}"

static void answer(struct asker *a, const char *text)
{
    struct bytes result = bytes_of(text);
    call_answer(a->call, a->question_id, &result);
}

/* Copy 1 is the private one of the caller; its tools/call is taken. */
static json_t *begin_private(struct asker *a)
{
    bed_up(false);
    ask_tool(a, &asking, ECHO);
    return bed_expect(1, "tools/call");
}

static void a_legacy_server_asks_its_caller_and_no_other(void **state)
{
    struct asker a;
    json_t *m = begin_private(&a);
    kit_json_eq(bed.copies[1].capabilities, "{\"elicitation\":{},\"roots\":{}}");
    kit_json_eq(bed.copies[0].capabilities, "{}");
    copy_say(&bed.copies[1],
             "{\"jsonrpc\":\"2.0\",\"id\":\"q 7\",\"method\":\"elicitation/create\",\"params\":{"
             "\"message\":\"Who?\",\"requestedSchema\":{\"a\":1.0}}}");
    bed_until(a.asked == 1);
    assert_string_equal(a.method, "elicitation/create");
    /* On the endpoint of all servers people see who asks. */
    kit_bytes_eq(buf_bytes(&a.question), "{\"message\":\"[one] Who?\",\"requestedSchema\":{\"a\":1.0}}");
    answer(&a, NAME);
    json_t *said = bed_expect(1, NULL);
    kit_json_eq(said, "{\"jsonrpc\":\"2.0\",\"id\":\"q 7\",\"result\":" NAME "}");
    answer(&a, NAME); /* twice: ignored */
    copy_result(&bed.copies[1], m, HELLO);
    bed_until(a.done);
    kit_bytes_eq(buf_bytes(&a.answer), HELLO);
    assert_null(copy_next(&bed.copies[1], NULL));
    json_decref(said);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void what_a_client_did_not_declare_is_refused_for_it(void **state)
{
    static const char *const asked[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"elicitation/"
        "create\",\"params\":{\"mode\":\"url\",\"message\":"
        "\"m\",\"url\":\"https://x\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"no/such\"}",
    };
    struct asker a;
    json_decref(begin_private(&a));
    for (size_t i = 0; i < 3; i++) {
        copy_say(&bed.copies[1], asked[i]);
        json_t *said = bed_expect(1, NULL);
        assert_int_equal(json_int(json_object_get(said, "error"), "code", 0), -32601);
        assert_int_equal(json_int(said, "id", 0), (int)i + 1);
        json_decref(said);
    }
    assert_int_equal(a.asked, 0);
    asker_end(&a);
    bed_end();
}

static void the_deadline_stands_still_while_a_human_is_asked(void **state)
{
    struct asker a;
    json_t *m = begin_private(&a);
    kit_clock_move_ms(100000);
    bed_settle();
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"roots/list\"}");
    bed_until(a.asked == 1);
    kit_bytes_eq(buf_bytes(&a.question), "{}");
    kit_clock_move_ms(500000);
    bed_settle();
    assert_int_equal(a.done, 0);
    answer(&a, "{\"roots\":[]}");
    json_decref(bed_expect(1, NULL));
    kit_clock_move_ms(15000);
    bed_settle();
    assert_int_equal(a.done, 0); /* 100 s + 15 s of 120 s */
    kit_clock_move_ms(10000);
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_DEADLINE);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void nobody_answers_in_time(void **state)
{
    struct asker a;
    json_t *m = begin_private(&a);
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"roots/list\"}");
    bed_until(a.asked == 1);
    kit_clock_move_ms(601000);
    json_t *said = bed_expect(1, NULL);
    assert_int_equal(json_int(json_object_get(said, "error"), "code", 0), -32603);
    assert_int_equal(a.withdrawn, 1);
    copy_result(&bed.copies[1], m, HELLO);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    json_decref(said);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void a_question_is_withdrawn_by_its_server(void **state)
{
    struct asker a;
    json_t *m = begin_private(&a);
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"roots/list\"}");
    bed_until(a.asked == 1);
    copy_say(&bed.copies[1],
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}");
    bed_until(a.withdrawn == 1);
    answer(&a, "{\"roots\":[]}"); /* late: ignored */
    kit_clock_move_ms(121000);    /* and the deadline runs again */
    bed_until(a.done);
    assert_null(copy_next(&bed.copies[1], NULL));
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void a_call_that_ends_leaves_no_server_waiting_for_an_answer(void **state)
{
    struct asker a;
    json_decref(begin_private(&a));
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"roots/list\"}");
    bed_until(a.asked == 1);
    call_cancel(a.call, "caller gone");
    json_t *said = bed_expect(1, NULL);
    assert_int_equal(json_int(said, "id", 0), 7);
    assert_non_null(json_object_get(said, "error"));
    json_decref(said);
    asker_end(&a);
    /* The same when an operator ends it: and the client hears that it need not answer. */
    ask_tool(&a, &asking, ECHO);
    json_decref(bed_expect(1, "tools/call"));
    copy_say(&bed.copies[1], "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"roots/list\"}");
    bed_until(a.asked == 1);
    char id[64];
    snprintf(id, sizeof(id), "%s", call_id(a.call));
    call_stop(&bed.hub, id, "me");
    assert_int_equal(a.withdrawn, 1);
    said = bed_expect(1, NULL);
    assert_int_equal(json_int(said, "id", 0), 8);
    json_decref(said);
    asker_end(&a);
    bed_end();
}

static void more_questions_at_once_than_may_be_are_refused(void **state)
{
    struct asker a;
    char text[100];
    json_decref(begin_private(&a));
    for (int i = 0; i < 17; i++) {
        snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"roots/list\"}", 100 + i);
        copy_say(&bed.copies[1], text);
    }
    json_t *said = bed_expect(1, NULL);
    assert_int_equal(json_int(said, "id", 0), 116);
    assert_int_equal(a.asked, 16);
    json_decref(said);
    asker_end(&a);
    bed_end();
}

/* --- cell C --- */

static void ask_round(json_t *m, const char *requests, const char *state)
{
    struct buf text = {0};
    buf_addf(&text, "{\"resultType\":\"input_required\",\"inputRequests\":{%s}", requests);
    if (state)
        buf_addf(&text, ",\"requestState\":%s", state);
    buf_add_char(&text, '}');
    copy_result(&bed.copies[0], m, text.p);
    buf_end(&text);
    json_decref(m);
}

static void a_round_is_asked_inside_the_held_call(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(&a, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k\\u0031\":" ELICIT ",\"k2\":{\"method\":\"roots/list\"}",
              "\"s\\/t\"");
    bed_until(a.asked == 2);
    uint64_t second = a.question_id;
    a.question_id = second - 1;
    answer(&a, NAME);
    a.question_id = second;
    answer(&a, "{\"roots\":[]}");
    json_t *m = bed_expect(0, "tools/call");
    json_t *params = json_object_get(m, "params");
    kit_json_eq(json_object_get(params, "inputResponses"), "{\"k1\":" NAME ",\"k2\":{\"roots\":[]}}");
    assert_string_equal(json_str(params, "requestState"), "s/t");
    kit_json_eq(json_object_get(params, "arguments"), "{\"x\":1.0}");
    /* No state came: none is sent. */
    ask_round(m, "\"k3\":" ELICIT, NULL);
    bed_until(a.asked == 3);
    answer(&a, NAME);
    m = bed_expect(0, "tools/call");
    params = json_object_get(m, "params");
    assert_null(json_object_get(params, "requestState"));
    kit_json_eq(json_object_get(params, "inputResponses"), "{\"k3\":" NAME "}");
    copy_result(&bed.copies[0], m, "{\"resultType\":\"complete\",\"content\":[]}");
    bed_until(a.done);
    kit_bytes_eq(buf_bytes(&a.answer), "{\"content\":[]}");
    json_decref(m);
    asker_end(&a);
    bed_end();
}

static void a_client_is_asked_all_of_a_round_or_nothing(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(&a, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"),
              "\"k1\":" ELICIT ",\"k2\":{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[]}}",
              NULL);
    bed_until(a.done);
    assert_int_equal(a.asked, 0);
    assert_int_equal(a.fault.fault, FAULT_MISSING_CAPABILITY);
    assert_false(a.is_protocol);
    asker_end(&a);
    bed_end();
}

static void rounds_without_questions_have_a_pace_and_an_end(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(&a, &asking, ECHO);
    for (int i = 0; i < 9; i++) {
        ask_round(bed_expect(0, "tools/call"), "", "\"s\"");
        bed_settle();
        if (i == 8)
            break;
        assert_int_equal(bed.copies[0].waiting_count, 1); /* our subscriptions/listen */
        kit_clock_move_ms(250);
    }
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_TOO_LARGE);
    asker_end(&a);
    bed_end();
}

static void a_refused_question_fails_the_call(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(&a, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT ",\"k2\":" ELICIT, NULL);
    bed_until(a.asked == 2);
    call_answer(a.call, a.question_id, NULL);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.withdrawn, 1);
    asker_end(&a);
    ask_tool(&a, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, NULL);
    bed_until(a.asked == 1);
    kit_clock_move_ms(601000);
    bed_until(a.done);
    assert_int_equal(a.fault.fault, FAULT_DEADLINE);
    asker_end(&a);
    bed_end();
}

static void a_server_lost_while_its_client_is_asked_is_no_trap(void **state)
{
    struct asker a, b;
    bed_up(true);
    ask_tool(&a, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, "\"s\"");
    bed_until(a.asked == 1);
    ask_tool(&b, &asking, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, "\"s\"");
    bed_until(b.asked == 1);
    copy_die(&bed.copies[0]);
    bed_until(upstream_state(bed.upstream) == UPSTREAM_LOST);
    answer(&a, NAME);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.fault.fault, FAULT_SERVER_DOWN);
    /* A modern request stands alone: a new process can go on with it. */
    kit_clock_move_ms(1000);
    bed_until(is_ready());
    answer(&b, NAME);
    json_t *m = bed_expect(1, "tools/call");
    assert_string_equal(json_str(json_object_get(m, "params"), "requestState"), "s");
    copy_result(&bed.copies[1], m, "{\"resultType\":\"complete\",\"content\":[]}");
    bed_until(b.done);
    assert_int_equal(b.outcome, CALL_RESULT);
    json_decref(m);
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

/* --- cell B --- */

static char *state_of(struct asker *a)
{
    json_t *result = kit_json(a->answer.p);
    assert_string_equal(json_str(result, "resultType"), "input_required");
    char *text = json_str(result, "requestState") ? mem_text(json_str(result, "requestState")) : NULL;
    json_decref(result);
    return text;
}

static char *ticket_for(const struct caller *caller)
{
    struct asker a;
    ask_tool(&a, caller, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, "\"inner\"");
    bed_until(a.done);
    char *ticket = state_of(&a);
    asker_end(&a);
    return ticket;
}

static void retry(struct asker *a, const struct caller *caller, const char *arguments, const char *ticket)
{
    struct buf text = {0};
    buf_addf(
        &text,
        "{\"name\":\"one__echo\",\"arguments\":%s,\"requestState\":\"%s\",\"inputResponses\":{\"k1\":" NAME
        "}}",
        arguments, ticket);
    ask_tool(a, caller, text.p);
    buf_end(&text);
}

static void expect_reason(struct asker *a, const char *reason)
{
    char wanted[60];
    snprintf(wanted, sizeof(wanted), "\"reason\":\"%s\"", reason);
    assert_int_equal(a->done, 1);
    assert_int_equal(a->fault.fault, FAULT_INVALID_PARAMS);
    assert_string_equal(a->fault.data, wanted);
    asker_end(a);
}

static void a_modern_servers_state_travels_in_a_ticket(void **state)
{
    struct asker a;
    bed_up(true);
    char *ticket = ticket_for(&modern);
    assert_true(strncmp(ticket, "tl1.", 4) == 0);
    retry(&a, &modern, "{\"x\":2}", ticket);
    expect_reason(&a, "request");
    struct caller other = modern;
    other.principal = "local:eve";
    retry(&a, &other, "{\"x\":1.0}", ticket);
    expect_reason(&a, "malformed");
    retry(&a, &modern, "{\"x\":1.0}", ticket);
    json_t *m = bed_expect(0, "tools/call");
    assert_string_equal(json_str(json_object_get(m, "params"), "requestState"), "inner");
    kit_json_eq(json_object_get(json_object_get(m, "params"), "inputResponses"), "{\"k1\":" NAME "}");
    copy_result(&bed.copies[0], m, "{\"resultType\":\"complete\",\"content\":[]}");
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_RESULT);
    json_decref(m);
    asker_end(&a);
    retry(&a, &modern, "{\"x\":1.0}", ticket);
    expect_reason(&a, "used");
    free(ticket);
    ticket = ticket_for(&modern);
    kit_clock_move_ms(601000);
    retry(&a, &modern, "{\"x\":1.0}", ticket);
    expect_reason(&a, "expired");
    free(ticket);
    bed_end();
}

static void a_round_without_state_gets_no_ticket(void **state)
{
    struct asker a;
    bed_up(true);
    ask_tool(&a, &modern, ECHO);
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, NULL);
    bed_until(a.done);
    assert_null(state_of(&a));
    asker_end(&a);
    ask_tool(&a, &modern, "{\"name\":\"one__echo\",\"inputResponses\":{\"k1\":5}}");
    assert_int_equal(a.fault.fault, FAULT_INVALID_PARAMS);
    asker_end(&a);
    bed_end();
}

static void a_state_too_large_to_come_back_is_refused_by_name(void **state)
{
    struct asker a;
    struct buf huge = {0};
    bed_up(true);
    ask_tool(&a, &modern, ECHO);
    buf_add_char(&huge, '"');
    for (int i = 0; i < 120 * 1024; i++)
        buf_add_char(&huge, 'x');
    buf_add_char(&huge, '"');
    ask_round(bed_expect(0, "tools/call"), "\"k1\":" ELICIT, huge.p);
    bed_until(a.done);
    assert_int_equal(a.outcome, CALL_FAULT);
    assert_int_equal(a.fault.fault, FAULT_TOO_LARGE);
    asker_end(&a);
    buf_end(&huge);
    bed_end();
}

/* --- log messages --- */

#define LOG(level)                                                                             \
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"" level \
    "\",\"data\":1.0}}"

static void a_log_message_reaches_a_client_only_where_it_can_be_but_one(void **state)
{
    struct caller loud = plain;
    struct asker a, b;
    loud.log_level = 3;
    bed_up(false);
    ask_tool(&a, &loud, ECHO);
    json_t *m = bed_expect(0, "tools/call");
    copy_say(&bed.copies[0], LOG("info"));
    copy_say(&bed.copies[0], LOG("warning"));
    bed_until(a.notified == 1);
    kit_bytes_eq(buf_bytes(&a.note), LOG("warning"));
    ask_tool(&b, &loud, ECHO);
    json_decref(bed_expect(0, "tools/call"));
    copy_say(&bed.copies[0], LOG("error"));
    copy_result(&bed.copies[0], m, HELLO);
    bed_until(a.done);
    assert_int_equal(a.notified + b.notified, 1);
    json_decref(m);
    asker_end(&a);
    asker_end(&b);
    bed_end();
}

static void a_modern_client_hears_the_log_it_asked_for_with_the_request(void **state)
{
    struct caller loud = modern;
    struct asker a;
    bed_up(true);
    ask_tool(&a, &modern, ECHO);
    json_t *m = bed_expect(0, "tools/call");
    copy_say(&bed.copies[0], LOG("emergency"));
    bed_settle();
    assert_int_equal(a.notified, 0);
    call_cancel(a.call, "caller gone");
    json_decref(m);
    asker_end(&a);
    loud.log_level = 1;
    ask_tool(&a, &loud, ECHO);
    m = bed_expect(0, "tools/call");
    assert_string_equal(
        json_str(json_object_get(json_object_get(m, "params"), "_meta"), "io.modelcontextprotocol/logLevel"),
        "info");
    copy_say(&bed.copies[0], LOG("info"));
    bed_until(a.notified == 1);
    json_decref(m);
    asker_end(&a);
    bed_end();
}

KIT_MAIN(cmocka_unit_test(a_legacy_server_asks_its_caller_and_no_other),
         cmocka_unit_test(what_a_client_did_not_declare_is_refused_for_it),
         cmocka_unit_test(the_deadline_stands_still_while_a_human_is_asked),
         cmocka_unit_test(nobody_answers_in_time), cmocka_unit_test(a_question_is_withdrawn_by_its_server),
         cmocka_unit_test(a_call_that_ends_leaves_no_server_waiting_for_an_answer),
         cmocka_unit_test(more_questions_at_once_than_may_be_are_refused),
         cmocka_unit_test(a_round_is_asked_inside_the_held_call),
         cmocka_unit_test(a_client_is_asked_all_of_a_round_or_nothing),
         cmocka_unit_test(rounds_without_questions_have_a_pace_and_an_end),
         cmocka_unit_test(a_refused_question_fails_the_call),
         cmocka_unit_test(a_server_lost_while_its_client_is_asked_is_no_trap),
         cmocka_unit_test(a_modern_servers_state_travels_in_a_ticket),
         cmocka_unit_test(a_round_without_state_gets_no_ticket),
         cmocka_unit_test(a_state_too_large_to_come_back_is_refused_by_name),
         cmocka_unit_test(a_log_message_reaches_a_client_only_where_it_can_be_but_one),
         cmocka_unit_test(a_modern_client_hears_the_log_it_asked_for_with_the_request))
