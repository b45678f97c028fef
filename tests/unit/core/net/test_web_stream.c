/* Streams: sockets that leave libmicrohttpd. */
#include "tests/unit/core/net/bed.h"

#define HOLD "POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
#define STREAM "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_stream_carries_its_pieces_in_order(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES(STREAM));
    bed_hear(&b, fd, &in, "\r\n\r\n");
    assert_non_null(strstr(in.p, "X-Accel-Buffering: no\r\n"));
    assert_non_null(strstr(in.p, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(in.p, "Connection: close\r\n"));
    assert_int_equal(web_counts(b.web).streams, 1);
    buf_clear(&in);
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof(text), "data: %d\n\n", i);
        request_push(b.held[0], bytes_of(text));
        assert_true(request_queued(b.held[0]) > 0);
        bed_hear(&b, fd, &in, text);
    }
    assert_string_equal(in.p, "9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n");
    request_push(b.held[0], BYTES("last\n"));
    request_finish(b.held[0]);
    assert_true(bed_hear(&b, fd, &in, NULL));
    assert_true(bytes_end_with((struct bytes){in.p, in.n}, "5\r\nlast\n\r\n0\r\n\r\n"));
    assert_int_equal(b.ends, 1);
    assert_int_equal(web_counts(b.web).streams, 0);
    close(fd);
    bed_wait_empty(&b);
    assert_int_equal(b.gone, 0);
    buf_end(&in);
    bed_end(&b);
}

static void a_post_may_become_a_stream_later(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        bed_begin(&b, NULL, NULL);
        buf_clear(&in);
        int fd = bed_dial(&b);
        bed_say(&b, fd, BYTES(HOLD));
        bed_wait_held(&b, 1);
        bed_pass(&b, is_late ? 60 : 0);
        request_add_header(b.held[0], "Mcp-Session-Id", "abc");
        request_stream(b.held[0], 200, "text/event-stream");
        request_push(b.held[0], BYTES("one\n"));
        bed_hear(&b, fd, &in, "one\n");
        assert_non_null(strstr(in.p, "Mcp-Session-Id: abc\r\n"));
        request_finish(b.held[0]);
        assert_true(bed_hear(&b, fd, &in, NULL));
        close(fd);
        bed_end(&b);
    }
    buf_end(&in);
}

static void a_stream_to_1_0_has_no_chunks(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n"));
    bed_wait_held(&b, 1);
    request_push(b.held[0], BYTES("one\n"));
    request_finish(b.held[0]);
    assert_true(bed_hear(&b, fd, &in, NULL));
    assert_true(bed_heard(&in, "\r\n\r\none\n"));
    assert_false(bed_heard(&in, "chunked"));
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

static void a_slow_reader_fills_the_queue_and_drains_it(void **state)
{
    struct bed b;
    char some[65536];
    size_t n_in = 0, n_out = 0;
    (void)state;
    bed_begin(&b, NULL, NULL);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES(STREAM));
    bed_wait_held(&b, 1);
    memset(some, 's', sizeof(some));
    while (request_queued(b.held[0]) < 1 << 20) {
        request_push(b.held[0], (struct bytes){some, sizeof(some)});
        n_out += sizeof(some);
        loop_turn(b.loop, 0);
        assert_true(n_out < 1 << 28);
    }
    size_t drained = b.drained;
    for (int64_t end = kit_real_ms() + 5000; b.drained == drained;) {
        ssize_t n = recv(fd, some, sizeof(some), 0);
        n_in += n > 0 ? (size_t)n : 0;
        loop_turn(b.loop, 0);
        assert_true(kit_real_ms() < end);
    }
    assert_int_equal(request_queued(b.held[0]), 0);
    close(fd);
    bed_wait_gone(&b, 1);
    request_push(b.held[0], BYTES("swallowed"));
    request_finish(b.held[0]);
    bed_wait_ends(&b, 1);
    bed_end(&b);
}

KIT_MAIN(cmocka_unit_test(a_stream_carries_its_pieces_in_order),
         cmocka_unit_test(a_post_may_become_a_stream_later), cmocka_unit_test(a_stream_to_1_0_has_no_chunks),
         cmocka_unit_test(a_slow_reader_fills_the_queue_and_drains_it))
