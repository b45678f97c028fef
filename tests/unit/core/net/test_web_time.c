/* How long anything may take, and how all of it ends. */
#include "tests/unit/core/net/bed.h"

#define HOLD "POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
#define STREAM "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void answer(struct bed *b, size_t i, const char *text)
{
    struct request *r = b->held[i];
    assert_non_null(r);
    request_answer(r, 200, "text/plain", bytes_of(text));
}

/* Sends a byte every second of the moved clock; the seconds until the other side hung up. */
static int drip(struct bed *b, int fd, const char *text, struct buf *in, int most)
{
    char some[4096];
    for (int s = 0; s < most; s++) {
        if (text && text[0]) {
            if (send(fd, text++, 1, MSG_NOSIGNAL) < 0)
                return s;
        }
        kit_clock_move_ms(1000);
        bed_pass(b, 25);
        ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n > 0 && in)
            buf_add(in, some, (size_t)n);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return s + 1;
    }
    return most;
}

static void a_dripping_head_has_ten_seconds(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    int s =
        drip(&b, fd, "GET /now HTTP/1.1\r\nHost: localhost\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 40);
    assert_in_range(s, 10, 13);
    close(fd);
    fd = bed_dial(&b); /* once the request line is there, too */
    bed_say(&b, fd, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    bed_hear(&b, fd, &in, "GET /now");
    bed_say(&b, fd, BYTES("GET /now HTTP/1.1\r\nHo"));
    s = drip(&b, fd, "st: localhost\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 40);
    assert_in_range(s, 10, 12);
    close(fd);
    fd = bed_dial(&b); /* silence */
    assert_in_range(drip(&b, fd, NULL, NULL, 40), 10, 12);
    close(fd);
    assert_int_equal(b.heads, 1);
    buf_end(&in);
    bed_end(&b);
}

static void a_dripping_body_is_late(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"));
    kit_loop_until(b.loop, 2000, b.heads == 1);
    int s = drip(&b, fd, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", &in, 60);
    assert_in_range(s, 29, 33);
    assert_int_equal(bed_status(&in), 408);
    bed_wait_ends(&b, 1);
    assert_int_equal(b.bodies, 0);
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void an_idle_connection_has_a_minute(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b), held = bed_dial(&b);
    bed_say(&b, held, BYTES(HOLD));
    bed_wait_held(&b, 1);
    for (int i = 0; i < 2; i++) { /* each answer gives it a new minute */
        bed_say(&b, fd, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        buf_clear(&in);
        bed_hear(&b, fd, &in, "GET /now");
        kit_clock_move_ms(55000);
        bed_pass(&b, 50);
        assert_true(recv(fd, (char[1]){0}, 1, 0) < 0 && errno == EAGAIN);
    }
    assert_true(drip(&b, fd, NULL, NULL, 20) <=
                17);           /* what came last counts by the kernel's clock, not ours */
    answer(&b, 0, "not idle"); /* a held one has no such limit */
    buf_clear(&in);
    bed_hear(&b, held, &in, "not idle");
    close(fd);
    close(held);
    buf_end(&in);
    bed_end(&b);
}

/* ---- the end ---- */

/* What is in the socket, up to its end. */
static void drain(int fd, struct buf *in)
{
    char some[4096];
    ssize_t n;
    buf_clear(in);
    while ((n = recv(fd, some, sizeof(some), 0)) > 0)
        buf_add(in, some, (size_t)n);
    assert_int_equal(n, 0);
}

static void the_end_answers_what_is_open(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        bed_begin(&b, NULL, NULL);
        buf_clear(&in);
        int held = bed_dial(&b), stream = bed_dial(&b), half = bed_dial(&b), idle = bed_dial(&b);
        bed_say(&b, held, BYTES(HOLD));
        bed_say(&b, stream, BYTES(STREAM));
        bed_say(&b, half, BYTES("POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{}"));
        bed_wait_held(&b, 2);
        bed_wait_heads(&b, 3);
        bed_pass(&b, is_late ? 60 : 0);
        door_free(b.door);
        web_free(b.web);
        drain(held, &in);
        assert_int_equal(bed_status(&in), 503);
        drain(stream, &in);
        assert_true(bytes_end_with((struct bytes){in.p, in.n}, "\r\n0\r\n\r\n"));
        assert_int_equal(b.ends, 3);
        close(held);
        close(stream);
        close(half);
        close(idle);
        loop_free(b.loop);
    }
    buf_end(&in);
}

static int hold_clock(void **state)
{
    (void)state;
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(a_dripping_head_has_ten_seconds, hold_clock),
         cmocka_unit_test(a_dripping_body_is_late), cmocka_unit_test(an_idle_connection_has_a_minute),
         cmocka_unit_test(the_end_answers_what_is_open))
