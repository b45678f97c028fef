/*
 * The status page: one HTML without script, for whoever opens the hub in a browser. Styles come from a file
 * of their own, because the content security policy lets in nothing that stands in the page.
 */
#include "core/base/clock.h"
#include "core/base/text.h"
#include "hub/api_parts.h"
#include "hub/clients.h"
#include "hub/page_style.h"
#include "hub/upstream.h"
#include "hub/version.h"

static const struct {
    const char *name, *value;
} page_headers[] = {
    {"Content-Security-Policy",
     "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; "
     "require-trusted-types-for 'script'; trusted-types 'none'"              },
    {"Referrer-Policy",            "no-referrer"                             },
    {"Cross-Origin-Opener-Policy", "same-origin"                             },
    {"Permissions-Policy",         "camera=(), microphone=(), geolocation=()"},
};

static void add_headers(struct visit *v)
{
    for (size_t i = 0; i < sizeof(page_headers) / sizeof(page_headers[0]); i++)
        request_add_header(v->request, page_headers[i].name, page_headers[i].value);
}

static void add_escaped(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '<':
            buf_add_text(out, "&lt;");
            break;
        case '>':
            buf_add_text(out, "&gt;");
            break;
        case '&':
            buf_add_text(out, "&amp;");
            break;
        case '"':
            buf_add_text(out, "&quot;");
            break;
        default:
            buf_add_char(out, text.p[i]);
        }
    }
}

/* Text of anybody, as text: control and bidi characters are shown, markup is not. */
static void add_text(struct buf *out, struct bytes text)
{
    struct buf shown = {0};
    text_show(&shown, text);
    add_escaped(out, buf_bytes(&shown));
    buf_end(&shown);
}

static void add_head(const struct hub *hub, struct buf *out)
{
    bool is_up = hub->is_ready && !hub->is_draining;
    buf_add_text(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Trunkline</title>\n"
        "<link rel=\"stylesheet\" href=\"/assets/page.css\">\n"
        "<link rel=\"icon\" type=\"image/svg+xml\" href=\"/assets/mark.svg\">\n</head>\n<body>\n<header>\n"
        "<p class=\"brand\"><span class=\"mark\" aria-hidden=\"true\"></span>Trunkline</p>\n");
    buf_addf(out, "<p class=\"pill %s\">%s</p>\n</header>\n<main>\n", is_up ? "good" : "busy",
             is_up              ? "Ready"
             : hub->is_draining ? "Stopping"
                                : "Starting");
}

static void add_uptime(int64_t ms, struct buf *out)
{
    int64_t minutes = ms / 60000;
    if (minutes < 1)
        buf_add_text(out, "less than a minute");
    else if (minutes < 60)
        buf_addf(out, "%lld min", (long long)minutes);
    else if (minutes < 2880)
        buf_addf(out, "%lld h %lld min", (long long)(minutes / 60), (long long)(minutes % 60));
    else
        buf_addf(out, "%lld days", (long long)(minutes / 1440));
}

static void add_endpoint(const struct visit *v, struct buf *out)
{
    const struct hub *hub = v->api->hub;
    const char *url = arena_printf(v->arena, "%s/mcp", visit_base(v));
    struct buf snippet = {0};
    buf_add_text(out, "<section class=\"hero\">\n<h1>One endpoint in front of your MCP servers</h1>\n"
                      "<p class=\"endpoint\"><code>");
    add_text(out, bytes_of(url));
    buf_add_text(out, "</code></p>\n<dl class=\"figures\">\n");
    buf_addf(out, "<div><dt>Tools</dt><dd>%zu</dd></div>\n",
             catalogue_count(hub->catalogue, ITEM_TOOL, NULL));
    buf_addf(out, "<div><dt>Prompts</dt><dd>%zu</dd></div>\n",
             catalogue_count(hub->catalogue, ITEM_PROMPT, NULL));
    buf_addf(out, "<div><dt>Resources</dt><dd>%zu</dd></div>\n",
             catalogue_count(hub->catalogue, ITEM_RESOURCE, NULL));
    buf_add_text(out, "<div><dt>Running for</dt><dd>");
    add_uptime(stamp_now().ms - hub->started_at, out);
    buf_add_text(
        out, "</dd></div>\n</dl>\n</section>\n<section>\n<h2>Connect a client</h2>\n"
             "<p>For most clients, for example in <code>.mcp.json</code>:</p>\n<pre tabindex=\"0\"><code>");
    client_add_snippet(client_find(BYTES("claude-code")), "trunkline", url, &snippet);
    add_escaped(out, buf_bytes(&snippet));
    buf_end(&snippet);
    buf_add_text(out, "</code></pre>\n<p class=\"quiet\">Others: <code>trunkline client snippet NAME</code>"
                      "</p>\n</section>\n");
}

static const char *look_of(const struct upstream *u)
{
    switch (upstream_state(u)) {
    case UPSTREAM_READY:
        return "good";
    case UPSTREAM_LOST:
    case UPSTREAM_QUARANTINED:
        return "bad";
    case UPSTREAM_OFF:
        return "idle";
    default:
        return "busy";
    }
}

static void add_server(const struct hub *hub, const struct upstream *u, struct buf *out)
{
    const struct config_server *c = upstream_config(u);
    const struct facts *facts = catalogue_facts(hub->catalogue, c->name);
    buf_add_text(out, "<tr><th scope=\"row\">");
    add_text(out, bytes_of(c->name));
    if (c->title) {
        buf_add_text(out, "<small>");
        add_text(out, bytes_of(c->title));
        buf_add_text(out, "</small>");
    }
    buf_addf(out, "</th><td data-label=\"State\"><span class=\"pill %s\">%s</span>", look_of(u),
             upstream_state_name(upstream_state(u)));
    if (*upstream_reason(u)) {
        buf_add_text(out, "<small>");
        add_text(out, bytes_of(upstream_reason(u)));
        buf_add_text(out, "</small>");
    }
    buf_addf(
        out,
        "</td><td data-label=\"Tools\" class=\"number\">%zu</td><td data-label=\"Protocol\">%s</td></tr>\n",
        catalogue_count(hub->catalogue, ITEM_TOOL, c->name),
        facts && facts->known ? revision_text(facts->revision) : "not known yet");
}

static void add_servers(const struct hub *hub, struct buf *out)
{
    buf_add_text(out, "<section>\n<h2>Servers</h2>\n");
    if (hub->upstream_count == 0) {
        buf_add_text(out, "<p>None is configured.</p>\n</section>\n");
        return;
    }
    buf_add_text(out,
                 "<table>\n<thead><tr><th scope=\"col\">Server</th><th scope=\"col\">State</th>"
                 "<th scope=\"col\" class=\"number\">Tools</th><th scope=\"col\">Protocol</th></tr></thead>\n"
                 "<tbody>\n");
    for (size_t i = 0; i < hub->upstream_count; i++)
        add_server(hub, hub->upstreams[i], out);
    buf_add_text(out, "</tbody>\n</table>\n<p class=\"quiet\">Why one is not ready: "
                      "<code>trunkline server show NAME</code></p>\n</section>\n");
}

static void add_foot(struct buf *out)
{
    char now[25];
    stamp_text(stamp_now(), now);
    buf_addf(
        out,
        "</main>\n<footer>\n<p>This build has no dashboard. Everything is within reach of the command line "
        "(<code>trunkline help</code>) and of REST.</p>\n<nav aria-label=\"Machine-readable\">"
        "<a href=\"/api/v1/openapi.yaml\">REST</a> <a href=\"/healthz\">Health</a> "
        "<a href=\"/metrics\">Metrics</a></nav>\n"
        "<p class=\"quiet\">Version %s, as of %.10s %.8s UTC. Reload for the present state.</p>\n</footer>\n"
        "</body>\n</html>\n",
        TRUNKLINE_VERSION, now, now + 11);
}

void page_status(struct visit *v, struct bytes body)
{
    struct buf html = {0};
    (void)body;
    add_head(v->api->hub, &html);
    add_endpoint(v, &html);
    add_servers(v->api->hub, &html);
    add_foot(&html);
    add_headers(v);
    visit_text(v, 200, "text/html; charset=utf-8", buf_bytes(&html));
    buf_end(&html);
}

void page_style(struct visit *v, struct bytes body)
{
    (void)body;
    request_add_header(v->request, "Cache-Control", "no-cache");
    visit_text(v, 200, "text/css; charset=utf-8", bytes_of(page_css));
}

void page_mark(struct visit *v, struct bytes body)
{
    (void)body;
    request_add_header(v->request, "Cache-Control", "no-cache");
    visit_text(v, 200, "image/svg+xml", bytes_of(page_svg));
}
