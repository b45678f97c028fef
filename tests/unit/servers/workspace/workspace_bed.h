#pragma once
/* workspace_bed -- the workspace server over a folder of the test's, spoken to on its own line. */
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "servers/workspace/workspace.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define META                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
    "\"io.modelcontextprotocol/clientCapabilities\":{}"

struct bed {
    struct loop *loop;
    struct serve *serve;
    int fd, server_fd;
    struct buf in;
    int last_id;
    const char *root;
    int64_t deadline_ms; /* sent with calls; 0: none */
    size_t updated;
    char uri[200]; /* of the latest update */
};

static inline void make_folder(const char *path)
{
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static inline const char *in_root(struct bed *b, const char *name)
{
    static char path[8][1400];
    static int at;
    char *p = path[at++ % 8];
    snprintf(p, 1400, "%s/%s", b->root, name);
    return p;
}

static inline void put_bytes(struct bed *b, const char *name, const void *p, size_t n)
{
    int fd = open(in_root(b, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
}

static inline void put(struct bed *b, const char *name, const char *text)
{
    put_bytes(b, name, text, strlen(text));
}

/* Nothing of the machine's or the user's configuration counts. */
static inline void git(struct bed *b, const char *const *words)
{
    const char *all[24] = {"git",
                           "-C",
                           b->root,
                           "-c",
                           "user.name=Ann",
                           "-c",
                           "user.email=ann@example.org",
                           "-c",
                           "init.defaultBranch=main"};
    for (size_t i = 0; words[i]; i++)
        all[9 + i] = words[i];
    pid_t pid = fork();
    if (pid == 0) {
        setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
        setenv("HOME", b->root, 1);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 1);
        execvp("git", (char *const *)all);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
#define GIT(b, ...) git((b), (const char *const[]){__VA_ARGS__, NULL})

static inline void bed_open(struct bed *b, const char *settings)
{
    int pair[2];
    json_t *tree = kit_json(settings);
    signal(SIGPIPE, SIG_IGN); /* as the role does: a peer may be gone before the last word */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    b->loop = loop_new();
    b->fd = pair[1];
    b->serve = serve_new(b->loop, &workspace_server, tree, pair[0], pair[0], kit_why());
    json_decref(tree);
    b->server_fd = pair[0];
}

/* A new empty folder each time. */
static inline void bed_new(struct bed *b)
{
    static int count;
    char name[40], settings[700];
    snprintf(name, sizeof(name), "root-%d", ++count);
    *b = (struct bed){.root = mem_text(kit_path(name))};
    make_folder(b->root);
    snprintf(settings, sizeof(settings), "{\"path\":\"%s\"}", b->root);
    bed_open(b, settings);
    assert_non_null(b->serve);
}

static inline void bed_end(struct bed *b)
{
    fd_close(&b->fd);
    if (b->serve) {
        loop_run(b->loop); /* the end of input ends it */
        serve_free(b->serve);
    }
    fd_close(&b->server_fd);
    loop_free(b->loop);
    buf_end(&b->in);
    free((char *)b->root);
}

static inline void say(struct bed *b, const char *method, const char *params)
{
    struct buf out = {0};
    buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":{" META, ++b->last_id,
             method);
    if (b->deadline_ms)
        buf_addf(&out, ",\"dev.trunkline/call\":{\"deadlineMs\":%d}", (int)b->deadline_ms);
    buf_add_text(&out, "}");
    if (*params) {
        buf_add_char(&out, ',');
        buf_add_text(&out, params);
    }
    buf_add_text(&out, "}}\n");
    for (size_t at = 0; at < out.n;) {
        ssize_t n = write(b->fd, out.p + at, out.n - at);
        if (n > 0)
            at += (size_t)n;
        loop_turn(b->loop, 0);
    }
    buf_end(&out);
}

/* The next message, once it is whole; NULL: not yet. */
static inline json_t *hear(struct bed *b)
{
    char piece[65536];
    ssize_t n;
    while ((n = read(b->fd, piece, sizeof(piece))) > 0)
        buf_add(&b->in, piece, (size_t)n);
    size_t end = bytes_find(buf_bytes(&b->in), '\n');
    if (end == b->in.n)
        return NULL;
    json_t *m = json_loadb(b->in.p, end, JSON_ALLOW_NUL, NULL);
    assert_non_null(m);
    buf_drop_front(&b->in, end + 1);
    const char *method = json_str(m, "method");
    if (method && strcmp(method, "notifications/resources/updated") == 0) {
        b->updated++;
        snprintf(b->uri, sizeof(b->uri), "%s", json_str(json_object_get(m, "params"), "uri"));
    }
    return m;
}

static inline json_t *next_message(struct bed *b)
{
    json_t *m = NULL;
    kit_loop_until(b->loop, 20000, (m = hear(b)));
    return m;
}

/* The answer to the latest request: the whole message, yours to decref. */
static inline json_t *answer(struct bed *b)
{
    for (;;) {
        json_t *m = next_message(b);
        if (json_int(m, "id", 0) == b->last_id)
            return m;
        json_decref(m);
    }
}

static inline json_t *ask(struct bed *b, const char *method, const char *params)
{
    say(b, method, params);
    return answer(b);
}

/* Calls a tool; its first text block into `out`, and the name of the fault, or NULL. */
static inline const char *call(struct bed *b, const char *tool, const char *arguments, struct buf *out)
{
    static char fault[32];
    struct buf params = {0};
    buf_addf(&params, "\"name\":\"%s\",\"arguments\":", tool);
    buf_add_text(&params, arguments);
    json_t *m = ask(b, "tools/call", params.p), *result = json_object_get(m, "result");
    buf_end(&params);
    assert_non_null(result);
    buf_clear(out);
    json_t *first = json_array_get(json_object_get(result, "content"), 0);
    buf_add_text(out, json_str(first, "text"));
    assert_true(out->n <= (size_t)48 * 1024);
    fault[0] = 0;
    if (json_is_true(json_object_get(result, "isError"))) {
        json_t *told = json_object_get(json_object_get(result, "_meta"), "dev.trunkline/fault");
        snprintf(fault, sizeof(fault), "%s", json_str(told, "name"));
    }
    json_decref(m);
    return fault[0] ? fault : NULL;
}

static inline void gives(struct bed *b, const char *tool, const char *arguments, const char *wanted)
{
    struct buf out = {0};
    assert_null(call(b, tool, arguments, &out));
    kit_bytes_eq(buf_bytes(&out), wanted);
    buf_end(&out);
}

static inline void refuses(struct bed *b, const char *tool, const char *arguments, const char *fault)
{
    struct buf out = {0};
    const char *told = call(b, tool, arguments, &out);
    if (!told)
        fail_msg("%s %s was not refused: %.200s", tool, arguments, out.p);
    assert_string_equal(told, fault);
    buf_end(&out);
}

/* The word after `key` in the text. false: it is not there. */
static inline bool word_after(const struct buf *text, const char *key, char *out, size_t room)
{
    const char *at = text->p ? strstr(text->p, key) : NULL;
    if (!at)
        return false;
    at += strlen(key);
    snprintf(out, room, "%.*s", (int)strcspn(at, " \n\""), at);
    return true;
}
