/* Every command there is, in the order help shows them. */
#include "cli/commands.h"

static const struct option_row up_options[] = {
    {"config", 'c', "FILE", "Configuration; default: /etc/trunkline/trunkline.json, else the built-in one"},
    {"state", 's', "DIR", "State folder; default: hub.state of the configuration"},
    {"workspace", 'w', "DIR", "What ${workspaceFolder} means; default: this folder"},
    {"check", 'n', NULL, "Only check the configuration"},
    {0},
};
static const struct option_row wait_options[] = {
    {"for", 0, "ready|server:NAME", "What to wait for"},
    {0},
};
static const struct option_row help_options[] = {
    {"man", 0, NULL, "As a man page"},
    {"reference", 0, NULL, "As the reference page of the documents"},
    {0},
};
static const struct option_row logs_options[] = {
    {"follow", 'f', NULL, "Go on with new lines until interrupted"},
    {0},
};
static const struct option_row server_stdio_options[] = {
    {"stdio", 0, NULL, "Speak MCP on standard input and output"},
    {"settings", 0, "JSON", "Settings of the server"},
    {0},
};
static const struct option_row tool_list_options[] = {
    {"q", 0, "TEXT", "Only tools with this text in name or description"},
    {"server", 0, "NAME", "Only tools of this server"},
    {"token-cost", 0, NULL, "With the size of each definition in tokens (bytes / 4)"},
    {0},
};
static const struct option_row tool_show_options[] = {
    {"schema", 0, NULL, "Only the JSON Schema of its arguments"},
    {0},
};
static const struct option_row call_options[] = {
    {"json", 'j', "@FILE|-|JSON", "Arguments as one JSON object, forwarded byte for byte"},
    {"deadline", 0, "30s", "Give up after this long"},
    {0},
};
static const struct option_row list_options[] = {
    {"server", 0, "NAME", "Only of this server"},
    {0},
};
static const struct option_row read_options[] = {
    {"output-file", 'O', "FILE", "Write the contents to a file"},
    {0},
};
static const struct option_row check_options[] = {
    {"workspace", 'w', "DIR", "What ${workspaceFolder} means; default: this folder"},
    {0},
};
static const struct option_row show_options[] = {
    {"origin", 0, NULL, "With the place each value comes from"},
    {0},
};
static const struct option_row snippet_options[] = {
    {"server", 0, "NAME", "Only this server, with its bare tool names"},
    {0},
};
static const struct option_row stdio_options[] = {
    {"server", 0, "NAME", "Only this server, with its bare tool names"},
    {0},
};

const struct command commands[] = {
    {NULL, "up", "", 0, 0, up_options, "Start the hub and its servers, in the foreground",
     "Reads the configuration, listens, starts every server, and restarts what dies. Ctrl-C ends it all.", up_run},
    {NULL, "status", "", 0, 0, NULL, "Say how the hub and its servers are", NULL, status_run},
    {NULL, "call", "TOOL [KEY=VALUE…]", 1, -1, call_options, "Call a tool (the same as tool call)", NULL, tool_call_run,
     "tool"},
    {NULL, "wait", "", 0, 0, wait_options, "Wait until the hub or a server is ready", NULL, wait_run},
    {NULL, "doctor", "", 0, 0, NULL, "Look for what could be wrong, and say what mends it", NULL, doctor_run},
    {NULL, "stdio", "", 0, 0, stdio_options, "Bridge a client that only spawns programs to the hub",
     "MCP of any revision on standard input and output, byte for byte. Standard output carries protocol only.",
     stdio_run},
    {NULL, "version", "", 0, 0, NULL, "Say the version", NULL, version_run},
    {NULL, "help", "[NOUN [VERB]]", 0, 2, help_options, "Explain a command", NULL, help_run},
    {NULL, "completion", "bash|zsh|fish", 1, 1, NULL, "Print the completion script of a shell", NULL, completion_run},
    {NULL, "__complete", "[WORD…]", 0, -1, NULL, "Words that could come next", NULL, complete_run, NULL, true},
    {NULL, "role", "NAME [ARGS]", 0, -1, NULL, "What `trunkline up` runs itself as", NULL, role_command_run, NULL, true},

    {"server", "list", "", 0, 0, NULL, "List the servers and their states", NULL, server_list_run},
    {"server", "show", "NAME", 1, 1, NULL, "Show one server", NULL, server_show_run, "server"},
    {"server", "start", "NAME", 1, 1, NULL, "Start a server", NULL, server_start_run, "server"},
    {"server", "stop", "NAME", 1, 1, NULL, "Stop a server after its calls", NULL, server_stop_run, "server"},
    {"server", "restart", "NAME", 1, 1, NULL, "Stop and start a server", NULL, server_restart_run, "server"},
    {"server", "logs", "NAME", 1, 1, logs_options, "Show what a server wrote to standard error", NULL, server_logs_run,
     "server"},
    {"server", "run", "NAME", 1, 1, server_stdio_options, "Run a built-in server alone, without the hub", NULL,
     server_stdio_run},

    {"tool", "list", "", 0, 0, tool_list_options, "List the tools of all servers", NULL, tool_list_run},
    {"tool", "show", "TOOL", 1, 1, tool_show_options, "Show one tool and its arguments", NULL, tool_show_run, "tool"},
    {"tool", "call", "TOOL [KEY=VALUE…]", 1, -1, call_options, "Call a tool",
     "KEY=VALUE is typed by the tool's schema, KEY:=JSON is taken as it is, KEY=@FILE reads a file. Ctrl-C cancels the "
     "call.",
     tool_call_run, "tool"},

    {"resource", "list", "", 0, 0, list_options, "List resources and templates", NULL, resource_list_run},
    {"resource", "read", "URI", 1, 1, read_options, "Read a resource", NULL, resource_read_run, "resource"},
    {"resource", "watch", "URI", 1, 1, NULL, "Say when a resource changes, until interrupted", NULL, resource_watch_run,
     "resource"},
    {"prompt", "list", "", 0, 0, list_options, "List prompts", NULL, prompt_list_run},
    {"prompt", "get", "PROMPT [KEY=VALUE…]", 1, -1, NULL, "Show the messages of a prompt", NULL, prompt_get_run,
     "prompt"},

    {"config", "check", "[FILE]", 0, 1, check_options, "Check a configuration file", NULL, config_check_run},
    {"config", "show", "", 0, 0, show_options, "Show the configuration in force", NULL, config_show_run},
    {"config", "schema", "", 0, 0, NULL, "Print the JSON Schema of the configuration", NULL, config_schema_run},
    {"client", "list", "", 0, 0, NULL, "List the programs there are snippets for", NULL, client_list_run},
    {"client", "snippet", "CLIENT", 1, 1, snippet_options, "Print what to paste into a client's configuration", NULL,
     client_snippet_run, "client"},
    {0},
};
