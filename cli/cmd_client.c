/* client list, snippet. */
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/json.h"

#include <stdio.h>

int client_list_run(struct cli *c)
{
    static const struct column columns[] = {
        COLUMN("CLIENT", "name"),
        COLUMN("PROGRAM", "title"),
        WIDE("FILE", "file"),
        {0},
    };
    _cleanup_json_ json_t *answer = NULL;
    int status = rest_call(c, "GET", "/api/v1/clients", BYTES_NONE, &answer);
    return status ? status : print_list(c, answer, columns);
}

int client_snippet_run(struct cli *c)
{
    _cleanup_json_ json_t *snippet = NULL;
    struct buf path = {0};
    const char *server = cli_option(c, "server");
    rest_path(&path, "/api/v1/clients/", c->argv[0], "/snippet");
    if (server)
        rest_path(&path, "?server=", server, "");
    int status = rest_call(c, "GET", path.p, BYTES_NONE, &snippet);
    buf_end(&path);
    if (status)
        return status;
    const char *file = json_str(snippet, "file"), *text = json_str(snippet, "text");
    if (c->output != OUTPUT_TABLE) {
        print_json(c, snippet);
        return EXIT_DONE;
    }
    if (file && !c->is_quiet)
        fprintf(stderr, "# %s\n", file);
    print_text(c, bytes_of(text));
    return EXIT_DONE;
}
