/*
 * The server side under whatever a client may write: what comes out is one message of JSON-RPC a line,
 * answers and notifications only.
 */
#include "core/rpc/serve.h"

#include "core/base/fd.h"
#include "core/rpc/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct echo {
    const char *text;
    int64_t times;
    struct strings words;
};

static const struct shape echo_shape[] = {STRING(struct echo, text, REQUIRED, "What to say", .max = 100),
                                          INT(struct echo, times, 1, 3, 1, "How often"),
                                          STRINGS(struct echo, words, 4, "More to say"),
                                          {0}};

static void echo(struct order *o, const void *args)
{
    const struct echo *e = args;

    order_progress(o, e->times, 3, e->text);
    order_answer_text(o, bytes_of(e->text));
}

/* Finishes when it is cancelled; the end of the input cancels it. */
static void stop(struct order *o, void *ctx)
{
    (void)ctx;
    order_fail(o, "cancelled", "stopped");
}

static void hold(struct order *o, const void *args)
{
    (void)args;
    order_wait(o, stop, NULL);
}

static void read_resource(struct order *o, struct bytes uri)
{
    if (!bytes_begin(uri, "a:")) {
        order_refuse(o, FAULT_RESOURCE_NOT_FOUND, "there is nothing");
        return;
    }
    serve_resource_updated(order_serve(o), uri);
    serve_resources_changed(order_serve(o));
    order_answer_members(o, BYTES("\"contents\":[]"));
}

static int subscribe(void *server, struct bytes uri, struct why *why)
{
    (void)server;
    return bytes_begin(uri, "a:") ? 0 : why_set(why, 1, "not mine");
}

static void complete(struct order *o, struct bytes ref, struct bytes argument, struct bytes value)
{
    (void)ref;
    (void)argument;
    (void)value;
    order_answer_members(o, BYTES("\"completion\":{\"values\":[]}"));
}

static const struct tool tools[] = {
    TOOL("echo", echo, struct echo, echo_shape, TOOL_READS, "default", "Says it again"),
    TOOL("hold", hold, struct echo, NULL, TOOL_SETS, "default", "Waits"),
    {0}};

static const struct server row = {
    .name = "bed", .tools = tools, .read = read_resource, .subscribe = subscribe, .complete = complete};

static void must(bool holds, const char *what, struct bytes line)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s: %.*s\n", what, (int)line.n, line.p);
    abort();
}

static void check_lines(struct bytes out)
{
    struct envelope *e = envelope_new(NULL);

    while (out.n) {
        struct bytes line = {out.p, bytes_find(out, '\n')};
        must(line.n < out.n, "a message ends with its line", line);
        envelope_begin(e);
        must(envelope_scan(e, line, true, NULL) == 0 && e->has_jsonrpc, "a message is JSON-RPC", line);
        must(e->kind == ENVELOPE_RESULT || e->kind == ENVELOPE_ERROR || e->kind == ENVELOPE_NOTIFICATION,
             "a server only answers and notifies", line);
        out.p += line.n + 1;
        out.n -= line.n + 1;
    }
    envelope_free(e);
}

static void gather(struct loop *loop, int fd, struct buf *out)
{
    char room[4096];
    ssize_t n;

    loop_turn(loop, 0);
    while ((n = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
        buf_add(out, room, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = {0};
    int fds[2];

    if (size > 16384 || fd_pair(SOCK_STREAM, true, fds) != 0)
        return 0;
    int fd_out = dup(fds[0]);
    struct loop *loop = loop_new();
    struct serve *s = serve_new(loop, &row, NULL, fds[0], fd_out, NULL);
    if (size && send(fds[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        gather(loop, fds[1], &out);
    gather(loop, fds[1], &out);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < 4; i++)
        gather(loop, fds[1], &out);
    check_lines(buf_bytes(&out));
    buf_end(&out);
    serve_free(s);
    for (int i = 0; i < 2; i++)
        fd_close(&fds[i]);
    fd_close(&fd_out);
    loop_turn(loop, 0);
    loop_free(loop);
    return 0;
}
