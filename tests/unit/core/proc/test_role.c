#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/proc/role.h"
#include "tests/kit/marked.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- the role under test: says what it was born with ---- */

extern char **environ;

static json_t *open_descriptors(void)
{
    json_t *all = json_array();
    for (int fd = 0; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            json_array_append_new(all, json_integer(fd));
    }
    return all;
}

static json_t *names_of_environment(void)
{
    json_t *all = json_array();
    for (char **at = environ; *at; at++) {
        if (!strstr(*at, "SAN_OPTIONS=")) /* the sanitizer builds' own */
            json_array_append_new(all, json_stringn(*at, strcspn(*at, "=")));
    }
    return all;
}

static int mirror(int argc, char **argv)
{
    struct why why;
    json_t *fds = open_descriptors();
    if (role_begin("mirror", 1, &why) < 0) {
        json_decref(fds);
        return 77;
    }
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    int parent_signal = 0;
    prctl(PR_GET_PDEATHSIG, &parent_signal);
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    _cleanup_json_ json_t *told =
        json_pack("{s:o,s:o,s:s,s:s,s:b,s:b,s:b,s:i,s:b}", "fds", fds, "env", names_of_environment(), "role",
                  argv[0], "argument", argc > 1 ? argv[1] : "", "leads_session", getsid(0) == getpid(),
                  "no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_core", core.rlim_max == 0,
                  "parent_signal", parent_signal, "usr1_is_blocked", sigismember(&blocked, SIGUSR1));
    _cleanup_free_ char *text = json_text(told);
    ssize_t n = write(ROLE_FD, text, strlen(text));
    return n > 0 ? 0 : 1;
}

static int wait_for_parent(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct why why;
    if (role_begin("orphan", 1, &why) < 0 || write(ROLE_FD, "up", 2) != 2)
        return 1;
    for (;;)
        pause();
}

static const struct role roles[] = {
    {"mirror",         mirror},
    {"orphan",                wait_for_parent},
    {0}
};

/* ---- the tests ---- */

static json_t *look_into_mirror(int socket_type)
{
    int pair[2];
    assert_int_equal(fd_pair(socket_type, false, pair), 0);
    const char *const args[] = {"an argument", NULL};
    const struct spawn s = {.role = "mirror",
                            .args = args,
                            .fds = &pair[1],
                            .fd_count = 1,
                            .in_fd = -1,
                            .out_fd = -1,
                            .error_fd = -1};
    int pid = role_spawn(&s, kit_why());
    assert_true(pid > 0);
    close(pair[1]);
    char text[4096];
    ssize_t n = read(pair[0], text, sizeof text);
    assert_true(n > 0);
    close(pair[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    json_t *told = json_read((struct bytes){text, (size_t)n}, kit_why());
    assert_non_null(told);
    return told;
}

static void a_role_inherits_what_it_was_given_and_no_more(void **state)
{
    (void)state;
    int leaky = fcntl(STDIN_FILENO, F_DUPFD, 50); /* not O_CLOEXEC, as foreign libraries do */
    _cleanup_json_ json_t *told = look_into_mirror(SOCK_STREAM);
    close(leaky);
    kit_json_eq(json_object_get(told, "fds"), "[0,1,2,3]");
    assert_string_equal(json_str(told, "role"), "mirror");
    assert_string_equal(json_str(told, "argument"), "an argument");
}

static void the_environment_is_emptied(void **state)
{
    (void)state;
    setenv("SECRET_TOKEN", "x", 1);
    setenv("TZ", "UTC", 1);
    _cleanup_json_ json_t *told = look_into_mirror(SOCK_STREAM);
    unsetenv("SECRET_TOKEN");
    unsetenv("TZ");
    kit_json_eq(json_object_get(told, "env"), "[\"PATH\",\"TZ\"]");
}

static void a_role_is_hardened(void **state)
{
    (void)state;
    sigset_t one, before;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, &before);
    _cleanup_json_ json_t *told = look_into_mirror(SOCK_SEQPACKET);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(json_is_true(json_object_get(told, "leads_session")));
    assert_true(json_is_true(json_object_get(told, "no_new_privs")));
    assert_true(json_is_true(json_object_get(told, "no_core")));
    assert_int_equal(json_int(told, "parent_signal", 0), SIGKILL);
    assert_true(json_is_false(json_object_get(told, "usr1_is_blocked")));
}

static void without_its_sockets_a_role_refuses(void **state)
{
    (void)state;
    const struct spawn s = {.role = "mirror", .in_fd = -1, .out_fd = -1, .error_fd = -1};
    int pid = role_spawn(&s, kit_why());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 77);
}

static void descriptors_land_in_order_even_when_they_overlap(void **state)
{
    (void)state;
    /* The lowest free numbers are 3, 4, …: the very places they go to, in another order. */
    int pair[2], other[2];
    assert_int_equal(fd_pair(SOCK_STREAM, false, other), 0);
    assert_int_equal(fd_pair(SOCK_STREAM, false, pair), 0);
    const int fds[] = {pair[1], other[0], other[1]};
    const struct spawn s = {
        .role = "mirror", .fds = fds, .fd_count = 3, .in_fd = -1, .out_fd = -1, .error_fd = -1};
    int pid = role_spawn(&s, kit_why());
    assert_true(pid > 0);
    close(pair[1]);
    char text[4096];
    assert_true(read(pair[0], text, sizeof text) > 0);
    waitpid(pid, NULL, 0);
    close(pair[0]);
    close(other[0]);
    close(other[1]);
}

static void a_role_dies_with_its_parent(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(fd_pair(SOCK_STREAM, false, pair), 0);
    int numbers[2];
    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        const struct spawn s = {
            .role = "orphan", .fds = &pair[1], .fd_count = 1, .in_fd = -1, .out_fd = -1, .error_fd = -1};
        int pid = role_spawn(&s, kit_why());
        ssize_t n = write(numbers[1], &pid, sizeof pid);
        pause();
        _exit(n > 0);
    }
    char text[2];
    int pid;
    assert_int_equal(read(pair[0], text, 2), 2);
    assert_int_equal(read(numbers[0], &pid, sizeof pid), sizeof pid);
    assert_true(is_alive(pid));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    until(2000, !is_alive(pid));
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(numbers[i]);
    }
}

static void a_memory_file_is_read_back_and_cannot_be_changed(void **state)
{
    (void)state;
    struct buf text = {0};
    int fd = memory_file("test", BYTES("some words"), kit_why());
    assert_true(fd >= 0);
    passes(memory_file_read(fd, 100, &text, kit_why()));
    kit_bytes_eq(buf_bytes(&text), "some words");
    assert_int_equal(pwrite(fd, "X", 1, 0), -1);
    fails_with(-EFBIG, "over 4 bytes", memory_file_read(fd, 4, &text, kit_why()));
    buf_end(&text);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "role") == 0)
        return role_run(roles, argc - 2, argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_inherits_what_it_was_given_and_no_more),
        cmocka_unit_test(the_environment_is_emptied),
        cmocka_unit_test(a_role_is_hardened),
        cmocka_unit_test(without_its_sockets_a_role_refuses),
        cmocka_unit_test(descriptors_land_in_order_even_when_they_overlap),
        cmocka_unit_test(a_role_dies_with_its_parent),
        cmocka_unit_test(a_memory_file_is_read_back_and_cannot_be_changed),
    };
    return kit_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
