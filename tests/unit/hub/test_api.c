/* REST but for calls: routes, queries, lists, servers, health, the page. */
#include "hub/api_parts.h"
#include "tests/unit/hub/api_bed.h"

static void unknown_paths_and_methods_are_told_apart(void **state)
{
    assert_int_equal(bed_get("/api/v1/none"), 404);
    assert_true(bed_has("\"code\":\"not_found\""));
    assert_int_equal(bed_ask("DELETE", "/api/v1/tools", "", NULL), 405);
    assert_true(bed_has("Allow: GET, HEAD\r\n"));
    assert_int_equal(bed_ask("OPTIONS", "/api/v1/calls", "", NULL), 405);
    assert_true(bed_has("GET, HEAD, POST"));
    assert_int_equal(bed_get("/api/v1/tools/"), 404);
    assert_int_equal(bed_get("/api/v1/tools/a/b"), 404);
    assert_int_equal(bed_get("/api/v1/servers/%ff"), 400);
    assert_int_equal(bed_get("/api/v1/stream"), 426);
}

static void an_unknown_query_parameter_is_refused(void **state)
{
    static const char *const wrong[] = {"?bogus=1",    "?limit=0",         "?limit=201", "?limit=x",
                                        "?limit",      "?limit=1&limit=2", "?q=%zz",     "?cursor=nonsense",
                                        "?server=%00", "?limit=1.0",       "?&q=%ff"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char *path = text_format("/api/v1/tools%s", wrong[i]);
        assert_int_equal(bed_get(path), 400);
        assert_true(bed_has("\"code\":\"invalid_request\"") || bed_has("\"error\""));
        free(path);
    }
    assert_int_equal(bed_get("/api/v1/status?x=1"), 400);
    assert_int_equal(bed_get("/api/v1/tools?"), 200);
}

static size_t items(const json_t *list)
{
    return json_array_size(json_object_get(list, "items"));
}

static void lists_are_paged_by_a_cursor_bound_to_the_question(void **state)
{
    assert_int_equal(bed_get("/api/v1/tools?limit=2"), 200);
    _cleanup_json_ json_t *first = bed_json();
    assert_int_equal(items(first), 2);
    assert_int_equal(json_int(json_object_get(first, "total"), "value", 0), 3);
    const char *cursor = json_str(first, "next_cursor");
    struct {
        const char *path;
        int status;
    } rows[] = {
        {"/api/v1/tools?limit=2&cursor=%s",      200},
        {"/api/v1/tools?limit=1&cursor=%s",      200},
        {"/api/v1/tools?q=r&limit=2&cursor=%s",  400},
        {"/api/v1/prompts?limit=2&cursor=%s",    400},
        {"/api/v1/resources?limit=2&cursor=%sA", 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf path = {0};
        size_t n = strstr(rows[i].path, "%s") - rows[i].path;
        buf_add(&path, rows[i].path, n);
        buf_add_text(&path, cursor);
        buf_add_text(&path, rows[i].path + n + 2);
        assert_int_equal(bed_get(path.p), rows[i].status);
        buf_end(&path);
    }
    bed.listener.is_unix = true; /* another principal */
    char *path = text_format("/api/v1/tools?limit=2&cursor=%s", cursor);
    assert_int_equal(bed_get(path), 400);
    bed.listener.is_unix = false;
    assert_int_equal(bed_get(path), 200);
    free(path);
    _cleanup_json_ json_t *last = bed_json();
    assert_int_equal(items(last), 1);
    assert_true(json_is_null(json_object_get(last, "next_cursor")));
}

static void tools_are_found_by_their_words(void **state)
{
    static const struct {
        const char *query;
        size_t found;
    } rows[] = {
        {"?q=READS",      1},
        {"?q=writer",     1},
        {"?q=files__",    3},
        {"?server=files", 3},
        {"?server=extra", 0},
        {"?q=a+file",     1},
        {"?q=nothing",    0}
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *path = text_format("/api/v1/tools%s", rows[i].query);
        assert_int_equal(bed_get(path), 200);
        free(path);
        _cleanup_json_ json_t *list = bed_json();
        assert_int_equal(items(list), rows[i].found);
    }
    assert_int_equal(bed_get("/api/v1/tools/files__read"), 200);
    assert_true(bed_has("\"definition\":{\"name\":\"read\",\"description\":\"Reads a file\","));
    assert_int_equal(bed_get("/api/v1/tools/read"), 404);
}

static void what_has_not_changed_is_not_sent_again(void **state)
{
    assert_int_equal(bed_get("/api/v1/tools/files__read"), 200);
    char *etag = strdup(strstr(bed.in.p, "ETag: ") + 6);
    *strchr(etag, '\r') = '\0';
    char *header = text_format("If-None-Match: \"x\", W/%s\r\n", etag);
    assert_int_equal(bed_ask("GET", "/api/v1/tools/files__read", header, NULL), 304);
    assert_int_equal(bed_ask("GET", "/api/v1/tools/files__write", header, NULL), 200);
    assert_true(bed_has("Cache-Control: private, no-cache\r\n"));
    free(header);
    free(etag);
}

static void pages_of_other_origins_change_nothing(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        {"",                                  202},
        {"Sec-Fetch-Site: same-origin\r\n",   202},
        {"Sec-Fetch-Site: none\r\n",          202},
        {"Sec-Fetch-Site: same-site\r\n",     403},
        {"Sec-Fetch-Site: cross-site\r\n",    403},
        {"Origin: http://localhost\r\n",      202},
        {"Origin: http://localhost:3000\r\n", 403},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(bed_ask("POST", "/api/v1/servers/files/restart", rows[i].headers, "{}"),
                         rows[i].status);
    assert_int_equal(bed.upstreams[0].restarted, 4);
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/restart", "", "{\"x\":1}"), 422);
    assert_int_equal(bed_ask("GET", "/api/v1/tools", "Sec-Fetch-Site: same-site\r\n", NULL), 200);
    assert_false(bed_has("Access-Control"));
}

static void servers_are_started_and_stopped_by_their_state(void **state)
{
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/start", "", ""), 409);
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/stop", "", ""), 202);
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/stop", "", ""), 409);
    assert_true(bed_has("\"code\":\"wrong_state\""));
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/start", "", ""), 202);
    assert_int_equal(bed_ask("POST", "/api/v1/servers/none/start", "", ""), 404);
    assert_int_equal(bed.upstreams[0].started, 1);
    assert_int_equal(bed.upstreams[0].stopped, 1);
    bed.hub.is_draining = true;
    assert_int_equal(bed_ask("POST", "/api/v1/servers/files/restart", "", ""), 503);
    assert_true(bed_has("\"code\":\"draining\""));
}

static void the_command_of_a_server_is_never_shown(void **state)
{
    assert_int_equal(bed_get("/api/v1/servers/files"), 200);
    assert_false(bed_has("secret-command"));
    assert_int_equal(bed_get("/api/v1/servers"), 200);
    assert_false(bed_has("secret-command"));
    assert_true(bed_has("\"tools\":3"));
}

static void logs_are_filtered_by_time_and_level(void **state)
{
    bed.upstreams[0].line_count = 3;
    bed.upstreams[0].lines[0] = (struct log_line){1000, BYTES("ERROR: early")};
    bed.upstreams[0].lines[1] = (struct log_line){60000, BYTES("just saying")};
    bed.upstreams[0].lines[2] = (struct log_line){120000, BYTES("Warning: <late>")};
    static const struct {
        const char *query;
        size_t found;
    } rows[] = {
        {"",                                3},
        {"?level=warning",                  2},
        {"?level=error",                    1},
        {"?limit=1",                        1},
        {"?since=1970-01-01T00:01:00.000Z", 1},
        {"?since=1h",                       0}
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *path = text_format("/api/v1/servers/files/logs%s", rows[i].query);
        assert_int_equal(bed_get(path), 200);
        free(path);
        _cleanup_json_ json_t *list = bed_json();
        assert_int_equal(items(list), rows[i].found);
    }
    assert_int_equal(bed_get("/api/v1/servers/files/logs?since=yesterday"), 400);
    assert_int_equal(bed_get("/api/v1/servers/files/logs?level=loud"), 400);
}

static void a_dead_server_degrades_but_does_not_stop_the_hub(void **state)
{
    assert_int_equal(bed_get("/healthz"), 200);
    assert_true(bed_has("\"status\":\"ok\""));
    bed.upstreams[1].state = UPSTREAM_LOST;
    assert_int_equal(bed_get("/healthz"), 200);
    assert_true(bed_has("\"status\":\"degraded\""));
    assert_int_equal(bed_get("/readyz"), 200);
    bed.hub.is_ready = false;
    assert_int_equal(bed_get("/readyz"), 503);
    assert_true(bed_has("the hub is starting"));
    bed.hub.is_ready = true;
    bed.hub.is_draining = true;
    assert_int_equal(bed_get("/readyz"), 503);
    assert_true(bed_has("the hub is about to stop"));
    assert_int_equal(bed_get("/livez"), 200);
}

static void a_hub_that_was_stuck_says_so(void **state)
{
    assert_int_equal(bed_get("/livez"), 200);
    timer_stop(&bed.hub.api->beat); /* as if nothing had turned */
    kit_clock_move_ms(1900);
    assert_int_equal(bed_get("/livez"), 200);
    kit_clock_move_ms(200);
    assert_int_equal(bed_get("/livez"), 503);
}

static void the_page_shows_hostile_text_as_text(void **state)
{
    bed.upstreams[1].state = UPSTREAM_LOST;
    bed.upstreams[1].reason = "<img src=x onerror=alert(1)> \"&\xe2\x80\xae\x1b[31m";
    assert_int_equal(bed_get("/"), 200);
    assert_false(bed_has("<img"));
    assert_false(bed_has("\xe2\x80\xae"));
    assert_false(bed_has("\x1b"));
    assert_true(bed_has("&lt;img src=x onerror=alert(1)&gt; &quot;&amp;"));
    assert_true(bed_has("Content-Security-Policy: default-src 'self'; base-uri 'none'; object-src 'none'; "
                        "frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; "
                        "trusted-types 'none'\r\n"));
    assert_false(bed_has("<script"));
    assert_false(bed_has("style="));
    assert_false(bed_has("<style"));
    assert_true(bed_has("http://127.0.0.1:8080/mcp"));
    assert_true(bed_has("This build has no dashboard."));
}

static void snippets_name_the_endpoint(void **state)
{
    assert_int_equal(bed_get("/api/v1/clients/gemini-cli/snippet"), 200);
    assert_true(bed_has("\\\"httpUrl\\\": \\\"http://127.0.0.1:8080/mcp\\\""));
    assert_int_equal(bed_get("/api/v1/clients/codex/snippet?server=files"), 200);
    assert_true(bed_has("[mcp_servers.files]\\nurl = \\\"http://127.0.0.1:8080/mcp/files\\\"\\n"));
    assert_int_equal(bed_get("/api/v1/clients/codex/snippet?server=none"), 404);
    assert_int_equal(bed_get("/api/v1/clients/none/snippet"), 404);
    bed.config.public_url = "https://tools.example";
    assert_int_equal(bed_get("/api/v1/clients/cursor/snippet"), 200);
    assert_true(bed_has("https://tools.example/mcp"));
    assert_int_equal(bed_get("/api/v1/clients"), 200);
}

static void a_trace_is_honoured_only_when_it_is_one(void **state)
{
    assert_int_equal(bed_ask("GET", "/api/v1/none",
                             "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                             NULL),
                     404);
    assert_true(bed_has("\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    assert_int_equal(bed_ask("GET", "/api/v1/none",
                             "traceparent: 00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                             NULL),
                     404);
    assert_true(bed_has("\"trace_id\":null"));
    assert_false(bed_has("traceparent"));
}

static void heads_are_answered_without_a_body(void **state)
{
    int fd = bed_send("HEAD", "/api/v1/status", "", NULL);
    buf_clear(&bed.in);
    kit_loop_until(bed.hub.loop, 3000, (bed_read(fd), bed_has("\r\n\r\n")));
    close(fd);
    assert_non_null(strstr(bed.in.p, "200 OK"));
    assert_string_equal(bed_body_text(), "");
}

static void events_come_as_a_stream(void **state)
{
    int fd =
        bed_send("GET", "/api/v1/events?topics=servers,logs:files", "Accept: text/event-stream\r\n", NULL);
    buf_clear(&bed.in);
    /* lint: a field of the stream */
    /* lint: a field of the event stream, not a second try */
    kit_loop_until(bed.hub.loop, 3000, (bed_read(fd), bed_has("retry: 500")));
    events_publish(bed.hub.events, "servers", "server.state", BYTES("{\"name\":\"files\"}"));
    kit_loop_until(bed.hub.loop, 3000, (bed_read(fd), bed_has("event: server.state\n")));
    assert_true(bed_has("\"topic\":\"servers\",\"type\":\"server.state\""));
    kit_clock_move_ms(15001);
    kit_loop_until(bed.hub.loop, 3000, (bed_read(fd), bed_has("\n:")));
    assert_int_equal(events_counts(bed.hub.events).listeners, 1);
    close(fd);
    kit_loop_until(bed.hub.loop, 3000, events_counts(bed.hub.events).listeners == 0);
}

static void the_end_of_the_hub_ends_event_streams(void **state)
{
    int fd = bed_send("GET", "/api/v1/events?topics=servers", "Accept: text/event-stream\r\n", NULL);
    buf_clear(&bed.in);
    /* lint: a field of the stream */
    /* lint: a field of the event stream, not a second try */
    kit_loop_until(bed.hub.loop, 3000, (bed_read(fd), bed_has("retry: 500")));
    api_drain(bed.hub.api);
    assert_int_equal(events_counts(bed.hub.events).listeners, 0);
    kit_loop_until(bed.hub.loop, 3000, bed_read(fd));
    assert_true(bed_has("\r\n0\r\n\r\n"));
    close(fd);
}

static void an_event_stream_needs_topics_that_exist(void **state)
{
    assert_int_equal(bed_get("/api/v1/events"), 400);
    assert_int_equal(bed_get("/api/v1/events?topics=servers,none"), 404);
    assert_true(bed_has("there is no topic 'none'"));
    assert_int_equal(bed_ask("GET", "/api/v1/events?topics=servers", "Accept: application/json\r\n", NULL),
                     406);
    assert_int_equal(events_counts(bed.hub.events).listeners, 0);
}

static bool has_listeners(size_t n)
{
    return events_counts(bed.hub.events).listeners == n;
}

static void event_streams_of_one_person_have_a_number(void **state)
{
    int fds[4];
    for (size_t i = 0; i < 4; i++)
        fds[i] = bed_send("GET", "/api/v1/events?topics=servers", "Accept: text/event-stream\r\n", NULL);
    kit_loop_until(bed.hub.loop, 3000, has_listeners(4));
    assert_int_equal(bed_get("/api/v1/events?topics=servers"), 429);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

KIT_MAIN(BED_TEST(unknown_paths_and_methods_are_told_apart), BED_TEST(an_unknown_query_parameter_is_refused),
         BED_TEST(lists_are_paged_by_a_cursor_bound_to_the_question),
         BED_TEST(tools_are_found_by_their_words), BED_TEST(what_has_not_changed_is_not_sent_again),
         BED_TEST(pages_of_other_origins_change_nothing),
         BED_TEST(servers_are_started_and_stopped_by_their_state),
         BED_TEST(the_command_of_a_server_is_never_shown), BED_TEST(logs_are_filtered_by_time_and_level),
         BED_TEST(a_dead_server_degrades_but_does_not_stop_the_hub), BED_TEST(a_hub_that_was_stuck_says_so),
         BED_TEST(the_page_shows_hostile_text_as_text), BED_TEST(snippets_name_the_endpoint),
         BED_TEST(a_trace_is_honoured_only_when_it_is_one), BED_TEST(heads_are_answered_without_a_body),
         BED_TEST(events_come_as_a_stream), BED_TEST(the_end_of_the_hub_ends_event_streams),
         BED_TEST(an_event_stream_needs_topics_that_exist),
         BED_TEST(event_streams_of_one_person_have_a_number))
