/* The streams of legacy sessions: priming, the GET stream, coming back for the rest, subscriptions, idle
 * ends. */
#include "hub/session.h"
#include "hub/tape.h"
#include "tests/unit/hub/face_bed.h"

static struct reply r;

#define CALL "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}"

static void post(const char *headers, const char *body)
{
    bed_ask(&r, "POST", "/mcp", headers, body);
}

static size_t streams(void)
{
    return face_counts(bed.hub.face).streams;
}

static int start_call(const char *headers)
{
    int fd = bed_connect();
    size_t before = bed.call_count;
    bed_send(fd, "POST", "/mcp", headers, CALL);
    bed_wait_calls(before + 1);
    return fd;
}

static int get(const char *headers, const char *more)
{
    char all[512];
    int fd = bed_connect();
    snprintf(all, sizeof(all), "%s%s", headers, more);
    bed_send(fd, "GET", "/mcp", all, NULL);
    return fd;
}

static void only_2025_11_25_is_primed(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":1}");
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    kit_bytes_eq(buf_bytes(&r.body),
                 "id: 1-0\nretry: 3000\ndata: \n\n"
                 "id: 1-1\nevent: message\ndata: {\"progress\":1}\n\n"
                 "id: 1-2\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n");
    buf_clear(&in);
    bed_initialize("/mcp", "2025-06-18", headers);
    fd = start_call(headers);
    bed_notify(1, "{\"progress\":1}");
    bed_done(1, "{}");
    bed_until_end(fd, &in, &r);
    kit_bytes_eq(buf_bytes(&r.body),
                 ":\n\n"
                 "id: 1-0\nevent: message\ndata: {\"progress\":1}\n\n"
                 "id: 1-1\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n");
    buf_end(&in);
    reply_end(&r);
}

static void a_dropped_stream_is_no_cancel_and_can_be_resumed(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":1}");
    bed_until(fd, &in, &r, "{\"progress\":1}");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    assert_true(bed.calls[0].is_open);
    bed_notify(0, "{\"progress\":2}");
    buf_clear(&in);
    fd = get(headers, "Last-Event-ID: 1-1\r\n");
    bed_until(fd, &in, &r, "{\"progress\":2}");
    assert_null(strstr(r.body.p, "{\"progress\":1}"));
    bed_notify(0, "{\"progress\":3}");
    bed_done(0, "{}");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "id: 1-3\nevent: message\ndata: {\"progress\":3}\n\nid: 1-4\n"));
    assert_non_null(strstr(r.body.p, "\"result\":{}"));
    bed_turn_ms(5);
    bed_ask(&r, "GET", "/mcp",
            (snprintf(headers + strlen(headers), 256 - strlen(headers), "Last-Event-ID: 1-1\r\n"), headers),
            NULL);
    assert_int_equal(r.status, 400); /* it was read to its end */
    buf_end(&in);
    reply_end(&r);
}

static void a_result_waits_for_a_client_that_dropped(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":1}");
    bed_until(fd, &in, &r, "{\"progress\":1}");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    bed_done(0, "{\"late\":1}");
    buf_clear(&in);
    fd = get(headers, "Last-Event-ID: 1-0\r\n");
    bed_until_end(fd, &in, &r);
    assert_non_null(strstr(r.body.p, "{\"progress\":1}"));
    assert_non_null(strstr(r.body.p, "{\"late\":1}"));
    buf_end(&in);
    reply_end(&r);
}

static void what_a_tape_has_lost_is_refused(void **state)
{
    char headers[256], more[320];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":0}");
    bed_until(fd, &in, &r, "{\"progress\":0}");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    for (int i = 0; i < TAPE_EVENTS; i++)
        bed_notify(0, "{}");
    /* Events 0 (priming) and 1 are gone: whoever saw 1 can go on, whoever saw only 0 cannot. */
    static const char *const last[] = {"1-0", "1-999", "2-0", "7", "1-x"};
    for (size_t i = 0; i < 5; i++) {
        snprintf(more, sizeof(more), "%sLast-Event-ID: %s\r\n", headers, last[i]);
        bed_ask(&r, "GET", "/mcp", more, NULL);
        assert_int_equal(r.status, 400);
    }
    buf_clear(&in);
    fd = get(headers, "Last-Event-ID: 1-1\r\n");
    bed_until(fd, &in, &r, "id: 1-2\n");
    buf_end(&in);
    reply_end(&r);
}

static void the_get_stream_hears_of_lists_of_its_view(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = get(headers, "");
    bed_until(fd, &in, &r, "id: 1-0\n");
    face_list_changed(bed.hub.face, ITEM_TEMPLATE, "two");
    bed_until(fd, &in, &r,
              "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\"}\n\n");
    int second = get(headers, "");
    bed_until_end(fd, &in, &r); /* the second takes over */
    buf_clear(&in);
    bed_until(second, &in, &r, "id: 2-0\n");
    face_list_changed(bed.hub.face, ITEM_TOOL, "one");
    bed_until(second, &in, &r, "notifications/tools/list_changed");
    assert_int_equal(streams(), 1);
    buf_end(&in);
    reply_end(&r);
}

static void what_changes_while_the_get_stream_is_away_is_told_once(void **state)
{
    char headers[256];
    struct buf in = {0};
    size_t seen = 0;
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = get(headers, "");
    bed_until(fd, &in, &r, "id: 1-0\n");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    for (int i = 0; i < 1000; i++)
        face_list_changed(bed.hub.face, ITEM_TOOL, "one");
    buf_clear(&in);
    fd = get(headers, "Last-Event-ID: 1-0\r\n");
    bed_until(fd, &in, &r, "tools/list_changed");
    for (const char *at = r.body.p; (at = strstr(at, "list_changed")); at++)
        seen++;
    assert_int_equal(seen, 1);
    buf_end(&in);
    reply_end(&r);
}

#define SUBSCRIBE(what, uri) \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/" what "\",\"params\":{\"uri\":\"" uri "\"}}"

static void subscriptions_are_told_on_the_get_stream(void **state)
{
    char headers[256], other[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    bed_initialize("/mcp", "2025-11-25", other);
    int fd = get(headers, ""), silent = get(other, "");
    bed_until(fd, &in, &r, "id: 1-0\n");
    post(headers, SUBSCRIBE("subscribe", "test://a"));
    kit_bytes_eq(buf_bytes(&r.body), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    post(headers, SUBSCRIBE("subscribe", "test://a"));
    assert_int_equal(bed.subscribed, 1);
    face_resource_updated(bed.hub.face, "two", BYTES("test://a"));
    face_resource_updated(bed.hub.face, "one", BYTES("test://a"));
    bed_until(fd, &in, &r,
              "data: "
              "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
              "updated\",\"params\":{\"uri\":\"test://a\"}}\n\n");
    post(headers, SUBSCRIBE("unsubscribe", "test://a"));
    assert_int_equal(bed.unsubscribed, 1);
    face_resource_updated(bed.hub.face, "one", BYTES("test://a"));
    face_list_changed(bed.hub.face, ITEM_TOOL, "one"); /* what comes after it */
    bed_until(fd, &in, &r, "tools/list_changed");
    assert_null(strstr(strstr(r.body.p, "resources/updated") + 1, "resources/updated"));
    buf_clear(&in);
    bed_until(silent, &in, &r, "tools/list_changed");
    assert_null(strstr(r.body.p, "updated"));
    buf_end(&in);
    reply_end(&r);
}

static void a_subscription_can_be_refused(void **state)
{
    char headers[256];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    static const char *const unknown[] = {"other://a", "test://secret"};
    for (size_t i = 0; i < 2; i++) {
        char body[160];
        snprintf(body, sizeof(body), SUBSCRIBE("subscribe", "%s"), unknown[i]);
        post(headers, body);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.p, "-32002"));
        assert_non_null(strstr(r.body.p, unknown[i]));
    }
    bed.refuses_subscriptions = true;
    post(headers, SUBSCRIBE("subscribe", "test://a"));
    assert_non_null(strstr(r.body.p, "refused"));
    assert_int_equal(bed.unsubscribed, 1); /* given back */
    bed.refuses_subscriptions = false;
    post(headers, SUBSCRIBE("subscribe", "test://a"));
    assert_non_null(strstr(r.body.p, "\"result\":{}"));
    bed_ask(&r, "DELETE", "/mcp", headers, NULL);
    assert_int_equal(bed.unsubscribed, 2);
    reply_end(&r);
}

static void an_idle_session_ends_and_one_with_a_stream_does_not(void **state)
{
    char idle[256], busy[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", idle);
    bed_initialize("/mcp", "2025-11-25", busy);
    int fd = get(busy, "");
    bed_until(fd, &in, &r, "id: 1-0\n");
    for (int i = 0; i < 4; i++) { /* in steps, for the keep-alive to come by */
        kit_clock_move_ms(bed.config.session_idle_ms / 2);
        bed_turn_ms(3);
    }
    post(busy, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(r.status, 200);
    post(idle, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(r.status, 404);
    bed_until(fd, &in, &r, ":\n\n");
    buf_end(&in);
    reply_end(&r);
}

static void a_tape_nobody_comes_back_to_is_gone_after_five_minutes(void **state)
{
    char headers[256], more[320];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":1}");
    bed_until(fd, &in, &r, "{\"progress\":1}");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    kit_clock_move_ms(TAPE_KEEP_MS + 1);
    bed_turn_ms(3);
    snprintf(more, sizeof(more), "%sLast-Event-ID: 1-0\r\n", headers);
    bed_ask(&r, "GET", "/mcp", more, NULL);
    assert_int_equal(r.status, 400);
    bed_notify(0, "{\"progress\":2}"); /* nobody hears it */
    bed_done(0, "{}");
    buf_end(&in);
    reply_end(&r);
}

static void the_end_of_a_session_ends_its_calls_and_streams(void **state)
{
    char headers[256];
    struct buf in = {0}, quiet = {0}, unsolicited = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int streaming = start_call(headers), waiting = start_call(headers), fd = get(headers, "");
    bed_notify(0, "{\"progress\":1}");
    bed_until(streaming, &in, &r, "{\"progress\":1}");
    bed_until(fd, &unsolicited, &r, "retry");
    bed_ask(&r, "DELETE", "/mcp", headers, NULL);
    assert_int_equal(r.status, 204);
    assert_true(bed.calls[0].is_cancelled && bed.calls[1].is_cancelled);
    bed_until_end(streaming, &in, &r);
    bed_until_end(fd, &unsolicited, &r);
    bed_until_whole(waiting, &quiet, &r);
    assert_int_equal(r.status, 404);
    buf_end(&in);
    buf_end(&quiet);
    buf_end(&unsolicited);
    reply_end(&r);
}

static void requests_in_all_states_survive_the_end_of_the_hub(void **state)
{
    char headers[256];
    struct buf in = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int streaming = start_call(headers);
    bed_notify(0, "{\"progress\":1}");
    bed_until(streaming, &in, &r, "{\"progress\":1}");
    start_call(headers);
    get(headers, "");
    bed_send(bed_connect(), "POST", "/mcp", MODERN_HEADERS("tools/call") "Mcp-Name: t\r\n",
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"," MODERN_META
             "}}");
    bed_wait_calls(3);
    int half = bed_connect(); /* its body never becomes whole */
    static const char head[] = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 9\r\n\r\n{";
    assert_int_equal(write(half, head, sizeof(head) - 1), sizeof(head) - 1);
    bed_turn_ms(5);
    bed.hub.calls = NULL; /* as the hub ends: calls are gone first */
    buf_end(&in);
    reply_end(&r);
}

static void a_tape_holds_a_mebibyte(void **state)
{
    char headers[256], more[320];
    struct buf in = {0}, big = {0};
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = start_call(headers);
    bed_notify(0, "{\"progress\":0}");
    bed_until(fd, &in, &r, "{\"progress\":0}");
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    buf_add_char(&big, '"');
    for (size_t i = 0; i < TAPE_BYTES / 3 / 10; i++)
        buf_add_text(&big, "0123456789");
    buf_add_char(&big, '"');
    bed_notify(0, big.p); /* 1-2 */
    bed_notify(0, big.p); /* 1-3 */
    snprintf(more, sizeof(more), "%sLast-Event-ID: 1-0\r\n", headers);
    buf_clear(&in);
    fd = get(more, "");
    bed_until(fd, &in, &r, "id: 1-3\n"); /* all is there still */
    assert_non_null(strstr(r.body.p, "{\"progress\":0}"));
    bed_hang_up(fd);
    kit_loop_until(bed.hub.loop, 1000, streams() == 0);
    bed_notify(0, big.p); /* 1-4 pushes out what came before 1-3 */
    bed_ask(&r, "GET", "/mcp", more, NULL);
    assert_int_equal(r.status, 400);
    for (size_t i = 0; i < TAPE_BYTES / 10; i++)
        buf_add_text(&big, "0123456789");
    bed_notify(0, big.p); /* 1-5 is more than a tape holds */
    snprintf(more, sizeof(more), "%sLast-Event-ID: 1-4\r\n", headers);
    bed_ask(&r, "GET", "/mcp", more, NULL);
    assert_int_equal(r.status, 400);
    bed_notify(0, "{\"progress\":6}");
    snprintf(more, sizeof(more), "%sLast-Event-ID: 1-5\r\n", headers);
    buf_clear(&in);
    fd = get(more, "");
    bed_until(fd, &in, &r, "{\"progress\":6}");
    buf_end(&in);
    buf_end(&big);
    reply_end(&r);
}

static void updates_wait_for_room_and_come_once(void **state)
{
    char headers[256];
    struct buf in = {0};
    size_t seen = 0;
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    int fd = get(headers, "");
    bed_until(fd, &in, &r, "id: 1-0\n");
    post(headers, SUBSCRIBE("subscribe", "test://a"));
    for (int i = 0; i < 1000; i++) /* in one turn: nothing is taken meanwhile */
        face_resource_updated(bed.hub.face, "one", BYTES("test://a"));
    bed_until(fd, &in, &r, "resources/updated");
    bed_turn_ms(20);
    bed_read(fd, &in);
    bed_split(&in, &r);
    for (const char *at = r.body.p; (at = strstr(at, "resources/updated")); at++)
        seen++;
    assert_int_equal(seen, 2);
    buf_end(&in);
    reply_end(&r);
}

static void a_session_follows_256_resources(void **state)
{
    char headers[256], body[160];
    (void)state;
    bed_initialize("/mcp", "2025-11-25", headers);
    for (int i = 0; i <= SESSION_URIS; i++) {
        snprintf(body, sizeof(body), SUBSCRIBE("subscribe", "test://%d"), i);
        post(headers, body);
        assert_non_null(strstr(r.body.p, i < SESSION_URIS ? "\"result\":{}" : "-31413"));
    }
    assert_int_equal(bed.subscribed, SESSION_URIS);
    reply_end(&r);
}

KIT_MAIN(BED_TEST(a_tape_holds_a_mebibyte), BED_TEST(updates_wait_for_room_and_come_once),
         BED_TEST(a_session_follows_256_resources), BED_TEST(only_2025_11_25_is_primed),
         BED_TEST(a_dropped_stream_is_no_cancel_and_can_be_resumed),
         BED_TEST(a_result_waits_for_a_client_that_dropped), BED_TEST(what_a_tape_has_lost_is_refused),
         BED_TEST(the_get_stream_hears_of_lists_of_its_view),
         BED_TEST(what_changes_while_the_get_stream_is_away_is_told_once),
         BED_TEST(subscriptions_are_told_on_the_get_stream), BED_TEST(a_subscription_can_be_refused),
         BED_TEST(an_idle_session_ends_and_one_with_a_stream_does_not),
         BED_TEST(a_tape_nobody_comes_back_to_is_gone_after_five_minutes),
         BED_TEST(the_end_of_a_session_ends_its_calls_and_streams),
         BED_TEST(requests_in_all_states_survive_the_end_of_the_hub))
