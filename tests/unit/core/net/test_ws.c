/* Frames written by hand, so that what a browser would never send is tried too (RFC 6455 §5). */
#include "tests/unit/core/net/bed.h"

struct seen {
    struct socket *socket;
    int opened, closed, texts;
    struct buf text;
    bool echoes;
};
static struct seen seen;

static void on_open(struct socket *s, struct bytes path, struct bytes query, void *ctx)
{
    (void)path, (void)query, (void)ctx;
    seen.opened++;
    seen.socket = s;
    socket_set_ctx(s, &seen);
}

static void on_text(struct socket *s, struct bytes text, void *ctx)
{
    (void)ctx;
    assert_ptr_equal(socket_ctx(s), &seen);
    seen.texts++;
    buf_clear(&seen.text);
    buf_add_bytes(&seen.text, text);
    if (seen.echoes)
        socket_send(s, text);
}

static void on_close(struct socket *s, void *ctx)
{
    (void)s, (void)ctx;
    seen.closed++;
    seen.socket = NULL;
}

static const struct ws_ops ws_ops = {on_open, on_text, on_close};

static int open_socket(struct bed *b)
{
    struct buf in = {0};
    int before = seen.opened, fd = bed_dial(b);
    bed_say(b, fd,
            BYTES("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: bed.v1\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: "
                  "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    bed_hear(b, fd, &in, "\r\n\r\n");
    assert_int_equal(bed_status(&in), 101);
    assert_true(bed_heard(&in, "Sec-WebSocket-Protocol: bed.v1\r\n"));
    assert_false(bed_heard(&in, "permessage-deflate"));
    kit_loop_until(b->loop, 2000, seen.opened == before + 1);
    buf_end(&in);
    return fd;
}

static void begin(struct bed *b)
{
    buf_end(&seen.text);
    memset(&seen, 0, sizeof(seen));
    bed_begin(b, NULL, &ws_ops);
}

static void end(struct bed *b, int fd)
{
    close(fd);
    kit_loop_until(b->loop, 2000, seen.closed == seen.opened && ws_count(b->ws) == 0);
    buf_end(&seen.text);
    bed_end(b);
}

/* first: FIN bit and opcode; the mask is all zeros, so the payload is as it is. */
static void frame(struct bed *b, int fd, unsigned first, const char *p, size_t n)
{
    struct buf out = {0};
    buf_add_char(&out, (char)first);
    if (n < 126) {
        buf_add_char(&out, (char)(0x80 | n));
    } else {
        buf_add_char(&out, (char)(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_add_char(&out, (char)((uint64_t)n >> shift));
    }
    buf_add(&out, "\0\0\0\0", 4);
    buf_add(&out, p, n);
    bed_say(b, fd, (struct bytes){out.p, out.n});
    buf_end(&out);
}

/* The code of the close frame that ends what comes. */
static int close_code(struct bed *b, int fd)
{
    struct buf in = {0};
    while (in.n < 4)
        if (bed_hear(b, fd, &in, "\x88"))
            break;
    const unsigned char *p = (const unsigned char *)in.p;
    int code = in.n >= 4 && p[0] == 0x88 ? p[2] * 256 + p[3] : 0;
    buf_end(&in);
    return code;
}

static void texts_go_both_ways(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    begin(&b);
    int fd = open_socket(&b);
    seen.echoes = true;
    frame(&b, fd, 0x81, "hello", 5);
    bed_hear(&b, fd, &in, "\x81\x05hello");
    frame(&b, fd, 0x01, "in ", 3); /* in fragments, with a ping between */
    frame(&b, fd, 0x89, "?", 1);
    frame(&b, fd, 0x80, "two", 3);
    bed_hear(&b, fd, &in, "\x81\x06in two");
    assert_non_null(strstr(in.p, "\x8a\x01?"));
    assert_int_equal(seen.texts, 2);
    frame(&b, fd, 0x88, "\x03\xe8", 2);
    kit_loop_until(b.loop, 2000, seen.closed == 1);
    buf_end(&in);
    end(&b, fd);
}

static void a_message_has_its_limit(void **state)
{
    struct bed b;
    char *text = mem_new((1 << 16) + 1);
    (void)state;
    memset(text, 't', (1 << 16) + 1);
    begin(&b);
    int fd = open_socket(&b);
    frame(&b, fd, 0x81, text, 1 << 16);
    kit_loop_until(b.loop, 2000, seen.texts == 1);
    assert_int_equal(seen.text.n, 1 << 16);
    frame(&b, fd, 0x81, text, (1 << 16) + 1);
    assert_int_equal(close_code(&b, fd), 1009);
    assert_int_equal(seen.texts, 1);
    free(text);
    end(&b, fd);
}

static void only_utf8_texts_are_taken(void **state)
{
    static const struct {
        unsigned first;
        const char *text;
        int code;
    } cases[] = {
        {0x82, "binary",       1003},
        {0x81, "\xff\xfe",     1007},
        {0x81, "\xed\xa0\x80", 1007}
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bed b;
        begin(&b);
        int fd = open_socket(&b);
        frame(&b, fd, cases[i].first, cases[i].text, strlen(cases[i].text));
        assert_int_equal(close_code(&b, fd), cases[i].code);
        assert_int_equal(seen.texts, 0);
        end(&b, fd);
    }
}

static void a_broken_frame_ends_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\xc1\x80\0\0\0\0",         6}, /* reserved bit */
        {"\x83\x80\0\0\0\0",         6}, /* reserved opcode */
        {"\x80\x80\0\0\0\0",         6}, /* goes on with nothing */
        {"\x09\x80\0\0\0\0",         6}, /* fragmented ping */
        {"\x89\xfe\x00\x7e\0\0\0\0", 8}, /* long ping */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bed b;
        struct buf in = {0};
        begin(&b);
        int fd = open_socket(&b);
        bed_say(&b, fd, (struct bytes){cases[i].bytes, cases[i].n});
        bed_hear(&b, fd, &in, "\x88");
        assert_int_equal(seen.texts, 0);
        buf_end(&in);
        end(&b, fd);
    }
}

static void what_is_queued_leaves_before_the_close(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    begin(&b);
    int fd = open_socket(&b);
    for (int i = 0; i < 100; i++)
        socket_send(seen.socket, BYTES("message"));
    assert_int_equal(socket_queued(seen.socket), 700);
    socket_close(seen.socket, 4001, "go");
    socket_send(seen.socket, BYTES("too late"));
    bed_hear(&b, fd, &in, "\x88\x04\x0f\xa1go");
    assert_int_equal(in.n, 100 * 9 + 6);
    frame(&b, fd, 0x88, "\x0f\xa1", 2);
    kit_loop_until(b.loop, 2000, seen.closed == 1);
    buf_end(&in);
    end(&b, fd);
}

static void settle(struct bed *b)
{
    for (int64_t until = kit_real_ms() + 40; kit_real_ms() < until;)
        loop_turn(b->loop, 5);
}

static void silence_is_asked_and_then_ended(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    begin(&b);
    int fd = open_socket(&b);
    for (int i = 0; i < 4; i++) { /* a pong keeps it */
        kit_clock_move_ms(20500);
        settle(&b);
        buf_clear(&in);
        bed_hear(&b, fd, &in, "\x89\x01?");
        frame(&b, fd, 0x8a, "?", 1);
        settle(&b);
    }
    assert_int_equal(seen.closed, 0);
    kit_clock_move_ms(44000);
    settle(&b);
    assert_int_equal(seen.closed, 0);
    kit_clock_move_ms(1500);
    kit_loop_until(b.loop, 2000, seen.closed == 1);
    buf_end(&in);
    end(&b, fd);
}

static void a_peer_that_never_answers_a_close_is_dropped(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    begin(&b);
    int fd = open_socket(&b);
    socket_close(seen.socket, 4008, "silent");
    bed_hear(&b, fd, &in, "silent");
    settle(&b);
    assert_int_equal(seen.closed, 0);
    kit_clock_move_ms(5500);
    kit_loop_until(b.loop, 2000, seen.closed == 1);
    buf_end(&in);
    end(&b, fd);
}

static void the_end_closes_what_is_open(void **state)
{
    struct bed b;
    char some[256];
    (void)state;
    begin(&b);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = open_socket(&b);
    bed_end(&b);
    assert_int_equal(seen.closed, 3);
    for (int i = 0; i < 3; i++) {
        ssize_t n;
        while ((n = recv(fds[i], some, sizeof(some), 0)) > 0)
            ;
        assert_true(n == 0 || errno == ECONNRESET);
        close(fds[i]);
    }
}

static int hold_clock(void **state)
{
    (void)state;
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(texts_go_both_ways, hold_clock), cmocka_unit_test(a_message_has_its_limit),
         cmocka_unit_test(only_utf8_texts_are_taken), cmocka_unit_test(a_broken_frame_ends_it),
         cmocka_unit_test(what_is_queued_leaves_before_the_close),
         cmocka_unit_test(silence_is_asked_and_then_ended),
         cmocka_unit_test(a_peer_that_never_answers_a_close_is_dropped),
         cmocka_unit_test(the_end_closes_what_is_open))
