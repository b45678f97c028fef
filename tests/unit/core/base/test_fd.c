#include "core/base/fd.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_forgets_the_number(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), number = fd;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    fd_close(&fd);
}

static void flags_go_on_and_off(void **state)
{
    (void)state;
    int pair[2];
    passes(fd_pair(SOCK_STREAM, false, pair));
    assert_true(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
    assert_false(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    passes(fd_set_nonblocking(pair[0], true));
    assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    passes(fd_set_cloexec(pair[0], false));
    assert_false(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    fails_with(-EBADF, NULL, fd_set_nonblocking(-1, true));
}

static void a_message_carries_descriptors(void **state)
{
    (void)state;
    int pair[2], sent[2], got[4];
    char text[16];
    size_t n = sizeof text;
    passes(fd_pair(SOCK_SEQPACKET, true, pair));
    passes(fd_pair(SOCK_STREAM, false, sent));
    passes(fd_send(pair[0], "hello", 5, sent, 2));
    passes(fd_receive(pair[1], text, &n, got, 4));
    assert_int_equal(n, 5);
    assert_true(got[0] >= 0 && got[1] >= 0 && got[2] == -1 && got[3] == -1);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got[0], "x", 1), 1);
    assert_int_equal(read(sent[1], text, 1), 1);
    for (int i = 0; i < 2; i++) {
        fd_close(&pair[i]);
        fd_close(&sent[i]);
        fd_close(&got[i]);
    }
}

static void what_does_not_fit_is_refused_and_closed(void **state)
{
    (void)state;
    int pair[2], got[1], before;
    char text[4];
    size_t n = sizeof text;
    passes(fd_pair(SOCK_SEQPACKET, true, pair));
    before = kit_count_fds();
    passes(fd_send(pair[0], "ab", 2, (int[]){0, 1}, 2));
    fails_with(-EMSGSIZE, NULL, fd_receive(pair[1], text, &n, got, 1));
    assert_int_equal(got[0], -1);
    passes(fd_send(pair[0], "too long", 8, (int[]){0}, 1));
    n = sizeof text;
    fails_with(-EMSGSIZE, NULL, fd_receive(pair[1], text, &n, got, 1));
    assert_int_equal(got[0], -1);
    assert_int_equal(kit_count_fds(), before);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
}

static void end_and_emptiness_are_told_apart(void **state)
{
    (void)state;
    int pair[2];
    char text[4];
    size_t n = sizeof text;
    passes(fd_pair(SOCK_SEQPACKET, true, pair));
    fails_with(-EAGAIN, NULL, fd_receive(pair[1], text, &n, NULL, 0));
    fd_close(&pair[0]);
    passes(fd_receive(pair[1], text, &n, NULL, 0));
    assert_int_equal(n, 0);
    fails_with(-EPIPE, NULL, fd_send(pair[1], "x", 1, NULL, 0));
    fd_close(&pair[1]);
    passes(fd_pair(SOCK_STREAM, true, pair)); /* the kernel's SIGPIPE comes with streams only */
    fd_close(&pair[0]);
    signal(SIGPIPE, SIG_DFL);
    fails_with(-EPIPE, NULL, fd_send(pair[1], "x", 1, NULL, 0));
    fd_close(&pair[1]);
}

KIT_MAIN(cmocka_unit_test(close_forgets_the_number), cmocka_unit_test(flags_go_on_and_off),
         cmocka_unit_test(a_message_carries_descriptors),
         cmocka_unit_test(what_does_not_fit_is_refused_and_closed),
         cmocka_unit_test(end_and_emptiness_are_told_apart))
