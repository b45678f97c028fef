#include "core/proc/wards.h"

#include "core/base/fd.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/proc/control.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"
#include "core/proc/tree.h"
#include "core/proc/ward_spawn.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TERM_MS = 2000,     /* from TERM to KILL: page 20-mcp 8.1 */
    GUARDIAN_MS = 1500, /* what a guardian may take beyond that, before it is taken for stuck */
    SWEEP_MS = 20,
    MOST_WARDS = 1024,
    MOST_STRAYS = 256
};

struct ward {
    struct link link;
    struct wards *all;
    const char *name; /* the configuration's */
    int64_t line;
    bool is_builtin, is_sibling;
    bool is_stopping;        /* TERM is on its way, or was asked for */
    bool was_termed;         /* built in only */
    bool has_started;        /* the hub was told so */
    bool has_failed;         /* or that */
    bool has_told_end;       /* the guardian said that its tree is gone */
    bool has_namespace;      /* then the kernel ended all of it with the guardian */
    bool is_reaped, is_lost; /* our child is gone; its socket is read to the end */
    bool is_swept;           /* waits for the sweep */
    pid_t pid, server;       /* our child; the server's own process (the same for a built-in one) */
    int status, signo;
    struct control *guardian;
    int line_fd, error_fd; /* the hub's ends, until handed over */
    struct timer timer;
};

struct wards {
    struct loop *loop;
    const struct config *config;
    const struct run_folder *folder;
    const struct wards_ops *ops;
    void *ctx;
    struct link list;
    size_t count;
    struct timer sweep;
    int proc;
};

static void sweep(void *ctx);

struct wards *wards_new(struct loop *loop, const struct config *config, const struct run_folder *folder,
                        const struct wards_ops *ops, void *ctx)
{
    struct wards *w = NEW(struct wards);
    *w = (struct wards){
        .loop = loop, .config = config, .folder = folder, .ops = ops, .ctx = ctx, .proc = tree_open()};
    list_init(&w->list);
    timer_init(&w->sweep, loop, sweep, w);
    return w;
}

static void ward_free(struct ward *d)
{
    list_drop(&d->link);
    d->all->count--;
    timer_stop(&d->timer);
    control_free(d->guardian);
    fd_close(&d->line_fd);
    fd_close(&d->error_fd);
    free(d);
}

void wards_free(struct wards *w)
{
    if (!w)
        return;
    wards_kill_all(w);
    list_each (at, &w->list)
        ward_free(list_entry(at, struct ward, link));
    timer_stop(&w->sweep);
    fd_close(&w->proc);
    free(w);
}

size_t wards_count(const struct wards *w)
{
    return w->count;
}

static void tell_failed(struct wards *w, int64_t line, const char *text)
{
    w->ops->tell(json_pack("{s:s,s:I,s:s}", "op", "failed", "line", (json_int_t)line, "why", text), NULL, 0,
                 w->ctx);
}

static void tell_started(struct ward *d, int sandbox)
{
    struct wards *w = d->all;
    int fds[2] = {d->line_fd, d->error_fd};
    d->has_started = true;
    w->ops->tell(json_pack("{s:s,s:I,s:i,s:i,s:b}", "op", "started", "line", (json_int_t)d->line, "pid",
                           (int)d->server, "sandbox", sandbox, "namespace", d->has_namespace),
                 fds, 2, w->ctx);
    /* The hub alone holds them now, so that its end is the server's end of file. */
    fd_close(&d->line_fd);
    fd_close(&d->error_fd);
    log_info("server.started", "server", d->name, "pid", log_int(d->server), "line", log_int(d->line));
    w->ops->on_change(w->ctx);
}

static void finish(struct ward *d)
{
    struct wards *w = d->all;
    int64_t line = d->line;
    bool has_started = d->has_started, has_failed = d->has_failed;
    int status = d->status, signo = d->signo;
    if (has_started)
        log_info("server.ended", "server", d->name, "pid", log_int(d->server), "status", log_int(status),
                 "signal", signo ? log_int(signo) : NULL);
    ward_free(d);
    if (has_started)
        w->ops->tell(json_pack("{s:s,s:I,s:i,s:i}", "op", "exited", "line", (json_int_t)line, "status",
                               status, "signal", signo),
                     NULL, 0, w->ctx);
    else if (!has_failed)
        tell_failed(w, line, "was ended while it started");
    w->ops->on_change(w->ctx);
}

/* Both words are waited for: a guardian's last message may still lie unread when its end is known. */
static void finish_if_over(struct ward *d)
{
    if (!d->is_reaped || !d->is_lost || d->is_swept)
        return;
    if (d->has_told_end || d->has_failed || d->is_builtin) {
        finish(d);
        return;
    }
    log_warn("guardian.died", "server", d->name, "pid", log_int(d->pid), "signal", log_int(d->signo));
    d->is_swept = true;
    timer_start(&d->all->sweep, 0);
}

static bool is_ward(const struct wards *w, pid_t pid)
{
    list_each (at, &w->list) {
        const struct ward *d = list_entry(at, struct ward, link);
        if (d->pid == pid && !d->is_reaped)
            return true;
    }
    return false;
}

/* Ends what fell to us from killed guardians. How many there are, or < 0: /proc cannot be read. */
static int end_strays(struct wards *w)
{
    pid_t children[MOST_STRAYS];
    int n = tree_children(w->proc, getpid(), children, MOST_STRAYS);
    int strays = 0;
    for (int i = 0; i < n; i++) {
        if (is_ward(w, children[i]) || w->ops->is_known(children[i], w->ctx))
            continue;
        strays++;
        tree_signal(w->proc, children[i], SIGKILL, 0);
        kill(children[i], SIGKILL); /* our child, not yet reaped: the number is still its own */
    }
    return n < 0 ? n : strays;
}

static void sweep(void *ctx)
{
    struct wards *w = ctx;
    if (end_strays(w) > 0) {
        timer_start(&w->sweep, SWEEP_MS); /* their children fall to us in turn */
        return;
    }
    list_each (at, &w->list) {
        struct ward *d = list_entry(at, struct ward, link);
        if (d->is_swept)
            finish(d);
    }
}

static void heard(json_t *message, int fds[8], void *ctx)
{
    struct ward *d = ctx;
    for (size_t i = 0; i < 8; i++)
        fd_close(&fds[i]);
    const char *op = json_str(message, "op");
    if (op && strcmp(op, "started") == 0) {
        d->server = (pid_t)json_int(message, "pid", 0);
        d->has_namespace = json_is_true(json_object_get(message, "namespace"));
        tell_started(d, (int)json_int(message, "sandbox", 0));
    } else if (op && strcmp(op, "failed") == 0) {
        const char *text = json_str(message, "why");
        d->has_failed = true;
        log_warn("server.failed", "server", d->name, "why", text);
        tell_failed(d->all, d->line, text ? text : "could not be started");
    } else if (op && strcmp(op, "exited") == 0) {
        d->has_told_end = true;
        d->status = (int)json_int(message, "status", 0);
        d->signo = (int)json_int(message, "signal", 0);
    }
}

static void lost(void *ctx)
{
    struct ward *d = ctx;
    d->is_lost = true;
    finish_if_over(d);
}

static const struct control_ops guardian_ops = {heard, lost};

/* The next harder means: TERM, then KILL, for a built-in server; for a guardian, which does that itself, only
 * KILL. */
static void press(void *ctx)
{
    struct ward *d = ctx;
    if (d->is_reaped)
        return;
    if (d->is_builtin && !d->was_termed) {
        d->was_termed = true;
        kill(d->pid, SIGTERM);
        timer_start(&d->timer, TERM_MS);
        return;
    }
    log_warn("server.killed", "server", d->name, "pid", log_int(d->pid));
    kill(d->pid, SIGKILL);
}

static void stop(struct ward *d, int64_t grace_ms)
{
    if (d->is_reaped || d->was_termed)
        return;
    if (d->is_builtin) {
        timer_start(&d->timer, grace_ms);
    } else {
        /* Again, too: the guardian takes the shorter grace. */
        control_send(d->guardian, json_pack("{s:s,s:I}", "op", "stop", "grace_ms", (json_int_t)grace_ms),
                     NULL, 0);
        timer_start(&d->timer, grace_ms + TERM_MS + GUARDIAN_MS);
    }
    d->is_stopping = true;
}

void wards_start(struct wards *w, const char *server, int64_t line, bool is_sibling)
{
    struct why why;
    const struct config_server *row = config_find_server(w->config, server);
    if (!row || w->count >= MOST_WARDS) {
        why_set(&why, -1, row ? "more than %d processes of servers" : "no such server", MOST_WARDS);
        tell_failed(w, line, why.text);
        return;
    }
    struct ward_ends ends;
    int pid = ward_spawn(row, w->folder, &ends, &why);
    if (pid < 0) {
        log_warn("server.failed", "server", server, "why", why.text);
        tell_failed(w, line, why.text);
        return;
    }
    struct ward *d = NEW(struct ward);
    *d = (struct ward){.all = w,
                       .name = row->name,
                       .line = line,
                       .is_sibling = is_sibling,
                       .is_builtin = ends.guardian < 0,
                       .pid = pid,
                       .line_fd = ends.line,
                       .error_fd = ends.error};
    timer_init(&d->timer, w->loop, press, d);
    list_add(&w->list, &d->link);
    w->count++;
    if (!d->is_builtin) {
        d->guardian = control_new(w->loop, ends.guardian, &guardian_ops, d);
        return;
    }
    d->is_lost = true; /* it has no socket to us */
    d->server = pid;
    tell_started(d, sandbox_reach());
}

void wards_stop(struct wards *w, int64_t line, int64_t grace_ms)
{
    list_each (at, &w->list) {
        struct ward *d = list_entry(at, struct ward, link);
        if (d->line == line)
            stop(d, grace_ms < 0 ? 0 : grace_ms);
    }
}

void wards_stop_all(struct wards *w, int64_t grace_ms)
{
    list_each (at, &w->list)
        stop(list_entry(at, struct ward, link), grace_ms);
}

void wards_kill_all(struct wards *w)
{
    list_each (at, &w->list) {
        struct ward *d = list_entry(at, struct ward, link);
        if (d->is_reaped)
            continue;
        if (d->is_builtin)
            kill(d->pid, SIGKILL);
        else
            control_send(d->guardian, json_pack("{s:s}", "op", "kill"), NULL, 0);
        timer_start(&d->timer, GUARDIAN_MS);
        d->was_termed = true;
    }
}

bool wards_reaped(struct wards *w, pid_t pid, int status)
{
    list_each (at, &w->list) {
        struct ward *d = list_entry(at, struct ward, link);
        if (d->pid != pid || d->is_reaped)
            continue;
        d->is_reaped = true;
        timer_stop(&d->timer);
        if (!d->has_told_end) {
            d->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
            d->signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        }
        finish_if_over(d);
        return true;
    }
    return false;
}

void wards_add_roles(const struct wards *w, json_t *roles)
{
    json_t *servers = json_object(), *guardians = json_object();
    list_each (at, &w->list) {
        const struct ward *d = list_entry(at, struct ward, link);
        if (d->is_sibling || d->is_reaped || !d->server)
            continue;
        json_object_set_new(servers, d->name, json_integer(d->server));
        if (!d->is_builtin)
            json_object_set_new(guardians, d->name, json_integer(d->pid));
    }
    json_object_set_new(roles, "servers", servers);
    json_object_set_new(roles, "guardians", guardians);
}
