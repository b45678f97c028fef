#include "core/proc/ward_spawn.h"

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/proc/role.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends { /* ours and theirs, closed when not given away */
    int line[2], error[2], guardian[2];
};

static void ends_close(struct ends *e)
{
    for (size_t i = 0; i < 2; i++) {
        fd_close(&e->line[i]);
        fd_close(&e->error[i]);
        fd_close(&e->guardian[i]);
    }
}

static int ends_open(struct ends *e, bool is_builtin, struct why *why)
{
    *e = (struct ends){
        {-1, -1},
        {-1, -1},
        {-1, -1}
    };
    int rc = fd_pair(SOCK_STREAM, false, e->line);
    if (rc == 0 && pipe2(e->error, O_CLOEXEC) < 0)
        rc = -errno;
    if (rc == 0 && !is_builtin)
        rc = fd_pair(SOCK_SEQPACKET, false, e->guardian);
    if (rc < 0)
        return why_errno(why, -rc, "cannot make the sockets of a server");
    /* Ours only: a foreign program expects a stdin that waits. */
    fd_set_nonblocking(e->line[0], true);
    fd_set_nonblocking(e->error[0], true);
    return 0;
}

static json_t *strings(const struct strings_view *view)
{
    json_t *all = json_array();
    for (size_t i = 0; i < view->n; i++)
        json_array_append_new(all, json_string(view->p[i]));
    return all;
}

/* What launch.h reads. NULL with `why`. */
static json_t *how_to_launch(const struct config_server *server, const struct run_folder *folder,
                             struct why *why)
{
    _cleanup_free_ char *work =
        server->cwd ? mem_text(server->cwd) : run_folder_work(folder, server->name, why);
    if (!work)
        return NULL;
    json_t *env = json_object();
    for (size_t i = 0; i < server->env_count; i++)
        json_object_set_new(env, server->env[i].name, json_string(server->env[i].value));
    return json_pack("{s:s,s:o,s:o,s:s}", "command", server->command, "args", strings(&server->args), "env",
                     env, "cwd", work);
}

static int spawn_foreign(const struct ends *e, int settings, struct why *why)
{
    const int fds[] = {e->guardian[1], e->line[1], e->error[1], settings};
    const struct spawn s = {
        .role = "guardian", .fds = fds, .fd_count = 4, .in_fd = -1, .out_fd = -1, .error_fd = -1};
    return role_spawn(&s, why);
}

static int spawn_builtin(const struct config_server *server, const struct ends *e, int settings,
                         struct why *why)
{
    const char *const args[] = {server->builtin, NULL};
    const struct spawn s = {.role = "server",
                            .args = args,
                            .fds = &settings,
                            .fd_count = 1,
                            .in_fd = e->line[1],
                            .out_fd = e->line[1],
                            .error_fd = e->error[1]};
    return role_spawn(&s, why);
}

/* Its settings, and where our state is: no server shows that to anybody, whatever folder it lies in. */
static json_t *settings_of(const struct config_server *server, const struct run_folder *folder)
{
    json_t *settings = server->settings ? json_copy(server->settings) : json_object();
    json_object_set_new(settings, "state", json_string(folder->state));
    return settings;
}

int ward_spawn(const struct config_server *server, const struct run_folder *folder, struct ward_ends *out,
               struct why *why)
{
    bool is_builtin = server->kind == SERVER_BUILTIN;
    if (!is_builtin && server->kind != SERVER_COMMAND)
        return why_set(why, -ENOTSUP, "this kind of server is not supported by this release");
    _cleanup_json_ json_t *content =
        is_builtin ? settings_of(server, folder) : how_to_launch(server, folder, why);
    if (!content)
        return -1;
    struct buf text = {0};
    json_add(&text, content);
    _cleanup_fd_ int settings = memory_file("settings", buf_bytes(&text), why);
    buf_end(&text);
    if (settings < 0)
        return settings;
    struct ends e;
    int rc = ends_open(&e, is_builtin, why);
    if (rc == 0)
        rc = is_builtin ? spawn_builtin(server, &e, settings, why) : spawn_foreign(&e, settings, why);
    if (rc >= 0) {
        *out = (struct ward_ends){e.line[0], e.error[0], e.guardian[0]};
        e.line[0] = e.error[0] = e.guardian[0] = -1;
    }
    ends_close(&e);
    return rc;
}
