/* The client against a scripted server: a listening socket whose other side the test plays. */
#include "core/net/client.h"
#include "core/net/unix.h"
#include "tests/kit/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct heard {
    struct buf body;
    char type[64];
    int status, heads, ends;
    struct why why;
    bool has_failed, cancels;
};

struct bed {
    struct loop *loop;
    struct http *http;
    int listener;
    char base[64];
};

static void on_head(struct http_call *c, int status, void *ctx)
{
    struct heard *h = ctx;
    struct bytes type = http_header(c, "content-type");
    h->status = status;
    h->heads++;
    snprintf(h->type, sizeof(h->type), "%.*s", (int)type.n, type.p ? type.p : "");
}

static void on_piece(struct http_call *c, struct bytes piece, void *ctx)
{
    struct heard *h = ctx;
    buf_add_bytes(&h->body, piece);
    if (h->cancels)
        http_cancel(c);
}

static void on_end(struct http_call *c, const struct why *why, void *ctx)
{
    struct heard *h = ctx;
    (void)c;
    h->ends++;
    h->has_failed = why != NULL;
    if (why)
        h->why = *why;
}

static const struct http_ops ops = {.on_head = on_head, .on_piece = on_piece, .on_end = on_end};

static void begin(struct bed *b)
{
    char name[32];
    b->loop = loop_new();
    b->listener = listen_open("127.0.0.1:0", 0, kit_why());
    assert_true(b->listener >= 0);
    listen_name(b->listener, name, sizeof(name));
    snprintf(b->base, sizeof(b->base), "http://%s", name);
    b->http = http_new(b->loop, b->base, kit_why());
    assert_non_null(b->http);
}

static void end(struct bed *b)
{
    http_free(b->http);
    close(b->listener);
    loop_free(b->loop);
}

static struct http_call *ask(struct bed *b, const char *method, const char *body, struct heard *h)
{
    struct http_spec spec = {.method = method,
                             .path = "/x?y=1",
                             .headers = "Accept: text/plain\r\n",
                             .body = bytes_of(body),
                             .timeout_ms = 2000,
                             .ops = &ops,
                             .ctx = h};
    memset(h, 0, sizeof(*h));
    return http_send(b->http, &spec);
}

static int welcome(struct bed *b)
{
    int fd = -1;
    kit_loop_until(b->loop, 2000, (fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

static void expect(struct bed *b, int fd, const char *wanted)
{
    char got[4096] = "";
    size_t n = 0;
    ssize_t more;
    kit_loop_until(b->loop, 2000,
                   ((more = recv(fd, got + n, sizeof(got) - n - 1, 0)) > 0 && (n += (size_t)more)) &&
                       n >= strlen(wanted));
    assert_string_equal(got, wanted);
}

/* Closing on an unread request would be a reset, which takes the answer with it. */
static void read_request(struct bed *b, int fd)
{
    char some[1024];
    kit_loop_until(b->loop, 2000, recv(fd, some, sizeof(some), 0) > 0);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void a_connection_serves_call_after_call(void **state)
{
    struct bed b;
    struct heard h;
    char wanted[256];
    (void)state;
    begin(&b);
    ask(&b, "POST", "body", &h);
    int fd = welcome(&b);
    snprintf(wanted, sizeof(wanted),
             "POST /x?y=1 HTTP/1.1\r\nHost: %s\r\nAccept: text/plain\r\nContent-Length: 4\r\n\r\nbody",
             b.base + 7);
    expect(&b, fd, wanted);
    say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Type: a/b\r\nContent-Length: "
            "3\r\n\r\nab");
    kit_loop_until(b.loop, 2000, h.body.n == 2);
    assert_int_equal(h.ends, 0);
    say(fd, "c");
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_false(h.has_failed);
    assert_int_equal(h.status, 202);
    assert_int_equal(h.heads, 1);
    assert_string_equal(h.type, "a/b");
    kit_bytes_eq(((struct bytes){h.body.p, h.body.n}), "abc");
    buf_end(&h.body);
    ask(&b, "GET", NULL, &h);
    snprintf(wanted, sizeof(wanted), "GET /x?y=1 HTTP/1.1\r\nHost: %s\r\nAccept: text/plain\r\n\r\n",
             b.base + 7);
    expect(&b, fd, wanted);
    say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_false(h.has_failed);
    close(fd);
    end(&b);
}

/* `answer` comes in pieces of `step` bytes and says `body`; NULL: it fails. */
static void answer_ends(const char *answer, size_t step, const char *body)
{
    struct bed b;
    struct heard h;
    size_t left = strlen(answer);
    begin(&b);
    ask(&b, "GET", NULL, &h);
    int fd = welcome(&b);
    read_request(&b, fd);
    for (; left && send(fd, answer, step, MSG_NOSIGNAL) > 0; answer += step, left -= step)
        loop_turn(b.loop, 0);
    close(fd);
    kit_loop_until(b.loop, 2000, h.ends == 1);
    if (h.has_failed != !body)
        fail_msg("'%s': %s", answer, h.has_failed ? h.why.text : "passed");
    if (body)
        kit_bytes_eq(((struct bytes){h.body.p ? h.body.p : "", h.body.n}), body);
    buf_end(&h.body);
    end(&b);
}

static void answers_end_where_they_say(void **state)
{
    static const struct {
        const char *answer, *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
         "abc0123456789"                                                                                                     },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: 1\r\n\r\n",          "a"            },
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",                                                      ""             },
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end",                                                              "until the end"},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",                               "ab"           },
        {"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx",                                                        "x"            },
 /* broken */
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",                                                    NULL           },
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",               NULL           },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",                                                NULL           },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",                                        NULL           },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",                         NULL           },
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",                                                     NULL           },
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n",                                                                       NULL           },
        {"HTTP/1.1 200",                                                                                      NULL           },
        {"",                                                                                                  NULL           },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_ends(cases[i].answer, strlen(cases[i].answer), cases[i].body);
        answer_ends(cases[i].answer, 1, cases[i].body);
    }
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
    struct bed b;
    struct heard h;
    (void)state;
    begin(&b);
    ask(&b, "GET", NULL, &h);
    int fd = welcome(&b);
    say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    kit_loop_until(b.loop, 2000, h.ends == 1);
    close(fd); /* unseen as yet: no turn of the loop between */
    ask(&b, "GET", NULL, &h);
    fd = welcome(&b);
    say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_false(h.has_failed);
    close(fd);
    kit_loop_until(b.loop, 2000, (loop_turn(b.loop, 5), true));
    ask(&b, "GET", NULL, &h); /* seen this time */
    fd = welcome(&b);
    close(fd); /* but a fresh one that is closed is a failure */
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_true(h.has_failed);
    end(&b);
}

static void failures_say_why(void **state)
{
    struct bed b;
    struct heard h;
    (void)state;
    begin(&b);
    assert_null(http_new(b.loop, "https://example.com", kit_why()));
    assert_null(http_new(b.loop, "http://example.com:80", kit_why()));
    assert_null(http_new(b.loop, "unix:", kit_why()));
    struct http *none = http_new(b.loop, "unix:/nonexistent/socket", kit_why());
    struct http_spec spec = {.method = "GET", .path = "/", .ops = &ops, .ctx = &h};
    memset(&h, 0, sizeof(h));
    http_send(none, &spec);
    assert_int_equal(h.ends, 0); /* never from within */
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_int_equal(h.why.code, -ENOENT);
    http_free(none);
    memset(&h, 0, sizeof(h));
    spec.timeout_ms = 20;
    http_send(b.http, &spec);
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_int_equal(h.why.code, -ETIMEDOUT);
    close(b.listener);
    b.listener = -1;
    memset(&h, 0, sizeof(h));
    http_send(b.http, &spec);
    kit_loop_until(b.loop, 2000, h.ends == 1);
    assert_int_equal(h.why.code, -ECONNREFUSED);
    http_free(b.http);
    loop_free(b.loop);
}

static void a_cancelled_call_says_no_more(void **state)
{
    struct bed b;
    struct heard h;
    (void)state;
    begin(&b);
    struct http_call *c = ask(&b, "GET", NULL, &h);
    int fd = welcome(&b);
    http_cancel(c);
    char some[256];
    ssize_t n;
    kit_loop_until(b.loop, 2000,
                   (n = recv(fd, some, sizeof(some), 0)) == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
    assert_int_equal(h.ends + h.heads, 0);
    ask(&b, "GET", NULL, &h); /* from within its own callback */
    h.cancels = true;
    fd = welcome(&b);
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    kit_loop_until(b.loop, 2000,
                   (n = recv(fd, some, sizeof(some), 0)) == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
    kit_bytes_eq(((struct bytes){h.body.p, h.body.n}), "a");
    assert_int_equal(h.ends, 0);
    buf_end(&h.body);
    end(&b);
}

KIT_MAIN(cmocka_unit_test(a_connection_serves_call_after_call), cmocka_unit_test(answers_end_where_they_say),
         cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced), cmocka_unit_test(failures_say_why),
         cmocka_unit_test(a_cancelled_call_says_no_more))
