/* Every command there is, in the order help shows them. */
#include "cli/commands.h"

static const struct option_row up_options[] = {
    VALUE("config", 'c', "FILE",
          "Configuration; default: /etc/trunkline/trunkline.json, else the built-in one"),
    VALUE("state", 's', "DIR", "State folder; default: hub.state of the configuration"),
    VALUE("workspace", 'w', "DIR", "What ${workspaceFolder} means; default: this folder"),
    SWITCH("check", 'n', "Only check the configuration"),
    {0},
};
static const struct option_row doctor_options[] = {
    VALUE("config", 'c', "FILE", "The configuration to look at, as for `up`"),
    VALUE("state", 's', "DIR", "The state folder to look at, as for `up`"),
    {0},
};
static const struct option_row wait_options[] = {
    VALUE("for", 0, "ready|server:NAME", "What to wait for"),
    {0},
};
static const struct option_row help_options[] = {
    SWITCH("man", 0, "As a man page"),
    SWITCH("reference", 0, "As the reference page of the documents"),
    {0},
};
static const struct option_row logs_options[] = {
    SWITCH("follow", 'f', "Go on with new lines until interrupted"),
    {0},
};
static const struct option_row server_stdio_options[] = {
    SWITCH("stdio", 0, "Speak MCP on standard input and output"),
    VALUE("settings", 0, "JSON", "Settings of the server"),
    {0},
};
static const struct option_row tool_list_options[] = {
    VALUE("q", 0, "TEXT", "Only tools with this text in name or description"),
    VALUE("server", 0, "NAME", "Only tools of this server"),
    SWITCH("token-cost", 0, "With the size of each definition in tokens (bytes / 4)"),
    {0},
};
static const struct option_row tool_show_options[] = {
    SWITCH("schema", 0, "Only the JSON Schema of its arguments"),
    {0},
};
static const struct option_row call_options[] = {
    VALUE("json", 'j', "@FILE|-|JSON", "Arguments as one JSON object, forwarded byte for byte"),
    VALUE("deadline", 0, "30s", "Give up after this long"),
    {0},
};
static const struct option_row list_options[] = {
    VALUE("server", 0, "NAME", "Only of this server"),
    {0},
};
static const struct option_row read_options[] = {
    VALUE("output-file", 'O', "FILE", "Write the contents to a file"),
    {0},
};
static const struct option_row check_options[] = {
    VALUE("workspace", 'w', "DIR", "What ${workspaceFolder} means; default: this folder"),
    {0},
};
static const struct option_row show_options[] = {
    SWITCH("origin", 0, "With the place each value comes from"),
    SWITCH("default", 0, "The built-in configuration instead, with its comments"),
    {0},
};
static const struct option_row snippet_options[] = {
    VALUE("server", 0, "NAME", "Only this server, with its bare tool names"),
    {0},
};
static const struct option_row stdio_options[] = {
    VALUE("server", 0, "NAME", "Only this server, with its bare tool names"),
    {0},
};

/* {noun, verb, arguments, least and most of them, options}, help, handler, and what few rows have besides. */
#define ROW(n, v, args, from, to, opts, text, fn, ...)                                                     \
    {                                                                                                      \
        .noun = n, .verb = v, .arguments = args, .least = from, .most = to, .options = opts, .help = text, \
        .run = fn, ##__VA_ARGS__                                                                           \
    }
#define MANY -1

const struct command commands[] = {
    ROW(NULL, "up", "", 0, 0, up_options, "Start the hub and its servers, in the foreground", up_run,
        .more = "Reads the configuration, listens, starts every server, and restarts what dies. Ctrl-C ends "
                "it all."),
    ROW(NULL, "status", "", 0, 0, NULL, "Say how the hub and its servers are", status_run,
        .more = "With -q only the exit status says it: 0 when the hub is ready."),
    ROW(NULL, "call", "TOOL [KEY=VALUE…]", 1, MANY, call_options, "Call a tool (the same as tool call)",
        tool_call_run, .complete = "tool"),
    ROW(NULL, "wait", "", 0, 0, wait_options, "Wait until the hub or a server is ready", wait_run),
    ROW(NULL, "doctor", "", 0, 0, doctor_options, "Look for what could be wrong, and say what mends it",
        doctor_run),
    ROW(NULL, "stdio", "", 0, 0, stdio_options, "Bridge a client that only spawns programs to the hub",
        stdio_run,
        .more = "MCP of any revision on standard input and output, byte for byte. Standard output carries "
                "protocol only."),
    ROW(NULL, "version", "", 0, 0, NULL, "Say the version", version_run),
    ROW(NULL, "help", "[NOUN [VERB]]", 0, 2, help_options, "Explain a command", help_run),
    ROW(NULL, "completion", "bash|zsh|fish", 1, 1, NULL, "Print the completion script of a shell",
        completion_run, .complete = "shell"),
    ROW(NULL, "__complete", "[WORD…]", 0, MANY, NULL, "Words that could come next", complete_run,
        .is_hidden = true),
    ROW(NULL, "role", "NAME [ARGS]", 0, MANY, NULL, "What `trunkline up` runs itself as", role_command_run,
        .is_hidden = true),

    ROW("server", "list", "", 0, 0, NULL, "List the servers and their states", server_list_run),
    ROW("server", "show", "NAME", 1, 1, NULL, "Show one server", server_show_run, .complete = "server"),
    ROW("server", "start", "NAME", 1, 1, NULL, "Start a server", server_start_run, .complete = "server"),
    ROW("server", "stop", "NAME", 1, 1, NULL, "Stop a server after its calls", server_stop_run,
        .complete = "server"),
    ROW("server", "restart", "NAME", 1, 1, NULL, "Stop and start a server", server_restart_run,
        .complete = "server"),
    ROW("server", "logs", "NAME", 1, 1, logs_options, "Show what a server wrote to standard error",
        server_logs_run, .complete = "server"),
    ROW("server", "run", "NAME", 1, 1, server_stdio_options, "Run a built-in server alone, without the hub",
        server_stdio_run, .more = "`trunkline server NAME --stdio` is the same.", .is_default = true),

    ROW("tool", "list", "", 0, 0, tool_list_options, "List the tools of all servers", tool_list_run),
    ROW("tool", "show", "TOOL", 1, 1, tool_show_options, "Show one tool and its arguments", tool_show_run,
        .complete = "tool"),
    ROW("tool", "call", "TOOL [KEY=VALUE…]", 1, MANY, call_options, "Call a tool", tool_call_run,
        .complete = "tool",
        .more = "KEY=VALUE is typed by the tool's schema, KEY:=JSON is taken as it is, KEY=@FILE reads a "
                "file. Ctrl-C "
                "cancels the call."),

    ROW("resource", "list", "", 0, 0, list_options, "List resources and templates", resource_list_run),
    ROW("resource", "read", "URI", 1, 1, read_options, "Read a resource", resource_read_run,
        .complete = "resource"),
    ROW("resource", "watch", "URI", 1, 1, NULL, "Say when a resource changes, until interrupted",
        resource_watch_run, .complete = "resource"),
    ROW("prompt", "list", "", 0, 0, list_options, "List prompts", prompt_list_run),
    ROW("prompt", "get", "PROMPT [KEY=VALUE…]", 1, MANY, NULL, "Show the messages of a prompt",
        prompt_get_run, .complete = "prompt"),

    ROW("config", "check", "[FILE]", 0, 1, check_options, "Check a configuration file", config_check_run),
    ROW("config", "show", "", 0, 0, show_options, "Show the configuration in force", config_show_run),
    ROW("config", "schema", "", 0, 0, NULL, "Print the JSON Schema of the configuration", config_schema_run),
    ROW("client", "list", "", 0, 0, NULL, "List the programs there are snippets for", client_list_run),
    ROW("client", "snippet", "CLIENT", 1, 1, snippet_options,
        "Print what to paste into a client's configuration", client_snippet_run, .complete = "client"),
    {0},
};
