/* up, status, version, wait, help, completion, role. */
#include "cli/commands.h"
#include "cli/embedded_file.h"
#include "cli/help.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/net/client.h"
#include "core/net/unix.h"
#include "core/proc/role.h"
#include "core/proc/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_AGAIN_MS = 100 };

int up_run(struct cli *c)
{
    struct up_options up = {.config_file = cli_option(c, "config"),
                            .state = cli_option(c, "state"),
                            .workspace = cli_option(c, "workspace"),
                            .check_only = cli_option(c, "check") != NULL,
                            .quiet = c->is_quiet,
                            .embedded = embedded_file("config/default.jsonc"),
                            .builtins = c->wiring->builtins,
                            .bind = listen_open,
                            .bound_name = listen_name};
    return supervisor_run(&up);
}

int role_command_run(struct cli *c)
{
    return role_run(c->wiring->roles, c->argc, c->argv);
}

int version_run(struct cli *c)
{
    printf(c->output == OUTPUT_TABLE ? "trunkline %s\n" : "{\"version\":\"%s\"}\n", TRUNKLINE_VERSION);
    return EXIT_DONE;
}

int help_run(struct cli *c)
{
    const char *noun = c->argc > 0 ? c->argv[0] : NULL, *verb = c->argc > 1 ? c->argv[1] : NULL;
    struct buf out = {0};
    if (noun && !command_is_noun(noun) && !command_find(NULL, noun))
        return cli_fail(c, EXIT_USAGE, "'%s' is no command; see 'trunkline help'", noun);
    if (verb && !command_find(noun, verb))
        return cli_fail(c, EXIT_USAGE, "'%s %s' is no command; see 'trunkline help %s'", noun, verb, noun);
    if (cli_option(c, "man"))
        help_add_man(&out, noun);
    else if (cli_option(c, "reference"))
        help_add_reference(&out);
    else
        help_add(&out, noun, verb);
    fputs(out.p, stdout);
    buf_end(&out);
    return EXIT_DONE;
}

int completion_run(struct cli *c)
{
    struct buf out = {0};
    if (help_add_completion(&out, c->argv[0]) < 0)
        return cli_fail(c, EXIT_USAGE, "'%s': must be bash, zsh or fish", c->argv[0]);
    fputs(out.p, stdout);
    buf_end(&out);
    return EXIT_DONE;
}

/* --- status --- */

static const struct column server_columns[] = {
    COLUMN("SERVER", "name"),
    COLUMN("STATE", "state"),
    COLUMN("TOOLS", "tools"),
    WIDE("REASON", "reason"),
    {0},
};

int status_run(struct cli *c)
{
    _cleanup_json_ json_t *hub = NULL, *servers = NULL;
    char room[256];
    int status = rest_call(c, "GET", "/api/v1/status", BYTES_NONE, &hub);
    bool is_ready = json_is_true(json_object_get(hub, "ready"));
    if (status || c->is_quiet)
        return status ? status : is_ready ? EXIT_DONE : EXIT_FAILED;
    status = rest_list(c, "/api/v1/servers?limit=200", &servers);
    if (status)
        return status;
    if (c->output != OUTPUT_TABLE) {
        json_object_set(hub, "servers", json_object_get(servers, "items"));
        print_json(c, hub);
    } else {
        const char *version = json_str(hub, "version");
        printf("trunkline %s at %s, %s\n\n", version ? version : "", rest_base(c, room, sizeof(room)),
               is_ready ? "ready" : "not ready yet");
        print_list(c, servers, server_columns);
    }
    return is_ready ? EXIT_DONE : EXIT_FAILED;
}

/* --- wait --- */

/* Is it so by now? The hub's own words about it go to `seen`. */
static bool has_come(const struct cli *c, const char *path, bool is_server, char *seen, size_t room)
{
    char base[256];
    struct buf body = {0};
    struct why why = {0};
    struct http_spec spec = {.method = "GET", .path = path, .timeout_ms = 5000};
    int http = http_fetch(rest_base(c, base, sizeof(base)), &spec, &body, &why);
    _cleanup_json_ json_t *answer = http > 0 ? json_read(buf_bytes(&body), NULL) : NULL;
    const char *state = json_str(answer, "state");
    buf_end(&body);
    if (http < 0)
        snprintf(seen, room, "%s", why.text);
    else if (is_server && http == 404)
        snprintf(seen, room, "there is no such server");
    else
        snprintf(seen, room, "%s", state ? state : "not ready");
    return http == 200 && (!is_server || (state && strcmp(state, "ready") == 0));
}

int wait_run(struct cli *c)
{
    const char *what = cli_option(c, "for");
    bool is_server = what && strncmp(what, "server:", 7) == 0;
    char seen[256] = "";
    struct buf path = {0};
    if (what && !is_server && strcmp(what, "ready") != 0)
        return cli_fail(c, EXIT_USAGE, "'--for %s': must be ready or server:NAME", what);
    if (is_server)
        rest_path(&path, "/api/v1/servers/", what + 7, "");
    else
        buf_add_text(&path, "/readyz");
    int64_t until = clock_ms() + c->timeout_ms;
    bool came;
    while (!(came = has_come(c, path.p, is_server, seen, sizeof(seen))) && clock_ms() < until) {
        const struct timespec pause = {0, LOOK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    buf_end(&path);
    return came ? EXIT_DONE : cli_fail(c, EXIT_TIMEOUT, "%s: %s", what ? what : "ready", seen);
}
