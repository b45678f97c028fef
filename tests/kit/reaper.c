/* reaper -- runs a command and says whether all it started, with all their children, is gone afterwards.
 *
 *     reaper [--private-net] command [argument...]
 *
 * It is the child subreaper: whatever loses its parent becomes our child, `setsid` or not. When the command
 * has ended, stragglers have GRACE_MS to finish dying; who is left then is named, ended, and makes the run
 * fail.
 * --private-net gives the command a network of its own that has only loopback, where the right for that
 * exists: so nothing it does can reach out, and no port can be taken. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 1000, END_MS = 15000, LEFT_BEHIND = 97, CANNOT_RUN = 127 };

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

/* A parent of /proc/<pid>, 0 when the process is gone or only waits to be reaped. */
static pid_t living_parent(const char *pid)
{
    char path[64];
    char line[512];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    /* The name in parentheses may itself hold spaces and parentheses: count from the last one. */
    const char *rest = strrchr(line, ')');
    if (!rest || strlen(rest) < 5 || rest[2] == 'Z' || rest[2] == 'X')
        return 0;
    return (pid_t)strtol(rest + 4, NULL, 10);
}

static void command_line(const char *pid, char *out, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(out, 1, room - 1, f) : 0;
    if (f)
        fclose(f);
    while (n > 0 && out[n - 1] == 0)
        n--;
    for (size_t i = 0; i < n; i++)
        if (!isprint((unsigned char)out[i]))
            out[i] = ' ';
    out[n] = 0;
}

/* Living children of ours; each is named and sent the signal when there is one. */
static int children(int signal_number)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(proc))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || living_parent(entry->d_name) != getpid())
            continue;
        count++;
        if (signal_number) {
            char text[300];
            command_line(entry->d_name, text, sizeof(text));
            fprintf(stderr, "reaper: left behind: pid %s '%s'\n", entry->d_name, text);
            kill((pid_t)strtol(entry->d_name, NULL, 10), signal_number);
        }
    }
    closedir(proc);
    return count;
}

static void private_net(void)
{
    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "reaper: no network of its own: %s\n", strerror(errno));
        return;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fprintf(stderr, "reaper: cannot bring up loopback: %s\n", strerror(errno));
    if (fd >= 0)
        close(fd);
}

static pid_t run(char **argv, const sigset_t *signals)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    sigprocmask(SIG_UNBLOCK, signals, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(argv[0], argv);
    fprintf(stderr, "reaper: cannot run '%s': %s\n", argv[0], strerror(errno));
    _exit(CANNOT_RUN);
}

static void wait_for_signal(const sigset_t *signals, siginfo_t *got)
{
    struct timespec turn = {.tv_nsec = 200L * 1000 * 1000};
    memset(got, 0, sizeof(*got));
    sigtimedwait(signals, got, &turn);
}

/* Reaps everybody until the command itself has ended; gives its wait status. */
static int attend(pid_t command, const sigset_t *signals)
{
    long end_by = 0;
    for (;;) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == command)
                return status;
        siginfo_t got;
        wait_for_signal(signals, &got);
        if (got.si_signo && got.si_signo != SIGCHLD) {
            /* A terminal's Ctrl-C has gone to the whole group already; a second one would cut its cleaning
             * short. */
            if (got.si_code != SI_KERNEL)
                kill(command, got.si_signo);
            end_by = now_ms() + END_MS;
        }
        if (end_by && now_ms() > end_by)
            kill(command, SIGKILL);
    }
}

/* True when nobody is left; otherwise names them, ends them and everybody they leave to us in turn. */
static bool all_gone(const sigset_t *signals)
{
    long end_by = now_ms() + GRACE_MS;
    while (children(0) > 0 && now_ms() < end_by) {
        siginfo_t got;
        wait_for_signal(signals, &got);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    if (children(SIGKILL) == 0)
        return true;
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        children(SIGKILL);
    return false;
}

int main(int argc, char **argv)
{
    bool alone = argc > 1 && !strcmp(argv[1], "--private-net");
    argv += alone ? 2 : 1;
    if (argc < (alone ? 3 : 2)) {
        fprintf(stderr, "usage: reaper [--private-net] command [argument...]\n");
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        perror("reaper: cannot become the subreaper");
        return 2;
    }
    if (alone)
        private_net();

    pid_t command = run(argv, &signals);
    if (command < 0) {
        perror("reaper: cannot fork");
        return 2;
    }
    int status = attend(command, &signals);
    if (!all_gone(&signals))
        return LEFT_BEHIND;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
