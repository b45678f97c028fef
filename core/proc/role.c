#include "core/proc/role.h"

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGS = 16, MOST_FDS = 8, MOST_ENV = 24 };

#define CLOCK_FD "TRUNKLINE_TEST_CLOCK_FD"

static const char *const passed_on[] = {
    "TRUNKLINE_LOG",
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
#ifdef TEST_CLOCK
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "LSAN_OPTIONS",
    "TSAN_OPTIONS",
    "LLVM_PROFILE_FILE",
    "GCOV_PREFIX",
#endif
};

/* All that the child does between fork and exec is laid out before: there only system calls are safe. */
struct plan {
    const char *argv[MOST_ARGS];
    char *env[MOST_ENV];
    int fds[MOST_FDS + 1]; /* copies above all targets, so that placing one never closes another */
    size_t fd_count;
    int standard[3];
    bool dies_with_parent;
    pid_t parent;
    int report; /* an errno goes here when the exec fails; closed by a good one */
};

static int copy_above(int fd, size_t fd_count)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, ROLE_FD + (int)fd_count + 1);
    return copy < 0 ? -errno : copy;
}

static void plan_end(struct plan *p)
{
    for (size_t i = 0; i < p->fd_count; i++)
        fd_close(&p->fds[i]);
    for (size_t i = 0; i < 3; i++)
        fd_close(&p->standard[i]);
    for (size_t i = 0; p->env[i]; i++)
        free(p->env[i]);
    fd_close(&p->report);
}

static void plan_env(struct plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        const char *value = getenv(passed_on[i]);
        if (value)
            p->env[n++] = text_format("%s=%s", passed_on[i], value);
    }
#ifdef TEST_CLOCK
    /* The held clock comes behind the role's own descriptors, under its new number. */
    const char *clock = getenv(CLOCK_FD);
    if (clock) {
        int fd = copy_above((int)strtol(clock, NULL, 10), p->fd_count);
        if (fd >= 0) {
            p->env[n++] = text_format(CLOCK_FD "=%d", ROLE_FD + (int)p->fd_count);
            p->fds[p->fd_count++] = fd;
        }
    }
#endif
    assert(n < MOST_ENV);
}

static int plan_fds(struct plan *p, const struct spawn *s, struct why *why)
{
    assert(s->fd_count <= MOST_FDS);
    _cleanup_fd_ int none = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (none < 0)
        return why_errno(why, errno, "cannot open '/dev/null'");
    const int standard[3] = {s->in_fd < 0 ? none : s->in_fd, s->out_fd < 0 ? none : s->out_fd,
                             s->error_fd < 0 ? STDERR_FILENO : s->error_fd};
    for (size_t i = 0; i < 3; i++) {
        int fd = copy_above(standard[i], s->fd_count);
        if (fd == -EBADF) /* started without a stderr */
            fd = copy_above(none, s->fd_count);
        if (fd < 0)
            return why_errno(why, -fd, "cannot hand over a descriptor");
        p->standard[i] = fd;
    }
    for (size_t i = 0; i < s->fd_count; i++) {
        int fd = copy_above(s->fds[i], s->fd_count);
        if (fd < 0)
            return why_errno(why, -fd, "cannot hand over a descriptor");
        p->fds[p->fd_count++] = fd;
    }
    return 0;
}

static void plan_argv(struct plan *p, const struct spawn *s)
{
    size_t n = 0;
    p->argv[n++] = "trunkline";
    p->argv[n++] = "role";
    p->argv[n++] = s->role;
    for (size_t i = 0; s->args && s->args[i]; i++) {
        assert(n < MOST_ARGS - 1);
        p->argv[n++] = s->args[i];
    }
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL); /* those that cannot be set say so, and need not be */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static __attribute__((noreturn)) void child(const struct plan *p)
{
    setsid();
    reset_signals();
    if (p->dies_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != p->parent) /* died before that was heard */
            _exit(1);
    }
    bool is_placed = true;
    for (int i = 0; i < 3; i++)
        is_placed = is_placed && dup2(p->standard[i], i) >= 0;
    for (int i = 0; i < (int)p->fd_count; i++)
        is_placed = is_placed && dup2(p->fds[i], ROLE_FD + i) >= 0;
    if (is_placed) {
        /* Belt and braces: nothing else survives the exec, whoever forgot O_CLOEXEC. */
        close_range(ROLE_FD + (unsigned)p->fd_count, ~0U, CLOSE_RANGE_CLOEXEC);
        execve("/proc/self/exe", (char *const *)p->argv, p->env);
    }
    int error = errno;
    ssize_t rc = write(p->report, &error, sizeof error);
    _exit(rc < 0 ? 126 : 127);
}

static int start(struct plan *p, int answer, struct why *why)
{
    pid_t pid = fork();
    if (pid < 0)
        return why_errno(why, errno, "cannot fork for role '%s'", p->argv[2]);
    if (pid == 0)
        child(p);
    fd_close(&p->report); /* ours; the child's copy is closed by its exec */
    int error = 0;
    ssize_t n;
    do
        n = read(answer, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    if (n == sizeof error) {
        waitpid(pid, NULL, 0);
        return why_errno(why, error, "cannot run role '%s'", p->argv[2]);
    }
    return pid;
}

int role_spawn(const struct spawn *s, struct why *why)
{
    struct plan p = {
        .standard = {-1, -1, -1},
        .report = -1,
        .parent = getpid(),
        .dies_with_parent = strcmp(s->role, "guardian") != 0
    };
    _cleanup_fd_ int answer = -1;
    int report[2];
    int rc = plan_fds(&p, s, why);
    if (rc == 0 && pipe2(report, O_CLOEXEC) < 0)
        rc = why_errno(why, errno, "cannot make a pipe");
    if (rc == 0) {
        answer = report[0];
        /* Above the targets too, or placing a descriptor would close it. */
        p.report = copy_above(report[1], s->fd_count);
        close(report[1]);
        if (p.report < 0)
            rc = why_errno(why, -p.report, "cannot make a pipe");
    }
    if (rc == 0) {
        plan_argv(&p, s);
        plan_env(&p);
        rc = start(&p, answer, why);
    }
    plan_end(&p);
    return rc;
}

/* The hub holds a descriptor per client; others keep the modest default, which select() in foreign code
 * relies on. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void harden(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker attaches to its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    signal(SIGPIPE, SIG_IGN);
}

int role_begin(const char *name, size_t fd_count, struct why *why)
{
    for (int fd = ROLE_FD; fd < ROLE_FD + (int)fd_count; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            return why_set(why, -EBADF, "role '%s' is started by 'trunkline up', not by hand", name);
        fd_set_cloexec(fd, true);
    }
    char title[16];
    snprintf(title, sizeof title, "trunkline:%s", name); /* 15 letters is all the kernel keeps */
    prctl(PR_SET_NAME, title);
    harden();
    if (strcmp(name, "hub") == 0)
        raise_file_limit();
    return 0;
}

int role_run(const struct role *roles, int argc, char **argv)
{
    for (; argc > 0 && roles->name; roles++) {
        if (strcmp(roles->name, argv[0]) == 0)
            return roles->run(argc, argv);
    }
    fprintf(stderr, "trunkline: no such role: '%s'\n", argc > 0 ? argv[0] : "");
    return 2;
}

int memory_file(const char *name, struct bytes content, struct why *why)
{
    _cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return why_errno(why, errno, "cannot make a memory file '%s'", name);
    for (size_t done = 0; done < content.n;) {
        ssize_t n = write(fd, content.p + done, content.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return why_errno(why, n < 0 ? errno : EIO, "cannot fill the memory file '%s'", name);
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return why_errno(why, errno, "cannot seal the memory file '%s'", name);
    return fd_take(&fd);
}

int memory_file_read(int fd, size_t limit, struct buf *out, struct why *why)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return why_errno(why, errno, "cannot read the inherited file %d", fd);
    if ((size_t)about.st_size > limit)
        return why_set(why, -EFBIG, "the inherited file %d is over %zu bytes", fd, limit);
    size_t size = (size_t)about.st_size;
    buf_reserve(out, size + 1);
    /* By position: the file may be read twice, and its offset is shared with whoever sent it. */
    for (size_t at = 0; at < size;) {
        char piece[8192];
        ssize_t n = pread(fd, piece, sizeof piece, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return why_errno(why, n < 0 ? errno : EIO, "cannot read the inherited file %d", fd);
        buf_add(out, piece, (size_t)n);
        at += (size_t)n;
    }
    return 0;
}
