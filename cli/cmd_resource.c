/* resource list, read, watch. */
#include "cli/commands.h"
#include "cli/content.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/clock.h"
#include "core/base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct column list_columns[] = {
    COLUMN("URI", "uri"), WIDE("NAME", "name"), COLUMN("TYPE", "mime_type"), COLUMN("SERVER", "server"), {0},
};

static int fetch_list(const struct cli *c, const char *path, json_t **out)
{
    struct buf full = {0};
    const char *server = cli_option(c, "server");
    buf_addf(&full, "%s?limit=200", path);
    if (server)
        rest_path(&full, "&server=", server, "");
    int status = rest_list(c, full.p, out);
    buf_end(&full);
    return status;
}

/* A template has its pattern where a resource has its address. */
static void add_templates(json_t *resources, const json_t *templates)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(templates, "items"), i, row) {
        json_object_set(row, "uri", json_object_get(row, "uri_template"));
        json_array_append(json_object_get(resources, "items"), row);
    }
}

int resource_list_run(struct cli *c)
{
    _cleanup_json_ json_t *resources = NULL, *templates = NULL;
    int status = fetch_list(c, "/api/v1/resources", &resources);
    if (status == EXIT_DONE)
        status = fetch_list(c, "/api/v1/resource-templates", &templates);
    if (status)
        return status;
    if (c->output == OUTPUT_TABLE) {
        add_templates(resources, templates);
    } else {
        json_object_set(resources, "templates", json_object_get(templates, "items"));
    }
    return print_list(c, resources, list_columns);
}

static int save(const struct cli *c, const char *file, const json_t *contents)
{
    struct buf bytes = {0};
    int status = EXIT_DONE;
    FILE *out = NULL;
    if (content_add_bytes(&bytes, contents) < 0)
        status = cli_fail(c, EXIT_FAILED, "the contents are no base64");
    else if (!(out = fopen(file, "we")))
        status = cli_fail(c, EXIT_FAILED, "cannot write '%s': %s", file, strerror(errno));
    bool wrote = out && (bytes.n == 0 || fwrite(bytes.p, 1, bytes.n, out) == bytes.n);
    if (out && (fclose(out) != 0 || !wrote))
        status = cli_fail(c, EXIT_FAILED, "cannot write '%s': %s", file, strerror(errno));
    buf_end(&bytes);
    return status;
}

int resource_read_run(struct cli *c)
{
    _cleanup_json_ json_t *result = NULL;
    const char *file = cli_option(c, "output-file");
    struct buf path = {0};
    rest_path(&path, "/api/v1/resources/content?uri=", c->argv[0], "");
    int status = rest_call(c, "GET", path.p, BYTES_NONE, &result);
    buf_end(&path);
    if (status)
        return status;
    const json_t *contents = json_object_get(result, "contents");
    if (file)
        return save(c, file, contents);
    if (c->output == OUTPUT_TABLE)
        return content_print_resource(c, contents);
    print_json(c, result);
    return EXIT_DONE;
}

struct watch_state {
    const struct cli *cli;
    bool was_refused;
};

static void tell_change(const struct cli *c)
{
    char at[25];
    stamp_text(stamp_now(), at);
    if (c->output != OUTPUT_TABLE) {
        _cleanup_json_ json_t *event = json_pack("{s:s, s:s}", "ts", at, "uri", c->argv[0]);
        print_json(c, event);
    } else {
        printf("%s  ", at);
        print_text(c, bytes_of(c->argv[0]));
    }
    fflush(stdout);
}

/* First the hub says what it listens to: without our uri in it, there is nothing to wait for. */
static bool got_message(const json_t *message, void *ctx)
{
    struct watch_state *w = ctx;
    const char *method = json_str(message, "method");
    const json_t *params = json_object_get(message, "params");
    const json_t *kept = json_object_get(json_object_get(params, "notifications"), "resourceSubscriptions");
    if (method && strcmp(method, "notifications/resources/updated") == 0)
        tell_change(w->cli);
    else if (method && strcmp(method, "notifications/subscriptions/acknowledged") == 0 &&
             !json_array_size(kept))
        w->was_refused = true;
    return !w->was_refused;
}

int resource_watch_run(struct cli *c)
{
    struct watch_state w = {.cli = c};
    int status = follow_resource(c, c->argv[0], got_message, &w);
    if (w.was_refused)
        return cli_fail(c, EXIT_FAILED, "nobody tells of changes of '%s'", c->argv[0]);
    return status;
}
