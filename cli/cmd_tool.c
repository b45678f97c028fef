/* tool list, show, call. */
#include "cli/arguments.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/content.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/json.h"
#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- list --- */

static const struct column list_columns[] = {
    COLUMN("NAME", "name"),
    COLUMN("SERVER", "server"),
    WIDE("DESCRIPTION", "description"),
    {0},
};
static const struct column cost_columns[] = {
    COLUMN("NAME", "name"),
    COLUMN("SERVER", "server"),
    COLUMN("TOKENS", "tokens"),
    WIDE("DESCRIPTION", "description"),
    {0},
};

static int fetch_tool(const struct cli *c, const char *name, json_t **out)
{
    struct buf path = {0};
    rest_path(&path, "/api/v1/tools/", name, "");
    int status = rest_call(c, "GET", path.p, BYTES_NONE, out);
    buf_end(&path);
    return status;
}

/* What a client pays in its context for each: about four bytes a token. */
static int add_costs(const struct cli *c, json_t *answer)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(answer, "items"), i, row) {
        _cleanup_json_ json_t *tool = NULL;
        int status = fetch_tool(c, json_str(row, "name"), &tool);
        if (status)
            return status;
        char *definition = json_text(json_object_get(tool, "definition"));
        json_object_set_new(row, "tokens", json_integer((json_int_t)(strlen(definition) + 3) / 4));
        free(definition);
    }
    return EXIT_DONE;
}

static void add_query(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_addf(path, "&%s=", name);
    percent_add(path, bytes_of(value));
}

int tool_list_run(struct cli *c)
{
    _cleanup_json_ json_t *answer = NULL;
    struct buf path = {0};
    bool wants_cost = cli_option(c, "token-cost") != NULL;
    buf_add_text(&path, "/api/v1/tools?limit=200");
    add_query(&path, "q", cli_option(c, "q"));
    add_query(&path, "server", cli_option(c, "server"));
    int status = rest_list(c, path.p, &answer);
    buf_end(&path);
    if (status == EXIT_DONE && wants_cost)
        status = add_costs(c, answer);
    return status ? status : print_list(c, answer, wants_cost ? cost_columns : list_columns);
}

/* --- show --- */

static const char *type_text(const json_t *property, struct buf *room)
{
    const json_t *type = json_object_get(property, "type");
    buf_clear(room);
    if (json_is_string(type))
        buf_add_text(room, json_string_value(type));
    else if (type)
        json_add(room, type);
    else
        buf_add_text(room, json_object_get(property, "enum") ? "enum" : "any");
    return room->p;
}

static bool is_required(const json_t *schema, const char *name)
{
    size_t i;
    json_t *required;
    json_array_foreach (json_object_get(schema, "required"), i, required) {
        if (json_is_string(required) && strcmp(json_string_value(required), name) == 0)
            return true;
    }
    return false;
}

/* A table of the arguments, of the schema's first level. */
static void print_arguments(const struct cli *c, const json_t *schema)
{
    static const struct column columns[] = {
        COLUMN("ARGUMENT", "name"),
        COLUMN("TYPE", "type"),
        COLUMN("REQUIRED", "required"),
        WIDE("DESCRIPTION", "description"),
        {0},
    };
    _cleanup_json_ json_t *list = json_object();
    json_t *items = json_array(), *property;
    const char *name;
    struct buf room = {0};
    json_object_set_new(list, "items", items);
    json_object_foreach (json_object_get(schema, "properties"), name, property) {
        json_t *row = json_object();
        json_object_set_new(row, "name", json_string(name));
        json_object_set_new(row, "type", json_string(type_text(property, &room)));
        json_object_set_new(row, "required", json_boolean(is_required(schema, name)));
        json_object_set(row, "description", json_object_get(property, "description"));
        json_array_append_new(items, row);
    }
    buf_end(&room);
    if (json_array_size(items) == 0)
        return;
    putchar('\n');
    print_list(c, list, columns);
}

int tool_show_run(struct cli *c)
{
    static const struct column columns[] = {
        COLUMN("name", "name"),           COLUMN("title", "title"),
        COLUMN("server", "server"),       COLUMN("own name", "own_name"),
        COLUMN("read-only", "read_only"), COLUMN("destructive", "destructive"),
        COLUMN("hidden", "hidden"),       {0},
    };
    _cleanup_json_ json_t *tool = NULL;
    int status = fetch_tool(c, c->argv[0], &tool);
    if (status)
        return status;
    const json_t *schema = json_object_get(json_object_get(tool, "definition"), "inputSchema");
    if (cli_option(c, "schema")) {
        print_json(c, schema);
        return EXIT_DONE;
    }
    print_object(c, tool, columns);
    if (c->output != OUTPUT_TABLE)
        return EXIT_DONE;
    const char *description = json_str(tool, "description");
    if (description) {
        putchar('\n');
        print_text(c, bytes_of(description));
    }
    print_arguments(c, schema);
    return EXIT_DONE;
}

/* --- call --- */

static int add_given_json(const struct cli *c, const char *given, struct buf *out)
{
    struct buf text = {0};
    struct why why = {0};
    int status = EXIT_DONE;
    if (given[0] == '@')
        status = arguments_read(c, given + 1, &text);
    else if (strcmp(given, "-") == 0)
        status = arguments_read(c, given, &text);
    else
        buf_add_text(&text, given);
    if (status == EXIT_DONE) {
        _cleanup_json_ json_t *tree = rest_json(buf_bytes(&text), &why);
        if (!tree)
            status = cli_fail(c, EXIT_USAGE, "'--json': %s", why.text);
        else if (!json_is_object(tree))
            status = cli_fail(c, EXIT_USAGE, "'--json': the arguments must be an object");
        buf_add_bytes(out, buf_bytes(&text));
    }
    buf_end(&text);
    return status;
}

static int add_arguments(const struct cli *c, struct buf *out)
{
    const char *given = cli_option(c, "json");
    _cleanup_json_ json_t *tool = NULL;
    if (given && c->argc > 1)
        return cli_fail(c, EXIT_USAGE, "arguments are given by --json or by KEY=VALUE, not by both");
    if (given)
        return add_given_json(c, given, out);
    int status = c->argc > 1 ? fetch_tool(c, c->argv[0], &tool) : EXIT_DONE;
    const json_t *schema = json_object_get(json_object_get(tool, "definition"), "inputSchema");
    return status ? status : arguments_add(c, out, c->argv + 1, c->argc - 1, schema);
}

static int add_body(const struct cli *c, struct buf *out)
{
    const char *deadline = cli_option(c, "deadline");
    int64_t ms;
    if (deadline && duration_read(bytes_of(deadline), &ms) < 0)
        return cli_fail(c, EXIT_USAGE, "'--deadline %s': must be a duration like 30s", deadline);
    buf_add_text(out, "{\"tool\":");
    buf_add_json_text(out, c->argv[0]);
    if (deadline)
        buf_addf(out, ",\"deadline_ms\":%lld", (long long)ms);
    buf_add_text(out, ",\"arguments\":");
    int status = add_arguments(c, out);
    buf_add_char(out, '}');
    return status;
}

static int print_result(const struct cli *c, struct bytes text)
{
    struct why why = {0};
    _cleanup_json_ json_t *call = rest_json(text, &why);
    if (!call)
        return cli_fail(c, EXIT_FAILED, "the hub's answer is no JSON: %s", why.text);
    const json_t *result = json_object_get(call, "result"), *content = json_object_get(result, "content");
    bool is_error = json_is_true(json_object_get(call, "is_error"));
    const json_t *structured = json_object_get(result, "structuredContent");
    if (c->output != OUTPUT_TABLE)
        printf("%.*s\n", (int)text.n, text.p);
    else if (json_array_size(content) == 0 && structured)
        print_json(c, structured);
    else
        content_print(c, content);
    return is_error ? EXIT_TOOL_ERROR : EXIT_DONE;
}

int tool_call_run(struct cli *c)
{
    struct buf body = {0}, answer = {0};
    int status = add_body(c, &body);
    if (status == EXIT_DONE && c->is_dry)
        printf("%s\n", body.p);
    else if (status == EXIT_DONE && (status = call_make(c, buf_bytes(&body), &answer)) == EXIT_DONE)
        status = print_result(c, buf_bytes(&answer));
    buf_end(&body);
    buf_end(&answer);
    return status;
}
