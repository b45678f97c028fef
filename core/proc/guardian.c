/*
 * The guardian of one foreign server: its parent, the reaper of all its descendants, and nothing else. It
 * reads no byte the server writes, so nothing a server does can bring it to fall.
 *
 *     3  SEQPACKET to the supervisor: {"op":"stop","grace_ms":…} {"op":"kill"} come in; {"op":"started"} or
 *        {"op":"failed"}, and {"op":"exited"} once the last descendant is gone, go out
 *     4  the server's end of its line    5  the server's stderr    6  what to run (launch.h), a memory file
 *
 * RUNNING until the command ends, a stop comes, or the supervisor is gone (end of file on 3). Then, skipping
 * what is not needed: GRACE (the server may see its closed stdin and end by itself), TERM to every
 * descendant, 2 s, KILL again and again until waitpid() knows of no child. As a subreaper it adopts what
 * loses its parent, so "no child" means that nothing is left, `setsid` or not. In a process namespace
 * (namespace.h) the kernel does the last step, and does it too when the guardian itself is killed.
 */
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/proc/launch.h"
#include "core/proc/namespace.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"
#include "core/proc/supervisor.h"
#include "core/proc/tree.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SOCKET = ROLE_FD, LINE, ERRORS, SETTINGS };
enum { TERM_MS = 2000, RECHECK_MS = 20, SETTINGS_MAX = 1 << 20 };
enum phase { RUNNING, GRACE, TERM, KILL };

struct guardian {
    enum phase phase;
    int64_t due_ms; /* of GRACE and TERM */
    pid_t keeper;   /* first process of the namespace; 0: there is none */
    pid_t command;
    int status;    /* of the command, as waitpid tells it */
    bool is_alone; /* the supervisor is gone */
    bool is_empty; /* no child left */
    int proc, signals, sandbox;
};

static int64_t now_ms(void) /* not clock_ms: what ends processes does not follow a test's clock */
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void tell(const struct guardian *g, json_t *message)
{
    _cleanup_free_ char *text = json_text(message);
    json_decref(message);
    if (!g->is_alone)
        fd_send(SOCKET, text, strlen(text), NULL, 0);
}

static void enter_phase(struct guardian *g, enum phase phase, int64_t ms)
{
    if (phase == GRACE && g->phase == GRACE && now_ms() + ms < g->due_ms)
        g->due_ms = now_ms() + ms; /* asked again, with less patience */
    if (phase <= g->phase)
        return;
    g->phase = phase;
    g->due_ms = now_ms() + ms;
    if (phase == TERM && tree_signal(g->proc, getpid(), SIGTERM, g->keeper) < 0 && g->command)
        kill(-g->command, SIGTERM); /* no /proc: at least its group */
}

static void end_all(struct guardian *g)
{
    if (g->keeper)
        kill(g->keeper, SIGKILL);
    if (tree_signal(g->proc, getpid(), SIGKILL, 0) < 0 && g->command)
        kill(-g->command, SIGKILL);
}

static void reap(struct guardian *g)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0) {
            g->is_empty = pid < 0;
            return;
        }
        if (pid == g->command) {
            g->status = status;
            g->command = 0;
            enter_phase(g, TERM, TERM_MS); /* what it leaves behind does not outlive it */
        } else if (pid == g->keeper) {
            g->keeper = 0;
            enter_phase(g, KILL, 0);
        }
    }
}

static void hear_supervisor(struct guardian *g)
{
    char text[1024];
    size_t n = sizeof text;
    int fds[1];
    int rc = fd_receive(SOCKET, text, &n, fds, 1);
    if (rc == -EAGAIN)
        return;
    if (rc < 0 || n == 0) {
        g->is_alone = true;
        enter_phase(g, TERM, TERM_MS);
        return;
    }
    fd_close(&fds[0]);
    _cleanup_json_ json_t *message = json_read((struct bytes){text, n}, NULL);
    const char *op = json_str(message, "op");
    if (op && strcmp(op, "kill") == 0)
        enter_phase(g, KILL, 0);
    else if (op && strcmp(op, "stop") == 0)
        enter_phase(g, GRACE, json_int(message, "grace_ms", 0));
}

static void advance(struct guardian *g)
{
    if (g->phase == GRACE && now_ms() >= g->due_ms)
        enter_phase(g, TERM, TERM_MS);
    /* In the namespace orphans are reaped by the keeper, so their end has to be looked for. */
    if (g->phase == TERM && (now_ms() >= g->due_ms || tree_signal(g->proc, getpid(), 0, g->keeper) == 0))
        enter_phase(g, KILL, 0);
    if (g->phase == KILL)
        end_all(g);
}

static void watch_over(struct guardian *g)
{
    while (!g->is_empty) {
        int64_t left = g->due_ms - now_ms();
        int wait = g->phase == RUNNING ? -1 : g->phase == GRACE ? (int)(left < 0 ? 0 : left) : RECHECK_MS;
        struct pollfd fds[2] = {
            {g->signals,                POLLIN, 0},
            {g->is_alone ? -1 : SOCKET, POLLIN, 0}
        };
        poll(fds, 2, wait);
        struct signalfd_siginfo info;
        while (read(g->signals, &info, sizeof info) > 0)
            ; /* several ends may stand behind one signal: reap asks for all */
        if (fds[1].revents)
            hear_supervisor(g);
        reap(g);
        if (!g->is_empty)
            advance(g);
    }
}

static int launch(struct guardian *g, struct why *why)
{
    struct buf text = {0};
    struct launch wanted;
    int rc = memory_file_read(SETTINGS, SETTINGS_MAX, &text, why);
    rc = rc < 0 ? rc : launch_read(buf_bytes(&text), &wanted, why);
    buf_end(&text);
    if (rc < 0)
        return rc;
    pid_t keeper = namespace_enter(NULL); /* where it is not allowed, the subreaper has to do */
    g->keeper = keeper > 0 ? keeper : 0;
    rc = sandbox_enter(&(struct sandbox){.is_foreign = true}, why);
    g->sandbox = rc;
    rc = rc < 0 ? rc : launch_start(&wanted, LINE, ERRORS, g->keeper == 0, why);
    launch_end(&wanted);
    if (rc < 0)
        return rc;
    g->command = rc;
    return 0;
}

static void begin(struct guardian *g)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    g->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    g->proc = tree_open();
    assert(g->signals >= 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fd_set_nonblocking(SOCKET, true);
}

int guardian_run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct why why;
    if (role_begin("guardian", 4, &why) < 0) {
        fprintf(stderr, "trunkline: %s\n", why.text);
        return 2;
    }
    struct guardian g = {0};
    begin(&g);
    int rc = launch(&g, &why);
    /* The server alone holds its line and its stderr from here on: their end of file is its end. */
    for (int fd = LINE; fd <= SETTINGS; fd++)
        close(fd);
    pid_t command = g.command;
    if (rc < 0) {
        tell(&g, json_pack("{s:s,s:s}", "op", "failed", "why", why.text));
        enter_phase(&g, KILL, 0);
        end_all(&g);
    } else {
        tell(&g, json_pack("{s:s,s:i,s:i,s:b}", "op", "started", "pid", (int)command, "sandbox", g.sandbox,
                           "namespace", g.keeper != 0));
    }
    watch_over(&g);
    if (rc == 0) {
        int status = WIFEXITED(g.status) ? WEXITSTATUS(g.status) : 0;
        int signo = WIFSIGNALED(g.status) ? WTERMSIG(g.status) : 0;
        tell(&g, json_pack("{s:s,s:i,s:i}", "op", "exited", "status", status, "signal", signo));
    }
    /* Not exit(): sanitizers would start a thread, which is not possible outside a finished namespace. */
    _exit(0);
}
