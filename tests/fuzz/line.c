/*
 * The client side of a line under whatever a server may write, in pieces as it likes: every request ends
 * exactly once, and freeing the line ends the rest. The first byte says how large the pieces are.
 */
#include "core/rpc/line.h"

#include "core/base/fd.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ASKED = 4 };

struct asker {
    int answers;
    struct pending *pending;
};

struct bed {
    struct line *line;
    int lost;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void on_answer(void *ctx, const struct line_answer *answer)
{
    struct asker *a = ctx;

    must(a->pending != NULL, "no answer comes after a cancel");
    must((answer->outcome == LINE_RESULT || answer->outcome == LINE_ERROR) == (answer->envelope != NULL),
         "an answer has its envelope");
    must(answer->envelope || answer->fault.fault != FAULT_NONE, "an end without answer has its fault");
    a->answers++;
    a->pending = NULL;
}

static void on_progress(void *ctx, const struct envelope *progress)
{
    (void)progress;
    must(((struct asker *)ctx)->pending != NULL, "no progress comes after the end");
}

static void on_request(void *ctx, const struct envelope *request)
{
    struct bed *b = ctx;

    line_answer_request(b->line, request->id.value, BYTES("{}"));
}

static void on_lost(void *ctx, const struct why *why)
{
    (void)why;
    ((struct bed *)ctx)->lost++;
}

static const struct pending_ops asker_ops = {on_answer, on_progress};
static const struct line_ops line_ops = {.on_request = on_request, .on_lost = on_lost};

static void write_pieces(struct loop *loop, int fd, const uint8_t *data, size_t size, size_t piece)
{
    while (size) {
        size_t n = size < piece ? size : piece;
        if (send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
        data += n;
        size -= n;
        loop_turn(loop, 0);
    }
    loop_turn(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct line_limits limits = {.message = 512, .notification = 128, .backlog = 65536};
    struct asker askers[ASKED] = {0};
    struct bed b = {0};
    int fds[2];

    if (size < 1 || size > 16384 || fd_pair(SOCK_STREAM, true, fds) != 0)
        return 0;
    struct loop *loop = loop_new();
    b.line = line_new(loop, fds[0], &limits, &line_ops, &b);
    for (int i = 0; i < ASKED; i++) {
        const struct request_spec spec = {
            .method = "m", .deadline_ms = 600000, .idle_ms = 600000, .ops = &asker_ops, .ctx = &askers[i]};
        askers[i].pending = line_request(b.line, &spec, NULL);
    }
    pending_cancel(take_ptr(&askers[0].pending), "not wanted");
    write_pieces(loop, fds[1], data + 1, size - 1, data[0] ? data[0] : 4096);
    line_free(b.line);
    must(b.lost <= 1 && askers[0].answers == 0, "a cancelled request is silent");
    for (int i = 1; i < ASKED; i++)
        must(askers[i].answers == 1, "each request ends once");
    fd_close(&fds[1]);
    loop_turn(loop, 0);
    loop_free(loop);
    return 0;
}
