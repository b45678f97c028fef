/*
 * The life of `trunkline up`:
 *
 *     STARTING   the first hub has not said "ready" yet
 *     RUNNING    it has; a later hub need not have
 *     DRAINING   INT or TERM came, the hub was told; it has hub.drain and 2 s more
 *     ENDING     no hub any more; the servers get a moment to see their closed stdin, then TERM, then KILL
 *
 * A hub that dies takes its servers with it: their lines are gone. The next one starts when they are, and
 * after the back-off. What may start something new runs at the end of a turn (`settle`), when all that ended
 * in it is reaped.
 */
#include "core/proc/supervisor.h"

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/proc/banner.h"
#include "core/proc/control.h"
#include "core/proc/listeners.h"
#include "core/proc/role.h"
#include "core/proc/run_folder.h"
#include "core/proc/tree.h"
#include "core/proc/wards.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKOFF_MS = 100, BACKOFF_MOST_MS = 5000, STEADY_MS = 10000, STILLBORN_MOST = 5 };
enum { DRAIN_MORE_MS = 2000, LOST_MS = 1000, EOF_GRACE_MS = 250, END_MOST_MS = 6000 };
enum { SIGNALS = 4, FDS_A_MESSAGE = 8, MOST_FOSTERED = 64 };
enum phase { STARTING, RUNNING, DRAINING, ENDING };

struct supervisor {
    const struct up_options *options;
    struct config *config;
    struct run_folder folder;
    struct listeners listeners;
    struct loop *loop;
    struct wards *wards;
    struct signal_watch *signals[SIGNALS];
    enum phase phase;
    pid_t hub; /* 0: none */
    struct control *control;
    int64_t hub_began_ms, backoff_ms;
    int stillborn; /* hubs that died before any was ready */
    bool is_hub_due;
    struct timer restart, deadline;
    struct defer settle, roles;
    pid_t fostered[MOST_FOSTERED]; /* children we had before: of a shell that became us by exec */
    int fostered_count, exit_status;
};

/* ---- what others read ---- */

static void write_roles(void *ctx)
{
    struct supervisor *s = ctx;
    struct why why;
    json_t *roles = json_pack("{s:i}", "supervisor", (int)getpid());
    if (s->hub)
        json_object_set_new(roles, "hub", json_integer(s->hub));
    wards_add_roles(s->wards, roles);
    if (run_folder_write(&s->folder, "roles.json", roles, &why) < 0)
        log_warn("state.unwritable", "why", why.text);
}

static void print_banner(struct supervisor *s)
{
    if (s->options->quiet)
        return;
    struct buf text = {0};
    banner_add(&text, s->config, &s->listeners, s->folder.state, program_invocation_name);
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
    buf_end(&text);
}

/* ---- the hub ---- */

static int send_config(struct supervisor *s, struct why *why)
{
    json_t *listens = json_array();
    for (size_t i = 0; i < s->listeners.n; i++)
        json_array_append_new(listens, json_pack("{s:s,s:I}", "name", s->listeners.at[i].name, "from",
                                                 (json_int_t)s->listeners.at[i].from));
    /* Without the values of `env`, which may be secrets: the hub starts nothing. */
    _cleanup_json_ json_t *all =
        json_pack("{s:o,s:o}", "config", config_public_tree(s->config), "listens", listens);
    _cleanup_free_ char *text = json_text(all);
    _cleanup_fd_ int file = memory_file("config", bytes_of(text), why);
    if (file < 0)
        return file;
    control_send(s->control, json_pack("{s:s}", "op", "config"), &file, 1);
    for (size_t at = 0; at < s->listeners.n; at += FDS_A_MESSAGE) {
        int fds[FDS_A_MESSAGE];
        size_t n = 0;
        while (n < FDS_A_MESSAGE && at + n < s->listeners.n) {
            fds[n] = s->listeners.at[at + n].fd;
            n++;
        }
        control_send(s->control, json_pack("{s:s,s:I}", "op", "listen", "at", (json_int_t)at), fds, n);
    }
    return 0;
}

static void reload(struct supervisor *s);

static void became_ready(struct supervisor *s)
{
    log_info("hub.ready", "pid", log_int(s->hub), "ms", log_int(clock_ms() - s->hub_began_ms));
    if (s->phase != STARTING)
        return;
    s->phase = RUNNING;
    print_banner(s);
}

static void hub_said(json_t *message, int fds[8], void *ctx)
{
    struct supervisor *s = ctx;
    for (size_t i = 0; i < 8; i++)
        fd_close(&fds[i]); /* it has none to give */
    const char *op = json_str(message, "op");
    const char *server = json_str(message, "server");
    int64_t line = json_int(message, "line", -1);
    if (!op)
        return;
    if (strcmp(op, "start") == 0 && server && line >= 0) {
        if (s->phase <= RUNNING)
            wards_start(s->wards, server, line, json_is_true(json_object_get(message, "sibling")));
    } else if (strcmp(op, "stop") == 0 && line >= 0) {
        wards_stop(s->wards, line, json_int(message, "grace_ms", 0));
    } else if (strcmp(op, "ready") == 0) {
        became_ready(s);
    } else if (strcmp(op, "reload") == 0) {
        reload(s);
    } else {
        log_warn("control.unknown", "op", op);
    }
}

static void hub_lost(void *ctx)
{
    struct supervisor *s = ctx;
    control_free(s->control);
    s->control = NULL;
    /* It ends now by itself; one that does not is of no use any more. */
    if (s->hub && s->phase <= RUNNING)
        timer_start(&s->deadline, LOST_MS);
}

static const struct control_ops hub_ops = {hub_said, hub_lost};

static int start_hub(struct supervisor *s, struct why *why)
{
    int pair[2];
    int rc = fd_pair(SOCK_SEQPACKET, false, pair);
    if (rc < 0)
        return why_errno(why, -rc, "cannot make the hub's socket");
    /* Where it may write: its sandbox has to know before it reads a byte. */
    const char *const args[] = {s->folder.state, NULL};
    const struct spawn spawn = {.role = "hub",
                                .args = args,
                                .fds = &pair[1],
                                .fd_count = 1,
                                .in_fd = -1,
                                .out_fd = -1,
                                .error_fd = -1};
    int pid = role_spawn(&spawn, why);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    s->hub = pid;
    s->hub_began_ms = clock_ms();
    s->control = control_new(s->loop, pair[0], &hub_ops, s);
    loop_defer(s->loop, &s->roles);
    return send_config(s, why);
}

static void plan_restart(struct supervisor *s)
{
    if (clock_ms() - s->hub_began_ms >= STEADY_MS)
        s->backoff_ms = 0;
    s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_MS;
    if (s->backoff_ms > BACKOFF_MOST_MS)
        s->backoff_ms = BACKOFF_MOST_MS;
    timer_start(&s->restart, s->backoff_ms);
}

static void end(struct supervisor *s)
{
    s->phase = ENDING;
    timer_stop(&s->restart);
    timer_start(&s->deadline, END_MOST_MS);
    wards_stop_all(s->wards, EOF_GRACE_MS);
    loop_defer(s->loop, &s->settle);
}

static void hub_ended(struct supervisor *s, int status)
{
    bool is_signal = WIFSIGNALED(status);
    const char *number = log_int(is_signal ? WTERMSIG(status) : WEXITSTATUS(status));
    bool is_expected = s->phase >= DRAINING && !is_signal && WEXITSTATUS(status) == 0;
    log_write(is_expected ? LOG_INFO : LOG_ERROR, "hub.ended", "pid", log_int(s->hub),
              is_signal ? "signal" : "status", number, NULL);
    s->hub = 0;
    timer_stop(&s->deadline);
    control_free(s->control); /* what it still asked for is void */
    s->control = NULL;
    loop_defer(s->loop, &s->roles);
    if (s->phase >= DRAINING) {
        end(s);
        return;
    }
    if (s->phase == STARTING && ++s->stillborn == STILLBORN_MOST) {
        log_error("hub.stillborn", "times", log_int(s->stillborn));
        s->exit_status = 1;
        end(s);
        return;
    }
    wards_stop_all(s->wards, 0);
    plan_restart(s);
}

/* ---- children ---- */

static void tell_hub(json_t *message, const int *fds, size_t fd_count, void *ctx)
{
    struct supervisor *s = ctx;
    if (s->control)
        control_send(s->control, message, fds, fd_count);
    else
        json_decref(message);
}

static void wards_changed(void *ctx)
{
    struct supervisor *s = ctx;
    loop_defer(s->loop, &s->roles);
    loop_defer(s->loop, &s->settle);
}

static bool is_known_child(pid_t child, void *ctx)
{
    const struct supervisor *s = ctx;
    for (int i = 0; i < s->fostered_count; i++) {
        if (s->fostered[i] == child)
            return true;
    }
    return child == s->hub;
}

static const struct wards_ops wards_ops = {tell_hub, wards_changed, is_known_child};

static void forget_fostered(struct supervisor *s, pid_t pid)
{
    for (int i = 0; i < s->fostered_count; i++) {
        if (s->fostered[i] == pid)
            s->fostered[i] = s->fostered[--s->fostered_count]; /* its number may be given to one of ours */
    }
}

static void child_ended(int signo, void *ctx)
{
    (void)signo;
    struct supervisor *s = ctx;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == s->hub)
            hub_ended(s, status);
        else if (!wards_reaped(s->wards, pid, status))
            forget_fostered(s, pid); /* or an orphan that fell to us */
    }
}

/* At the end of a turn: whatever waited for processes to be gone. */
static void settle(void *ctx)
{
    struct supervisor *s = ctx;
    if (s->hub || wards_count(s->wards))
        return;
    if (s->phase == ENDING) {
        loop_stop(s->loop);
        return;
    }
    if (!s->is_hub_due || s->phase >= DRAINING)
        return;
    s->is_hub_due = false;
    struct why why;
    if (start_hub(s, &why) < 0) {
        log_error("hub.unstartable", "why", why.text);
        if (!s->hub)
            plan_restart(s);
    }
}

static void restart_due(void *ctx)
{
    struct supervisor *s = ctx;
    s->is_hub_due = true;
    loop_defer(s->loop, &s->settle);
}

/* ---- stopping ---- */

static void deadline_passed(void *ctx)
{
    struct supervisor *s = ctx;
    if (s->hub) {
        log_warn("hub.killed", "pid", log_int(s->hub));
        kill(s->hub, SIGKILL);
        return;
    }
    log_error("supervisor.left_behind", "count", log_int((int64_t)wards_count(s->wards)));
    s->exit_status = 1;
    loop_stop(s->loop);
}

static void drain(struct supervisor *s)
{
    s->phase = DRAINING;
    if (!s->hub) {
        end(s);
        return;
    }
    if (s->control)
        control_send(s->control, json_pack("{s:s,s:I}", "op", "drain", "ms", (json_int_t)s->config->drain_ms),
                     NULL, 0);
    timer_start(&s->deadline, s->config->drain_ms + DRAIN_MORE_MS);
}

static void stop_asked(int signo, void *ctx)
{
    struct supervisor *s = ctx;
    log_info("supervisor.stopping", "signal", log_int(signo));
    if (s->phase <= RUNNING) {
        drain(s);
        return;
    }
    /* Asked twice: at once. */
    if (s->hub)
        kill(s->hub, SIGKILL);
    wards_kill_all(s->wards);
}

static int load(const struct up_options *o, struct config **out, struct why *why)
{
    const struct config_source source = {.main_file = o->config_file,
                                         .state = o->state,
                                         .workspace = o->workspace,
                                         .embedded = o->embedded,
                                         .builtins = o->builtins};
    return config_load(&source, out, why);
}

/* Applying it to a running hub is a later release's; that it would hold is worth knowing before the restart.
 */
static void reload(struct supervisor *s)
{
    struct config *next;
    struct why why;
    if (load(s->options, &next, &why) < 0) {
        log_error("config.invalid", "why", why.text);
        return;
    }
    config_free(next);
    log_warn("config.needs_restart", "why", "it is valid; a restart applies it");
}

static void reload_asked(int signo, void *ctx)
{
    (void)signo;
    reload(ctx);
}

/* ---- beginning and end ---- */

static void begin_log(const struct config *c)
{
    log_begin_by("supervisor", c->log_level, c->log_format);
    for (size_t i = 0; i < c->warnings.n; i++)
        log_warn("config.warning", "why", c->warnings.p[i]);
}

static void note_fostered(struct supervisor *s)
{
    _cleanup_fd_ int proc = tree_open();
    int n = proc < 0 ? 0 : tree_children(proc, getpid(), s->fostered, MOST_FOSTERED);
    s->fostered_count = n < 0 ? 0 : n;
}

static void begin(struct supervisor *s)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "trunkline");
    signal(SIGPIPE, SIG_IGN);
    note_fostered(s);
    s->loop = loop_new();
    s->signals[0] = signal_watch_new(s->loop, SIGCHLD, child_ended, s);
    s->signals[1] = signal_watch_new(s->loop, SIGTERM, stop_asked, s);
    s->signals[2] = signal_watch_new(s->loop, SIGINT, stop_asked, s);
    s->signals[3] = signal_watch_new(s->loop, SIGHUP, reload_asked, s);
    timer_init(&s->restart, s->loop, restart_due, s);
    timer_init(&s->deadline, s->loop, deadline_passed, s);
    defer_init(&s->settle, settle, s);
    defer_init(&s->roles, write_roles, s);
    s->wards = wards_new(s->loop, s->config, &s->folder, &wards_ops, s);
}

static void finish(struct supervisor *s)
{
    defer_drop(s->loop, &s->settle);
    defer_drop(s->loop, &s->roles);
    timer_stop(&s->restart);
    timer_stop(&s->deadline);
    control_free(s->control);
    wards_free(s->wards);
    for (size_t i = 0; i < SIGNALS; i++)
        signal_watch_free(s->signals[i]);
    loop_free(s->loop);
}

static int run(struct supervisor *s, struct why *why)
{
    int rc = listeners_open(s->config, s->options, s->folder.state, &s->listeners, why);
    rc =
        rc < 0 ? rc : run_folder_write(&s->folder, "endpoints.json", listeners_endpoints(&s->listeners), why);
    if (rc == 0) {
        begin(s);
        rc = start_hub(s, why);
        if (rc == 0)
            loop_run(s->loop);
        finish(s);
    }
    listeners_close(&s->listeners);
    return rc;
}

/* The state folder's own name, whatever the working folder of those who read it. */
static char *absolute(const char *path)
{
    if (path[0] == '/')
        return mem_text(path);
    while (path[0] == '.' && path[1] == '/') /* "./var" reads better without, and people read it */
        path += 2 + strspn(path + 2, "/");
    _cleanup_free_ char *here = getcwd(NULL, 0);
    return text_format("%s/%s", here ? here : "", path);
}

static int fail(int status, const struct why *why)
{
    fprintf(stderr, "trunkline: %s\n", why->text);
    return status;
}

int supervisor_run(const struct up_options *options)
{
    struct why why;
    struct up_options o = *options;
    _cleanup_free_ char *state = o.state ? absolute(o.state) : NULL;
    o.state = state;
    struct supervisor s = {.options = &o};
    if (load(&o, &s.config, &why) < 0)
        return fail(2, &why);
    if (o.check_only) {
        config_free(s.config);
        return 0;
    }
    begin_log(s.config);
    _cleanup_free_ char *folder = absolute(s.config->state);
    int rc = run_folder_open(folder, &s.folder, &why);
    rc = rc < 0 ? rc : run(&s, &why);
    run_folder_close(&s.folder);
    config_free(s.config);
    return rc < 0 ? fail(1, &why) : s.exit_status;
}
