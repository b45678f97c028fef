// load -- sends calls to one HTTP endpoint over keep-alive connections and prints one line of JSON about it.
//
// Closed loop: each connection has one call in flight and sends the next when the answer is whole. Open loop
// (--rate): calls fall due at a steady pace whatever the server does, each goes to a connection that is free,
// and its time counts from when it was due: a server that stalls is charged for everybody it kept waiting.
//
// Every answer is checked (status, id, echoed text or list length); one wrong answer is a failure of the
// whole run (exit 1), because a fast wrong answer is no answer. Counting starts after the warm-up, CPU times
// likewise.
#include "answer.h"
#include "ask.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum check { CHECK_ALL, CHECK_ID, CHECK_NONE };

struct options {
    const char *url;
    struct ask_kind kind;
    int era, op, check; // as words, copied to `kind` where they belong there
    int connections, sessions;
    double seconds, warm, rate;
    size_t calls;  // 0: as many as fit
    size_t expect; // OP_LIST: tools
};

struct connection {
    int fd;
    bool busy, wants_out;
    struct ask ask;
    size_t sent;
    struct answer answer;
    uint64_t id, due;
    int next_free;
};

struct load {
    struct options options;
    struct sockaddr_in address;
    char host[64];
    struct connection *all;
    char (*sessions)[128];
    uint64_t used_sessions;
    int epoll, first_free;
    uint64_t gap, next_due; // open loop, ns
    uint64_t counted_from;
    bool counting, stopped;
    uint64_t distinct;
    uint64_t calls, answered, errors, unsent, streams, body_bytes;
    char first_error[300];
    uint64_t own_cpu;
    struct watches watches;
    struct hist hist;
};

static void wrong(struct load *l, const char *what, const char *p, size_t n)
{
    l->errors++;
    if (l->first_error[0] != '\0')
        return;
    snprintf(l->first_error, sizeof l->first_error, "%s: %.*s", what, (int)(n > 200 ? 200 : n),
             n > 0 ? p : "");
    for (char *c = l->first_error; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = '\'';
}

// -- one connection --

static int dial(struct load *l)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&l->address, sizeof l->address) != 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void watch_fd(struct load *l, struct connection *c, int how)
{
    struct epoll_event event = {.events = EPOLLIN | (c->wants_out ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(l->epoll, how, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void write_more(struct load *l, struct connection *c)
{
    bool wanted = c->wants_out;
    while (c->sent < c->ask.n) {
        ssize_t n = send(c->fd, c->ask.p + c->sent, c->ask.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            break; // the reading side sees why
        c->sent += (size_t)n;
    }
    c->wants_out = c->sent < c->ask.n;
    if (c->wants_out != wanted)
        watch_fd(l, c, EPOLL_CTL_MOD);
}

static void ask_next(struct load *l, struct connection *c, uint64_t due)
{
    if (c->ask.session_at > 0 && l->options.sessions != l->options.connections) {
        const char *session = l->sessions[l->used_sessions++ % (uint64_t)l->options.sessions];
        memcpy(c->ask.p + c->ask.session_at, session, strlen(session));
    }
    c->id++;
    c->due = due;
    c->busy = true;
    c->sent = 0;
    ask_patch(&c->ask, c->id, ++l->distinct);
    write_more(l, c);
}

static void set_free(struct load *l, struct connection *c)
{
    c->busy = false;
    c->next_free = l->first_free;
    l->first_free = (int)(c - l->all);
}

// -- is the answer right? --

static const char *message_fault(const struct load *l, const struct connection *c, const char *p, size_t n)
{
    const struct options *o = &l->options;
    if (o->check == CHECK_ID)
        return NULL;
    if (memmem(p, n, "\"error\":{\"code\"", 15) != NULL || memmem(p, n, "\"isError\":true", 14) != NULL)
        return "answered with an error";
    if (o->kind.op == OP_ECHO && memmem(p, n, c->ask.p + c->ask.text_at, c->ask.text_n) == NULL)
        return "somebody else's text";
    if (o->kind.op == OP_LIST && count_of(p, n, "\"inputSchema\"") != o->expect)
        return "another number of tools";
    if (o->kind.op == OP_BIG && !has_big_text(p, n, o->kind.bytes))
        return "not the big text";
    return NULL;
}

static void check_answer(struct load *l, struct connection *c)
{
    const struct answer *a = &c->answer;
    const char *p = NULL;
    size_t n = 0, at = 0;
    int found = 0;

    if (a->status != 200 && l->options.check != CHECK_ID) {
        char what[40];
        snprintf(what, sizeof what, "status %d", a->status);
        wrong(l, what, a->body, a->body_n);
        return;
    }
    if (l->options.check == CHECK_NONE || l->options.kind.op == OP_GET)
        return;
    while (answer_message(a, &at, &p, &n)) {
        if (!has_id(p, n, c->id))
            continue;
        const char *fault = message_fault(l, c, p, n);
        if (fault != NULL)
            wrong(l, fault, p, n);
        found++;
    }
    if (found != 1)
        wrong(l, found == 0 ? "no answer with this id" : "answered twice", a->body, a->body_n);
}

static void got_answer(struct load *l, struct connection *c)
{
    uint64_t now = now_ns();
    check_answer(l, c);
    l->answered++;
    if (l->counting && !l->stopped) {
        l->calls++;
        l->streams += c->answer.sse;
        l->body_bytes += c->answer.body_n;
    }
    if (l->counting && c->due >= l->counted_from)
        hist_add(&l->hist, now - c->due);
    bool closing = c->answer.closing;
    if (answer_next(&c->answer) != 0)
        wrong(l, "bytes after the answer", "", 0);
    if (closing) {
        close(c->fd);
        c->fd = dial(l);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        c->wants_out = false;
        watch_fd(l, c, EPOLL_CTL_ADD);
    }
    if (l->gap > 0 || l->stopped)
        set_free(l, c);
    else
        ask_next(l, c, now);
}

// 1 when the answer is whole, 0 when not yet, -1 when the connection is lost.
static int read_some(struct connection *c)
{
    size_t space = 0;
    char *p = answer_room(&c->answer, &space);
    ssize_t n = recv(c->fd, p, space, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return n == 0 ? answer_closed(&c->answer) : answer_feed(&c->answer, (size_t)n);
}

static void lost(struct load *l, struct connection *c)
{
    if (c->busy)
        wrong(l, "the connection was lost in mid-call", c->answer.raw, c->answer.n);
    else
        wrong(l, "an idle connection was closed", "", 0);
    close(c->fd);
    c->fd = -1;
    l->stopped = true;
}

// -- sessions of the legacy era --

// One whole exchange on a blocking socket; the answer stays in c->answer.
static void exchange(struct load *l, struct connection *c, const char *session, const char *body)
{
    struct pen head = {0};
    pen_print(&head,
              "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
              "Accept: application/json, text/event-stream\r\nContent-Length: %zu\r\n",
              l->options.kind.path, l->host, strlen(body));
    if (session != NULL)
        pen_print(&head, "MCP-Protocol-Version: " LEGACY "\r\nMcp-Session-Id: %s\r\n", session);
    pen_print(&head, "\r\n%s", body);
    answer_next(&c->answer);
    if (send(c->fd, head.p, head.n, MSG_NOSIGNAL) != (ssize_t)head.n)
        die("cannot open a session");
    free(head.p);
    int rc;
    while ((rc = read_some(c)) == 0)
        ;
    if (rc < 0 || c->answer.status / 100 != 2) {
        fprintf(stderr, "cannot open a session: status %d\n", c->answer.status);
        exit(2);
    }
}

static void open_sessions(struct load *l)
{
    size_t length = 0;
    for (int i = 0; i < l->options.sessions; i++) {
        struct connection *c = &l->all[i % l->options.connections];
        exchange(l, c, NULL,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
                 "\"" LEGACY
                 "\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}");
        snprintf(l->sessions[i], sizeof l->sessions[i], "%s", c->answer.session);
        if (length == 0)
            length = strlen(l->sessions[i]);
        if (length == 0 || strlen(l->sessions[i]) != length) {
            fprintf(stderr, "no Mcp-Session-Id, or one of another length\n");
            exit(2);
        }
        exchange(l, c, l->sessions[i], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
        answer_next(&c->answer);
    }
}

// So that a run leaves the hub as it found it: sessions that stay would weigh on the next measurement.
static void close_sessions(struct load *l)
{
    struct connection *c = &l->all[0];
    if (c->fd >= 0)
        close(c->fd);
    c->fd = dial(l);
    for (int i = 0; i < l->options.sessions && !c->answer.closing; i++) {
        struct pen head = {0};
        pen_print(&head,
                  "DELETE %s HTTP/1.1\r\nHost: %s\r\nMCP-Protocol-Version: " LEGACY
                  "\r\nMcp-Session-Id: %s\r\n\r\n",
                  l->options.kind.path, l->host, l->sessions[i]);
        answer_next(&c->answer);
        bool sent = send(c->fd, head.p, head.n, MSG_NOSIGNAL) == (ssize_t)head.n;
        free(head.p);
        int rc = 0;
        while (sent && (rc = read_some(c)) == 0)
            ;
        if (!sent || rc < 0)
            return;
    }
}

// -- the run --

static void open_connections(struct load *l)
{
    struct options *o = &l->options;
    l->all = room(NULL, (size_t)o->connections * sizeof *l->all);
    memset(l->all, 0, (size_t)o->connections * sizeof *l->all);
    l->sessions = room(NULL, (size_t)o->sessions * sizeof *l->sessions);
    memset(l->sessions, 0, (size_t)o->sessions * sizeof *l->sessions);
    for (int i = 0; i < o->connections; i++)
        l->all[i].fd = dial(l);
    if (o->kind.era == ERA_LEGACY)
        open_sessions(l);
    l->first_free = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < o->connections; i++) {
        struct connection *c = &l->all[i];
        c->id = ID_FIRST;
        ask_open(&c->ask, &o->kind, l->sessions[i % o->sessions]);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        watch_fd(l, c, EPOLL_CTL_ADD);
        set_free(l, c);
    }
}

static void send_due(struct load *l, uint64_t now)
{
    while (l->first_free >= 0 && l->next_due <= now && !l->stopped) {
        struct connection *c = &l->all[l->first_free];
        l->first_free = c->next_free;
        ask_next(l, c, l->next_due);
        l->next_due += l->gap;
    }
}

static void turn(struct load *l, uint64_t until)
{
    struct epoll_event events[256];
    uint64_t now = now_ns();
    uint64_t wake = l->gap > 0 && l->first_free >= 0 && l->next_due < until ? l->next_due : until;
    uint64_t wait = wake > now ? wake - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / SECOND_NS), .tv_nsec = (long)(wait % SECOND_NS)};

    int n = epoll_pwait2(l->epoll, events, 256, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->fd < 0)
            continue;
        if (events[i].events & EPOLLOUT)
            write_more(l, c);
        if ((events[i].events & ~(uint32_t)EPOLLOUT) == 0)
            continue;
        int rc = read_some(c);
        if (rc < 0)
            lost(l, c);
        else if (rc > 0)
            got_answer(l, c);
    }
    if (l->gap > 0)
        send_due(l, now_ns());
}

static bool any_busy(const struct load *l)
{
    for (int i = 0; i < l->options.connections; i++)
        if (l->all[i].busy && l->all[i].fd >= 0)
            return true;
    return false;
}

// Warm-up, the counted part, and in the open loop the answers still due.
static double drive(struct load *l)
{
    const struct options *o = &l->options;
    uint64_t begin = now_ns();
    uint64_t counted = begin + (uint64_t)(o->warm * 1e9);
    uint64_t end = counted + (uint64_t)(o->seconds * 1e9);

    l->gap = o->rate > 0 ? (uint64_t)(1e9 / o->rate) : 0;
    l->next_due = begin;
    while (l->gap == 0 && l->first_free >= 0) {
        struct connection *c = &l->all[l->first_free];
        l->first_free = c->next_free;
        ask_next(l, c, now_ns());
    }
    while (now_ns() < counted && !l->stopped)
        turn(l, counted);
    watch_begin(&l->watches);
    l->own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    l->counted_from = now_ns();
    l->counting = true;
    while (now_ns() < end && !l->stopped && (o->calls == 0 || l->calls < o->calls))
        turn(l, end);
    watch_finish(&l->watches);
    l->own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - l->own_cpu;
    uint64_t stop = now_ns();
    if (l->gap > 0 && stop > l->next_due)
        l->unsent = (stop - l->next_due) / l->gap;
    l->stopped = true;
    for (uint64_t last = stop + 2 * SECOND_NS; o->check != CHECK_ID && now_ns() < last && any_busy(l);)
        turn(l, last);
    if (o->check != CHECK_ID && any_busy(l))
        wrong(l, "unanswered 2 s after the end", "", 0);
    return (double)(stop - l->counted_from) / 1e9;
}

static void report(const struct load *l, double seconds)
{
    double calls = l->calls > 0 ? (double)l->calls : 1;
    printf("{\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"first_error\":", l->calls, l->errors);
    if (l->first_error[0] != '\0')
        printf("\"%s\"", l->first_error);
    else
        printf("null");
    printf(",\"seconds\":%.4f,\"rps\":%.1f,", seconds, (double)l->calls / seconds);
    hist_print(&l->hist);
    printf(",\"answer_bytes\":%.0f,\"request_bytes\":%zu,\"streams\":%" PRIu64 ",\"unsent\":%" PRIu64
           ",\"load_cpu_us\":%.3f,",
           (double)l->body_bytes / calls, l->all[0].ask.n - l->all[0].ask.body_at, l->streams, l->unsent,
           (double)l->own_cpu / 1000 / calls);
    watch_print(&l->watches, l->calls);
    printf("}\n");
}

// -- options --

static int usage(void)
{
    fputs("usage: load --url http://127.0.0.1:PORT/mcp/echo [--era modern|legacy] [--op "
          "echo|list|big|call|get]\n"
          "  [--tool NAME] [--arguments JSON] [--bytes N] [--body N] [--expect N] [--check all|id|none]\n"
          "  [--connections N] [--sessions N] [--seconds S] [--warm S] [--rate N/s] [--calls N] [--cpu "
          "NAME=PID]...\n",
          stderr);
    return 2;
}

static int pick(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    exit(usage());
}

// One row an option: its name, and where its value goes, as what it is.
struct knob {
    const char *name;
    const char **text;
    int *count;
    size_t *size;
    double *real;
    const char *const *words; // with `count`: one of these
};

static void set_option(struct load *l, const char *name, const char *value)
{
    static const char *const eras[] = {"modern", "legacy", NULL};
    static const char *const ops[] = {"echo", "list", "big", "call", "get", NULL};
    static const char *const checks[] = {"all", "id", "none", NULL};
    struct options *o = &l->options;
    const struct knob knobs[] = {
        {"--url",             .text = &o->url           },
        {"--tool",            .text = &o->kind.tool     },
        {"--arguments",       .text = &o->kind.arguments},
        {"--era",             .count = &o->era,           .words = eras},
        {"--op",                   .count = &o->op,                                        .words = ops},
        {"--check",       .count = &o->check,.words = checks},
        {"--connections",.count = &o->connections            },
        {"--sessions",     .count = &o->sessions            },
        {"--bytes",        .size = &o->kind.bytes        },
        {"--body",           .size = &o->kind.body       },
        {"--expect",            .size = &o->expect      },
        {"--calls",          .size = &o->calls      },
        {"--seconds",           .real = &o->seconds          },
        {"--warm",         .real = &o->warm     },
        {"--rate",            .real = &o->rate             },
    };
    for (size_t i = 0; i < sizeof knobs / sizeof knobs[0]; i++) {
        const struct knob *k = &knobs[i];
        if (strcmp(k->name, name) != 0)
            continue;
        if (k->text != NULL)
            *k->text = value;
        else if (k->words != NULL)
            *k->count = pick(value, k->words);
        else if (k->count != NULL)
            *k->count = (int)strtol(value, NULL, 10);
        else if (k->size != NULL)
            *k->size = strtoull(value, NULL, 10);
        else
            *k->real = strtod(value, NULL);
        return;
    }
    exit(usage());
}

static void read_options(struct load *l, int argc, char **argv)
{
    struct options *o = &l->options;

    *o = (struct options){
        .connections = 1, .seconds = 1, .warm = 0.2, .kind = {.tool = "echo", .body = 300}
    };
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            exit(usage());
        if (strcmp(argv[i], "--cpu") != 0)
            set_option(l, argv[i], argv[i + 1]);
        else if (watch_add(&l->watches, argv[i + 1]) != 0) {
            fprintf(stderr, "no process to watch: %s\n", argv[i + 1]);
            exit(2);
        }
    }
    o->kind.era = (enum era)o->era;
    o->kind.op = (enum op)o->op;
    if (o->sessions == 0)
        o->sessions = o->connections;
    if (o->url == NULL || o->connections < 1 || o->sessions < 1 || o->seconds <= 0)
        exit(usage());
}

int main(int argc, char **argv)
{
    struct load *l = room(NULL, sizeof *l);
    memset(l, 0, sizeof *l);
    end_with_parent();
    // Without this the kernel rounds a wait of 30 us up by another 50.
    prctl(PR_SET_TIMERSLACK, 1000);
    read_options(l, argc, argv);
    l->options.kind.host = l->host;
    l->options.kind.path = url_path(l->options.url, &l->address, l->host);
    if (l->options.kind.path == NULL)
        return usage();
    open_connections(l);
    double seconds = drive(l);
    if (l->calls == 0)
        wrong(l, "no answer within the counted time", "", 0);
    report(l, seconds);
    if (l->options.kind.era == ERA_LEGACY)
        close_sessions(l);
    int rc = l->errors > 0;
    for (int i = 0; i < l->options.connections; i++) {
        ask_end(&l->all[i].ask);
        answer_end(&l->all[i].answer);
    }
    free(l->sessions);
    free(l->all);
    free(l);
    return rc;
}
