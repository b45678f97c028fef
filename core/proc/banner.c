#include "core/proc/banner.h"

#include "core/base/mem.h"
#include "core/base/text.h"

static bool is_http(const struct listener *l)
{
    return strncmp(l->name, "unix:", 5) != 0;
}

static const char *first(const struct listeners *l, bool wants_http)
{
    for (size_t i = 0; i < l->n; i++) {
        if (is_http(&l->at[i]) == wants_http)
            return l->at[i].name;
    }
    return NULL;
}

/* Where the command line looks by itself; elsewhere it has to be told. */
static bool is_found_alone(const struct listeners *l)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    _cleanup_free_ char *own = runtime ? text_format("unix:%s/trunkline/api.sock", runtime) : NULL;
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->at[i].name;
        if ((own && strcmp(name, own) == 0) || strcmp(name, "unix:/run/trunkline/api.sock") == 0 ||
            strcmp(name, "127.0.0.1:8080") == 0)
            return true;
    }
    return false;
}

static void add_endpoints(struct buf *out, const struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        bool http = is_http(&l->at[i]);
        buf_addf(out, "  %-9s %s%s%s\n", i == 0 ? "listening" : "", http ? "http://" : "", l->at[i].name,
                 http ? "/mcp" : "");
    }
    if (l->moved[0])
        buf_addf(out, "            (%s)\n", l->moved);
}

/* The program as a client finds it, which starts in a folder of its own. */
static void add_command(struct buf *out, const char *program)
{
    _cleanup_free_ char *path = strchr(program, '/') ? realpath(program, NULL) : NULL;
    buf_add_json_text(out, path ? path : program);
}

static void add_snippet(struct buf *out, const struct listeners *l, const char *program)
{
    const char *address = first(l, true);
    const char *name = "  { \"mcpServers\": { \"trunkline\": { ";
    buf_add_text(out, "\nFor .mcp.json (or any MCP client):\n\n");
    if (address) {
        buf_addf(out, "%s\"type\": \"http\", \"url\": \"http://%s/mcp\" } } }\n", name, address);
        return;
    }
    /* No client speaks HTTP over a Unix socket, but all start programs. */
    buf_addf(out, "%s\"command\": ", name);
    add_command(out, program);
    buf_addf(out, ", \"args\": [\"--hub\", \"%s\", \"stdio\"] } } }\n", first(l, false));
}

static void add_hint(struct buf *out, const struct listeners *l, const char *program)
{
    const char *address = first(l, false);
    buf_add_char(out, '\n');
    buf_addf(out, "In another terminal: %s ", program);
    if (!is_found_alone(l))
        buf_addf(out, "--hub %s%s ", address ? "" : "http://", address ? address : first(l, true));
    buf_add_text(out, "tool list\nCtrl-C ends the hub and its servers.\n\n");
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

void banner_add(struct buf *out, const struct config *c, const struct listeners *l, const char *state,
                const char *program)
{
    buf_addf(out, "\nTrunkline %s is ready.\n\n", TRUNKLINE_VERSION);
    add_endpoints(out, l);
    buf_addf(out, "  %-9s %s\n", "state", state);
    add_servers(out, c);
    add_snippet(out, l, program);
    add_hint(out, l, program);
}
