#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/rpc/line.h"
#include "tests/kit/kit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's end is a socket that the test reads and writes by hand. */
struct bed {
    struct loop *loop;
    struct line *line;
    int server;
    struct buf seen; /* what the server got */
    size_t lost, noise, notes, asked;
    char reason[160], id[64], last[256];
    bool frees_in_lost;
};

struct asker {
    size_t answers, frames;
    enum line_outcome outcome;
    char text[512];
    struct fault_told fault;
    struct line *frees;
    struct pending *cancels;
};

static void on_request(void *ctx, const struct envelope *request)
{
    struct bed *b = ctx;

    b->asked++;
    snprintf(b->id, sizeof(b->id), "%.*s", (int)request->id.value.n, request->id.value.p);
}

static void on_notification(void *ctx, const struct envelope *n)
{
    struct bed *b = ctx;

    b->notes++;
    snprintf(b->last, sizeof(b->last), "%.*s", (int)n->method.n, n->method.p);
}

static void on_noise(void *ctx, struct bytes text)
{
    struct bed *b = ctx;

    b->noise++;
    snprintf(b->last, sizeof(b->last), "%.*s", (int)text.n, text.p);
}

static void on_lost(void *ctx, const struct why *why)
{
    struct bed *b = ctx;

    b->lost++;
    snprintf(b->reason, sizeof(b->reason), "%s", why->text);
    if (b->frees_in_lost)
        line_free(take_ptr(&b->line));
}

static const struct line_ops line_ops = {on_request, on_notification, on_noise, on_lost};

static void on_answer(void *ctx, const struct line_answer *answer)
{
    struct asker *a = ctx;

    a->answers++;
    a->outcome = answer->outcome;
    a->fault = answer->fault;
    snprintf(a->text, sizeof(a->text), "%.*s", (int)answer->text.n, answer->text.p ? answer->text.p : "");
    if (a->cancels)
        pending_cancel(take_ptr(&a->cancels), "the other one came first");
    if (a->frees)
        line_free(take_ptr(&a->frees));
}

static void on_progress(void *ctx, const struct envelope *progress)
{
    struct asker *a = ctx;

    a->frames++;
    struct bytes value = members_find(&progress->inside, "progress")->value;
    snprintf(a->text, sizeof(a->text), "%.*s", (int)value.n, value.p);
}

static const struct pending_ops asker_ops = {on_answer, on_progress};

static void open_bed(struct bed *b, const struct line_limits *limits)
{
    int fds[2];

    *b = (struct bed){.loop = loop_new()};
    assert_int_equal(fd_pair(SOCK_STREAM, true, fds), 0);
    b->line = line_new(b->loop, fds[0], limits, &line_ops, b);
    b->server = fds[1];
}

static void close_bed(struct bed *b)
{
    line_free(b->line);
    fd_close(&b->server);
    loop_turn(b->loop, 0);
    loop_free(b->loop);
    buf_end(&b->seen);
}

static struct pending *ask_for(struct bed *b, struct asker *a, const char *method, int64_t deadline_ms)
{
    const struct request_spec spec = {.method = method,
                                      .params = BYTES("{\"a\":\n1}"),
                                      .deadline_ms = deadline_ms,
                                      .idle_ms = 50,
                                      .ops = &asker_ops,
                                      .ctx = a};

    return line_request(b->line, &spec, NULL);
}

static struct pending *ask(struct bed *b, struct asker *a)
{
    return ask_for(b, a, "tools/call", 60000);
}

static void say(struct bed *b, const char *text)
{
    size_t n = strlen(text);

    while (n) {
        ssize_t k = send(b->server, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k > 0) {
            text += k;
            n -= (size_t)k;
        }
        loop_turn(b->loop, 0);
    }
    loop_turn(b->loop, 0);
}

/* What the server has got since last time. */
static const char *heard(struct bed *b)
{
    char room[4096];
    ssize_t n;

    loop_turn(b->loop, 0);
    buf_clear(&b->seen);
    while ((n = recv(b->server, room, sizeof(room), MSG_DONTWAIT)) > 0)
        buf_add(&b->seen, room, (size_t)n);
    return b->seen.p ? b->seen.p : "";
}

static void request_goes_out_and_its_answer_comes_back(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0}, two = {0};
    open_bed(&b, NULL);

    assert_int_equal(line_next_id(b.line), 1);
    ask(&b, &one);
    assert_int_equal(pending_id(ask(&b, &two)), 2);
    assert_string_equal(heard(&b),
                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"a\": 1}}\n"
                        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"a\": 1}}\n");
    say(&b,
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"x\":1.0}}\r\n\r\n \n{\"id\":1,\"error\":{\"code\":-5,"
        "\"message\":\"m\"},\"jsonrpc\":\"2.0\"}\n");
    assert_int_equal(two.answers, 1);
    assert_int_equal(two.outcome, LINE_RESULT);
    assert_non_null(strstr(two.text, "\"result\":{\"x\":1.0}"));
    assert_int_equal(one.outcome, LINE_ERROR);
    assert_int_equal(line_counts(b.line).in_flight, 0);
    close_bed(&b);
}

static void only_exact_ids_count(void **state)
{
    (void)state;
    static const char *const ids[] = {"\"1\"", "1.0", "01", "+1", "2", "-1", "1e0", "18446744073709551617"};
    struct bed b;
    struct asker one = {0}, two = {0};
    char text[128];
    open_bed(&b, NULL);

    ask(&b, &one);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n", ids[i]);
        say(&b, text);
    }
    assert_int_equal(one.answers, 0);
    say(&b, "{\"id\":1,\"result\":{}}\n{\"id\":1,\"result\":{}}\n");
    assert_int_equal(one.answers, 1);
    struct line_counts counts = line_counts(b.line);
    assert_int_equal(counts.unknown_answers, 5); /* "1", 2, -1, the long one, the second 1 */
    assert_int_equal(counts.malformed + counts.noise, 4);

    ask(&b, &one);
    ask(&b, &two);
    say(&b, "{\"id\":null,\"error\":{\"code\":1,\"message\":\"\"}}\n");
    assert_int_equal(one.answers + two.answers, 1);
    say(&b, "{\"id\":2,\"result\":{}}\n{\"error\":{\"code\":1,\"message\":\"\"}}\n");
    assert_int_equal(two.answers, 1);
    assert_int_equal(two.outcome, LINE_ERROR);
    close_bed(&b);
}

static void cancelled_request_is_told_and_its_late_result_dropped(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0};
    open_bed(&b, NULL);

    struct pending *p = ask(&b, &one);
    heard(&b);
    pending_cancel(p, "caller \"gone\"");
    assert_string_equal(heard(&b), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                                   "{\"requestId\":1,\"reason\":\"caller \\\"gone\\\"\"}}\n");
    say(&b, "{\"id\":1,\"result\":{}}\n");
    assert_int_equal(one.answers, 0);
    assert_int_equal(line_counts(b.line).unknown_answers, 1);

    p = ask_for(&b, &one, "initialize", 1000);
    heard(&b);
    pending_cancel(p, "no");
    assert_string_equal(heard(&b), "");
    close_bed(&b);
}

static void deadline_ends_a_request_and_tells_the_server(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0};
    open_bed(&b, NULL);

    ask_for(&b, &one, "tools/call", 20);
    heard(&b);
    kit_loop_until(b.loop, 2000, one.answers);
    assert_int_equal(one.outcome, LINE_DEADLINE);
    assert_int_equal(one.fault.fault, FAULT_DEADLINE);
    assert_non_null(strstr(one.fault.data, "\"which\":\"call\""));
    assert_non_null(strstr(heard(&b), "notifications/cancelled\",\"params\":{\"requestId\":1,"));
    close_bed(&b);
}

static void progress_is_routed_and_silence_after_it_ends_the_request(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0}, two = {0};
    open_bed(&b, NULL);

    ask(&b, &one);
    ask(&b, &two);
    say(&b, "{\"method\":\"notifications/progress\",\"params\":{\"progressToken\":2,\"progress\":0.5}}\n"
            "{\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"2\",\"progress\":1}}\n"
            "{\"method\":\"notifications/progress\",\"params\":{}}\n");
    assert_int_equal(two.frames, 1);
    assert_int_equal(one.frames, 0);
    assert_int_equal(b.notes, 0);
    assert_string_equal(two.text, "0.5");
    kit_loop_until(b.loop, 2000, two.answers);
    assert_non_null(strstr(two.fault.data, "\"which\":\"progress\""));
    assert_int_equal(one.answers, 0);
    close_bed(&b);
}

static void paused_request_does_not_age(void **state)
{
    (void)state;
    struct bed b;
    struct asker paused = {0}, other = {0};
    open_bed(&b, NULL);

    struct pending *p = ask_for(&b, &paused, "tools/call", 30);
    pending_pause(p);
    ask_for(&b, &other, "tools/call", 60);
    kit_loop_until(b.loop, 2000, other.answers);
    assert_int_equal(paused.answers, 0);
    pending_resume(p);
    kit_loop_until(b.loop, 2000, paused.answers);
    assert_int_equal(paused.outcome, LINE_DEADLINE);
    close_bed(&b);
}

static void server_may_ask_and_tell(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b, NULL);

    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n");
    assert_string_equal(heard(&b), "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}\n");
    say(&b, "[{\"method\":\"notifications/x\"},{\"id\":7,\"method\":\"roots/list\"}]\n");
    assert_int_equal(b.notes, 1);
    assert_int_equal(b.asked, 1);
    line_answer_request(b.line, bytes_of(b.id), BYTES("{\"roots\":\n[]}"));
    line_refuse_request(b.line, BYTES("8"), -32601, "no");
    line_notify(b.line, "notifications/initialized", BYTES_NONE);
    assert_string_equal(heard(&b),
                        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"roots\": []}}\n"
                        "{\"jsonrpc\":\"2.0\",\"id\":8,\"error\":{\"code\":-32601,\"message\":\"no\"}}\n"
                        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    close_bed(&b);
}

static void noise_is_told_and_a_hundred_lines_of_it_end_the_line(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0};
    open_bed(&b, NULL);
    b.frees_in_lost = true;

    ask(&b, &one);
    say(&b, "Server running on stdio\n");
    assert_int_equal(b.noise, 1);
    assert_string_equal(b.last, "Server running on stdio");
    say(&b, "{\"method\":\"notifications/x\"}\n");
    for (int i = 0; i < 99; i++)
        say(&b, "noise\n");
    assert_int_equal(b.lost, 0);
    assert_int_equal(send(b.server, "noise\nnoise\n", 12, 0), 12);
    loop_turn(b.loop, 0);
    assert_int_equal(b.lost, 1);
    assert_int_equal(b.noise, 101);
    assert_int_equal(one.outcome, LINE_LOST);
    assert_null(b.line);
    close_bed(&b);
}

static void end_of_input_ends_all_requests_once(void **state)
{
    (void)state;
    struct bed b;
    struct asker sent = {0}, unsent = {0};
    open_bed(&b, NULL);

    ask(&b, &sent);
    heard(&b);
    assert_int_equal(send(b.server, "{\"id\":1,", 8, 0), 8);
    shutdown(b.server, SHUT_WR);
    kit_loop_until(b.loop, 2000, b.lost);
    assert_int_equal(b.lost, 1);
    assert_string_equal(b.reason, "it closed its output");
    assert_int_equal(sent.answers, 1);
    assert_int_equal(sent.fault.fault, FAULT_OUTCOME_UNKNOWN);
    assert_null(ask(&b, &unsent));
    line_free(take_ptr(&b.line));
    assert_int_equal(b.lost, 1);
    close_bed(&b);

    open_bed(&b, NULL);
    ask(&b, &unsent);
    line_free(take_ptr(&b.line));
    assert_int_equal(unsent.answers, 1);
    assert_int_equal(unsent.fault.fault, FAULT_SERVER_DOWN);
    assert_int_equal(b.lost, 0);
    close_bed(&b);
}

static void callback_may_free_the_line_or_cancel_another(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0}, two = {0};
    open_bed(&b, NULL);

    ask(&b, &one);
    one.cancels = ask(&b, &two);
    say(&b, "{\"id\":1,\"result\":{}}\n{\"id\":2,\"result\":{}}\n");
    assert_int_equal(one.answers, 1);
    assert_int_equal(two.answers, 0);

    ask(&b, &one);
    ask(&b, &two);
    one.frees = take_ptr(&b.line);
    send(b.server, "{\"id\":3,\"result\":{}}\n{\"id\":4,\"result\":{}}\n", 42, 0);
    loop_turn(b.loop, 0);
    assert_int_equal(two.answers, 1);
    assert_int_equal(two.outcome, LINE_LOST);
    assert_int_equal(b.lost, 0);
    close_bed(&b);
}

/* An answer of `size` bytes of text, its id before or behind it. */
static char *large_answer(size_t size, int id, bool is_id_first)
{
    char *filler = mem_new(size + 1);
    memset(filler, 'x', size);
    char *text = is_id_first ? text_format("{\"id\":%d,\"result\":{\"id\":9,\"t\":\"%s\"}}\n", id, filler)
                             : text_format("{\"result\":{\"id\":9,\"t\":\"%s\"},\"id\":%d}\n", filler, id);
    free(filler);
    return text;
}

/* Takes the text, an answer to the second of two requests. */
static void fails_alone(char *text, const struct line_limits *limits)
{
    struct bed b;
    struct asker one = {0}, two = {0};
    open_bed(&b, limits);
    ask(&b, &one);
    ask(&b, &two);
    say(&b, text);
    free(text);
    kit_loop_until(b.loop, 2000, two.answers);
    assert_int_equal(two.outcome, LINE_TOO_LARGE);
    assert_non_null(strstr(two.fault.data, "\"limit\":\"result_bytes\",\"max\":1000"));
    assert_int_equal(one.answers, 0);
    assert_int_equal(b.lost, 0);
    say(&b, "{\"id\":1,\"result\":{}}\n");
    assert_int_equal(one.outcome, LINE_RESULT);
    close_bed(&b);
}

static void over_long_answer_fails_only_its_own_request(void **state)
{
    (void)state;
    static const size_t sizes[] = {2000, 70000, 390000};
    static const struct line_limits limits = {.message = 1000};
    static const struct line_limits wide = {.message = 100000};

    for (size_t i = 0; i < 6; i++)
        fails_alone(large_answer(sizes[i / 2] + (i / 2 == 1 ? 50000 : 0), 2, i % 2),
                    i / 2 == 0 ? &limits : &wide);
}

static void line_without_end_is_lost(void **state)
{
    (void)state;
    static const struct line_limits limits = {.message = 1000};
    struct bed b;
    struct asker one = {0};
    open_bed(&b, &limits);

    ask(&b, &one);
    char *text = large_answer(3900, 1, true);
    assert_true(send(b.server, text, 3900, 0) == 3900);
    loop_turn(b.loop, 0);
    assert_int_equal(b.lost, 0);
    assert_int_equal(send(b.server, text + 30, 300, 0), 300);
    loop_turn(b.loop, 0);
    assert_int_equal(b.lost, 1);
    assert_string_equal(b.reason, "it wrote a line without end");
    assert_int_equal(one.outcome, LINE_LOST);
    free(text);
    close_bed(&b);
}

static void large_answer_in_pieces_comes_whole(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0};
    open_bed(&b, NULL);

    ask(&b, &one);
    char *text = large_answer(3000000, 1, false);
    say(&b, text);
    kit_loop_until(b.loop, 2000, one.answers);
    assert_int_equal(one.outcome, LINE_RESULT);
    assert_int_equal(memcmp(one.text, text, 500), 0);
    free(text);
    say(&b, "x");
    text = large_answer(3000000, 1, false);
    say(&b, text); /* the same, but no JSON: a first part was scanned and found bad */
    kit_loop_until(b.loop, 2000, b.noise);
    free(text);
    close_bed(&b);
}

static void passing_another_limit_fails_the_request_too(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0}, two = {0};
    struct buf deep = {0};
    open_bed(&b, NULL);

    ask(&b, &one);
    ask(&b, &two);
    buf_add_text(&deep, "{\"result\":{\"a\":");
    for (int i = 0; i < 130; i++)
        buf_add_char(&deep, '[');
    for (int i = 0; i < 130; i++)
        buf_add_char(&deep, ']');
    buf_add_text(&deep, "},\"id\":2}\n");
    say(&b, deep.p);
    assert_int_equal(two.outcome, LINE_TOO_LARGE);
    assert_non_null(strstr(two.fault.text, "'depth'"));
    buf_clear(&deep);
    buf_addf(&deep, "{\"method\":\"%0200d\"}\n", 0); /* no answer, so nobody's */
    say(&b, deep.p);
    assert_int_equal(one.answers, 0);
    buf_end(&deep);
    close_bed(&b);
}

static void server_that_does_not_read_is_lost(void **state)
{
    (void)state;
    static const struct line_limits limits = {.backlog = 300000};
    struct bed b;
    struct asker one = {0};
    struct why why = {0};
    char *filler = mem_new(100001);
    memset(filler, ' ', 100000);
    const struct request_spec spec = {
        .method = "m", .params = {filler, 100000},
             .deadline_ms = 60000, .ops = &asker_ops, .ctx = &one
    };
    open_bed(&b, &limits);

    size_t sent = 0;
    for (; sent < 100 && line_request(b.line, &spec, &why); sent++)
        loop_turn(b.loop, 0);
    assert_in_range(sent, 3, 20);
    assert_string_equal(why.text, "the server does not read its input");
    loop_turn(b.loop, 0);
    assert_int_equal(b.lost, 1);
    assert_int_equal(one.answers, sent);
    free(filler);
    close_bed(&b);
}

static void answers_written_before_death_still_count(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0}, two = {0};
    open_bed(&b, NULL);

    ask(&b, &one);
    heard(&b);
    assert_int_equal(send(b.server, "{\"id\":1,\"result\":{}}\n", 21, 0), 21);
    fd_close(&b.server);
    ask(&b, &two);
    kit_loop_until(b.loop, 2000, b.lost);
    assert_int_equal(one.outcome, LINE_RESULT);
    assert_int_equal(two.outcome, LINE_LOST);
    close_bed(&b);
}

static void shut_line_still_hears_answers(void **state)
{
    (void)state;
    struct bed b;
    struct asker one = {0};
    char c;
    open_bed(&b, NULL);

    ask(&b, &one);
    line_shut(b.line);
    assert_non_null(strstr(heard(&b), "tools/call"));
    assert_int_equal(recv(b.server, &c, 1, MSG_DONTWAIT), 0);
    assert_null(ask(&b, &one));
    say(&b, "{\"id\":1,\"result\":{}}\n");
    assert_int_equal(one.outcome, LINE_RESULT);
    close_bed(&b);
}

static void over_long_notification_is_dropped(void **state)
{
    (void)state;
    static const struct line_limits limits = {.notification = 60};
    struct bed b;
    open_bed(&b, &limits);

    say(&b, "{\"method\":\"notifications/message\",\"params\":{\"data\":\"0123456789\"}}\n");
    assert_int_equal(b.notes, 0);
    assert_int_equal(line_counts(b.line).malformed, 1);
    say(&b, "{\"method\":\"notifications/message\"}\n");
    assert_int_equal(b.notes, 1);
    close_bed(&b);
}

KIT_MAIN(cmocka_unit_test(request_goes_out_and_its_answer_comes_back), cmocka_unit_test(only_exact_ids_count),
         cmocka_unit_test(cancelled_request_is_told_and_its_late_result_dropped),
         cmocka_unit_test(deadline_ends_a_request_and_tells_the_server),
         cmocka_unit_test(progress_is_routed_and_silence_after_it_ends_the_request),
         cmocka_unit_test(paused_request_does_not_age), cmocka_unit_test(server_may_ask_and_tell),
         cmocka_unit_test(noise_is_told_and_a_hundred_lines_of_it_end_the_line),
         cmocka_unit_test(end_of_input_ends_all_requests_once),
         cmocka_unit_test(callback_may_free_the_line_or_cancel_another),
         cmocka_unit_test(over_long_answer_fails_only_its_own_request),
         cmocka_unit_test(line_without_end_is_lost), cmocka_unit_test(large_answer_in_pieces_comes_whole),
         cmocka_unit_test(passing_another_limit_fails_the_request_too),
         cmocka_unit_test(server_that_does_not_read_is_lost),
         cmocka_unit_test(answers_written_before_death_still_count),
         cmocka_unit_test(shut_line_still_hears_answers), cmocka_unit_test(over_long_notification_is_dropped))
