/*
 * The supervisor as a process of its own, with a hub of our own making and real programs as servers. Like
 * test_guardian.c, with a process namespace and without.
 */
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/proc/control.h"
#include "core/proc/role.h"
#include "core/proc/supervisor.h"
#include "tests/kit/marked.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <seccomp.h> /* layers: the test takes unshare() away */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MARK "TEST_MARK=supervisor"
#define SCATTERED "setsid sleep 600 & setsid sh -c 'sleep 600 & sleep 600' & (sleep 600 &) ; "
enum { SCATTERED_COUNT = 5 };

/* ---- a small hub: starts every server, says what it hears into <state>/heard, serves "hello" on its sockets
 * ---- */

struct small_hub {
    struct loop *loop;
    struct control *control;
    json_t *config;
    int sockets[8], lines[16];
    size_t socket_count, line_count, wanted;
    struct watch *watches[8];
};

static const char *hub_state(const struct small_hub *h)
{
    return json_str(json_object_get(json_object_get(h->config, "config"), "hub"), "state");
}

static void note(const struct small_hub *h, const json_t *message)
{
    _cleanup_free_ char *path = text_format("%s/heard", hub_state(h));
    _cleanup_free_ char *text = json_text(message);
    FILE *f = fopen(path, "ae");
    fprintf(f, "%s\n", text);
    fclose(f);
}

static void greet(int events, void *ctx)
{
    (void)events;
    int fd = accept4(*(int *)ctx, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && write(fd, "hello", 5) == 5)
        close(fd);
}

static void begin_hub(struct small_hub *h)
{
    const char *name;
    json_t *server;
    int line = 0;
    json_t *servers = json_object_get(json_object_get(h->config, "config"), "servers");
    h->wanted = json_object_size(servers);
    json_object_foreach (servers, name, server)
        control_send(h->control, json_pack("{s:s,s:s,s:i}", "op", "start", "server", name, "line", ++line),
                     NULL, 0);
    if (h->wanted == 0)
        control_send(h->control, json_pack("{s:s}", "op", "ready"), NULL, 0);
}

static void hub_heard(json_t *message, int fds[8], void *ctx)
{
    struct small_hub *h = ctx;
    const char *op = json_str(message, "op");
    if (strcmp(op, "config") == 0) {
        struct buf text = {0};
        if (memory_file_read(fds[0], 1 << 20, &text, NULL) < 0)
            exit(3);
        h->config = json_read(buf_bytes(&text), NULL);
        buf_end(&text);
        begin_hub(h);
    } else if (strcmp(op, "listen") == 0) {
        for (int i = 0; i < 8 && fds[i] >= 0; i++) {
            int *at = &h->sockets[h->socket_count];
            *at = fd_take(&fds[i]);
            h->watches[h->socket_count++] = watch_new(h->loop, *at, WATCH_READ, greet, at);
        }
    } else if (strcmp(op, "drain") == 0) {
        note(h, message);
        exit(0);
    } else {
        note(h, message);
        if (strcmp(op, "started") == 0) {
            fd_set_cloexec(fds[0], true);
            h->lines[h->line_count++ % 16] = fd_take(&fds[0]);
        }
        if (strcmp(op, "exited") != 0 && --h->wanted == 0)
            control_send(h->control, json_pack("{s:s}", "op", "ready"), NULL, 0);
    }
    for (int i = 0; i < 8; i++)
        fd_close(&fds[i]);
}

static void hub_alone(void *ctx)
{
    (void)ctx;
    exit(4);
}

static int run_hub(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    static const struct control_ops ops = {hub_heard, hub_alone};
    struct why why;
    if (role_begin("hub", 1, &why) < 0)
        return 2;
    struct small_hub h = {.loop = loop_new()};
    h.control = control_new(h.loop, ROLE_FD, &ops, &h);
    loop_run(h.loop);
    return 0;
}

/* A built-in server that ends with its line. */
static int run_server(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct why why;
    if (role_begin("server", 1, &why) < 0)
        return 2;
    char byte;
    while (read(0, &byte, 1) == 1)
        ;
    return 0;
}

/* A hub that never comes up. */
static int run_stillborn(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 5;
}

/* ---- `up` ---- */

static int bind_loopback(const char *address, unsigned mode, struct why *why)
{
    (void)mode;
    int fd;
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        snprintf(at.sun_path, sizeof at.sun_path, "%s", address + 5);
        unlink(at.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0)
            return fd;
    } else {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if (address[0] == '[')
            return why_errno(why, EAFNOSUPPORT, "cannot listen on '%s'", address);
        at.sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10));
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int yes = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0)
            return fd;
    }
    int error = errno;
    close(fd);
    return why_errno(why, error, "cannot listen on '%s'", address);
}

static int name_of(int fd, char *out, unsigned room)
{
    union {
        struct sockaddr_un file;
        struct sockaddr_in v4;
        struct sockaddr any;
    } at = {.file = {0}};
    socklen_t n = sizeof at;
    if (getsockname(fd, &at.any, &n) < 0)
        return -errno;
    if (at.any.sa_family == AF_UNIX)
        snprintf(out, room, "unix:%s", at.file.sun_path);
    else
        snprintf(out, room, "127.0.0.1:%d", ntohs(at.v4.sin_port));
    return 0;
}

static int run_up(char **argv)
{
    const struct up_options options = {
        .config_file = argv[0], .state = argv[1], .bind = bind_loopback, .bound_name = name_of};
    return supervisor_run(&options);
}

/* ---- the tests ---- */

struct up { /* a supervisor, and where it writes */
    pid_t pid;
    char *state, *config, *printed;
};

static char *state_file(const struct up *u, const char *name)
{
    return text_format("%s/%s", u->state, name);
}

static char *content(const char *path)
{
    struct buf text = {0};
    if (file_read(path, 1 << 20, &text, NULL) < 0)
        buf_add_text(&text, "");
    return buf_take(&text);
}

static bool file_says(const struct up *u, const char *name, const char *words)
{
    _cleanup_free_ char *path = state_file(u, name);
    _cleanup_free_ char *text = content(path);
    return strstr(text, words) != NULL;
}

static bool log_says(const struct up *u, const char *words)
{
    _cleanup_free_ char *path = text_format("%s-log", u->state);
    _cleanup_free_ char *text = content(path);
    return strstr(text, words) != NULL;
}

static int64_t role_pid(const struct up *u, const char *group, const char *name)
{
    _cleanup_free_ char *path = state_file(u, "run/roles.json");
    _cleanup_free_ char *text = content(path);
    _cleanup_json_ json_t *roles = json_read(bytes_of(text), NULL);
    return json_int(group ? json_object_get(roles, group) : roles, name, 0);
}

static pid_t spawn_up(const struct up *u, const char *hub)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int out = open(u->printed, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    _cleanup_free_ char *log = text_format("%s-log", u->state);
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(out, 1);
    dup2(err, 2);
    setenv("XDG_CONFIG_HOME", hub, 1); /* a variable roles inherit: tells the test's hub which one to be */
    execl("/proc/self/exe", "test_supervisor", "up", u->config, u->state, NULL);
    _exit(126);
}

static bool is_ready(const struct up *u)
{
    _cleanup_free_ char *text = content(u->printed);
    return strstr(text, "is ready.") != NULL;
}

static struct up prepare(const char *servers)
{
    static int number; /* a folder for every `up` */
    _cleanup_free_ char *name = text_format("config-%d.json", ++number);
    _cleanup_free_ char *text = text_format("{\"listen\":[\"127.0.0.1:0\"],\"servers\":{%s}}", servers);
    return (struct up){.state = text_format("%s/state-%d", kit_tmp(), number),
                       .config = mem_text(kit_file(name, text)),
                       .printed = text_format("%s/printed-%d", kit_tmp(), number)};
}

static struct up start(const char *servers)
{
    struct up u = prepare(servers);
    u.pid = spawn_up(&u, "small");
    until(10000, is_ready(&u));
    return u;
}

static void forget(struct up *u)
{
    free(u->state);
    free(u->config);
    free(u->printed);
}

static int wait_for(pid_t pid, int most_ms)
{
    int status = -1;
    until(most_ms, waitpid(pid, &status, WNOHANG) == pid);
    return status;
}

static void is_clean(struct up *u, int most_ms)
{
    int status = wait_for(u->pid, most_ms);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(marked(MARK, 0), 0);
    forget(u);
}

static void stop(struct up *u, int most_ms)
{
    kill(u->pid, SIGTERM);
    is_clean(u, most_ms);
}

/* Asked twice, it does not wait for stubborn servers. */
static void stop_at_once(struct up *u)
{
    kill(u->pid, SIGINT);
    until(5000, file_says(u, "heard", "drain"));
    kill(u->pid, SIGINT);
    is_clean(u, 1900);
}

#define SERVER(name, script)                                      \
    "\"" name "\":{\"command\":\"sh\",\"args\":[\"-c\",\"" script \
    "\"],\"env\":{\"TEST_MARK\":\"supervisor\"}}"
#define STUBBORN SERVER("fs", SCATTERED "trap '' TERM HUP; while :; do sleep 600; done")
#define POLITE SERVER("fs", "exec cat")

static bool says_hello(const struct up *u)
{
    _cleanup_free_ char *path = state_file(u, "run/endpoints.json");
    _cleanup_free_ char *text = content(path);
    _cleanup_json_ json_t *endpoints = json_read(bytes_of(text), NULL);
    const char *url = json_string_value(json_array_get(json_object_get(endpoints, "http"), 0));
    if (!url)
        return false;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)strtol(strrchr(url, ':') + 1, NULL, 10));
    char hello[8] = "";
    _cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && read(fd, hello, 5) == 5 &&
           !strcmp(hello, "hello");
}

static void up_says_where_it_is_and_stops_clean(void **state)
{
    (void)state;
    struct up u = start(POLITE ",\"own\":{\"builtin\":\"workspace\"}");
    assert_true(says_hello(&u));
    assert_int_equal(role_pid(&u, NULL, "supervisor"), u.pid);
    assert_true(is_alive((pid_t)role_pid(&u, NULL, "hub")));
    assert_true(is_alive((pid_t)role_pid(&u, "servers", "fs")));
    assert_true(is_alive((pid_t)role_pid(&u, "servers", "own")));
    assert_int_equal(role_pid(&u, "guardians", "own"), 0);
    struct stat about;
    _cleanup_free_ char *key = state_file(&u, "run/hub.key");
    assert_int_equal(stat(key, &about), 0);
    assert_int_equal(about.st_size, 32);
    assert_int_equal(about.st_mode & 0777, 0600);
    _cleanup_free_ char *endpoints = state_file(&u, "run/endpoints.json");
    _cleanup_free_ char *roles = state_file(&u, "run/roles.json");
    int64_t began = kit_real_ms();
    stop(&u, 5000);
    assert_in_range(kit_real_ms() - began, 0, 3000);
    assert_int_equal(access(endpoints, F_OK), -1);
    assert_int_equal(access(roles, F_OK), -1);
    assert_int_equal(access(key, F_OK), 0);
}

static void a_second_up_on_the_same_state_is_refused_by_name(void **state)
{
    (void)state;
    struct up u = start("");
    struct up other = {.config = mem_text(u.config), .state = mem_text(u.state)};
    other.printed = text_format("%s.other", u.printed);
    int status = wait_for(spawn_up(&other, "small"), 5000);
    assert_int_equal(WEXITSTATUS(status), 1);
    _cleanup_free_ char *words = text_format("is in use by process %d", (int)u.pid);
    assert_true(log_says(&u, words));
    assert_true(says_hello(&u));
    forget(&other);
    stop(&u, 5000);
}

static void a_wrong_configuration_touches_nothing(void **state)
{
    (void)state;
    struct up u = prepare("\"fs\":{\"commando\":\"x\"}");
    int status = wait_for(spawn_up(&u, "small"), 5000);
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_int_equal(access(u.state, F_OK), -1);
    forget(&u);
}

static void a_dead_server_is_told_and_the_hub_may_start_it_again(void **state)
{
    (void)state;
    struct up u = start(SERVER("fs", SCATTERED "exec sleep 600"));
    until(5000, marked(MARK, 0) == SCATTERED_COUNT + 1);
    kill((pid_t)role_pid(&u, "servers", "fs"), SIGKILL);
    until(5000, file_says(&u, "heard", "{\"op\":\"exited\",\"line\":1,\"status\":0,\"signal\":9}"));
    assert_int_equal(marked(MARK, 0), 0);
    until(2000, role_pid(&u, "servers", "fs") == 0);
    stop(&u, 5000);
}

static void what_cannot_start_is_told(void **state)
{
    (void)state;
    struct up u = start("\"fs\":{\"command\":\"no-such-program\"}");
    assert_true(
        file_says(&u, "heard", "\"op\":\"failed\",\"line\":1,\"why\":\"cannot run 'no-such-program'"));
    stop(&u, 5000);
}

static void a_killed_guardian_leaves_nobody(void **state)
{
    (void)state;
    struct up u = start(STUBBORN);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    kill((pid_t)role_pid(&u, "guardians", "fs"), SIGKILL);
    until(5000, file_says(&u, "heard", "{\"op\":\"exited\",\"line\":1,\"status\":0,\"signal\":9}"));
    assert_int_equal(marked(MARK, 0), 0);
    stop(&u, 5000);
}

static void a_killed_hub_comes_back_with_fresh_servers(void **state)
{
    (void)state;
    struct up u = start(POLITE);
    int64_t hub = role_pid(&u, NULL, "hub"), server = role_pid(&u, "servers", "fs");
    kill((pid_t)hub, SIGKILL);
    assert_true(says_hello(&u)); /* the socket was never closed: this connection waits for the next hub */
    until(5000, role_pid(&u, "servers", "fs") != server && role_pid(&u, "servers", "fs") > 0);
    assert_true(role_pid(&u, NULL, "hub") != hub);
    assert_false(is_alive((pid_t)server));
    assert_int_equal(marked(MARK, 0), 1);
    stop(&u, 5000);
}

static void a_killed_hub_waits_for_stubborn_servers_to_be_gone(void **state)
{
    (void)state;
    struct up u = start(STUBBORN);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    int64_t server = role_pid(&u, "servers", "fs");
    kill((pid_t)role_pid(&u, NULL, "hub"), SIGKILL);
    until(8000, role_pid(&u, "servers", "fs") != server && role_pid(&u, "servers", "fs") > 0);
    assert_false(is_alive((pid_t)server));
    stop_at_once(&u);
}

static void a_killed_supervisor_leaves_nobody(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct up u = start(STUBBORN ",\"own\":{\"builtin\":\"workspace\"}");
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    pid_t all[] = {(pid_t)role_pid(&u, NULL, "hub"), (pid_t)role_pid(&u, "servers", "own"),
                   (pid_t)role_pid(&u, "guardians", "fs")};
    kill(u.pid, SIGKILL);
    int64_t began = kit_real_ms();
    wait_for(u.pid, 1000);
    until(5000, marked(MARK, 0) == 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        until(5000, !is_alive(all[i]));
    assert_in_range(kit_real_ms() - began, 0, 5000);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    /* And its state opens again. */
    struct up again = {
        .config = mem_text(u.config), .state = mem_text(u.state), .printed = mem_text(u.printed)};
    again.pid = spawn_up(&again, "small");
    until(10000, role_pid(&again, NULL, "supervisor") == again.pid && is_ready(&again));
    stop_at_once(&again);
    forget(&u);
}

static void stubborn_servers_are_killed_in_time(void **state)
{
    (void)state;
    struct up u = start(STUBBORN);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    stop(&u, 5000);
}

static void asked_twice_it_stops_at_once(void **state)
{
    (void)state;
    struct up u = start(STUBBORN);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    stop_at_once(&u);
}

static void a_hub_that_never_comes_up_is_given_up(void **state)
{
    (void)state;
    struct up u = prepare("");
    int status = wait_for(spawn_up(&u, "stillborn"), 10000);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(log_says(&u, "hub.stillborn"));
    forget(&u);
}

static void a_hangup_only_checks_the_configuration(void **state)
{
    (void)state;
    struct up u = start("");
    int64_t hub = role_pid(&u, NULL, "hub");
    kill(u.pid, SIGHUP);
    until(5000, log_says(&u, "config.needs_restart"));
    assert_int_equal(truncate(u.config, 5), 0);
    kill(u.pid, SIGHUP);
    until(5000, log_says(&u, "config.invalid"));
    assert_int_equal(role_pid(&u, NULL, "hub"), hub);
    stop(&u, 5000);
}

/* ---- with a namespace only ---- */

static void supervisor_and_guardian_killed_together_leave_nobody(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct up u = start(STUBBORN);
    until(5000, marked(MARK, 0) >= SCATTERED_COUNT + 1);
    pid_t guardian = (pid_t)role_pid(&u, "guardians", "fs");
    kill(u.pid, SIGKILL);
    kill(guardian, SIGKILL);
    until(5000, marked(MARK, 0) == 0);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    forget(&u);
}

static void refuse_unshare(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    assert_non_null(filter);
    assert_int_equal(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 0), 0);
    assert_int_equal(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static int run_any_hub(int argc, char **argv)
{
    const char *which = getenv("XDG_CONFIG_HOME");
    return which && strcmp(which, "stillborn") == 0 ? run_stillborn(argc, argv) : run_hub(argc, argv);
}

static const struct role roles[] = {
    {"hub",         run_any_hub},
    {"guardian",             guardian_run},
    {"server",run_server},
    {0     }
};

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "role") == 0)
        return role_run(roles, argc - 2, argv + 2);
    if (argc > 3 && strcmp(argv[1], "up") == 0)
        return run_up(argv + 2);
#define BOTH                                                                    \
    cmocka_unit_test(up_says_where_it_is_and_stops_clean),                      \
        cmocka_unit_test(a_dead_server_is_told_and_the_hub_may_start_it_again), \
        cmocka_unit_test(a_killed_guardian_leaves_nobody),                      \
        cmocka_unit_test(a_killed_hub_comes_back_with_fresh_servers),           \
        cmocka_unit_test(a_killed_supervisor_leaves_nobody), cmocka_unit_test(asked_twice_it_stops_at_once)
    const struct CMUnitTest with[] = {
        BOTH,
        cmocka_unit_test(a_second_up_on_the_same_state_is_refused_by_name),
        cmocka_unit_test(a_killed_hub_waits_for_stubborn_servers_to_be_gone),
        cmocka_unit_test(stubborn_servers_are_killed_in_time),
        cmocka_unit_test(a_wrong_configuration_touches_nothing),
        cmocka_unit_test(what_cannot_start_is_told),
        cmocka_unit_test(a_hub_that_never_comes_up_is_given_up),
        cmocka_unit_test(a_hangup_only_checks_the_configuration),
        cmocka_unit_test(supervisor_and_guardian_killed_together_leave_nobody),
    };
    const struct CMUnitTest without[] = {BOTH};
    int failed = kit_run("supervisor with a namespace", with, sizeof with / sizeof *with);
    refuse_unshare(); /* cannot be taken back, so it comes last */
    return failed + kit_run("supervisor without a namespace", without, sizeof without / sizeof *without);
}
