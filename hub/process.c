#include "hub/process.h"

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/hub.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { STDERR_LINE_MAX = 4096, LAST_READS = 64, STOP_GRACE_MS = 2000 };

struct process {
    struct hub *hub;
    const char *server; /* the configuration's */
    const struct process_ops *ops;
    void *ctx;
    int64_t number;
    int pid, sandbox;
    struct line *line;
    int stderr_fd;
    struct watch *stderr_watch;
    struct buf stderr_rest;
    bool is_down;
};

static void tell_down(struct process *p, const struct why *why)
{
    if (p->is_down)
        return;
    p->is_down = true;
    p->ops->on_down(p->ctx, why);
}

static void got_request(void *ctx, const struct envelope *request)
{
    struct process *p = ctx;
    p->ops->on_request(p->ctx, request);
}

static void got_notification(void *ctx, const struct envelope *notification)
{
    struct process *p = ctx;
    p->ops->on_notification(p->ctx, notification);
}

static void got_noise(void *ctx, struct bytes text)
{
    struct process *p = ctx;
    char shown[200];
    snprintf(shown, sizeof(shown), "%.*s", (int)(text.n < 180 ? text.n : 180), text.p ? text.p : "");
    log_warn("upstream.noise", "server", p->server, "text", shown);
}

static void stderr_lines(struct process *p)
{
    for (;;) {
        struct bytes all = buf_bytes(&p->stderr_rest);
        size_t end = bytes_find(all, '\n');
        if (end == all.n && all.n < STDERR_LINE_MAX)
            return;
        struct bytes text = {all.p, end < STDERR_LINE_MAX ? end : STDERR_LINE_MAX};
        if (text.n && text.p[text.n - 1] == '\r')
            text.n--;
        if (text.n)
            p->ops->on_stderr(p->ctx, text);
        buf_drop_front(&p->stderr_rest, end < STDERR_LINE_MAX ? end + 1 : STDERR_LINE_MAX);
    }
}

/* What was said before the end is there already, and is the reason more often than not: `cannot find module`
 * comes without a newline, too. */
static void stderr_last_words(struct process *p)
{
    char piece[4096];
    ssize_t n;
    for (int i = 0; p->stderr_fd >= 0 && i < LAST_READS && (n = read(p->stderr_fd, piece, sizeof(piece))) > 0;
         i++)
        buf_add(&p->stderr_rest, piece, (size_t)n);
    if (p->stderr_rest.n)
        buf_add_char(&p->stderr_rest, '\n');
    stderr_lines(p);
}

static void line_ended(void *ctx, const struct why *why)
{
    stderr_last_words(ctx);
    tell_down(ctx, why);
}

static const struct line_ops line_ops = {got_request, got_notification, got_noise, line_ended};

static void stderr_close(struct process *p)
{
    watch_free(p->stderr_watch);
    p->stderr_watch = NULL;
    fd_close(&p->stderr_fd);
}

static void stderr_ready(int events, void *ctx)
{
    struct process *p = ctx;
    (void)events;
    char piece[4096];
    ssize_t n = read(p->stderr_fd, piece, sizeof(piece));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stderr_last_words(p);
        stderr_close(p);
        return;
    }
    buf_add(&p->stderr_rest, piece, (size_t)n);
    stderr_lines(p);
}

static void send_op(struct process *p, const char *op, json_t *more)
{
    json_t *message =
        json_pack("{s:s, s:s, s:I}", "op", op, "server", p->server, "line", (json_int_t)p->number);
    if (more) {
        json_object_update(message, more);
        json_decref(more);
    }
    control_send(p->hub->control, message, NULL, 0);
}

struct process *process_new(struct hub *hub, const char *server, bool is_sibling,
                            const struct process_ops *ops, void *ctx)
{
    struct process *p = NEW(struct process);
    p->hub = hub;
    p->server = server;
    p->ops = ops;
    p->ctx = ctx;
    p->stderr_fd = -1;
    p->number = hub_next_line(hub);
    send_op(p, "start", json_pack("{s:b}", "sibling", is_sibling));
    return p;
}

void process_free(struct process *p)
{
    if (!p)
        return;
    /* line_free may finish pending calls, whose owners must not be told that this process went down by
     * itself. */
    p->is_down = true;
    line_free(take_ptr(&p->line));
    send_op(p, "stop", json_pack("{s:i}", "grace_ms", STOP_GRACE_MS));
    stderr_close(p);
    buf_end(&p->stderr_rest);
    free(p);
}

struct line *process_line(const struct process *p)
{
    return p->line;
}

int process_pid(const struct process *p)
{
    return p->pid;
}

int process_sandbox(const struct process *p)
{
    return p->sandbox;
}

int64_t process_number(const struct process *p)
{
    return p->number;
}

static void started(struct process *p, json_t *message, int fds[8])
{
    if (fds[0] < 0 || p->line)
        return;
    const struct config_server *config = config_find_server(p->hub->config, p->server);
    struct line_limits limits = {.message = config ? (size_t)config->result_bytes : 0};
    p->pid = (int)json_int(message, "pid", 0);
    p->sandbox = (int)json_int(message, "sandbox", 0);
    p->line = line_new(p->hub->loop, fds[0], &limits, &line_ops, p);
    fds[0] = -1;
    if (fds[1] >= 0) {
        p->stderr_fd = fds[1];
        fds[1] = -1;
        fd_set_nonblocking(p->stderr_fd, true);
        p->stderr_watch = watch_new(p->hub->loop, p->stderr_fd, WATCH_READ, stderr_ready, p);
    }
    p->ops->on_up(p->ctx);
}

void process_tell_exit(json_t *message, struct why *why)
{
    int64_t signal = json_int(message, "signal", 0);
    if (signal)
        why_set(why, -1, "was killed by signal %d", (int)signal);
    else
        why_set(why, -1, "ended with status %d", (int)json_int(message, "status", 0));
}

void process_on_control(struct process *p, json_t *message, int fds[8])
{
    const char *op = json_str(message, "op");
    struct why why = {0};
    if (!op)
        return;
    if (strcmp(op, "started") == 0) {
        started(p, message, fds);
    } else if (strcmp(op, "failed") == 0) {
        const char *text = json_str(message, "why");
        why_set(&why, -1, "%s", text ? text : "could not be started");
        tell_down(p, &why);
    } else if (strcmp(op, "exited") == 0 && !p->line) {
        process_tell_exit(message, &why);
        tell_down(p, &why);
    }
}
