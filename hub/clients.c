#include "hub/clients.h"

/* The forms differ in the name of the table, of the address and of the transport, and in nothing else. */
#define TABLE(table, entry) "{\n  \"" table "\": {\n    \"{name}\": " entry "\n  }\n}\n"

const struct client clients[] = {
    {"claude-code",                                                      "Claude Code", ".mcp.json", "json",
     TABLE("mcpServers", "{ \"type\": \"http\", \"url\": \"{url}\" }")},
    {"claude-desktop",                                                       "Claude Desktop", "~/.config/Claude/claude_desktop_config.json", "json",
     TABLE("mcpServers", "{ \"command\": \"trunkline\", \"args\": [\"stdio\"] }")},
    {"cursor",                                                 "Cursor", "~/.cursor/mcp.json", "json",
     TABLE("mcpServers", "{ \"type\": \"http\", \"url\": \"{url}\" }")},
    {"copilot-cli",                                                                  "Copilot CLI", "~/.copilot/mcp-config.json", "json",
     TABLE("mcpServers", "{ \"type\": \"http\", \"url\": \"{url}\", \"tools\": [\"*\"] }")},
    {"vscode","Visual Studio Code", ".vscode/mcp.json", "json",
     TABLE("servers", "{ \"type\": \"http\", \"url\": \"{url}\" }")},
    {"codex",                                                            "Codex", "~/.codex/config.toml", "toml", "[mcp_servers.{name}]\nurl = \"{url}\"\n"},
    {"zed",          "Zed", "~/.config/zed/settings.json", "json", TABLE("context_servers", "{ \"url\": \"{url}\" }")},
    {"gemini-cli",                                                           "Gemini CLI", "~/.gemini/settings.json", "json",
     TABLE("mcpServers", "{ \"httpUrl\": \"{url}\" }")},
    {"windsurf",                                              "Windsurf", "~/.codeium/windsurf/mcp_config.json", "json",
     TABLE("mcpServers", "{ \"serverUrl\": \"{url}\" }")},
    {"antigravity",                                                 "Antigravity", "~/.gemini/antigravity/mcp_config.json", "json",
     TABLE("mcpServers", "{ \"serverUrl\": \"{url}\" }")},
    {"cline",                                                                  "Cline", "cline_mcp_settings.json of the extension", "json",
     TABLE("mcpServers", "{ \"type\": \"streamableHttp\", \"url\": \"{url}\" }")},
    {"roo","Roo Code", "mcp_settings.json of the extension", "json",
     TABLE("mcpServers", "{ \"type\": \"streamable-http\", \"url\": \"{url}\" }")},
    {"continue",                                                            "Continue", "~/.continue/config.yaml", "yaml",
     "mcpServers:\n  - name: {name}\n    type: streamable-http\n    url: {url}\n"},
    {"goose", "Goose", "~/.config/goose/config.yaml", "yaml",
     "extensions:\n  {name}:\n    name: {name}\n    type: streamable_http\n    enabled: true\n    uri: "
     "{url}\n"},
    {"stdio",                                                           "Any client that only spawns programs", "the file of the client", "json",
     TABLE("mcpServers", "{ \"command\": \"trunkline\", \"args\": [\"stdio\"] }")},
    {0                                               },
};

const struct client *client_find(struct bytes name)
{
    for (const struct client *c = clients; c->name; c++)
        if (bytes_say(name, c->name))
            return c;
    return NULL;
}

void client_add_snippet(const struct client *c, const char *name, const char *url, struct buf *out)
{
    for (const char *at = c->text; *at;) {
        if (strncmp(at, "{url}", 5) == 0) {
            buf_add_text(out, url);
            at += 5;
        } else if (strncmp(at, "{name}", 6) == 0) {
            buf_add_text(out, name);
            at += 6;
        } else {
            buf_add_char(out, *at++);
        }
    }
}
