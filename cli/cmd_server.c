/* server list, show, start, stop, restart, logs, run. */
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/json.h"

#include <stdio.h>
#include <string.h>

static const struct column list_columns[] = {
    COLUMN("NAME", "name"),
    COLUMN("STATE", "state"),
    COLUMN("TOOLS", "tools"),
    COLUMN("ERA", "era"),
    COLUMN("RESTARTS", "restarts"),
    WIDE("REASON", "reason"),
    {0},
};

static const struct column show_columns[] = {
    COLUMN("name", "name"),           COLUMN("title", "title"), COLUMN("state", "state"),
    COLUMN("reason", "reason"),       COLUMN("since", "since"), COLUMN("era", "era"),
    COLUMN("revision", "revision"),   COLUMN("tools", "tools"), COLUMN("prompts", "prompts"),
    COLUMN("resources", "resources"), COLUMN("pid", "pid"),     COLUMN("restarts", "restarts"),
    COLUMN("sandbox", "sandbox"),     COLUMN("kind", "kind"),   {0},
};

int server_list_run(struct cli *c)
{
    _cleanup_json_ json_t *answer = NULL;
    int status = rest_list(c, "/api/v1/servers?limit=200", &answer);
    return status ? status : print_list(c, answer, list_columns);
}

static void print_log(const struct cli *c, const json_t *answer)
{
    size_t i;
    json_t *line;
    json_array_foreach (json_object_get(answer, "items"), i, line) {
        const char *at = json_str(line, "ts"), *text = json_str(line, "text");
        printf("%s  ", at ? at : "");
        print_text(c, bytes_of(text ? text : ""));
    }
}

static int fetch_logs(const struct cli *c, const char *name, json_t **answer)
{
    struct buf path = {0};
    rest_path(&path, "/api/v1/servers/", name, "/logs?limit=200");
    int status = rest_call(c, "GET", path.p, BYTES_NONE, answer);
    buf_end(&path);
    return status;
}

int server_show_run(struct cli *c)
{
    _cleanup_json_ json_t *server = NULL, *logs = NULL;
    struct buf path = {0};
    rest_path(&path, "/api/v1/servers/", c->argv[0], "");
    int status = rest_call(c, "GET", path.p, BYTES_NONE, &server);
    buf_end(&path);
    if (status)
        return status;
    print_object(c, server, show_columns);
    const char *state = json_str(server, "state");
    bool is_well = state && (strcmp(state, "ready") == 0 || strcmp(state, "off") == 0);
    if (c->output == OUTPUT_TABLE && !is_well && fetch_logs(c, c->argv[0], &logs) == EXIT_DONE &&
        json_array_size(json_object_get(logs, "items")) > 0) {
        puts("\nlast lines of standard error:");
        print_log(c, logs);
    }
    return EXIT_DONE;
}

static int order(struct cli *c, const char *verb)
{
    struct buf path = {0};
    rest_path(&path, "/api/v1/servers/", c->argv[0], verb);
    int status = rest_call(c, "POST", path.p, BYTES("{}"), NULL);
    buf_end(&path);
    return status;
}

int server_start_run(struct cli *c)
{
    return order(c, "/start");
}

int server_stop_run(struct cli *c)
{
    return order(c, "/stop");
}

int server_restart_run(struct cli *c)
{
    return order(c, "/restart");
}

static bool follow_line(const json_t *event, void *ctx)
{
    const struct cli *c = ctx;
    const json_t *data = json_object_get(event, "data");
    if (c->output != OUTPUT_TABLE) {
        print_json(c, event);
    } else {
        const char *at = json_str(event, "ts"), *text = json_str(data, "text");
        printf("%s  ", at ? at : "");
        print_text(c, bytes_of(text ? text : ""));
    }
    fflush(stdout);
    return true;
}

int server_logs_run(struct cli *c)
{
    _cleanup_json_ json_t *answer = NULL;
    int status = fetch_logs(c, c->argv[0], &answer);
    if (status)
        return status;
    if (c->output == OUTPUT_TABLE)
        print_log(c, answer);
    else
        print_json(c, answer);
    fflush(stdout);
    if (!cli_option(c, "follow"))
        return EXIT_DONE;
    struct buf topic = {0};
    buf_addf(&topic, "logs:%s", c->argv[0]);
    status = follow_events(c, topic.p, follow_line, c);
    buf_end(&topic);
    return status;
}

int server_stdio_run(struct cli *c)
{
    const char *text = cli_option(c, "settings");
    struct why why = {0};
    if (!cli_option(c, "stdio"))
        return cli_fail(c, EXIT_USAGE, "'server run' needs --stdio");
    _cleanup_json_ json_t *settings = text ? json_read(bytes_of(text), &why) : json_object();
    if (!settings)
        return cli_fail(c, EXIT_USAGE, "'--settings': %s", why.text);
    return c->wiring->server_stdio(c->argv[0], settings);
}
