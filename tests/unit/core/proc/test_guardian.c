/*
 * The guardian over real programs. Every test runs twice: with a process namespace, and with unshare()
 * refused, as in a container; there the guardian has only its being a subreaper.
 */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/proc/role.h"
#include "core/proc/supervisor.h"
#include "tests/kit/marked.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h> /* layers: the test takes unshare() away */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MARK run_mark("guardian")
/* Leaves processes in sessions of their own, and an orphan among them. */
#define SCATTERED "setsid sleep 600 & setsid sh -c 'sleep 600 & sleep 600' & (sleep 600 &) ; "
enum { SCATTERED_COUNT = 5 };

struct ward { /* one guardian and what we hold of it */
    pid_t pid;
    int control, line, error;
};

static json_t *hear(const struct ward *w, int most_ms)
{
    struct pollfd poll_for = {w->control, POLLIN, 0};
    char text[4096];
    size_t n = sizeof text;
    int fds[1];
    if (poll(&poll_for, 1, most_ms) != 1)
        fail_msg("the guardian said nothing for %d ms", most_ms);
    if (fd_receive(w->control, text, &n, fds, 1) < 0 || n == 0)
        fail_msg("the guardian is gone");
    json_t *message = json_read((struct bytes){text, n}, kit_why());
    assert_non_null(message);
    return message;
}

static void say(const struct ward *w, const char *text)
{
    assert_int_equal(fd_send(w->control, text, strlen(text), NULL, 0), 0);
}

static struct ward start_as(const char *settings)
{
    int control[2], line[2], error[2];
    assert_int_equal(fd_pair(SOCK_SEQPACKET, false, control), 0);
    assert_int_equal(fd_pair(SOCK_STREAM, false, line), 0);
    assert_int_equal(pipe2(error, O_CLOEXEC), 0);
    int file = memory_file("settings", bytes_of(settings), kit_why());
    assert_true(file >= 0);
    const int fds[] = {control[1], line[1], error[1], file};
    const struct spawn s = {
        .role = "guardian", .fds = fds, .fd_count = 4, .in_fd = -1, .out_fd = -1, .error_fd = -1};
    int pid = role_spawn(&s, kit_why());
    assert_true(pid > 0);
    close(control[1]);
    close(line[1]);
    close(error[1]);
    close(file);
    return (struct ward){pid, control[0], line[0], error[0]};
}

static struct ward start(const char *script)
{
    _cleanup_json_ json_t *settings = json_pack("{s:s,s:[s,s],s:{s:s},s:s}", "command", "sh", "args", "-c",
                                                script, "env", "TEST_MARK", MARK, "cwd", kit_tmp());
    _cleanup_free_ char *text = json_text(settings);
    struct ward w = start_as(text);
    _cleanup_json_ json_t *started = hear(&w, 5000);
    assert_string_equal(json_str(started, "op"), "started");
    assert_true(is_alive((pid_t)json_int(started, "pid", 0)));
    return w;
}

static void let_go(struct ward *w)
{
    fd_close(&w->control);
    fd_close(&w->line);
    fd_close(&w->error);
}

/* The guardian's own end, and that nothing is left. */
static void is_over(struct ward *w, int most_ms)
{
    until(most_ms, waitpid(w->pid, NULL, WNOHANG) == w->pid);
    assert_int_equal(marked(MARK, 0), 0);
    let_go(w);
}

static void ended(struct ward *w, int most_ms, int status, int signo)
{
    _cleanup_json_ json_t *message = hear(w, most_ms);
    assert_string_equal(json_str(message, "op"), "exited");
    assert_int_equal(json_int(message, "status", -1), status);
    assert_int_equal(json_int(message, "signal", -1), signo);
    assert_int_equal(marked(MARK, 0), 0); /* told when all of it is gone, not before */
    is_over(w, 2000);
}

static void the_line_and_stderr_are_the_programs_own(void **state)
{
    (void)state;
    struct ward w = start("read x; echo \"got $x\"; echo oops >&2; pwd >&2; exit 3");
    char text[512];
    assert_int_equal(write(w.line, "ping\n", 5), 5);
    ssize_t n = read(w.line, text, sizeof text);
    kit_bytes_eq(((struct bytes){text, (size_t)n}), "got ping\n");
    ended(&(struct ward){w.pid, w.control, -1, -1}, 5000, 3, 0);
    size_t all = 0;
    while ((n = read(w.error, text + all, sizeof text - all)) > 0)
        all += (size_t)n;
    _cleanup_free_ char *wanted = text_format("oops\n%s\n", kit_tmp());
    kit_bytes_eq(((struct bytes){text, all}), wanted);
    assert_int_equal(read(w.line, text, sizeof text), 0); /* nobody else holds the line: its end is seen */
    fd_close(&w.line);
    fd_close(&w.error);
}

static void what_a_program_leaves_behind_goes_with_it(void **state)
{
    (void)state;
    struct ward w = start(SCATTERED "read x; exit 0");
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    assert_int_equal(write(w.line, "\n", 1), 1);
    ended(&w, 5000, 0, 0);
}

static void stop_waits_for_the_closed_stdin_first(void **state)
{
    (void)state;
    struct ward w = start("cat; exit 7"); /* ends by itself when its line is closed */
    fd_close(&w.line);
    say(&w, "{\"op\":\"stop\",\"grace_ms\":5000}");
    ended(&w, 2000, 7, 0);
}

static void stop_terms_then_kills(void **state)
{
    (void)state;
    struct ward w = start(SCATTERED "trap '' TERM; echo up; while :; do sleep 600; done");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    say(&w, "{\"op\":\"stop\",\"grace_ms\":100}");
    int64_t began = kit_real_ms();
    ended(&w, 5000, 0, SIGKILL);
    assert_in_range(kit_real_ms() - began, 1900, 3500);
}

static void term_is_heard_by_those_who_listen(void **state)
{
    (void)state;
    struct ward w = start("trap 'exit 9' TERM; echo up; while :; do read x || sleep 0.01; done");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    say(&w, "{\"op\":\"stop\",\"grace_ms\":0}");
    ended(&w, 1500, 9, 0);
}

static void a_shorter_grace_counts(void **state)
{
    (void)state;
    struct ward w = start("echo up; exec sleep 600");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    say(&w, "{\"op\":\"stop\",\"grace_ms\":60000}");
    say(&w, "{\"op\":\"stop\",\"grace_ms\":10}");
    ended(&w, 1500, 0, SIGTERM);
}

static void kill_is_at_once(void **state)
{
    (void)state;
    struct ward w = start(SCATTERED "trap '' TERM; echo up; while :; do sleep 600; done");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    say(&w, "{\"op\":\"kill\"}");
    ended(&w, 1500, 0, SIGKILL);
}

static void without_its_supervisor_it_clears_up(void **state)
{
    (void)state;
    struct ward w = start(SCATTERED "trap '' TERM; echo up; while :; do sleep 600; done");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    fd_close(&w.control);
    is_over(&w, 5000);
}

static void what_cannot_run_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *why;
    } rows[] = {
        {"{\"command\":\"no-such-program\"}",                "cannot run 'no-such-program': No such file or directory"},
        {"{\"command\":\"/etc/passwd\"}",                    "cannot run '/etc/passwd': Permission denied"            },
        {"{\"command\":\"/etc\"}",                           "cannot run '/etc': Permission denied"                   },
        {"{\"command\":\"sh\",\"cwd\":\"/no/such/folder\"}",
         "cannot enter folder '/no/such/folder': No such file or directory"                                           },
        {"{}",                                               "there is no command to run"                             },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ward w = start_as(rows[i].settings);
        _cleanup_json_ json_t *failed = hear(&w, 5000);
        assert_string_equal(json_str(failed, "op"), "failed");
        assert_string_equal(json_str(failed, "why"), rows[i].why);
        is_over(&w, 2000);
    }
}

static void a_script_without_an_interpreter_is_not_given_to_a_shell(void **state)
{
    (void)state;
    const char *path = kit_file("script", "echo run by a shell\n");
    chmod(path, 0755);
    _cleanup_free_ char *settings = text_format("{\"command\":\"%s\"}", path);
    struct ward w = start_as(settings);
    _cleanup_json_ json_t *failed = hear(&w, 5000);
    assert_non_null(strstr(json_str(failed, "why"), "Exec format error"));
    is_over(&w, 2000);
}

static void the_environment_is_what_was_configured(void **state)
{
    (void)state;
    setenv("TRUNKLINE_LOG", "debug", 1);
    setenv("HOME", "/home/someone", 1);
    struct ward w = start_as("{\"command\":\"env\",\"env\":{\"PATH\":\"/other\",\"TOKEN\":\"x\"}}");
    unsetenv("TRUNKLINE_LOG");
    unsetenv("HOME");
    json_decref(hear(&w, 5000));
    char text[1024];
    size_t all = 0;
    for (ssize_t n; (n = read(w.line, text + all, sizeof text - all)) > 0;)
        all += (size_t)n;
    kit_bytes_eq(((struct bytes){text, all}), "HOME=/home/someone\nPATH=/other\nTOKEN=x\n");
    ended(&w, 5000, 0, 0);
}

/* A pipe that is written after its reader has gone ends a program by SIGPIPE, as it would from any shell. */
static void signals_are_as_by_default(void **state)
{
    (void)state;
    /* Not by a shell, which would set its mask itself. */
    struct ward w =
        start_as("{\"command\":\"grep\",\"args\":[\"-E\",\"^Sig(Blk|Ign)\",\"/proc/self/status\"]}");
    json_decref(hear(&w, 5000));
    char text[256];
    ssize_t n = read(w.line, text, sizeof text);
    kit_bytes_eq(((struct bytes){text, n > 0 ? (size_t)n : 0}),
                 "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    ended(&w, 5000, 0, 0);
}

static void a_line_the_program_closes_is_closed(void **state)
{
    (void)state;
    struct ward w = start("exec <&- >&- 2>&-; exec sleep 600");
    struct pollfd ends[] = {
        {w.line,  POLLIN, 0},
        {w.error, POLLIN, 0}
    };
    char byte;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(poll(&ends[i], 1, 5000), 1); /* nobody beside the program holds them */
        assert_int_equal(read(ends[i].fd, &byte, 1), 0);
    }
    say(&w, "{\"op\":\"kill\"}");
    ended(&w, 2000, 0, SIGKILL);
}

/* ---- with a namespace only ---- */

static void with_the_guardian_killed_the_kernel_ends_all(void **state)
{
    (void)state;
    struct ward w = start(SCATTERED "trap '' TERM; echo up; while :; do sleep 600; done");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    kill(w.pid, SIGKILL);
    until(2000, marked(MARK, 0) == 0);
    is_over(&w, 2000);
}

static void inside_proc_shows_only_the_tree(void **state)
{
    (void)state;
    struct ward w = start("echo $$ $(ls -d /proc/[0-9]* | wc -l)");
    char text[64];
    ssize_t n = read(w.line, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    char *rest;
    assert_int_equal(strtol(text, &rest, 10), 2); /* 1 is the keeper */
    assert_in_range(strtol(rest, NULL, 10), 2, 6);
    ended(&w, 5000, 0, 0);
}

/* ---- without only ---- */

static void with_the_guardian_killed_the_program_dies(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct ward w = start("(setsid sleep 600 &) ; echo up; exec sleep 600");
    char text[8];
    assert_int_equal(read(w.line, text, sizeof text), 3);
    until(5000, marked(MARK, 0) == 2);
    kill(w.pid, SIGKILL);
    until(2000, marked(MARK, 0) == 1); /* the rest falls to the supervisor: test_supervisor.c */
    marked(MARK, SIGKILL);
    until(2000, marked(MARK, 0) == 0);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    let_go(&w);
}

static void refuse_unshare(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    assert_non_null(filter);
    assert_int_equal(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 0), 0);
    assert_int_equal(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static int no_orphan_is_left(void **state)
{
    (void)state;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return 0;
}

static const struct role roles[] = {
    {"guardian", guardian_run},
    {0         }
};

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "role") == 0)
        return role_run(roles, argc - 2, argv + 2);
#define BOTH                                                                                              \
    cmocka_unit_test(the_line_and_stderr_are_the_programs_own),                                           \
        cmocka_unit_test(what_a_program_leaves_behind_goes_with_it),                                      \
        cmocka_unit_test(stop_waits_for_the_closed_stdin_first), cmocka_unit_test(stop_terms_then_kills), \
        cmocka_unit_test(term_is_heard_by_those_who_listen), cmocka_unit_test(a_shorter_grace_counts),    \
        cmocka_unit_test(kill_is_at_once), cmocka_unit_test(without_its_supervisor_it_clears_up),         \
        cmocka_unit_test(what_cannot_run_is_told),                                                        \
        cmocka_unit_test(a_script_without_an_interpreter_is_not_given_to_a_shell),                        \
        cmocka_unit_test(the_environment_is_what_was_configured),                                         \
        cmocka_unit_test(signals_are_as_by_default), cmocka_unit_test(a_line_the_program_closes_is_closed)
    const struct CMUnitTest with[] = {BOTH, cmocka_unit_test(with_the_guardian_killed_the_kernel_ends_all),
                                      cmocka_unit_test(inside_proc_shows_only_the_tree)};
    const struct CMUnitTest without[] = {
        BOTH, cmocka_unit_test_teardown(with_the_guardian_killed_the_program_dies, no_orphan_is_left)};
    int failed = kit_run("guardian with a namespace", with, sizeof with / sizeof *with);
    refuse_unshare(); /* cannot be taken back, so it comes last */
    return failed + kit_run("guardian without a namespace", without, sizeof without / sizeof *without);
}
