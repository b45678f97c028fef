/*
 * `trunkline stdio`: MCP of either era on standard input and output, HTTP to the hub behind it.
 *
 * Which era a message belongs to is told by the message: a modern one names its version in _meta,
 * `initialize` is legacy, anything else follows what came first. Standard output carries messages only; what
 * there is to say to a person goes to standard error.
 */
#include "cli/commands.h"
#include "cli/rest.h"
#include "cli/stdio_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
    READ_MOST = 256 * 1024,
    OUT_MOST = 256 << 20, /* not read by the client yet */
    GRACE_MS = 500,       /* after the end of input, for answers that are nearly there */
    END_MS = 1800,        /* after the end of input everything is over */
};

/* --- to the client --- */

/* Left from the loop: whoever writes may be in the middle of a post. */
static void client_gone(struct front *f)
{
    buf_clear(&f->out);
    f->out_sent = 0;
    f->is_ending = true;
    timer_start(&f->grace, 0);
}

static void flush(void *ctx)
{
    struct front *f = ctx;
    while (f->out_sent < f->out.n) {
        ssize_t n = write(STDOUT_FILENO, f->out.p + f->out_sent, f->out.n - f->out_sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            client_gone(f);
            return;
        }
        if (n < 0)
            break;
        f->out_sent += (size_t)n;
    }
    if (f->out_sent == f->out.n) {
        buf_clear(&f->out);
        f->out_sent = 0;
    }
    if (f->out_watch)
        watch_set(f->out_watch, f->out.n ? WATCH_WRITE : 0);
    front_rest(f);
}

static void out_ready(int events, void *ctx)
{
    (void)events;
    flush(ctx);
}

void front_out(struct front *f, struct bytes message)
{
    if (f->out.n - f->out_sent > OUT_MOST) {
        fprintf(stderr, "trunkline: the client has not read %d bytes: giving it up\n", OUT_MOST);
        client_gone(f);
        return;
    }
    if (f->out_sent > f->out.n / 2 && f->out_sent > READ_MOST) {
        buf_drop_front(&f->out, f->out_sent);
        f->out_sent = 0;
    }
    envelope_add_line(&f->out, message);
    buf_add_char(&f->out, '\n');
    loop_defer(f->loop, &f->flush);
}

void front_fault(struct front *f, const struct fault_told *fault, struct bytes id)
{
    struct buf message = {0};
    fault_add_response(&message, fault, f->era, id);
    front_out(f, buf_bytes(&message));
    buf_end(&message);
}

void front_refuse(struct front *f, enum fault fault, struct bytes id, const char *format, ...)
{
    struct fault_told told;
    char text[sizeof(told.text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_tell(&told, fault, "%s", text);
    front_fault(f, &told, id);
}

/* --- from the client --- */

static struct bytes claimed_version(const struct envelope *e)
{
    const struct member *m = members_find(&e->meta, "io.modelcontextprotocol/protocolVersion");
    return m ? member_plain(m) : BYTES_NONE;
}

static void set_era(struct front *f, enum era era)
{
    f->era = era;
    f->has_era = true;
}

static void take_message(struct front *f, const struct envelope *e, struct bytes line)
{
    struct bytes version = claimed_version(e);
    if (version.p)
        set_era(f, ERA_MODERN);
    else if (!f->has_era || bytes_say(e->method, "initialize"))
        set_era(f, ERA_LEGACY);
    if (f->era == ERA_LEGACY)
        legacy_take(f, e, line);
    else if (bytes_say(e->method, "notifications/cancelled"))
        modern_cancel(f, e);
    else if (e->method.p)
        modern_take(f, e, line, version);
    else if (e->kind == ENVELOPE_BATCH)
        front_refuse(f, FAULT_INVALID_REQUEST, BYTES_NONE, "this protocol version knows no batches");
    /* A modern hub asks nothing, so there is nothing that an answer could answer. */
}

static void take_line(struct front *f, struct bytes line)
{
    struct why why = {0};
    line = bytes_trim(line);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (!line.n)
        return;
    envelope_begin(f->asked);
    switch (envelope_scan(f->asked, line, true, &why)) {
    case 0:
        break;
    case ENVELOPE_LIMIT:
        front_refuse(f, FAULT_TOO_LARGE, envelope_so_far(f->asked, line).id, "%s", why.text);
        return;
    default:
        front_refuse(f, FAULT_PARSE, BYTES_NONE, "this line is not JSON");
        return;
    }
    if (f->asked->kind == ENVELOPE_ODD)
        front_refuse(f, FAULT_INVALID_REQUEST, BYTES_NONE, "%s", f->asked->fault);
    else
        take_message(f, f->asked, line);
}

static void take_lines(struct front *f)
{
    size_t begin = 0;
    const char *newline;
    while (!f->is_ending && (newline = memchr(f->in.p + f->scanned, '\n', f->in.n - f->scanned))) {
        size_t end = (size_t)(newline - f->in.p);
        if (!f->skips_line)
            take_line(f, (struct bytes){f->in.p + begin, end - begin});
        f->skips_line = false;
        begin = f->scanned = end + 1;
    }
    buf_drop_front(&f->in, begin);
    f->scanned = f->in.n;
    if (f->in.n <= LINE_MOST)
        return;
    if (!f->skips_line)
        front_refuse(f, FAULT_TOO_LARGE, BYTES_NONE, "a line has more than %d bytes", LINE_MOST);
    f->skips_line = true;
    buf_clear(&f->in);
    f->scanned = 0;
}

static void end_input(struct front *f)
{
    watch_free(f->in_watch);
    f->in_watch = NULL;
    if (f->in.n && !f->skips_line) { /* a last line without its newline is one all the same */
        buf_add_char(&f->in, '\n');
        take_lines(f);
    }
    f->is_ending = true;
    timer_start(&f->end, END_MS);
    timer_start(&f->grace, GRACE_MS);
    front_rest(f);
}

static void in_ready(int events, void *ctx)
{
    struct front *f = ctx;
    (void)events;
    buf_reserve(&f->in, READ_MOST);
    ssize_t n = read(STDIN_FILENO, f->in.p + f->in.n, READ_MOST);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        end_input(f);
        return;
    }
    f->in.n += (size_t)n;
    f->in.p[f->in.n] = 0;
    take_lines(f);
}

/* A plain file cannot be watched: it is always ready. */
static void read_file(void *ctx)
{
    struct front *f = ctx;
    in_ready(WATCH_READ, f);
    if (!f->is_ending)
        timer_start(&f->idle_read, 0);
}

/* --- the end --- */

static void leave(struct front *f)
{
    if (f->is_ended)
        return;
    f->is_ending = f->is_ended = true;
    watch_free(f->in_watch);
    f->in_watch = NULL;
    timer_stop(&f->grace);
    timer_stop(&f->idle_read);
    if (!timer_is_started(&f->end))
        timer_start(&f->end, END_MS);
    posts_end(f);
    legacy_leave(f);
    front_rest(f);
}

void front_rest(struct front *f)
{
    if (f->is_ending && !f->is_ended && !posts_are_open(f))
        leave(f);
    else if (f->is_ended && !f->farewell && f->out_sent == f->out.n)
        loop_stop(f->loop);
}

static void grace_over(void *ctx)
{
    leave(ctx);
}

static void end_over(void *ctx)
{
    struct front *f = ctx;
    loop_stop(f->loop);
}

static void told_to_stop(int signo, void *ctx)
{
    (void)signo;
    leave(ctx);
}

/* --- the whole --- */

static void open_front(struct front *f)
{
    const struct envelope_limits wide = {
        .depth = 128, .values = SIZE_MAX, .keys = SIZE_MAX, .meta = LINE_MOST};
    const char *server = cli_option(f->cli, "server");
    f->asked = envelope_new(&wide);
    f->answered = envelope_new(&wide);
    list_init(&f->going);
    list_init(&f->waiting);
    list_init(&f->held);
    buf_add_text(&f->path, "/mcp");
    if (server)
        rest_path(&f->path, "/", server, "");
    defer_init(&f->flush, flush, f);
    defer_init(&f->next, posts_next, f);
    timer_init(&f->grace, f->loop, grace_over, f);
    timer_init(&f->end, f->loop, end_over, f);
    timer_init(&f->idle_read, f->loop, read_file, f);
    legacy_begin(f);
    f->in_watch = watch_new(f->loop, STDIN_FILENO, WATCH_READ, in_ready, f);
    if (!f->in_watch)
        timer_start(&f->idle_read, 0);
    f->out_watch = watch_new(f->loop, STDOUT_FILENO, 0, out_ready, f);
}

static void close_front(struct front *f)
{
    timer_stop(&f->grace);
    timer_stop(&f->end);
    timer_stop(&f->idle_read);
    defer_drop(f->loop, &f->flush);
    watch_free(f->in_watch);
    watch_free(f->out_watch);
    posts_end(f);
    legacy_end(f);
    modern_end(f);
    defer_drop(f->loop, &f->next);
    envelope_free(f->asked);
    envelope_free(f->answered);
    buf_end(&f->path);
    buf_end(&f->version);
    buf_end(&f->in);
    buf_end(&f->out);
}

int stdio_run(struct cli *c)
{
    struct front f = {.cli = c};
    char room[256];
    struct why why = {0};
    int in_flags = fcntl(STDIN_FILENO, F_GETFL), out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    f.loop = loop_new();
    f.http = http_new(f.loop, rest_base(c, room, sizeof(room)), &why);
    if (!f.http) {
        loop_free(f.loop);
        return cli_fail(c, EXIT_USAGE, "%s", why.text);
    }
    struct signal_watch *on_term = signal_watch_new(f.loop, SIGTERM, told_to_stop, &f);
    struct signal_watch *on_int = signal_watch_new(f.loop, SIGINT, told_to_stop, &f);
    open_front(&f);
    loop_run(f.loop);
    close_front(&f);
    signal_watch_free(on_term);
    signal_watch_free(on_int);
    http_free(f.http);
    loop_free(f.loop);
    /* Watching made them nonblocking, which others who hold the same files would not expect. */
    fcntl(STDIN_FILENO, F_SETFL, in_flags);
    fcntl(STDOUT_FILENO, F_SETFL, out_flags);
    return EXIT_DONE;
}
