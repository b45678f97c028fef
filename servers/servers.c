#include "servers/servers.h"

#include "core/base/json.h"
#include "core/base/log.h"
#include "servers/workspace/git.h"
#include "servers/workspace/workspace.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTINGS_FD = 3, SETTINGS_MAX = 1 << 20 };

const struct server *const servers[] = {&workspace_server, NULL};
const char *const server_names[] = {"workspace", NULL};

const struct server *server_find(const char *name)
{
    for (size_t i = 0; servers[i]; i++)
        if (strcmp(servers[i]->name, name) == 0)
            return servers[i];
    return NULL;
}

int server_prepare(struct why *why)
{
    struct git *git = git_open(why);
    git_close(git); /* the library itself stays */
    return git ? 0 : -1;
}

static int serve_until_end(const struct server *row, const json_t *settings)
{
    struct why why = {0};
    signal(SIGPIPE, SIG_IGN);
    struct loop *loop = loop_new();
    struct serve *serve = serve_new(loop, row, settings, STDIN_FILENO, STDOUT_FILENO, &why);
    if (!serve) {
        log_error("server.start_failed", "server", row->name, "why", why.text);
        loop_free(loop);
        return 1;
    }
    loop_run(loop);
    serve_free(serve);
    loop_free(loop);
    return 0;
}

static json_t *read_settings(struct why *why)
{
    struct buf text = {0};
    char piece[4096];
    ssize_t n;
    if (lseek(SETTINGS_FD, 0, SEEK_SET) < 0) {
        why_set(why, -1, "descriptor %d holds no settings", SETTINGS_FD);
        return NULL;
    }
    while (text.n < SETTINGS_MAX && (n = read(SETTINGS_FD, piece, sizeof(piece))) > 0)
        buf_add(&text, piece, (size_t)n);
    close(SETTINGS_FD);
    json_t *settings = text.n ? json_read(buf_bytes(&text), why) : json_object();
    buf_end(&text);
    return settings;
}

int server_main(int argc, char **argv)
{
    const char *name = argc > 0 ? argv[argc - 1] : "";
    const struct server *row = server_find(name);
    struct why why = {0};
    log_begin("server", LOG_INFO, 0);
    if (!row) {
        log_error("server.start_failed", "server", name, "why", "there is no such built-in server");
        return 1;
    }
    _cleanup_json_ json_t *settings = read_settings(&why);
    if (!settings) {
        log_error("server.start_failed", "server", name, "why", why.text);
        return 1;
    }
    return serve_until_end(row, settings);
}

int server_stdio(const char *name, const json_t *settings)
{
    const struct server *row = server_find(name);
    log_begin("server", LOG_INFO, -1);
    if (!row) {
        fprintf(stderr, "trunkline: there is no built-in server '%s'\n", name);
        return 2;
    }
    return serve_until_end(row, settings);
}
