/* doctor: one line a check, with what mends it. Nothing is changed. */
#include "cli/commands.h"
#include "cli/embedded_file.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/config.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/net/client.h"
#include "core/net/unix.h"
#include "core/proc/sandbox.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILES_WANTED = 4096, ASK_MS = 3000, PATH_MOST = 4096 };
static const uint64_t disk_low = (uint64_t)1 << 30, disk_gone = (uint64_t)100 << 20;

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_BAD };

struct doctor {
    const struct cli *cli;
    struct config *config; /* NULL: it cannot be read */
    json_t *items;
    bool has_hub, found_bad;
};

/* `remedy` NULL: nothing to do. */
static void say(struct doctor *d, const char *check, enum verdict verdict, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static void say(struct doctor *d, const char *check, enum verdict verdict, const char *remedy,
                const char *format, ...)
{
    static const char *const words[] = {"ok", "warn", "bad"};
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *row = json_object();
    json_object_set_new(row, "check", json_string(check));
    json_object_set_new(row, "state", json_string(words[verdict]));
    json_object_set_new(row, "seen", json_string(text));
    json_object_set_new(row, "remedy", remedy ? json_string(remedy) : json_null());
    json_array_append_new(d->items, row);
    d->found_bad = d->found_bad || verdict == VERDICT_BAD;
}

/* --- on this machine --- */

static void check_configuration(struct doctor *d)
{
    struct why why = {0};
    struct config_source source = {.main_file = cli_option(d->cli, "config"),
                                   .state = cli_option(d->cli, "state"),
                                   .embedded = embedded_file("config/default.jsonc"),
                                   .builtins = d->cli->wiring->builtins};
    if (config_load(&source, &d->config, &why) < 0) {
        d->config = NULL;
        say(d, "configuration", VERDICT_BAD, "correct it, then: trunkline config check", "%s", why.text);
        return;
    }
    for (size_t i = 0; i < d->config->warnings.n; i++)
        say(d, "configuration", VERDICT_WARN, "see docs/reference/configuration.md", "%s",
            d->config->warnings.p[i]);
    if (!d->config->warnings.n)
        say(d, "configuration", VERDICT_OK, NULL, "%zu servers, %zu listeners", d->config->server_count,
            d->config->listen_count);
}

static void check_state(struct doctor *d)
{
    struct stat st;
    char remedy[PATH_MOST];
    const char *state = d->config ? d->config->state : NULL;
    if (!state)
        return;
    snprintf(remedy, sizeof(remedy), "chmod 700 %s", state);
    if (stat(state, &st) < 0 && errno == ENOENT)
        say(d, "state folder", VERDICT_OK, NULL, "%s will be made", state);
    else if (access(state, R_OK | W_OK | X_OK) < 0)
        say(d, "state folder", VERDICT_BAD, "run as its owner, or name another by --state", "%s: %s", state,
            strerror(errno));
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        say(d, "state folder", VERDICT_WARN, remedy, "%s is open to others", state);
    else
        say(d, "state folder", VERDICT_OK, NULL, "%s", state);
}

/* The state folder, or the nearest folder above that is there. */
static int look_at_disk(const char *state, struct statvfs *vfs)
{
    _cleanup_free_ char *path = mem_text(state);
    for (;;) {
        if (statvfs(path, vfs) == 0)
            return 0;
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return statvfs(slash ? "/" : ".", vfs);
        *slash = 0;
    }
}

static void check_disk(struct doctor *d)
{
    struct statvfs vfs;
    if (!d->config || look_at_disk(d->config->state, &vfs) < 0)
        return;
    uint64_t left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    enum verdict verdict = left < disk_gone ? VERDICT_BAD : left < disk_low ? VERDICT_WARN : VERDICT_OK;
    say(d, "disk", verdict, verdict ? "make room, or move hub.state" : NULL,
        "%llu MiB free for the state folder", (unsigned long long)(left >> 20));
}

static void check_files(struct doctor *d)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    bool is_enough = limit.rlim_max >= FILES_WANTED;
    say(d, "open files", is_enough ? VERDICT_OK : VERDICT_WARN, is_enough ? NULL : "ulimit -Hn 65536",
        "%llu at most", (unsigned long long)limit.rlim_max);
}

static void check_sandbox(struct doctor *d)
{
    int level = sandbox_reach();
    say(d, "sandbox", level >= SANDBOX_FILES ? VERDICT_OK : VERDICT_WARN,
        level >= SANDBOX_FILES ? NULL : "a kernel with Landlock (5.13 or later) confines files too",
        "level %d of %d", level, SANDBOX_FILES);
}

/* --- programs of servers --- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool is_found(const char *command)
{
    char path[PATH_MOST];
    const char *folders = getenv("PATH");
    if (strchr(command, '/'))
        return is_program(command);
    for (folders = folders ? folders : "/usr/bin:/bin"; *folders; folders += *folders == ':') {
        size_t n = strcspn(folders, ":");
        snprintf(path, sizeof(path), "%.*s/%s", (int)n, folders, command);
        if (n && is_program(path))
            return true;
        folders += n;
    }
    return false;
}

static void check_programs(struct doctor *d)
{
    for (size_t i = 0; d->config && i < d->config->server_count; i++) {
        const struct config_server *s = &d->config->servers[i];
        if (!s->enabled || s->kind != SERVER_COMMAND || is_found(s->command))
            continue;
        say(d, "programs", VERDICT_BAD, "install it, or write its whole path",
            "server '%s': there is no program '%s'", s->name, s->command);
    }
}

/* --- the hub --- */

static json_t *ask(struct doctor *d, const char *path, struct why *why)
{
    char room[256];
    struct buf body = {0};
    struct http_spec spec = {
        .method = "GET", .path = path, .headers = "Accept: application/json\r\n", .timeout_ms = ASK_MS};
    int status = http_fetch(rest_base(d->cli, room, sizeof(room)), &spec, &body, why);
    json_t *tree = status == 200 ? json_read(buf_bytes(&body), why) : NULL;
    buf_end(&body);
    return tree;
}

static void check_hub(struct doctor *d)
{
    char room[256];
    struct why why = {0};
    const char *base = rest_base(d->cli, room, sizeof(room));
    _cleanup_json_ json_t *status = ask(d, "/api/v1/status", &why);
    const char *version = json_str(status, "version");
    d->has_hub = status != NULL;
    if (!status)
        say(d, "hub", VERDICT_WARN, "trunkline up", "none at %s: %s", base, why.text);
    else if (!json_is_true(json_object_get(status, "ready")))
        say(d, "hub", VERDICT_WARN, "trunkline wait", "%s is not ready yet", base);
    else if (!version || strcmp(version, TRUNKLINE_VERSION) != 0)
        say(d, "hub", VERDICT_WARN, "start it again", "%s runs version %s, this is %s", base,
            version ? version : "?", TRUNKLINE_VERSION);
    else
        say(d, "hub", VERDICT_OK, NULL, "%s is ready", base);
}

/* A port that another program holds; a hub of ours that runs holds its own. */
static void check_ports(struct doctor *d)
{
    for (size_t i = 0; d->config && !d->has_hub && i < d->config->listen_count; i++) {
        const struct config_listen *l = &d->config->listens[i];
        struct why why = {0};
        if (strncmp(l->address, "unix:", 5) == 0)
            continue;
        int fd = listen_open(l->address, 0, &why);
        if (fd >= 0)
            fd_close(&fd);
        else if (l->is_default)
            say(d, "ports", VERDICT_WARN, "nothing: the next free one is taken", "%s: %s", l->address,
                why.text);
        else
            say(d, "ports", VERDICT_BAD, "end what holds it, or change `listen`", "%s: %s", l->address,
                why.text);
    }
}

static void check_servers(struct doctor *d)
{
    size_t i, well = 0;
    json_t *server;
    _cleanup_json_ json_t *list = d->has_hub ? ask(d, "/api/v1/servers?limit=200", NULL) : NULL;
    json_array_foreach (json_object_get(list, "items"), i, server) {
        const char *name = json_str(server, "name"), *state = json_str(server, "state");
        const char *reason = json_str(server, "reason");
        char remedy[256];
        snprintf(remedy, sizeof(remedy), "trunkline server show %s", name);
        bool is_off = state && strcmp(state, "off") == 0;
        if (state && strcmp(state, "ready") == 0)
            well++;
        else
            say(d, "servers", is_off ? VERDICT_WARN : VERDICT_BAD, remedy, "%s is %s%s%s", name, state,
                reason ? ": " : "", reason ? reason : "");
    }
    if (list)
        say(d, "servers", VERDICT_OK, NULL, "%zu ready", well);
}

static void (*const checks[])(struct doctor *d) = {
    check_configuration, check_state, check_disk,  check_files,   check_sandbox,
    check_programs,      check_hub,   check_ports, check_servers,
};

int doctor_run(struct cli *c)
{
    static const struct column columns[] = {
        COLUMN("CHECK", "check"),
        COLUMN("STATE", "state"),
        COLUMN("SEEN", "seen"),
        COLUMN("REMEDY", "remedy"),
        {0},
    };
    _cleanup_json_ json_t *list = json_object();
    struct doctor d = {.cli = c, .items = json_array()};
    json_object_set_new(list, "items", d.items);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        checks[i](&d);
    config_free(d.config);
    print_list(c, list, columns);
    return d.found_bad ? EXIT_FAULTS : EXIT_DONE;
}
