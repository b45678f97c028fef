/* config check, show, schema. */
#include "cli/commands.h"
#include "cli/embedded_file.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "core/base/config.h"
#include "core/base/json.h"

#include <stdio.h>
#include <string.h>

int config_check_run(struct cli *c)
{
    struct config *config = NULL;
    struct why why = {0};
    struct config_source source = {.main_file = c->argc ? c->argv[0] : NULL,
                                   .workspace = cli_option(c, "workspace"),
                                   .embedded = embedded_file("config/default.jsonc"),
                                   .builtins = c->wiring->builtins};
    if (config_load(&source, &config, &why) < 0)
        return cli_fail(c, EXIT_USAGE, "%s", why.text);
    for (size_t i = 0; i < config->warnings.n; i++)
        fprintf(stderr, "trunkline: warning: %s\n", config->warnings.p[i]);
    if (c->is_verbose)
        printf("%zu servers, %zu listeners, state in %s\n", config->server_count, config->listen_count,
               config->state);
    config_free(config);
    return EXIT_DONE;
}

int config_show_run(struct cli *c)
{
    _cleanup_json_ json_t *config = NULL;
    if (cli_option(c, "default")) {
        struct bytes text = embedded_file("config/default.jsonc");
        fwrite(text.p, 1, text.n, stdout);
        return EXIT_DONE;
    }
    int status = rest_call(c, "GET", "/api/v1/config", BYTES_NONE, &config);
    if (status == EXIT_DONE)
        print_json(c, cli_option(c, "origin") ? config : json_object_get(config, "config"));
    return status;
}

int config_schema_run(struct cli *c)
{
    struct buf schema = {0};
    (void)c;
    config_add_schema(&schema);
    fwrite(schema.p, 1, schema.n, stdout);
    if (!schema.n || schema.p[schema.n - 1] != '\n')
        putchar('\n');
    buf_end(&schema);
    return EXIT_DONE;
}
