#include "tests/unit/core/net/bed.h"

#define HOLD "POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
#define STREAM "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void answer(struct bed *b, size_t i, const char *text)
{
    struct request *r = b->held[i];
    assert_non_null(r);
    request_answer(r, 200, "text/plain", bytes_of(text));
}

static void what_came_is_told_and_answered(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    bool has_ended = bed_ask(
        &b, BYTES("PATCH /now/x%20y?q=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"), &in);
    assert_false(has_ended);
    assert_non_null(strstr(in.p, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(in.p, "\r\n\r\nPATCH /now/x%20y?q=1 body 3:abc"));
    assert_non_null(strstr(in.p, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(in.p, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(in.p, "Date: "));
    assert_int_equal(b.ends, 1);
    buf_end(&in);
    bed_end(&b);
}

static void http_1_0_is_answered_and_closed(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("GET /now HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"));
    assert_true(bed_hear(&b, fd, &in, NULL));
    assert_non_null(strstr(in.p, "GET /now? body 0:"));
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void a_held_request_waits_for_its_answer(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    for (int i = 0; i < 3; i++) { /* on one connection */
        b.held_count = 0;
        buf_clear(&in);
        bed_say(&b, fd, BYTES(HOLD));
        bed_wait_held(&b, 1);
        answer(&b, 0, "here");
        bed_hear(&b, fd, &in, "here");
        bed_wait_ends(&b, (size_t)i + 1);
    }
    assert_int_equal(b.gone, 0);
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

/* Longer than requests are held before they are suspended. */
static void suspended_requests_are_answered_too(void **state)
{
    enum { MANY = 300 };
    struct bed b;
    struct buf in = {0};
    int fds[MANY];
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (int i = 0; i < MANY; i++) {
        fds[i] = bed_dial(&b);
        bed_say(&b, fds[i], BYTES(HOLD));
        bed_wait_held(&b, (size_t)i + 1);
    }
    bed_pass(&b, 100);
    for (int i = MANY - 1; i >= 0; i--) {
        char text[32];
        snprintf(text, sizeof(text), "<answer %d>", i);
        answer(&b, (size_t)i, text);
        buf_clear(&in);
        bed_hear(&b, fds[i], &in, text);
        bed_say(&b, fds[i], BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        bed_hear(&b, fds[i], &in, "GET /now");
        close(fds[i]);
    }
    kit_loop_until(b.loop, 2000, b.ends == (size_t)2 * MANY && web_counts(b.web).connections == 0);
    buf_end(&in);
    bed_end(&b);
}

static void waiting_costs_no_processor(void **state)
{
    struct bed b;
    int fd[2];
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        fd[i] = bed_dial(&b);
        bed_say(&b, fd[i], BYTES(HOLD));
    }
    bed_wait_held(&b, 2);
    int turns = 0;
    for (int64_t end = kit_real_ms() + 400; kit_real_ms() < end; turns++)
        loop_turn(b.loop, 100);
    if (turns > 60)
        fail_msg("%d turns in 400 ms", turns);
    close(fd[0]);
    close(fd[1]);
    bed_end(&b);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd,
            BYTES(HOLD "GET /now?2 HTTP/1.1\r\nHost: localhost\r\n\r\n" HOLD
                       "POST /now?4 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /now?5 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    bed_wait_held(&b, 1);
    answer(&b, 0, "<first>");
    bed_wait_held(&b, 2);
    answer(&b, 1, "<third>");
    bed_hear(&b, fd, &in, "/now?5");
    const char *order[] = {"<first>", "/now?2", "<third>", "/now?4 body 3:abc", "/now?5"}, *at = in.p;
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void continue_is_said_only_after_the_gate(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(
        &b, fd,
        BYTES("POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    bed_hear(&b, fd, &in, "HTTP/1.1 100 Continue\r\n\r\n");
    bed_say(&b, fd, BYTES("{}"));
    bed_hear(&b, fd, &in, "body 2:{}");
    close(fd);
    bed_ask(&b,
            BYTES("POST /now HTTP/1.1\r\nHost: evil\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            &in);
    assert_int_equal(bed_status(&in), 403);
    bed_ask(
        &b,
        BYTES("POST /head HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
        &in);
    assert_int_equal(bed_status(&in), 401);
    buf_end(&in);
    bed_end(&b);
}

static void an_answer_before_the_body_reaches_its_client(void **state)
{
    struct bed b;
    struct buf in = {0}, out = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (size_t size = 10; size <= 1000000; size *= 10) {
        int fd = bed_dial(&b);
        buf_clear(&in);
        buf_clear(&out);
        buf_addf(&out, "POST /head HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", size);
        buf_reserve(&out, size);
        memset(out.p + out.n, 'x', size);
        out.n += size;
        bed_say(&b, fd, (struct bytes){out.p, out.n});
        bed_hear(&b, fd, &in, "{\"who\":1}");
        assert_int_equal(bed_status(&in), 401);
        close(fd);
    }
    kit_loop_until(b.loop, 3000, b.ends == b.heads && web_counts(b.web).connections == 0);
    assert_int_equal(b.bodies, 0);
    buf_end(&in);
    buf_end(&out);
    bed_end(&b);
}

static void a_large_body_and_a_large_answer_pass(void **state)
{
    enum { SIZE = 3 << 20 };
    struct bed b;
    struct buf in = {0}, out = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    buf_addf(&out, "POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", SIZE);
    buf_reserve(&out, SIZE);
    memset(out.p + out.n, 'x', SIZE);
    out.n += SIZE;
    bed_say(&b, fd, (struct bytes){out.p, out.n});
    bed_hear(&b, fd, &in, "body 3145728:xxx");
    buf_clear(&in);
    bed_say(&b, fd, BYTES("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    char some[65536];
    for (int64_t end = kit_real_ms() + 5000; in.n < BED_BIG; loop_turn(b.loop, 0)) {
        ssize_t n = recv(fd, some, sizeof(some), 0);
        assert_true(kit_real_ms() < end);
        if (n > 0)
            buf_add(&in, some, (size_t)n);
    }
    close(fd);
    buf_end(&in);
    buf_end(&out);
    bed_end(&b);
}

/* 19: FIN, RST and half-close are a cancel while an answer is held, at once and once. */
static void a_peer_that_hangs_up_is_told(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        for (int is_late = 0; is_late < 2; is_late++) { /* held; suspended */
            struct bed b;
            struct linger hard = {1, 0};
            bed_begin(&b, NULL, NULL);
            int fd = bed_dial(&b);
            bed_say(&b, fd, BYTES(HOLD));
            bed_wait_held(&b, 1);
            bed_pass(&b, is_late ? 60 : 0);
            if (how == 0) {
                shutdown(fd, SHUT_WR);
            } else {
                if (how == 2)
                    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
                close(fd);
            }
            bed_wait_gone(&b, 1);
            bed_wait_empty(&b); /* its memory goes at once */
            assert_int_equal(b.ends, 0);
            assert_true(bytes_say(request_path(b.held[0]), "/hold")); /* and what came is still there */
            answer(&b, 0, "nobody hears");
            assert_int_equal(b.ends, 0); /* not from within */
            bed_wait_ends(&b, 1);
            assert_int_equal(b.gone, 1);
            if (how == 0)
                close(fd);
            bed_end(&b);
        }
    }
}

/* Requests outlive their connections, so that many can wait without as many descriptors. */
static void more_requests_may_end_at_once_than_are_kept_for_reuse(void **state)
{
    enum { MANY = 1100 };
    struct bed b;
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (size_t i = 0; i < MANY; i++) {
        int fd = bed_dial(&b);
        bed_say(&b, fd, BYTES(HOLD));
        bed_wait_held(&b, i + 1);
        close(fd);
    }
    bed_wait_gone(&b, MANY);
    for (size_t i = 0; i < MANY; i++)
        request_answer_take(b.held[i], 200, NULL, mem_text("nobody hears"), 12);
    bed_wait_ends(&b, MANY);
    bed_end(&b);
}

static void a_handler_may_answer_when_told_gone(void **state)
{
    struct bed b;
    (void)state;
    bed_begin(&b, NULL, NULL);
    b.answers_when_gone = true;
    int fd = bed_dial(&b), stream = bed_dial(&b);
    bed_say(&b, fd, BYTES(HOLD));
    bed_say(&b, stream, BYTES(STREAM));
    bed_wait_held(&b, 2);
    close(fd);
    close(stream);
    kit_loop_until(b.loop, 2000, b.gone == 2 && b.ends == 2);
    bed_end(&b);
}

/* The hang-up may be there before the request is even parsed. */
static void a_request_sent_with_its_fin_is_a_cancel_when_it_must_wait(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    assert_int_equal(send(fd, HOLD, sizeof(HOLD) - 1, 0), sizeof(HOLD) - 1);
    shutdown(fd, SHUT_WR);
    bed_wait_held(&b, 1);
    kit_loop_until(b.loop, 2000, b.gone == 1);
    answer(&b, 0, "late");
    bed_wait_ends(&b, 1);
    close(fd);
    fd = bed_dial(&b); /* one that is answered at once still hears it */
    static const char now[] = "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(send(fd, now, sizeof(now) - 1, 0), sizeof(now) - 1);
    shutdown(fd, SHUT_WR);
    bed_hear(&b, fd, &in, "GET /now");
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

/* On a connection in use the hang-up may even be seen before its request is parsed. */
static void a_last_request_sent_with_its_fin_is_a_cancel_too(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    bed_hear(&b, fd, &in, "GET /now");
    assert_int_equal(send(fd, HOLD, sizeof(HOLD) - 1, 0), sizeof(HOLD) - 1);
    shutdown(fd, SHUT_WR);
    bed_wait_held(&b, 1);
    bed_wait_gone(&b, 1);
    answer(&b, 0, "late");
    bed_wait_ends(&b, 2);
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void a_peer_that_leaves_in_its_body_is_forgotten(void **state)
{
    struct bed b;
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{}"));
    kit_loop_until(b.loop, 2000, b.heads == 1);
    close(fd);
    bed_wait_ends(&b, 1);
    assert_int_equal(b.bodies + b.gone, 0);
    bed_end(&b);
}

/* ---- refusals ---- */

static void a_refusal_outlives_what_is_still_being_sent(void **state)
{
    struct bed b;
    struct buf in = {0}, out = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    buf_addf(&out, "POST /now HTTP/1.1\r\nHost: evil\r\nContent-Length: 40000\r\n\r\n");
    buf_reserve(&out, 40000);
    memset(out.p + out.n, 'x', 40000);
    out.n += 40000;
    for (int i = 0; i < 20; i++) {
        int fd = bed_dial(&b);
        buf_clear(&in);
        bed_say(&b, fd, (struct bytes){out.p, out.n - 20000});
        for (int k = 0; k < 5; k++)
            loop_turn(b.loop, 1);
        assert_true(
            bed_say(&b, fd, (struct bytes){out.p + out.n - 20000, 20000})); /* a reset would fail it */
        assert_true(bed_hear(&b, fd, &in, NULL));
        assert_int_equal(bed_status(&in), 403);
        close(fd);
    }
    bed_wait_empty(&b);
    assert_int_equal(web_counts(b.web).refused, 20);
    buf_end(&in);
    buf_end(&out);
    bed_end(&b);
}

static void a_handler_may_refuse(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES(HOLD));
    bed_wait_held(&b, 1);
    request_refuse(b.held[0], 429, BYTES("{\"slow\":\"down\"}"));
    assert_true(bed_hear(&b, fd, &in, NULL));
    assert_int_equal(bed_status(&in), 429);
    assert_non_null(strstr(in.p, "{\"slow\":\"down\"}"));
    bed_wait_ends(&b, 1);
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void headers_of_others_cannot_split_an_answer(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES(HOLD));
    bed_wait_held(&b, 1);
    request_add_header(b.held[0], "X-A", "1\r\nX-B: 2");
    request_add_header(b.held[0], "Cache-Control", "private");
    answer(&b, 0, "done");
    bed_hear(&b, fd, &in, "done");
    assert_null(strstr(in.p, "X-B"));
    assert_null(strstr(in.p, "no-store"));
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void a_crowd_is_told_so(void **state)
{
    struct bed b;
    struct buf in = {0};
    struct web_limits limits = {.connections = 3};
    int fds[3];
    (void)state;
    bed_begin(&b, &limits, NULL);
    for (int i = 0; i < 3; i++) {
        fds[i] = bed_dial(&b);
        bed_say(&b, fds[i], BYTES(HOLD));
    }
    bed_wait_held(&b, 3);
    bed_ask(&b, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"), &in);
    assert_int_equal(bed_status(&in), 503);
    assert_non_null(strstr(in.p, "Retry-After: "));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    bed_wait_empty(&b);
    bed_ask(&b, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"), &in);
    assert_int_equal(bed_status(&in), 200);
    buf_end(&in);
    bed_end(&b);
}

static void an_address_has_its_share(void **state)
{
    static const struct web_listener far = {.name = "far"};
    struct web_limits limits = {.per_address = 2};
    struct bed b;
    int pair[3][2];
    char some[64];
    (void)state;
    bed_begin(&b, &limits, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair[i]), 0);
        web_take(b.web, pair[i][0], &far, "192.0.2.1", -1);
    }
    loop_turn(b.loop, 0);
    assert_true(recv(pair[0][1], some, sizeof(some), 0) < 0 && recv(pair[1][1], some, sizeof(some), 0) < 0);
    assert_true(recv(pair[2][1], some, sizeof(some), 0) > 12);
    assert_memory_equal(some, "HTTP/1.1 503", 12);
    for (int i = 0; i < 3; i++)
        close(pair[i][1]);
    bed_wait_empty(&b);
    bed_end(&b);
}

KIT_MAIN(cmocka_unit_test(what_came_is_told_and_answered), cmocka_unit_test(http_1_0_is_answered_and_closed),
         cmocka_unit_test(a_held_request_waits_for_its_answer),
         cmocka_unit_test(suspended_requests_are_answered_too), cmocka_unit_test(waiting_costs_no_processor),
         cmocka_unit_test(pipelined_requests_are_answered_in_order),
         cmocka_unit_test(continue_is_said_only_after_the_gate),
         cmocka_unit_test(an_answer_before_the_body_reaches_its_client),
         cmocka_unit_test(a_large_body_and_a_large_answer_pass),
         cmocka_unit_test(a_peer_that_hangs_up_is_told),
         cmocka_unit_test(more_requests_may_end_at_once_than_are_kept_for_reuse),
         cmocka_unit_test(a_handler_may_answer_when_told_gone),
         cmocka_unit_test(a_request_sent_with_its_fin_is_a_cancel_when_it_must_wait),
         cmocka_unit_test(a_last_request_sent_with_its_fin_is_a_cancel_too),
         cmocka_unit_test(a_peer_that_leaves_in_its_body_is_forgotten),
         cmocka_unit_test(a_refusal_outlives_what_is_still_being_sent),
         cmocka_unit_test(a_handler_may_refuse), cmocka_unit_test(headers_of_others_cannot_split_an_answer),
         cmocka_unit_test(a_crowd_is_told_so), cmocka_unit_test(an_address_has_its_share))
