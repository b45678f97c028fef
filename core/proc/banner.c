#include "core/proc/banner.h"

#include "core/base/text.h"

static const char *first_http(const struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strncmp(l->at[i].name, "unix:", 5) != 0)
            return l->at[i].name;
    }
    return NULL;
}

static void add_endpoints(struct buf *out, const struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        bool is_http = strncmp(l->at[i].name, "unix:", 5) != 0;
        buf_addf(out, "  %-9s %s%s%s\n", i == 0 ? "listening" : "", is_http ? "http://" : "", l->at[i].name,
                 is_http ? "/mcp" : "");
    }
    if (l->moved[0])
        buf_addf(out, "            (%s)\n", l->moved);
}

static void add_snippet(struct buf *out, const char *address)
{
    buf_add_text(out, "\nFor .mcp.json (or any MCP client):\n\n");
    if (address) {
        buf_addf(
            out,
            "  { \"mcpServers\": { \"trunkline\": { \"type\": \"http\", \"url\": \"http://%s/mcp\" } } }\n",
            address);
        return;
    }
    /* No HTTP: a client can still start the stdio front, which finds the hub by its Unix socket. */
    buf_add_text(out, "  { \"mcpServers\": { \"trunkline\": { \"command\": \"trunkline\", "
                      "\"args\": [\"stdio\"] } } }\n");
}

static const char *kind(const struct config_server *s)
{
    return s->kind == SERVER_BUILTIN ? "built in" : s->kind == SERVER_COMMAND ? s->command : s->url;
}

static void add_servers(struct buf *out, const struct config *c)
{
    buf_add_text(out, "\n");
    for (size_t i = 0; i < c->server_count; i++) {
        const struct config_server *s = &c->servers[i];
        buf_addf(out, "  %-9s %-20s ", i == 0 ? "servers" : "", s->name);
        if (s->enabled)
            text_show(out, bytes_of(kind(s)));
        else
            buf_add_text(out, "disabled");
        buf_add_char(out, '\n');
    }
    if (c->server_count == 0)
        buf_add_text(out, "  servers   none configured\n");
}

void banner_add(struct buf *out, const struct config *c, const struct listeners *l, const char *state)
{
    buf_addf(out, "\nTrunkline %s is ready.\n\n", TRUNKLINE_VERSION);
    add_endpoints(out, l);
    buf_addf(out, "  %-9s %s\n", "state", state);
    add_servers(out, c);
    add_snippet(out, first_http(l));
    buf_add_text(out, "\nTry: trunkline tool list. Ctrl-C ends it.\n\n");
}
