// echo -- an MCP server on stdin and stdout that costs as little as one can: the upstream of all
// measurements.
//
//   echo [--tools N] [--die-if FILE]
//
// Tools: echo {text}, big {bytes}, slow {ms}, flood {ms, per_second} (that many log messages, then the
// answer); the list holds N tools (default these four): these first, generated ones after them. With FILE
// there, it exits at once: a server that is dead and stays dead. Both eras, told apart by each request alone
// (a claim in _meta is modern).
//
// It reads all there is, answers every line into one buffer and writes that once. No tree, no copy of
// arguments: the text goes back as the bytes it came in.
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>

#define BLOCK "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
#define SERVER_META "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"echo\",\"version\":\"1\"}}"
#define ID_MAX 128
#define SLOW_MAX 256
#define BIG_MAX (256u << 20)

struct cut {
    const char *p;
    size_t n;
};

// A slow call, or the one flood (per_second > 0), that still owes its answer.
struct owed {
    char id[ID_MAX];
    size_t id_n;
    bool modern;
    uint64_t due;
    double per_second, sent;
    uint64_t began;
};

struct echo {
    char *in, *out, *tools;
    size_t in_n, in_cap, out_n, out_cap, tools_n;
    struct owed owed[SLOW_MAX];
    int owed_n;
};

struct request {
    struct cut id, method, params;
    struct cut name, arguments, meta, claim;
    bool modern;
};

// -- reading: enough JSON to find members, for peers that are known to send valid JSON --

static const char *after_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return end;
}

static const char *after_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = after_string(p, end);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (depth-- == 0)
                return p;
            p++;
        } else if (*p == ',' && depth == 0) {
            return p;
        } else {
            p++;
            continue;
        }
        if (depth == 0)
            return p;
    }
    return end;
}

static const char *after_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == ',' || *p == ':'))
        p++;
    return p;
}

// One pass over an object; each value whose name is listed goes to its place.
static void members(struct cut object, const char *const *names, struct cut *const *values, int n)
{
    const char *end = object.p + object.n;
    if (object.n < 2 || object.p[0] != '{')
        return;
    for (const char *p = after_blank(object.p + 1, end); p < end && *p == '"';) {
        const char *key = p + 1;
        p = after_string(p, end);
        size_t key_n = (size_t)(p - key) - 1;
        const char *value = p = after_blank(p, end);
        p = after_value(p, end);
        for (int i = 0; i < n; i++)
            if (strlen(names[i]) == key_n && memcmp(names[i], key, key_n) == 0)
                *values[i] = (struct cut){value, (size_t)(p - value)};
        p = after_blank(p, end);
    }
}

static struct cut member(struct cut object, const char *name)
{
    struct cut value = {0};
    members(object, &name, (struct cut *const[]){&value}, 1);
    return value;
}

static double number_of(struct cut object, const char *name, double otherwise)
{
    struct cut value = member(object, name);
    return value.n > 0 ? strtod(value.p, NULL) : otherwise;
}

// Compares a JSON string, quotes included.
static bool is(struct cut value, const char *text)
{
    size_t n = strlen(text);
    return value.n == n + 2 && memcmp(value.p + 1, text, n) == 0;
}

// -- writing --

static char *place(struct echo *e, size_t n)
{
    if (e->out_cap - e->out_n < n) {
        e->out_cap = (e->out_n + n) * 2;
        e->out = room(e->out, e->out_cap);
    }
    e->out_n += n;
    return e->out + e->out_n - n;
}

static void put(struct echo *e, const char *p, size_t n)
{
    memcpy(place(e, n), p, n);
}

static void put_text(struct echo *e, const char *text)
{
    put(e, text, strlen(text));
}

static void begin_answer(struct echo *e, const char *id, size_t id_n, const char *member_name)
{
    put_text(e, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(e, id, id_n);
    put_text(e, member_name);
}

// `result` without its closing brace; the era's own members follow. `lists`: the answer may be cached.
static void finish_result(struct echo *e, bool modern, bool lists)
{
    if (modern)
        put_text(e, ",\"resultType\":\"complete\"," SERVER_META);
    if (modern && lists)
        put_text(e, ",\"ttlMs\":0,\"cacheScope\":\"public\"");
    put_text(e, "}}\n");
}

static void answer_error(struct echo *e, const struct request *r, int code, const char *text,
                         const char *data)
{
    char number[32];
    if (r->id.n == 0)
        return;
    begin_answer(e, r->id.p, r->id.n, ",\"error\":{\"code\":");
    snprintf(number, sizeof number, "%d", code);
    put_text(e, number);
    put_text(e, ",\"message\":\"");
    put_text(e, text);
    put_text(e, "\"");
    put_text(e, data);
    put_text(e, "}}\n");
}

static void flush_out(struct echo *e)
{
    size_t at = 0;
    while (at < e->out_n) {
        ssize_t n = write(STDOUT_FILENO, e->out + at, e->out_n - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&out, 1, -1);
        } else if (errno != EINTR) {
            exit(0); // nobody listens any more
        }
    }
    e->out_n = 0;
}

// -- the tools --

static void make_tool(FILE *to, int i)
{
    static const char *const own[] = {
        "{\"name\":\"echo\",\"description\":\"Gives the text back\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}}",
        "{\"name\":\"big\",\"description\":\"A text of so many bytes\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"bytes\":{\"type\":\"integer\"}},\"required\":[\"bytes\"]}}",
        "{\"name\":\"slow\",\"description\":\"Answers later\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"ms\":{\"type\":\"integer\"}},\"required\":[\"ms\"]}}",
        "{\"name\":\"flood\",\"description\":\"Sends log messages, then "
        "answers\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"ms\":{\"type\":\"integer\"},\"per_second\":{\"type\":\"integer\"}},\"required\":["
        "\"ms\"]}}",
    };
    if (i < 4)
        fputs(own[i], to);
    else
        fprintf(
            to,
            "{\"name\":\"generated_%04d\",\"description\":\"Tool %d of a long list; it takes an owner and a "
            "repository\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"owner\":{\"type\":"
            "\"string\"},"
            "\"repo\":{\"type\":\"string\"},\"page\":{\"type\":\"integer\",\"minimum\":1}},"
            "\"required\":[\"owner\",\"repo\"]}}",
            i, i);
}

static void make_list(struct echo *e, int n)
{
    FILE *to = open_memstream(&e->tools, &e->tools_n);
    if (to == NULL)
        die("out of memory");
    fputs(",\"result\":{\"tools\":[", to);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            fputc(',', to);
        make_tool(to, i);
    }
    fputc(']', to);
    fclose(to);
}

static void owe(struct echo *e, const struct request *r, bool flood)
{
    if (e->owed_n == SLOW_MAX || r->id.n > ID_MAX) {
        answer_error(e, r, -32603, "too many slow calls", "");
        return;
    }
    struct owed *o = &e->owed[e->owed_n++];
    *o = (struct owed){.id_n = r->id.n, .modern = r->modern, .began = now_ns()};
    memcpy(o->id, r->id.p, r->id.n);
    o->due = o->began + (uint64_t)(number_of(r->arguments, "ms", 0) * 1e6);
    o->per_second = flood ? number_of(r->arguments, "per_second", 1000) : 0;
}

static void call_big(struct echo *e, const struct request *r)
{
    size_t n = (size_t)number_of(r->arguments, "bytes", 0);
    if (n > BIG_MAX) {
        answer_error(e, r, -32602, "more than 256 MiB", "");
        return;
    }
    begin_answer(e, r->id.p, r->id.n, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"");
    char *p = place(e, n);
    for (size_t at = 0; at < n; at += 64)
        memcpy(p + at, BLOCK, n - at < 64 ? n - at : 64);
    put_text(e, "\"}]");
    finish_result(e, r->modern, false);
}

static void call_echo(struct echo *e, const struct request *r)
{
    struct cut text = member(r->arguments, "text");
    begin_answer(e, r->id.p, r->id.n, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
    if (text.n >= 2 && text.p[0] == '"')
        put(e, text.p, text.n);
    else
        put_text(e, "\"\"");
    put_text(e, "}]");
    finish_result(e, r->modern, false);
}

static void call_tool(struct echo *e, const struct request *r)
{
    if (is(r->name, "echo") || (r->name.n > 10 && memcmp(r->name.p, "\"generated_", 11) == 0))
        call_echo(e, r);
    else if (is(r->name, "big"))
        call_big(e, r);
    else if (is(r->name, "slow") || is(r->name, "flood"))
        owe(e, r, is(r->name, "flood"));
    else
        answer_error(e, r, -32602, "no such tool", "");
}

// -- the methods --

static void initialize(struct echo *e, const struct request *r)
{
    struct cut asked = member(r->params, "protocolVersion");
    bool known = is(asked, "2024-11-05") || is(asked, "2025-03-26") || is(asked, "2025-06-18");
    begin_answer(e, r->id.p, r->id.n, ",\"result\":{\"protocolVersion\":");
    if (known)
        put(e, asked.p, asked.n);
    else
        put_text(e, "\"2025-11-25\"");
    put_text(e, ",\"capabilities\":{\"tools\":{},\"logging\":{}},\"serverInfo\":{\"name\":\"echo\","
                "\"version\":\"1\"}}}\n");
}

static void cancel(struct echo *e, const struct request *r)
{
    struct cut id = member(r->params, "requestId");
    for (int i = 0; i < e->owed_n; i++)
        if (e->owed[i].id_n == id.n && memcmp(e->owed[i].id, id.p, id.n) == 0)
            e->owed[i--] = e->owed[--e->owed_n];
}

static void empty_result(struct echo *e, const struct request *r)
{
    begin_answer(e, r->id.p, r->id.n, ",\"result\":{");
    put_text(e, "}}\n");
}

static void discover(struct echo *e, const struct request *r)
{
    begin_answer(
        e, r->id.p, r->id.n,
        ",\"result\":{\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{},\"logging\":{}}");
    finish_result(e, true, true);
}

// Nothing here ever changes, so the acknowledgement is the only frame.
static void acknowledge(struct echo *e, const struct request *r)
{
    put_text(e, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/"
                "acknowledged\",\"params\":{\"notifications\":"
                "{},\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
    put(e, r->id.p, r->id.n);
    put_text(e, "}}}\n");
}

static void dispatch(struct echo *e, const struct request *r)
{
    if (r->claim.n > 0 && !is(r->claim, "2026-07-28"))
        answer_error(e, r, -32022, "unsupported protocol version",
                     ",\"data\":{\"supported\":[\"2026-07-28\"]}");
    else if (is(r->method, "tools/call"))
        call_tool(e, r);
    else if (is(r->method, "tools/list")) {
        begin_answer(e, r->id.p, r->id.n, "");
        put(e, e->tools, e->tools_n);
        finish_result(e, r->modern, true);
    } else if (is(r->method, "server/discover") && r->modern)
        discover(e, r);
    else if (is(r->method, "subscriptions/listen") && r->modern)
        acknowledge(e, r);
    else if (is(r->method, "initialize") && !r->modern)
        initialize(e, r);
    else if ((is(r->method, "ping") || is(r->method, "logging/setLevel")) && !r->modern)
        empty_result(e, r);
    else
        answer_error(e, r, -32601, "no such method", "");
}

static void got_line(struct echo *e, struct cut line)
{
    static const char *const top[] = {"id", "method", "params"};
    static const char *const inner[] = {"name", "arguments", "_meta"};
    struct request r = {0};

    members(line, top, (struct cut *const[]){&r.id, &r.method, &r.params}, 3);
    if (r.method.n == 0)
        return;
    if (r.id.n == 0) {
        if (is(r.method, "notifications/cancelled"))
            cancel(e, &r);
        return;
    }
    members(r.params, inner, (struct cut *const[]){&r.name, &r.arguments, &r.meta}, 3);
    r.claim = member(r.meta, "io.modelcontextprotocol/protocolVersion");
    r.modern = r.claim.n > 0;
    dispatch(e, &r);
}

// -- time --

static void pour(struct echo *e, struct owed *o, uint64_t now)
{
    uint64_t until = now < o->due ? now : o->due;
    double wanted = (double)(until - o->began) / 1e9 * o->per_second;
    for (; o->sent + 1 <= wanted; o->sent++)
        put_text(
            e,
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
            "message\",\"params\":{\"level\":\"info\",\"logger\":"
            "\"flood\",\"data\":\"one more line that nobody has asked for, of about the usual length\"}}\n");
}

// Answers what has fallen due; how long there is nothing to do, ms (-1: until something comes).
static int pay(struct echo *e)
{
    uint64_t now = e->owed_n > 0 ? now_ns() : 0;
    int wait = -1;
    for (int i = 0; i < e->owed_n; i++) {
        struct owed *o = &e->owed[i];
        if (o->per_second > 0)
            pour(e, o, now);
        if (o->due <= now) {
            begin_answer(e, o->id, o->id_n,
                         ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"done\"}]");
            finish_result(e, o->modern, false);
            e->owed[i--] = e->owed[--e->owed_n];
            continue;
        }
        int left = o->per_second > 0 ? 1 : (int)((o->due - now) / 1000000) + 1;
        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait;
}

static void read_lines(struct echo *e)
{
    if (e->in_cap - e->in_n < 65536) {
        e->in_cap = e->in_cap == 0 ? 262144 : e->in_cap * 2;
        e->in = room(e->in, e->in_cap);
    }
    ssize_t n = read(STDIN_FILENO, e->in + e->in_n, e->in_cap - e->in_n);
    if (n < 0 && errno == EAGAIN) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        poll(&in, 1, -1);
        return;
    }
    if (n == 0 || (n < 0 && errno != EINTR))
        exit(0);
    e->in_n += n > 0 ? (size_t)n : 0;
    size_t at = 0;
    char *end;
    while ((end = memchr(e->in + at, '\n', e->in_n - at)) != NULL) {
        got_line(e, (struct cut){e->in + at, (size_t)(end - e->in) - at});
        at = (size_t)(end - e->in) + 1;
    }
    e->in_n -= at;
    memmove(e->in, e->in + at, e->in_n);
}

int main(int argc, char **argv)
{
    struct echo e = {0};
    int tools = 4;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--tools") == 0)
            tools = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--die-if") == 0 && access(argv[i + 1], F_OK) == 0)
            return 1;
    }
    make_list(&e, tools);
    for (;;) {
        int wait = pay(&e);
        flush_out(&e);
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (wait < 0 || poll(&in, 1, wait) > 0)
            read_lines(&e);
    }
}
