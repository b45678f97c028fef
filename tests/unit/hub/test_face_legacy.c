/* Legacy clients on /mcp: sessions, calls, questions, batches. */
#include "tests/unit/hub/face_bed.h"

static struct reply r;

#define CALL "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}"

static void post(const char *headers, const char *body)
{
    bed_ask(&r, "POST", "/mcp", headers, body);
}

static void initialize_echoes_known_versions_and_mints_a_session(void **state)
{
    char headers[256], session[128];
    (void)state;
    post(BOTH_TYPES,
         "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2024-10-07\",\"capabilities\":{}}}");
    kit_bytes_eq(buf_bytes(&r.body),
                 "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"protocolVersion\":\"2024-10-07\"}}");
    assert_int_equal(strlen(reply_header(&r, "Mcp-Session-Id", session)), 43);
    post(BOTH_TYPES,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2031-01-01\",\"capabilities\":{}}}");
    kit_bytes_eq(buf_bytes(&r.body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\"}}");
    bed_initialize("/mcp", "2025-06-18", headers);
    assert_int_equal(face_counts(bed.hub.face).sessions, 3);
    reply_end(&r);
}

static void a_session_belongs_to_its_endpoint_until_deleted(void **state)
{
    static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}";
    char headers[256];
    (void)state;
    bed_initialize("/mcp/one", "2025-11-25", headers);
    bed_ask(&r, "POST", "/mcp/one", headers, ping);
    kit_bytes_eq(buf_bytes(&r.body), "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}");
    post(headers, ping);
    assert_int_equal(r.status, 404);
    bed_ask(&r, "POST", "/mcp/one", BOTH_TYPES, ping);
    assert_int_equal(r.status, 400);
    bed_ask(&r, "DELETE", "/mcp/one", headers, NULL);
    assert_int_equal(r.status, 204);
    assert_int_equal(bed.ended_sessions, 2); /* both upstreams hear of it */
    bed_ask(&r, "POST", "/mcp/one", headers, ping);
    assert_int_equal(r.status, 404);
    bed_ask(&r, "POST", "/mcp/three", headers, ping);
    assert_int_equal(r.status, 404);
    reply_end(&r);
}

static void a_version_header_must_be_known(void **state)
{
    char headers[256], more[320];
    (void)state;
    bed_initialize("/mcp", "2025-06-18", headers);
    snprintf(more, sizeof(more), "%sMCP-Protocol-Version: 2025-03-26\r\n", headers);
    post(more, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(r.status, 200);
    snprintf(more, sizeof(more), "%sMCP-Protocol-Version: 1999-01-01\r\n", headers);
    post(more, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(r.status, 400);
    kit_json_text_eq(buf_bytes(&r.body),
                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":"
                     "\"header 'MCP-Protocol-Version' names no known version\"}}");
    reply_end(&r);
}

static void lists_come_from_the_catalogue_and_bad_cursors_are_told(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
    kit_bytes_eq(buf_bytes(&r.body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[],\"of\":\"all\"}}");
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"resources/templates/"
                  "list\",\"params\":{\"cursor\":\"good\"}}");
    assert_non_null(strstr(r.body.p, "resourceTemplates"));
    static const char *const bad[] = {"\"\"", "\"bad\"", "7"};
    for (size_t i = 0; i < 3; i++) {
        char body[160];
        snprintf(body, sizeof(body),
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{\"cursor\":%s}}",
                 bad[i]);
        post(headers, body);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.p, "-32602"));
    }
    reply_end(&r);
}

static void what_is_not_served_is_no_method(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp/one", "2025-11-25", headers);
    static const char *const methods[] = {"server/discover", "subscriptions/listen", "tasks/list",
                                          "prompts/list"};
    for (size_t i = 0; i < 4; i++) { /* the last one: 'one' declares no prompts */
        char body[160];
        snprintf(body, sizeof(body), "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"%s\"}", methods[i]);
        bed_ask(&r, "POST", "/mcp/one", headers, body);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.p, "-32601"));
    }
    reply_end(&r);
}

static void broken_bodies_are_refused_with_the_id_where_there_is_one(void **state)
{
    static const struct {
        const char *body, *wanted;
    } rows[] = {
        {"{\"jsonrpc\":",                                               "-32700"  },
        {"{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"ping\"}",          "\"id\":5"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",       "-32600"  },
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", "-32600"  },
        {"7",                                                           "-32600"  },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        post(BOTH_TYPES, rows[i].body);
        assert_int_equal(r.status, 400);
        assert_non_null(strstr(r.body.p, rows[i].wanted));
        assert_null(strstr(r.body.p, "\"id\":null"));
    }
    reply_end(&r);
}

static void a_quick_call_is_answered_as_json(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    bed.answers_at_once = true;
    post(headers,
         "{\"jsonrpc\":\"2.0\",\"id\":\"x\\u00e9\",\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
    kit_bytes_eq(buf_bytes(&r.body),
                 "{\"jsonrpc\":\"2.0\",\"id\":\"x\\u00e9\",\"result\":{\"at\":\"once\"}}");
    char type[128];
    assert_string_equal(reply_header(&r, "Content-Type", type), "application/json");
    reply_end(&r);
}

static void equal_ids_of_many_sessions_never_mix(void **state)
{
    enum { SESSIONS = 32 };
    static const char *const ids[] = {"1", "\"1\"", "\"a\""};
    int fds[SESSIONS];
    struct buf in[SESSIONS] = {0};
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++) {
        char headers[256], body[160];
        bed_initialize("/mcp", "2025-06-18", headers);
        snprintf(body, sizeof(body),
                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}",
                 ids[i % 3]);
        fds[i] = bed_connect();
        bed_send(fds[i], "POST", "/mcp", headers, body);
        bed_wait_calls(i + 1);
    }
    for (size_t i = SESSIONS; i-- > 0;) { /* the answers come in another order */
        char text[32];
        snprintf(text, sizeof(text), "{\"of\":%zu}", i);
        bed_done((i * 7) % SESSIONS,
                 (snprintf(text, sizeof(text), "{\"of\":%zu}", (i * 7) % SESSIONS), text));
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        char wanted[96];
        snprintf(wanted, sizeof(wanted), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"of\":%zu}}",
                 ids[i % 3], i);
        bed_until_whole(fds[i], &in[i], &r);
        kit_bytes_eq(buf_bytes(&r.body), wanted);
        buf_end(&in[i]);
    }
    reply_end(&r);
}

static void faults_of_tools_are_results_of_others_errors(void **state)
{
    static const char *const methods[] = {"tools/call", "prompts/get", "tools/call"};
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    for (size_t i = 0; i < 3; i++) {
        char body[160];
        struct call_done done = {.outcome = CALL_FAULT, .is_protocol = i == 2};
        struct buf in = {0};
        int fd = bed_connect();
        snprintf(body, sizeof(body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"name\":\"t\"}}", methods[i]);
        bed_send(fd, "POST", "/mcp", headers, body);
        bed_wait_calls(i + 1);
        fault_tell(&done.fault, FAULT_SERVER_DOWN, "gone for lunch");
        bed.calls[i].is_open = false;
        bed.calls[i].ops->on_done(bed.calls[i].ctx, &done);
        bed_until_whole(fd, &in, &r);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.p, "gone for lunch"));
        if (i == 0)
            assert_non_null(strstr(r.body.p, "\"isError\":true"));
        else
            assert_non_null(strstr(r.body.p, "\"error\":{\"code\":-31503"));
        buf_end(&in);
    }
    reply_end(&r);
}

static void a_cancelled_call_says_nothing_more(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", headers,
             "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
    bed_wait_calls(1);
    post(headers,
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"9\"}}");
    assert_int_equal(r.status, 202);
    assert_true(bed.calls[0].is_open); /* "9" is not 9 */
    post(headers,
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":9}}");
    assert_true(bed.calls[0].is_cancelled);
    bed_until_end(fd, &in, &r);
    assert_int_equal(r.status, 200);
    assert_true(r.body.n == 0);
    buf_end(&in);
    reply_end(&r);
}

static void a_question_goes_out_on_the_stream_and_its_answer_comes_back(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", headers,
             "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
    bed_wait_calls(1);
    assert_true(bed.calls[0].can_ask);
    const struct question q = {
        .id = 3, .method = "elicitation/create", .params = BYTES("{\"message\":\"?\"}")};
    const struct question other = {.id = 4, .method = "roots/list"};
    bed.calls[0].ops->on_question(bed.calls[0].ctx, &q);
    bed.calls[0].ops->on_question(bed.calls[0].ctx, &other);
    bed_until(fd, &in, &r, "\"id\":\"tl-q-2\",\"method\":\"roots/list\"}");
    assert_non_null(strstr(
        r.body.p, "{\"jsonrpc\":\"2.0\",\"id\":\"tl-q-1\",\"method\":\"elicitation/create\",\"params\":"
                  "{\"message\":\"?\"}}"));
    bed.calls[0].ops->on_question_gone(bed.calls[0].ctx, 4);
    bed_until(fd, &in, &r, "notifications/cancelled\",\"params\":{\"requestId\":\"tl-q-2\"}}");
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":\"tl-q-1\",\"result\":{\"action\":\"accept\"}}");
    assert_int_equal(r.status, 202);
    assert_int_equal(bed.calls[0].answered, 3);
    assert_string_equal(bed.calls[0].answer, "{\"action\":\"accept\"}");
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":\"tl-q-2\",\"error\":{\"code\":1,\"message\":\"late\"}}");
    assert_int_equal(r.status, 202);
    assert_int_equal(bed.calls[0].answered, 3);
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}"));
    buf_end(&in);
    reply_end(&r);
}

static void clients_that_take_no_stream_are_not_asked_and_get_json(void **state)
{
    char headers[256], json_only[256], session[128];
    struct buf in = {0};
    (void)state;
    bed.config.sse_after_ms = 5;
    bed_initialize("/mcp", "2025-11-25", headers);
    snprintf(json_only, sizeof(json_only), "Accept: application/json\r\n%s", headers + strlen(BOTH_TYPES));
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", json_only,
             "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
    bed_wait_calls(1);
    assert_false(bed.calls[0].can_ask);
    bed_notify(0, "{\"n\":1}");
    assert_int_equal(face_counts(bed.hub.face).dropped, 1);
    bed_turn_ms(bed.config.sse_after_ms + 20);
    bed_done(0, "{}");
    bed_until_whole(fd, &in, &r);
    assert_string_equal(reply_header(&r, "Content-Type", session), "application/json");
    kit_bytes_eq(buf_bytes(&r.body), "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}");
    buf_end(&in);
    reply_end(&r);
}

static void a_session_has_64_in_flight_at_most(void **state)
{
    char headers[256], after[128];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    for (size_t i = 0; i < 64; i++) {
        bed_send(bed_connect(), "POST", "/mcp", headers,
                 "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
        bed_wait_calls(i + 1);
    }
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(r.status, 429);
    assert_string_equal(reply_header(&r, "Retry-After", after), "1");
    assert_non_null(strstr(r.body.p, "\"max\":64,\"seen\":65"));
    bed_ask(&r, "DELETE", "/mcp", headers, NULL);
    for (size_t i = 0; i < 64; i++)
        assert_true(bed.calls[i].is_cancelled);
    reply_end(&r);
}

static void log_level_is_kept_and_the_most_verbose_is_asked_of_servers(void **state)
{
    char a[256], b[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", a);
    bed_initialize("/mcp/two", "2025-11-25", b);
    bed_ask(&r, "POST", "/mcp/two", b,
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"info\"}}");
    kit_bytes_eq(buf_bytes(&r.body), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    assert_int_equal(bed.wanted_log, 0); /* the other one said nothing: it hears everything */
    post(a,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"error\"}}");
    assert_int_equal(bed.wanted_log, 1); /* asked of "two" last, where the other one still wants more */
    post(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":{\"level\":\"loud\"}}");
    assert_non_null(strstr(r.body.p, "-32602"));
    bed.answers_at_once = true;
    post(a, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}");
    assert_int_equal(bed.calls[0].log_level, 4);
    reply_end(&r);
}

static void batches_are_for_2025_03_26_alone(void **state)
{
    static const char batch[] =
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
        "{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}},"
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"},"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"nothing\"}]";
    char old[256], new[256];
    (void)state;
    bed_initialize("/mcp", "2025-03-26", old);
    bed_initialize("/mcp", "2025-11-25", new);
    bed.answers_at_once = true;
    post(old, batch);
    kit_json_text_eq(buf_bytes(&r.body),
                     "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},"
                     "{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"result\":{\"at\":\"once\"}},"
                     "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32601,\"message\":"
                     "\"there is no method 'nothing'\"}}]");
    post(new, batch);
    assert_int_equal(r.status, 400);
    post(old, "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]");
    assert_int_equal(r.status, 202);
    post(old, "[]");
    assert_int_equal(r.status, 400);
    post(old, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}]");
    assert_int_equal(r.status, 400);
    assert_int_equal(bed.call_count, 1);
    reply_end(&r);
}

static void a_slow_batch_becomes_a_stream(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-03-26", headers);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", headers,
             "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}]");
    bed_wait_calls(1);
    bed_notify(0, "{\"progress\":1}");
    bed_until(fd, &in, &r, "{\"progress\":1}");
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]"));
    assert_non_null(strstr(r.body.p, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}"));
    buf_end(&in);
    reply_end(&r);
}

static void a_late_answer_finds_nobody(void **state)
{
    char headers[256];
    struct buf in = {0};
    const struct question q = {.id = 3, .method = "roots/list"};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", headers, CALL);
    bed_wait_calls(1);
    bed.calls[0].ops->on_question(bed.calls[0].ctx, &q);
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    fd = bed_connect(); /* the same memory serves the next call */
    bed_send(fd, "POST", "/mcp", headers, CALL);
    bed_wait_calls(2);
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":\"tl-q-1\",\"result\":{}}");
    assert_int_equal(r.status, 202);
    assert_int_equal(bed.calls[1].answered, 0);
    bed.calls[1].ops->on_question(bed.calls[1].ctx, &q);
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":\"tl-q-2\",\"error\":{\"code\":-1,\"message\":\"no\"}}");
    assert_int_equal(bed.calls[1].answered, 3);
    assert_string_equal(bed.calls[1].answer, "error");
    buf_end(&in);
    reply_end(&r);
}

static void nobody_is_asked_before_the_session_is_live(void **state)
{
    char headers[256], session[128];
    (void)state;
    post(BOTH_TYPES,
         "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2025-11-25\",\"capabilities\":{}}}");
    snprintf(headers, sizeof(headers), BOTH_TYPES "Mcp-Session-Id: %s\r\n",
             reply_header(&r, "Mcp-Session-Id", session));
    bed.answers_at_once = true;
    post(headers, CALL);
    assert_int_equal(r.status, 200); /* clients race */
    assert_false(bed.calls[0].can_ask);
    post(headers, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    post(headers, CALL);
    assert_true(bed.calls[1].can_ask);
    reply_end(&r);
}

static void leaving_a_json_answer_is_no_cancel(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", headers, CALL);
    bed_wait_calls(1);
    bed_hang_up(fd);
    bed_turn_ms(5);
    assert_true(bed.calls[0].is_open);
    bed_notify(0, "{}");
    bed_done(0, "{}"); /* nobody hears it */
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    assert_int_equal(r.status, 200);
    reply_end(&r);
}

static void who_takes_only_streams_gets_one_at_once(void **state)
{
    char headers[256], only[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-06-18", headers);
    snprintf(only, sizeof(only), "Accept: text/event-stream\r\n%s", headers + strlen(BOTH_TYPES));
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", only, CALL);
    bed_wait_calls(1);
    kit_loop_until(bed.hub.loop, 1000, web_counts(bed.hub.web).streams == 1);
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n"));
    buf_clear(&in);
    fd = bed_connect();
    bed_send(fd, "POST", "/mcp", only, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n"));
    buf_end(&in);
    reply_end(&r);
}

static void a_session_belongs_to_its_principal(void **state)
{
    static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}";
    char headers[256];
    (void)state;
    bed.listener.is_unix = true;
    bed.uid = 0;
    bed_initialize("/mcp", "2025-11-25", headers);
    post(headers, ping);
    assert_int_equal(r.status, 200);
    bed.uid = 123456; /* nobody's */
    post(headers, ping);
    assert_int_equal(r.status, 404);
    bed_ask(&r, "DELETE", "/mcp", headers, NULL);
    assert_int_equal(r.status, 404);
    bed.listener.is_unix = false;
    post(headers, ping);
    assert_int_equal(r.status, 404);
    reply_end(&r);
}

static void params_are_objects(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    post(headers, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":[1]}");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "-32602"));
    assert_int_equal(bed.call_count, 0);
    post(BOTH_TYPES,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2026-07-28\",\"capabilities\":{}}}");
    assert_non_null(strstr(r.body.p, "2025-11-25")); /* the newest version that has sessions */
    reply_end(&r);
}

static void a_draining_hub_takes_nothing_new(void **state)
{
    char after[128];
    (void)state;
    bed.hub.is_draining = true;
    post(BOTH_TYPES, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    assert_int_equal(r.status, 503);
    assert_string_equal(reply_header(&r, "Retry-After", after), "2");
    reply_end(&r);
}

static void a_batch_counts_as_all_its_requests(void **state)
{
    char headers[256];
    struct buf batch = {0};
    (void)state;
    bed_initialize("/mcp", "2025-03-26", headers);
    bed_send(bed_connect(), "POST", "/mcp", headers, CALL);
    bed_wait_calls(1);
    for (int i = 0; i < 64; i++)
        buf_addf(&batch, "%c{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}", i ? ',' : '[', i);
    buf_add_char(&batch, ']');
    post(headers, batch.p);
    assert_int_equal(r.status, 429);
    bed_done(0, "{}");
    post(headers, batch.p);
    assert_int_equal(r.status, 200);
    batch.p[batch.n - 1] = ',';
    buf_add_text(&batch, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}]");
    post(headers, batch.p); /* 65 elements */
    assert_int_equal(r.status, 400);
    post(headers, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" MODERN_META "}}]");
    assert_int_equal(r.status, 400);
    buf_end(&batch);
    reply_end(&r);
}

KIT_MAIN(BED_TEST(a_late_answer_finds_nobody), BED_TEST(nobody_is_asked_before_the_session_is_live),
         BED_TEST(leaving_a_json_answer_is_no_cancel), BED_TEST(who_takes_only_streams_gets_one_at_once),
         BED_TEST(a_session_belongs_to_its_principal), BED_TEST(params_are_objects),
         BED_TEST(a_draining_hub_takes_nothing_new), BED_TEST(a_batch_counts_as_all_its_requests),
         BED_TEST(initialize_echoes_known_versions_and_mints_a_session),
         BED_TEST(a_session_belongs_to_its_endpoint_until_deleted), BED_TEST(a_version_header_must_be_known),
         BED_TEST(lists_come_from_the_catalogue_and_bad_cursors_are_told),
         BED_TEST(what_is_not_served_is_no_method),
         BED_TEST(broken_bodies_are_refused_with_the_id_where_there_is_one),
         BED_TEST(a_quick_call_is_answered_as_json), BED_TEST(equal_ids_of_many_sessions_never_mix),
         BED_TEST(faults_of_tools_are_results_of_others_errors), BED_TEST(a_cancelled_call_says_nothing_more),
         BED_TEST(a_question_goes_out_on_the_stream_and_its_answer_comes_back),
         BED_TEST(clients_that_take_no_stream_are_not_asked_and_get_json),
         BED_TEST(a_session_has_64_in_flight_at_most),
         BED_TEST(log_level_is_kept_and_the_most_verbose_is_asked_of_servers),
         BED_TEST(batches_are_for_2025_03_26_alone), BED_TEST(a_slow_batch_becomes_a_stream))
