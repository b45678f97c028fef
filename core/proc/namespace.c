/*
 * How the pieces hold together:
 *
 *   - The caller calls unshare(); what it forks from then on is born in the new namespace. First comes
 * `keeper`, number 1 inside, the second is the server's command. Both are the caller's children, so it learns
 * the command's status from waitpid(), and it alone is asked to stop.
 *   - Orphans inside fall to the keeper, which reaps them and does nothing else.
 *   - The keeper dies with the caller (PR_SET_PDEATHSIG; a signal from outside reaches number 1), however the
 * caller dies, and with the keeper dies the namespace: there is no way out of it, `setsid` or not.
 */
#include "core/proc/namespace.h"

#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* In a new user namespace one keeps one's own number, so that files look and belong as they did. */
static int map_user(uid_t uid, gid_t gid)
{
    char line[64];
    int was = prctl(PR_GET_DUMPABLE);
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self is root's */
    int rc = write_file("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    rc = rc < 0 ? rc : write_file("/proc/self/uid_map", line);
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    rc = rc < 0 ? rc : write_file("/proc/self/gid_map", line);
    prctl(PR_SET_DUMPABLE, was);
    return rc;
}

/* unshare() cannot be taken back, so a child tries it first: all of it, or nothing. */
static bool may_unshare(int flags)
{
    pid_t pid = fork();
    if (pid == 0) {
        uid_t uid = getuid();
        gid_t gid = getgid();
        bool is_good = unshare(flags) == 0 && (!(flags & CLONE_NEWUSER) || map_user(uid, gid) == 0);
        /* A kernel that counts namespaces may allow making one and refuse to fork into it. */
        pid_t inside = is_good ? fork() : -1;
        if (inside == 0)
            _exit(0);
        _exit(inside > 0 && waitpid(inside, NULL, 0) == inside ? 0 : 1);
    }
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static __attribute__((noreturn)) void keeper(int parent)
{
    char byte = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent's word comes after prctl, so a parent that died before it was heard is noticed. */
    if (read(parent, &byte, 1) != 1)
        _exit(1);
    prctl(PR_SET_NAME, "trunkline:keep");
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
          NULL); /* refused in containers: then without */
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (write(parent, &byte, 1) != 1)
        _exit(1);
    close_range(0, ~0U, 0); /* or the peers would never see an end of file */
    for (;;) {
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) {
            int signo;
            sigset_t child;
            sigemptyset(&child);
            sigaddset(&child, SIGCHLD);
            sigwait(&child, &signo);
        }
    }
}

static pid_t start_keeper(struct why *why)
{
    int pair[2];
    int rc = fd_pair(SOCK_STREAM, false, pair);
    if (rc < 0)
        return why_errno(why, -rc, "cannot make a socket pair");
    _cleanup_fd_ int keepers = pair[1];
    _cleanup_fd_ int ours = pair[0];
    pid_t pid = fork();
    if (pid < 0)
        return why_errno(why, errno, "cannot fork into the process namespace");
    if (pid == 0) {
        close(pair[0]);
        keeper(pair[1]);
    }
    fd_close(&keepers);
    char byte = 0;
    if (send(ours, &byte, 1, MSG_NOSIGNAL) != 1 || read(ours, &byte, 1) != 1)
        return why_set(why, -EPIPE, "the first process of the process namespace died");
    return pid;
}

pid_t namespace_enter(struct why *why)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    int flags = CLONE_NEWPID | CLONE_NEWNS;
    if (!may_unshare(flags)) {
        flags |= CLONE_NEWUSER;
        if (!may_unshare(flags))
            return why_set(why, -EPERM, "no process namespace is allowed here");
    }
    if (unshare(flags) < 0)
        return why_errno(why, errno, "cannot make a process namespace");
    if (flags & CLONE_NEWUSER) {
        int rc = map_user(uid, gid);
        if (rc < 0)
            return why_errno(why, -rc, "cannot name the user of the process namespace");
    }
    /* What the machine mounts later shows up inside, but the new /proc stays in here. */
    mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL);
    return start_keeper(why);
}
