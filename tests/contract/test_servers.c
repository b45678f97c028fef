/* modules: servers rpc base */
/*
 * What every tool of every built-in server promises: a schema that says what it takes, and a clean answer to
 * whatever is sent. The server is a process of its own, spoken to on its line; of the product nothing is
 * linked but the list of names, so that a new server without a row here is a failure.
 */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "servers/servers.h"
#include "tests/kit/kit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 20000, TEXT_MOST = 48 * 1024 };

/* Good arguments, by tool: what the others of a call are while one is bent. */
static const struct good {
    const char *server, *tool, *arguments;
} goods[] = {
    {"workspace", "list_files",  "{}"                      },
    {"workspace", "read_file",   "{\"path\":\"small.txt\"}"},
    {"workspace", "search_text", "{\"find\":\"line\"}"     },
    {"workspace", "show_log",    "{}"                      },
    {"workspace", "show_diff",   "{}"                      },
};

struct peer {
    const char *server;
    pid_t pid;
    int fd;
    struct buf in;
    int last_id;
    json_t *tools;
};

/* --- a folder worth looking at --- */

static void run_git(const char *folder, const char *const *words)
{
    const char *all[24] = {"git", "-C", folder, "-c", "user.name=A", "-c", "user.email=a@example.org"};
    for (size_t i = 0; words[i]; i++)
        all[7 + i] = words[i];
    pid_t pid = fork();
    if (pid == 0) {
        setenv("HOME", folder, 1);
        setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
        execvp("git", (char *const *)all);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
#define GIT(folder, ...) run_git((folder), (const char *const[]){__VA_ARGS__, NULL})

static const char *make_workspace(void)
{
    static char settings[1200];
    const char *folder = kit_path("space");
    struct buf text = {0};
    assert_int_equal(mkdir(folder, 0700), 0);
    folder = mem_text(folder);
    GIT(folder, "init", "-q");
    kit_file("space/small.txt", "one line\n");
    for (int i = 0; i < 40000; i++)
        buf_addf(&text, "line %d of a text that is larger than any answer may be\n", i);
    kit_file("space/big.txt", text.p);
    for (int i = 0; i < 300; i++) {
        char name[40];
        snprintf(name, sizeof(name), "space/file-%d.txt", i);
        kit_file(name, "a line\n");
    }
    GIT(folder, "add", "-A");
    GIT(folder, "commit", "-q", "-m", "all");
    buf_add_text(&text, "and more\n");
    kit_file("space/big.txt", text.p + 20);
    snprintf(settings, sizeof(settings), "{\"path\":\"%s\"}", folder);
    free((char *)folder);
    buf_end(&text);
    return settings;
}

static const char *settings_of(const char *server)
{
    if (strcmp(server, "workspace") == 0)
        return make_workspace();
    fail_msg("server '%s' has no settings here: add a row", server);
    return NULL;
}

/* --- the process --- */

static void start(struct peer *p, const char *server, const char *settings)
{
    char program[1100], self[1024];
    int pair[2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = 0;
    *strrchr(self, '/') = 0; /* …/tests/contract_servers -> …/trunkline */
    snprintf(program, sizeof(program), "%s/../trunkline", self);
    *p = (struct peer){.server = server};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int memory = memfd_create("settings", MFD_CLOEXEC);
    assert_int_equal(write(memory, settings, strlen(settings)), (ssize_t)strlen(settings));
    p->pid = fork();
    if (p->pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int fd3 = fcntl(memory, F_DUPFD, 10);
        dup2(pair[1], 0);
        dup2(pair[1], 1);
        dup2(quiet, 2);
        dup2(fd3, 3);
        execl(program, "trunkline", "role", "server", server, (char *)NULL);
        _exit(127);
    }
    close(memory);
    close(pair[1]);
    p->fd = pair[0];
    fd_set_nonblocking(p->fd, true);
}

static void send_text(struct peer *p, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t done = send(p->fd, text + at, n - at, MSG_NOSIGNAL);
        if (done > 0) {
            at += (size_t)done;
            continue;
        }
        struct pollfd wait = {p->fd, POLLOUT, 0};
        assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
    }
}

/* The next message; fails when none comes or the server has gone. */
static json_t *next_message(struct peer *p, const char *about)
{
    char piece[65536];
    int64_t end = kit_real_ms() + ANSWER_MS;
    for (;;) {
        size_t newline = bytes_find(buf_bytes(&p->in), '\n');
        if (newline < p->in.n) {
            json_t *m = json_loadb(p->in.p, newline, JSON_ALLOW_NUL, NULL);
            if (!m)
                fail_msg("no JSON after %.200s", about);
            buf_drop_front(&p->in, newline + 1);
            return m;
        }
        struct pollfd wait = {p->fd, POLLIN, 0};
        int64_t left = end - kit_real_ms();
        if (left <= 0 || poll(&wait, 1, (int)left) != 1)
            fail_msg("no answer to %.200s", about);
        ssize_t n = read(p->fd, piece, sizeof(piece));
        if (n <= 0)
            fail_msg("the server ended after %.200s", about);
        buf_add(&p->in, piece, (size_t)n);
    }
}

#define META                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
    "\"io.modelcontextprotocol/clientCapabilities\":{}%s}"

static void say(struct peer *p, const char *method, const char *meta, const char *params)
{
    struct buf out = {0};
    buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":{" META, ++p->last_id, method,
             meta);
    buf_add_text(&out, params);
    buf_add_text(&out, "}}\n");
    send_text(p, out.p, out.n);
    buf_end(&out);
}

static json_t *ask(struct peer *p, const char *method, const char *meta, const char *params)
{
    say(p, method, meta, params);
    for (;;) {
        json_t *m = next_message(p, params);
        /* What could not be read has no id that could be quoted. */
        if (json_int(m, "id", p->last_id) == p->last_id && !json_object_get(m, "method"))
            return m;
        json_decref(m);
    }
}

static json_t *call(struct peer *p, const char *tool, const char *meta, const char *arguments)
{
    struct buf params = {0};
    buf_addf(&params, ",\"name\":\"%s\",\"arguments\":", tool);
    buf_add_text(&params, arguments);
    json_t *m = ask(p, "tools/call", meta, params.p);
    buf_end(&params);
    return m;
}

static void stop(struct peer *p)
{
    int status;
    close(p->fd);
    int64_t end = kit_real_ms() + ANSWER_MS;
    pid_t gone;
    while ((gone = waitpid(p->pid, &status, WNOHANG)) == 0 && kit_real_ms() < end)
        poll(NULL, 0, 5);
    if (gone == 0)
        kill(p->pid, SIGKILL);
    assert_int_equal(gone, p->pid);
    assert_int_equal(status, 0); /* the end of input ends it in good order; a sanitizer's finding does not */
    buf_end(&p->in);
    json_decref(p->tools);
}

/* --- what an answer may be --- */

static const char *const fault_names[] = {
    "invalid",         "not_found",    "not_connected", "auth_failed", "forbidden", "scope_missing",
    "exists",          "conflict",     "stale",         "ambiguous",   "gone",      "failed",
    "rate_limited",    "unavailable",  "deadline",      "refused",     "too_large", "cancelled",
    "outcome_unknown", "not_verified", "lost",
};

/* "" for a result, the fault's name for an isError, "error" for a JSON-RPC error. All else fails. */
static const char *judge(const json_t *m, const char *about)
{
    json_t *error = json_object_get(m, "error"), *result = json_object_get(m, "result");
    if (error) {
        int64_t code = json_int(error, "code", 0);
        if (code >= 0 || code == -32603 || !json_str(error, "message"))
            fail_msg("error %lld after %.200s", (long long)code, about);
        return "error";
    }
    json_t *content = json_object_get(result, "content"), *block;
    size_t i, n = 0;
    if (!json_is_array(content))
        fail_msg("neither result nor error after %.200s", about);
    json_array_foreach (content, i, block) {
        n += json_string_length(json_object_get(block, "text"));
    }
    if (n > TEXT_MOST)
        fail_msg("%zu bytes of text after %.200s", n, about);
    if (!json_is_true(json_object_get(result, "isError")))
        return "";
    const char *name =
        json_str(json_object_get(json_object_get(result, "_meta"), "dev.trunkline/fault"), "name");
    const char *text = json_str(json_array_get(content, 0), "text");
    for (i = 0; name && i < sizeof(fault_names) / sizeof(fault_names[0]); i++)
        if (strcmp(name, fault_names[i]) == 0 && strncmp(text, name, strlen(name)) == 0)
            return fault_names[i];
    fail_msg("isError with the fault %s after %.200s", name ? name : "(none)", about);
    return NULL;
}

/* `wanted`: the fault, NULL for any clean answer. */
static void answers(struct peer *p, const char *tool, const char *arguments, const char *wanted)
{
    json_t *m = call(p, tool, "", arguments);
    const char *told = judge(m, arguments);
    if (wanted && strcmp(told, wanted) != 0)
        fail_msg("%s(%.100s) gave '%s', not '%s'", tool, arguments, told, wanted);
    json_decref(m);
}

/* --- schemas --- */

static bool is_a_name(const char *name, size_t most)
{
    size_t n = strlen(name);
    return n > 0 && n <= most && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static void look_at_schema(const json_t *tool)
{
    const char *name = json_str(tool, "name"), *key;
    json_t *schema = json_object_get(tool, "inputSchema"),
           *properties = json_object_get(schema, "properties"), *property;
    json_t *required = json_object_get(schema, "required"), *one;
    size_t i;
    assert_true(is_a_name(name, 40));
    assert_non_null(json_str(tool, "description"));
    assert_true(json_is_boolean(json_object_get(json_object_get(tool, "annotations"), "readOnlyHint")));
    assert_string_equal(json_str(schema, "type"), "object");
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_true(json_object_size(properties) <= 12);
    json_object_foreach (properties, key, property) {
        const char *type = json_str(property, "type");
        const char *help = json_str(property, "description");
        if (!is_a_name(key, 40) || !type || (help && strlen(help) > 60))
            fail_msg("%s.%s: name, type or description is not as it should be", name, key);
        if (strcmp(type, "integer") == 0)
            assert_true(json_object_get(property, "minimum") && json_object_get(property, "maximum"));
    }
    json_array_foreach (required, i, one) {
        assert_non_null(json_object_get(properties, json_string_value(one)));
    }
}

/* --- bent arguments --- */

static const char *good_for(const char *server, const char *tool)
{
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++)
        if (strcmp(goods[i].server, server) == 0 && strcmp(goods[i].tool, tool) == 0)
            return goods[i].arguments;
    fail_msg("tool '%s' of server '%s' has no good arguments here: add a row", tool, server);
    return NULL;
}

/* The good arguments with `key` set to the raw text `value`. */
static char *with(const char *good, const char *key, const char *value)
{
    json_t *tree = kit_json(good);
    struct buf out = {0};
    json_object_del(tree, key);
    char *rest = json_dumps(tree, JSON_COMPACT);
    buf_addf(&out, "{\"%s\":", key);
    buf_add_text(&out, value);
    if (json_object_size(tree))
        buf_add_char(&out, ',');
    buf_add_text(&out, rest + 1);
    free(rest);
    json_decref(tree);
    return buf_take(&out);
}

static void bent(struct peer *p, const char *tool, const char *key, const char *value, const char *wanted)
{
    char *arguments = with(good_for(p->server, tool), key, value);
    answers(p, tool, arguments, wanted);
    free(arguments);
}

static void bend_string(struct peer *p, const char *tool, const char *key)
{
    static const char *const wrong[] = {"5", "[]", "{}", "true", "1.5", "-0"};
    /* Right to left, zero width, tags, a NUL, controls, a path far outside, a very odd regular expression. */
    static const char *const odd[] = {"\"a\\u202eb\"",   "\"\\u200b\"",         "\"\\udb40\\udc41\"",
                                      "\"a\\u0000b\"",   "\"\\u0001\\n\"",      "\"../../../etc\"",
                                      "\"/etc/passwd\"", "\"--output=/tmp/x\"", "\":/(((((\"",
                                      "\"%s%n%p\"",      "\"@{-1}\"",           "\"\""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        bent(p, tool, key, wrong[i], "invalid");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        bent(p, tool, key, odd[i], NULL);
    bent(p, tool, key, "\"\\ud800\"", NULL);
    struct buf huge = {0};
    buf_add_char(&huge, '"');
    for (int i = 0; i < 100000; i++)
        buf_add_char(&huge, 'x');
    buf_add_char(&huge, '"');
    bent(p, tool, key, huge.p, "invalid");
    buf_end(&huge);
}

static void bend_number(struct peer *p, const char *tool, const char *key)
{
    static const char *const wrong[] = {"\"5\"",
                                        "[]",
                                        "{}",
                                        "true",
                                        "1.5",
                                        "-1",
                                        "9007199254740993",
                                        "99999999999999999999",
                                        "1e400",
                                        "-9223372036854775809"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        bent(p, tool, key, wrong[i], "invalid");
    bent(p, tool, key, "-0", NULL);
}

static void bend(struct peer *p, const json_t *tool)
{
    const char *name = json_str(tool, "name"), *key;
    json_t *schema = json_object_get(tool, "inputSchema"), *property;
    json_object_foreach (json_object_get(schema, "properties"), key, property) {
        const char *type = json_str(property, "type");
        if (strcmp(type, "string") == 0)
            bend_string(p, name, key);
        else if (strcmp(type, "integer") == 0)
            bend_number(p, name, key);
        else
            bent(p, name, key, "\"yes\"", "invalid");
        bent(p, name, key, "null", NULL);
    }
    bool needs_some = json_array_size(json_object_get(schema, "required")) > 0;
    answers(p, name, "{}", needs_some ? "invalid" : "");
    answers(p, name, good_for(p->server, name), "");
    bent(p, name, "no_such_member", "1", "invalid");
    answers(p, name, "[]", NULL);
    answers(p, name, "\"text\"", NULL);
    answers(p, name, "null", NULL);
    answers(p, name, "{\"a\":1,\"a\":2}", "error");
    struct buf deep = {0};
    for (int i = 0; i < 65; i++)
        buf_add_text(&deep, "{\"a\":");
    buf_add_char(&deep, '1');
    for (int i = 0; i < 65; i++)
        buf_add_char(&deep, '}');
    answers(p, name, deep.p, "error");
    buf_end(&deep);
}

/* --- time --- */

static void hurry(struct peer *p, const char *tool)
{
    int64_t begun = kit_real_ms();
    json_t *m = call(p, tool, ",\"dev.trunkline/call\":{\"deadlineMs\":1}", good_for(p->server, tool));
    const char *told = judge(m, tool);
    if (*told && strcmp(told, "deadline") != 0)
        fail_msg("%s without time gave '%s'", tool, told);
    assert_true(kit_real_ms() - begun < 5000);
    json_decref(m);
}

static void cancel(struct peer *p, const char *tool)
{
    struct buf params = {0};
    char text[160];
    buf_addf(&params, ",\"name\":\"%s\",\"arguments\":%s", tool, good_for(p->server, tool));
    for (int i = 0; i < 5; i++) {
        say(p, "tools/call", "", params.p);
        snprintf(
            text, sizeof(text),
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%d}}\n",
            p->last_id);
        send_text(p, text, strlen(text));
    }
    buf_end(&params);
    answers(p, tool, good_for(p->server, tool), ""); /* and the line serves on */
}

static void every_tool_keeps_the_promises(void **state)
{
    for (size_t s = 0; servers[s]; s++) {
        struct peer p;
        size_t i;
        json_t *tool;
        start(&p, servers[s]->name, settings_of(servers[s]->name));
        json_t *m = ask(&p, "tools/list", "", "");
        p.tools = json_incref(json_object_get(json_object_get(m, "result"), "tools"));
        json_decref(m);
        assert_true(json_array_size(p.tools) > 0);
        json_array_foreach (p.tools, i, tool) {
            const char *name = json_str(tool, "name");
            look_at_schema(tool);
            bend(&p, tool);
            hurry(&p, name);
            cancel(&p, name);
        }
        stop(&p);
    }
}

KIT_MAIN(cmocka_unit_test(every_tool_keeps_the_promises))
