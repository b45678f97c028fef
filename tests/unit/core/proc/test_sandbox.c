/* Each act is tried in a child, which gives up its rights first; the row says what must come of it. */
#include "core/proc/sandbox.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char readable[256], writable[256], elsewhere[256];

static int result(long rc)
{
    return rc < 0 ? errno : 0;
}

static int makes_socket(int family, int type)
{
    int fd = socket(family, type, 0);
    int error = result(fd);
    close(fd);
    return error;
}

static int open_with(const char *folder, const char *name, int flags)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int error = result(fd);
    close(fd);
    return error;
}

static int inet(void)
{
    return makes_socket(AF_INET, SOCK_STREAM);
}
static int inet6(void)
{
    return makes_socket(AF_INET6, SOCK_DGRAM);
}
static int netlink(void)
{
    return makes_socket(AF_NETLINK, SOCK_RAW);
}
static int unix_socket(void)
{
    return makes_socket(AF_UNIX, SOCK_STREAM);
}
static int call_out(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};
    return result(connect(fd, (struct sockaddr *)&at, sizeof at));
}
static int run_program(void)
{
    return result(execl("/bin/true", "true", NULL));
}
#ifndef __SANITIZE_ADDRESS__ /* there it is allowed: sandbox.c */
static int trace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
#endif
static int mount_it(void)
{
    return result(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static int new_namespace(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int use_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}
static int use_keys(void)
{
    return result(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, 0, 0));
}
static int use_ring(void)
{
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}
static int ask_number(void)
{
    return result(syscall(SYS_gettid));
}
static int read_listed(void)
{
    return open_with(readable, "file", O_RDONLY);
}
static int read_unlisted(void)
{
    return open_with(elsewhere, "file", O_RDONLY);
}
static int read_system(void)
{
    return open_with("/etc", "passwd", O_RDONLY);
}
static int write_listed(void)
{
    return open_with(writable, "new", O_WRONLY | O_CREAT);
}
static int write_readable(void)
{
    return open_with(readable, "file", O_WRONLY);
}
static int make_unlisted(void)
{
    return open_with(elsewhere, "new", O_WRONLY | O_CREAT);
}
static int truncate_readable(void)
{
    return open_with(readable, "file", O_RDONLY | O_TRUNC);
}
static int write_null(void)
{
    return open_with("/dev", "null", O_WRONLY);
}

struct act {
    const char *name;
    int (*run)(void);
    int expected; /* errno; 0: allowed */
};

/* The act's errno, as seen from inside the sandbox. */
static int tried(const struct sandbox *s, const struct act *act)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct why why;
        if (sandbox_enter(s, &why) < 0)
            _exit(255);
        _exit(act->run());
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void try_all(const struct sandbox *s, const struct act *acts)
{
    for (; acts->name; acts++) {
        int got = tried(s, acts);
        if (got != acts->expected)
            fail_msg("%s: %s, not %s", acts->name, strerror(got), strerror(acts->expected));
    }
}

static void our_servers_have_no_network_and_start_nothing(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {"inet",    inet, EACCES},
        {"inet6",   inet6, EACCES},
        {"netlink",   netlink, EACCES},
        {"unix",   unix_socket, 0},
        {"connect", call_out, EPERM},
        {"exec",   run_program, EPERM},
#ifndef __SANITIZE_ADDRESS__
        {"ptrace",    trace, EPERM},
#endif
        {"mount",        mount_it, EPERM},
        {"unshare", new_namespace, EPERM},
        {"bpf",    use_bpf, EPERM},
        {"keyctl",    use_keys, EPERM},
        {"io_uring",    use_ring, EPERM},
        {"gettid",  ask_number, 0},
        {0   }
    };
    try_all(&(struct sandbox){0}, acts);
}

static void our_servers_write_nothing(void **state)
{
    (void)state;
    if (sandbox_reach() < SANDBOX_FILES)
        skip(); /* a kernel without Landlock */
    static const struct act acts[] = {
        {"read",  read_unlisted, 0},
        {"make",      make_unlisted, EACCES},
        {"write",  write_readable, EACCES},
        {"write /dev/null", write_null, 0},
        {0}
    };
    try_all(&(struct sandbox){0}, acts);
}

static void with_a_list_only_the_listed_is_readable(void **state)
{
    (void)state;
    if (sandbox_reach() < SANDBOX_FILES)
        skip();
    const char *const reads[] = {readable, "/no/such/folder", NULL};
    const char *const writes[] = {writable, NULL};
    static const struct act acts[] = {
        {"read listed",    read_listed, 0},
        {"read unlisted",               read_unlisted, EACCES},
        {"read system",  read_system, 0},
        {"write readable",          write_readable, EACCES},
        {"truncate readable",    truncate_readable, EACCES},
        {"write listed",               write_listed, 0},
        {"make unlisted", make_unlisted, EACCES},
        {0         }
    };
    try_all(&(struct sandbox){.read = reads, .write = writes}, acts);
}

static void foreign_programs_work_but_do_not_reach_the_machine(void **state)
{
    (void)state;
    static const struct act acts[] = {
        {"inet",    inet, 0},
        {"netlink",        netlink, 0},
        {"exec", run_program, 0},
        {"bpf",        use_bpf, EPERM},
        {"keyctl",    use_keys, EPERM},
        {"make",        make_unlisted, 0},
        {0    }
    };
    try_all(&(struct sandbox){.is_foreign = true}, acts);
}

static void the_level_reached_is_the_level_foretold(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandbox_enter(&(struct sandbox){0}, NULL));
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), sandbox_reach());
    assert_true(sandbox_reach() >= SANDBOX_FLAGS);
}

static void make_folders(void)
{
    static const char *const names[] = {"readable", "writable", "elsewhere"};
    char *const paths[] = {readable, writable, elsewhere};
    for (size_t i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof readable, "%s", kit_path(names[i]));
        mkdir(paths[i], 0700);
    }
    kit_file("readable/file", "x");
    kit_file("elsewhere/file", "x");
}

int main(void)
{
    make_folders();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_servers_have_no_network_and_start_nothing),
        cmocka_unit_test(our_servers_write_nothing),
        cmocka_unit_test(with_a_list_only_the_listed_is_readable),
        cmocka_unit_test(foreign_programs_work_but_do_not_reach_the_machine),
        cmocka_unit_test(the_level_reached_is_the_level_foretold),
    };
    return kit_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
