/* prompt list, get. */
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/content.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/json.h"

#include <stdio.h>

static const struct column list_columns[] = {
    COLUMN("NAME", "name"),
    COLUMN("SERVER", "server"),
    WIDE("DESCRIPTION", "description"),
    {0},
};

int prompt_list_run(struct cli *c)
{
    _cleanup_json_ json_t *answer = NULL;
    struct buf path = {0};
    const char *server = cli_option(c, "server");
    buf_add_text(&path, "/api/v1/prompts?limit=200");
    if (server)
        rest_path(&path, "&server=", server, "");
    int status = rest_list(c, path.p, &answer);
    buf_end(&path);
    return status ? status : print_list(c, answer, list_columns);
}

static void print_messages(const struct cli *c, const json_t *messages)
{
    size_t i;
    json_t *message;
    json_array_foreach ((json_t *)messages, i, message) {
        const char *role = json_str(message, "role");
        struct buf head = {0};
        buf_addf(&head, "%s%s:", i ? "\n" : "", role ? role : "?");
        print_text(c, buf_bytes(&head));
        buf_end(&head);
        content_print_block(c, json_object_get(message, "content"));
    }
}

/* Arguments of a prompt are always text: MCP's GetPromptRequest. */
int prompt_get_run(struct cli *c)
{
    _cleanup_json_ json_t *result = NULL;
    struct buf path = {0}, body = {0};
    buf_add_text(&body, "{\"arguments\":");
    int status = arguments_add(c, &body, c->argv + 1, c->argc - 1, NULL);
    buf_add_char(&body, '}');
    rest_path(&path, "/api/v1/prompts/", c->argv[0], "");
    if (status == EXIT_DONE)
        status = rest_call(c, "POST", path.p, buf_bytes(&body), &result);
    buf_end(&body);
    buf_end(&path);
    if (status)
        return status;
    if (c->output == OUTPUT_TABLE)
        print_messages(c, json_object_get(result, "messages"));
    else
        print_json(c, result);
    return EXIT_DONE;
}
