// pipe -- calls a stdio MCP server over bare pipes, one call at a time: what a call costs without any hub.
//
//   pipe [--op echo|big] [--bytes N] [--seconds S] [--warm S] -- COMMAND [ARGUMENT...]
//
// Prints the same line of JSON as load. Checks every answer as load does.
#include "ask.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

struct pipe {
    struct ask_kind kind;
    double seconds, warm;
    char **command;
    pid_t child;
    int to, from;
    char *in;
    size_t in_cap;
};

static void start_child(struct pipe *p)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("pipe");
    p->child = fork();
    if (p->child == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execvp(p->command[0], p->command);
        die(p->command[0]);
    }
    close(to[0]);
    close(from[1]);
    p->to = to[1];
    p->from = from[0];
}

// One request line out, one answer line in; its length without the newline.
static size_t call(struct pipe *p, const struct ask *ask)
{
    size_t n = 0;
    if (write(p->to, ask->p, ask->n) != (ssize_t)ask->n)
        die("cannot write to the child");
    for (;;) {
        if (p->in_cap - n < 65536) {
            p->in_cap = p->in_cap == 0 ? 262144 : p->in_cap * 2;
            p->in = room(p->in, p->in_cap);
        }
        ssize_t got = read(p->from, p->in + n, p->in_cap - n);
        if (got <= 0)
            die("the child is gone");
        n += (size_t)got;
        if (p->in[n - 1] == '\n')
            return n - 1;
    }
}

static bool right(const struct pipe *p, const struct ask *ask, size_t n, uint64_t id)
{
    if (!has_id(p->in, n, id))
        return false;
    if (p->kind.op == OP_BIG)
        return has_big_text(p->in, n, p->kind.bytes);
    return memmem(p->in, n, ask->p + ask->text_at, ask->text_n) != NULL;
}

static int run(struct pipe *p)
{
    struct ask ask;
    struct pen line = {0};
    struct hist *hist = room(NULL, sizeof *hist);
    uint64_t id = ID_FIRST, errors = 0;
    size_t n = 0;

    hist_clear(hist);
    ask_line(&ask, &p->kind);
    pen_add(&line, ask.p, ask.n);
    pen_add(&line, "\n", 1);
    ask_end(&ask);
    ask.p = line.p;
    ask.n = line.n;
    uint64_t counted = now_ns() + (uint64_t)(p->warm * 1e9);
    uint64_t end = counted + (uint64_t)(p->seconds * 1e9);
    uint64_t now = now_ns();
    while (now < end) {
        id++;
        ask_patch(&ask, id, id);
        n = call(p, &ask);
        uint64_t done = now_ns();
        errors += !right(p, &ask, n, id);
        if (now >= counted)
            hist_add(hist, done - now);
        now = now_ns();
    }
    printf("{\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"first_error\":%s,\"seconds\":%.4f,\"rps\":%.1f,",
           hist->n, errors, errors > 0 ? "\"a wrong answer over the pipe\"" : "null", p->seconds,
           (double)hist->n / p->seconds);
    hist_print(hist);
    printf(",\"answer_bytes\":%zu,\"cpu_us\":{}}\n", n);
    uint64_t calls = hist->n;
    free(hist);
    ask_end(&ask);
    return errors > 0 || calls == 0;
}

static int usage(void)
{
    fputs("usage: pipe [--op echo|big] [--bytes N] [--body N] [--seconds S] [--warm S] -- COMMAND "
          "[ARGUMENT...]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct pipe p = {
        .kind = {.tool = "echo", .body = 300},
          .seconds = 1, .warm = 0.2
    };
    int i = 1;

    end_with_parent();
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        double number = strtod(argv[i + 1], NULL);
        if (strcmp(argv[i], "--op") == 0)
            p.kind.op = strcmp(argv[i + 1], "big") == 0 ? OP_BIG : OP_ECHO;
        else if (strcmp(argv[i], "--bytes") == 0)
            p.kind.bytes = (size_t)number;
        else if (strcmp(argv[i], "--body") == 0)
            p.kind.body = (size_t)number;
        else if (strcmp(argv[i], "--seconds") == 0)
            p.seconds = number;
        else if (strcmp(argv[i], "--warm") == 0)
            p.warm = number;
        else
            return usage();
    }
    if (i + 1 >= argc)
        return usage();
    p.command = argv + i + 1;
    if (p.kind.op == OP_BIG)
        p.kind.tool = "big";
    start_child(&p);
    int rc = run(&p);
    close(p.to);
    close(p.from);
    waitpid(p.child, NULL, 0);
    free(p.in);
    return rc;
}
