#include "tests/unit/core/net/bed.h"

#define WS_HEAD                                                                                            \
    "GET /ws?a=1 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

struct seen {
    int opened, closed;
    char target[64];
};
static struct seen seen;

static void on_open(struct socket *s, struct bytes path, struct bytes query, void *ctx)
{
    (void)s, (void)ctx;
    seen.opened++;
    snprintf(seen.target, sizeof(seen.target), "%.*s?%.*s", (int)path.n, path.p, (int)query.n,
             query.p ? query.p : "");
}

static void on_text(struct socket *s, struct bytes text, void *ctx)
{
    (void)ctx;
    socket_send(s, text);
}

static void on_close(struct socket *s, void *ctx)
{
    (void)s, (void)ctx;
    seen.closed++;
}

static const struct ws_ops ws_ops = {on_open, on_text, on_close};

static void one_port_serves_both(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    memset(&seen, 0, sizeof(seen));
    int ws = bed_dial(&b), web = bed_dial(&b);
    bed_say(&b, ws, BYTES(WS_HEAD));
    bed_hear(&b, ws, &in, "\r\n\r\n");
    assert_memory_equal(in.p, "HTTP/1.1 101 ", 13);
    assert_non_null(strstr(in.p, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    kit_loop_until(b.loop, 2000, seen.opened == 1);
    assert_string_equal(seen.target, "/ws?a=1");
    buf_clear(&in);
    bed_say(&b, web, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    bed_hear(&b, web, &in, "GET /now");
    close(ws);
    close(web);
    kit_loop_until(b.loop, 2000, seen.closed == 1 && ws_count(b.ws) == 0);
    buf_end(&in);
    bed_end(&b);
}

/* Wherever the head is cut, it is waited for and goes where it belongs. */
static void heads_may_come_in_pieces(void **state)
{
    static const char *const heads[] = {WS_HEAD, "GET /ws HTTP/1.0\r\n\r\n",
                                        "GET /wsx HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                        "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    static const int statuses[] = {101, 400, 200, 200};
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    for (size_t i = 0; i < 4; i++)
        for (size_t cut = 1; cut < strlen(heads[i]); cut += 3) {
            int fd = bed_dial(&b);
            buf_clear(&in);
            bed_say(&b, fd, (struct bytes){heads[i], cut});
            loop_turn(b.loop, 1);
            bed_say(&b, fd, bytes_of(heads[i] + cut));
            bed_hear(&b, fd, &in, "\r\n\r\n");
            if (bed_status(&in) != statuses[i])
                fail_msg("cut at %zu: %.100s", cut, in.p);
            close(fd);
        }
    buf_end(&in);
    bed_end(&b);
}

#define WS(lines) "GET /ws HTTP/1.1\r\n" lines "\r\n"
#define H "Host: localhost\r\n"
#define UP "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"

static void a_websocket_head_is_checked_before_anybody_else_sees_it(void **state)
{
    static const struct {
        const char *name, *head;
        int status;
    } rows[] = {
        {"right",                WS(H UP KEY V13),                                                            101},
        {"with loopback origin", WS(H UP KEY V13 "Origin: http://localhost:5173\r\n"),                        101},
        {"plain get",            WS(H),                                                                       426},
        {"no host",              WS(UP KEY V13),                                                              400},
        {"two hosts",            WS(H H UP KEY V13),                                                          400},
        {"foreign host",         WS("Host: evil\r\n" UP KEY V13),                                             403},
        {"foreign origin",       WS(H UP KEY V13 "Origin: http://evil\r\n"),                                  403},
        {"two origins",          WS(H UP KEY V13 "Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 400},
        {"cross-site",           WS(H UP KEY V13 "Sec-Fetch-Site: cross-site\r\n"),                           403},
        {"http/1.0",             "GET /ws HTTP/1.0\r\n" H UP KEY V13 "\r\n",                                  400},
        {"http/3",               "GET /ws HTTP/3.0\r\n" H UP KEY V13 "\r\n",                                  505},
        {"h2c",                  WS(H "Connection: Upgrade\r\nUpgrade: h2c\r\n" KEY V13),                     426},
        {"two upgrades",         WS(H "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" KEY V13),          426},
        {"no connection",        WS(H "Upgrade: websocket\r\n" KEY V13),                                      426},
        {"old version",          WS(H UP KEY "Sec-WebSocket-Version: 8\r\n"),                                 426},
        {"no key",               WS(H UP V13),                                                                400},
        {"short key",            WS(H UP V13 "Sec-WebSocket-Key: dGhlIA==\r\n"),                              400},
        {"two keys",             WS(H UP V13 KEY KEY),                                                        400},
        {"a body",               WS(H UP KEY V13 "Content-Length: 1\r\n"),                                    400},
        {"an empty body",        WS(H UP KEY V13 "Content-Length: 0\r\n"),                                    400},
        {"chunked",              WS(H UP KEY V13 "Transfer-Encoding: chunked\r\n"),                           400},
        {"bytes behind",         WS(H UP KEY V13) "x",                                                        400},
        {"bare lf",              "GET /ws HTTP/1.1\n" H UP KEY V13 "\r\n",                                    400},
        {"folded",               WS(H UP KEY V13 "X: a\r\n b\r\n"),                                           400},
        {"blank before colon",   WS(H UP KEY V13 "X : a\r\n"),                                                400},
        {"bare cr",              WS(H UP KEY V13 "X: a\rb\r\n"),                                              400},
        {"escape",               "GET /ws?%00 HTTP/1.1\r\n" H UP KEY V13 "\r\n",                              400},
    };
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bed_ask(&b, bytes_of(rows[i].head), &in);
        if (bed_status(&in) != rows[i].status)
            fail_msg("%s: wanted %d, got %.120s", rows[i].name, rows[i].status, in.p ? in.p : "(nothing)");
    }
    buf_clear(&in);
    buf_add_text(&in, "GET /ws HTTP/1.1\r\n" H "X: ");
    while (in.n < 17000)
        buf_add_char(&in, 'a');
    struct buf out = {0};
    bed_ask(&b, (struct bytes){in.p, in.n}, &out);
    assert_int_equal(bed_status(&out), 431);
    buf_end(&out);
    buf_end(&in);
    bed_end(&b);
}

static void a_used_connection_gets_no_upgrade(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    int fd = bed_dial(&b);
    bed_say(&b, fd, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    bed_hear(&b, fd, &in, "GET /now");
    buf_clear(&in);
    bed_say(&b, fd, BYTES(WS_HEAD));
    bed_hear(&b, fd, &in, "\r\n\r\n");
    assert_int_equal(bed_status(&in), 426);
    assert_non_null(strstr(in.p, "Upgrade: websocket\r\n"));
    close(fd);
    buf_end(&in);
    bed_end(&b);
}

/* What a peek leaves in a socket must not wake us again and again. */
static void a_waiting_head_costs_no_processor(void **state)
{
    struct bed b;
    int fds[20], turns = 0;
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    for (int i = 0; i < 20; i++) {
        fds[i] = bed_dial(&b);
        bed_say(&b, fds[i], BYTES("GET /ws HTTP/1.1\r\nHo"));
    }
    for (int64_t end = kit_real_ms() + 300; kit_real_ms() < end; turns++)
        loop_turn(b.loop, 100);
    if (turns > 50)
        fail_msg("%d turns in 300 ms", turns);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    bed_end(&b);
}

static void settle(struct bed *b)
{
    bed_pass(b, 60);
}

static void a_head_that_does_not_come_is_given_up(void **state)
{
    struct bed b;
    char some[8];
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    int silent = bed_dial(&b), half = bed_dial(&b);
    bed_say(&b, half, BYTES("GET /ws HTTP/1.1\r\n"));
    settle(&b);
    kit_clock_move_ms(9000);
    settle(&b);
    assert_true(recv(silent, some, 1, 0) < 0 && errno == EAGAIN);
    kit_clock_move_ms(1200);
    settle(&b);
    assert_int_equal(recv(silent, some, 1, 0), 0);
    assert_true(recv(half, some, 1, 0) <= 0 && errno != EAGAIN);
    close(silent);
    close(half);
    bed_end(&b);
}

static void a_stopped_door_takes_nobody(void **state)
{
    struct bed b;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, &ws_ops);
    int open = bed_dial(&b);
    loop_turn(b.loop, 10);
    door_stop(b.door);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons((uint16_t)b.port);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
    close(fd);
    bed_say(&b, open, BYTES("GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n")); /* who is in stays in */
    bed_hear(&b, open, &in, "GET /now");
    close(open);
    buf_end(&in);
    bed_end(&b);
}

static int hold_clock(void **state)
{
    (void)state;
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(one_port_serves_both, hold_clock), cmocka_unit_test(heads_may_come_in_pieces),
         cmocka_unit_test(a_websocket_head_is_checked_before_anybody_else_sees_it),
         cmocka_unit_test(a_used_connection_gets_no_upgrade),
         cmocka_unit_test(a_waiting_head_costs_no_processor),
         cmocka_unit_test(a_head_that_does_not_come_is_given_up),
         cmocka_unit_test(a_stopped_door_takes_nobody))
