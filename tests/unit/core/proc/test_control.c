#include "core/base/fd.h"
#include "core/proc/control.h"
#include "tests/kit/kit.h"

#include <sys/socket.h>
#include <unistd.h>

struct end { /* one end, and what it has heard */
    struct control *control;
    int messages, lost, fd_count;
    char last[64];
    char text[16]; /* read from the first descriptor that came */
    bool frees_itself;
};

static void heard(json_t *message, int fds[8], void *ctx)
{
    struct end *e = ctx;
    e->messages++;
    snprintf(e->last, sizeof e->last, "%s", json_str(message, "op"));
    for (int i = 0; i < 8; i++) {
        if (fds[i] < 0)
            continue;
        ssize_t n = e->fd_count++ ? 0 : read(fds[i], e->text, sizeof e->text - 1);
        e->text[n > 0 ? (size_t)n : strlen(e->text)] = 0;
        fd_close(&fds[i]);
    }
    if (e->frees_itself) {
        control_free(e->control);
        e->control = NULL;
    }
}

static void lost(void *ctx)
{
    struct end *e = ctx;
    e->lost++;
}

static const struct control_ops ops = {heard, lost};

struct fixture {
    struct loop *loop;
    struct end a, b;
    int raw; /* a's socket when there is no control on it */
};

static int begin(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    int pair[2];
    f->loop = loop_new();
    if (fd_pair(SOCK_SEQPACKET, true, pair) < 0)
        return -1;
    f->raw = pair[0];
    f->b.control = control_new(f->loop, pair[1], &ops, &f->b);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    control_free(f->a.control);
    control_free(f->b.control);
    fd_close(&f->raw);
    loop_free(f->loop);
    test_free(f);
    return 0;
}

static void take_raw(struct fixture *f)
{
    f->a.control = control_new(f->loop, f->raw, &ops, &f->a);
    f->raw = -1;
}

static void a_message_brings_its_descriptors(void **state)
{
    struct fixture *f = *state;
    take_raw(f);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    control_send(f->a.control, json_pack("{s:s}", "op", "listen"), ends, 2);
    close(ends[0]);
    close(ends[1]);
    kit_loop_until(f->loop, 1000, f->b.messages == 1);
    assert_string_equal(f->b.last, "listen");
    assert_int_equal(f->b.fd_count, 2);
    assert_string_equal(f->b.text, "hello");
}

static void what_the_socket_has_no_room_for_waits_in_order(void **state)
{
    struct fixture *f = *state;
    take_raw(f);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "late", 4), 4);
    for (int i = 0; i < 5000; i++)
        control_send(f->a.control, json_pack("{s:s}", "op", "filler"), NULL, 0);
    control_send(f->a.control, json_pack("{s:s}", "op", "last"), ends, 1);
    close(ends[0]); /* the queue has a copy of its own */
    close(ends[1]);
    kit_loop_until(f->loop, 5000, f->b.messages == 5001);
    assert_string_equal(f->b.last, "last");
    assert_string_equal(f->b.text, "late");
}

static void a_peer_that_goes_is_lost_once_after_its_last_word(void **state)
{
    struct fixture *f = *state;
    take_raw(f);
    control_send(f->a.control, json_pack("{s:s}", "op", "bye"), NULL, 0);
    control_free(f->a.control);
    f->a.control = NULL;
    kit_loop_until(f->loop, 1000, f->b.lost == 1);
    assert_string_equal(f->b.last, "bye");
    for (int i = 0; i < 3; i++)
        loop_turn(f->loop, 0);
    assert_int_equal(f->b.lost, 1);
    control_send(f->b.control, json_pack("{s:s}", "op", "into the void"), NULL, 0);
}

static void sending_loses_the_peer(const char *text)
{
    void *state = NULL;
    struct fixture *f = begin(&state) == 0 ? state : NULL;
    if (!f) {
        fail_msg("no sockets to test with");
        return;
    }
    assert_int_equal(fd_send(f->raw, text, strlen(text), &f->raw, 1), 0);
    kit_loop_until(f->loop, 1000, f->b.lost == 1);
    assert_int_equal(f->b.messages, 0);
    end(&state);
}

static void what_is_no_object_loses_the_peer(void **state)
{
    (void)state;
    sending_loses_the_peer("[1]");
    sending_loses_the_peer("{\"op\":");
    sending_loses_the_peer("x");
}

static void a_message_over_the_limit_loses_the_peer(void **state)
{
    struct fixture *f = *state;
    static char large[70000];
    memset(large, ' ', sizeof large);
    assert_int_equal(fd_send(f->raw, large, sizeof large, NULL, 0), 0);
    kit_loop_until(f->loop, 1000, f->b.lost == 1);
}

static void a_handler_may_free_its_control(void **state)
{
    struct fixture *f = *state;
    take_raw(f);
    f->b.frees_itself = true;
    control_send(f->a.control, json_pack("{s:s}", "op", "one"), NULL, 0);
    control_send(f->a.control, json_pack("{s:s}", "op", "two"), NULL, 0);
    kit_loop_until(f->loop, 1000, f->a.lost == 1);
    assert_int_equal(f->b.messages, 1);
}

int main(void)
{
    loop_free(
        loop_new()); /* libuv opens two descriptors with its first loop, for good: before they are counted */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_brings_its_descriptors, begin, end),
        cmocka_unit_test_setup_teardown(what_the_socket_has_no_room_for_waits_in_order, begin, end),
        cmocka_unit_test_setup_teardown(a_peer_that_goes_is_lost_once_after_its_last_word, begin, end),
        cmocka_unit_test(what_is_no_object_loses_the_peer),
        cmocka_unit_test_setup_teardown(a_message_over_the_limit_loses_the_peer, begin, end),
        cmocka_unit_test_setup_teardown(a_handler_may_free_its_control, begin, end),
    };
    return kit_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
