#include "core/base/mem.h"
#include "core/proc/banner.h"
#include "tests/kit/kit.h"

#include <stdio.h>

static struct config_server servers[] = {
    {.name = "workspace", .kind = SERVER_BUILTIN, .enabled = true        },
    {.name = "fs",        .kind = SERVER_COMMAND, .command = "npx\033[2J", .enabled = true},
    {.name = "old",                   .kind = SERVER_COMMAND,                             .command = "npx"           },
};

static struct listeners listening(const char *first, const char *second)
{
    struct listeners l = {.n = second ? 2 : 1};
    snprintf(l.at[0].name, sizeof l.at[0].name, "%s", first);
    snprintf(l.at[1].name, sizeof l.at[1].name, "%s", second ? second : "");
    return l;
}

static void it_tells_where_to_connect_and_what_there_is(void **state)
{
    (void)state;
    const struct config c = {.servers = servers, .server_count = 3};
    struct listeners l = listening("127.0.0.1:8081", "unix:/s/run/api.sock");
    snprintf(l.moved, sizeof l.moved, "port 8080 is taken, so it is 8081");
    struct buf text = {0};
    banner_add(&text, &c, &l, "/s", "build/dev/trunkline");
    kit_bytes_eq(buf_bytes(&text),
                 "\nTrunkline " TRUNKLINE_VERSION " is ready.\n\n"
                 "  listening http://127.0.0.1:8081/mcp\n"
                 "            unix:/s/run/api.sock\n"
                 "            (port 8080 is taken, so it is 8081)\n"
                 "  state     /s\n\n"
                 "  servers   workspace            built in\n"
                 "            fs                   npx\\u{1b}[2J\n"
                 "            old                  disabled\n"
                 "\nFor .mcp.json (or any MCP client):\n\n"
                 "  { \"mcpServers\": { \"trunkline\": { \"type\": \"http\", \"url\": "
                 "\"http://127.0.0.1:8081/mcp\" } } }\n"
                 "\nIn another terminal: build/dev/trunkline --hub unix:/s/run/api.sock tool list\n"
                 "Ctrl-C ends the hub and its servers.\n\n");
    buf_end(&text);
}

static void without_http_the_snippet_starts_the_stdio_front(void **state)
{
    (void)state;
    const struct config c = {0};
    struct listeners l = listening("unix:/s/run/api.sock", NULL);
    struct buf text = {0};
    banner_add(&text, &c, &l, "/s", "trunkline");
    assert_non_null(strstr(text.p, "\"command\": \"trunkline\", "
                                   "\"args\": [\"--hub\", \"unix:/s/run/api.sock\", \"stdio\"]"));
    assert_non_null(strstr(text.p, "servers   none configured"));
    assert_null(strstr(text.p, "http"));
    buf_end(&text);
}

static void a_program_that_is_not_in_the_path_is_named_in_full(void **state)
{
    (void)state;
    const struct config c = {0};
    struct listeners l = listening("unix:/s/run/api.sock", NULL);
    struct buf text = {0};
    banner_add(&text, &c, &l, "/s", "/proc/self/../self/exe");
    _cleanup_free_ char *whole = realpath("/proc/self/exe", NULL);
    assert_non_null(strstr(text.p, whole));
    buf_end(&text);
}

static void hint(struct listeners l, const char *words)
{
    const struct config c = {0};
    struct buf text = {0};
    banner_add(&text, &c, &l, "/s", "trunkline");
    assert_non_null(strstr(text.p, words));
    buf_end(&text);
}

static void the_hint_names_the_hub_when_it_is_not_in_a_usual_place(void **state)
{
    (void)state;
    hint(listening("127.0.0.1:8080", "unix:/s/run/api.sock"), "terminal: trunkline tool list\n");
    hint(listening("127.0.0.1:8081", "unix:/run/trunkline/api.sock"), "terminal: trunkline tool list\n");
    hint(listening("127.0.0.1:8081", NULL), "terminal: trunkline --hub http://127.0.0.1:8081 tool list\n");
    setenv("XDG_RUNTIME_DIR", "/r", 1);
    hint(listening("unix:/r/trunkline/api.sock", NULL), "terminal: trunkline tool list\n");
    unsetenv("XDG_RUNTIME_DIR");
}

KIT_MAIN(cmocka_unit_test(the_hint_names_the_hub_when_it_is_not_in_a_usual_place),
         cmocka_unit_test(it_tells_where_to_connect_and_what_there_is),
         cmocka_unit_test(a_program_that_is_not_in_the_path_is_named_in_full),
         cmocka_unit_test(without_http_the_snippet_starts_the_stdio_front))
