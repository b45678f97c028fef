/* What runs: status, overview, servers with their states, logs and the three verbs. */
#include "core/base/clock.h"
#include "core/base/text.h"
#include "hub/api_parts.h"
#include "hub/overview.h"
#include "hub/upstream.h"
#include "hub/version.h"

#include <stdlib.h>

enum { LINES = 200 };

void api_status(struct visit *v, struct bytes body)
{
    const struct hub *hub = v->api->hub;
    struct buf json = {0};
    (void)body;
    buf_add_text(&json, "{\"name\":");
    buf_add_json_text(&json, hub->config->name);
    buf_addf(&json, ",\"version\":\"%s\",\"ready\":%s,\"draining\":%s,\"started_at\":", TRUNKLINE_VERSION,
             hub->is_ready ? "true" : "false", hub->is_draining ? "true" : "false");
    char text[25];
    stamp_text((struct stamp){hub->started_at}, text);
    buf_addf(&json, "\"%s\",\"endpoint\":", text);
    buf_add_json_text(&json, arena_printf(v->arena, "%s/mcp", visit_base(v)));
    buf_add_text(&json, ",\"login\":[]}");
    visit_thing(v, &json);
}

void api_overview(struct visit *v, struct bytes body)
{
    struct buf json = {0};
    (void)body;
    overview_add(v->api->hub, &json);
    visit_json(v, 200, &json);
}

/* --- one server --- */

static void add_text(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_text(out, value);
}

static void add_count(struct buf *out, const char *name, int64_t value)
{
    buf_addf(out, ",\"%s\":%lld", name, (long long)value);
}

static void add_state(const struct upstream *u, struct buf *out)
{
    char since[25];
    enum upstream_state state = upstream_state(u);
    stamp_text((struct stamp){upstream_since_ms(u)}, since);
    add_text(out, "state", upstream_state_name(state));
    add_text(out, "reason", upstream_reason(u));
    add_text(out, "since", since);
    add_count(out, "pid", upstream_pid(u));
    add_count(out, "restarts", upstream_restarts(u));
    add_count(out, "sandbox", upstream_sandbox(u));
    if (state == UPSTREAM_LOST || state == UPSTREAM_QUARANTINED)
        add_count(out, "retry_ms", upstream_retry_ms(u));
}

static void add_facts(const struct hub *hub, const char *name, struct buf *out)
{
    const struct facts *facts = catalogue_facts(hub->catalogue, name);
    if (facts && facts->known) {
        add_text(out, "era", facts->era == ERA_MODERN ? "modern" : "legacy");
        add_text(out, "revision", revision_text(facts->revision));
    } else {
        buf_add_text(out, ",\"era\":null,\"revision\":null");
    }
    add_count(out, "tools", (int64_t)catalogue_count(hub->catalogue, ITEM_TOOL, name));
    add_count(out, "prompts", (int64_t)catalogue_count(hub->catalogue, ITEM_PROMPT, name));
    add_count(out, "resources", (int64_t)catalogue_count(hub->catalogue, ITEM_RESOURCE, name));
    add_count(out, "resource_templates", (int64_t)catalogue_count(hub->catalogue, ITEM_TEMPLATE, name));
}

/* Without the closing brace. Never the command. */
static void begin_server(const struct hub *hub, const struct upstream *u, struct buf *out)
{
    static const char *const kinds[] = {"builtin", "command", "url", "openapi"};
    const struct config_server *c = upstream_config(u);
    buf_add_text(out, "{\"name\":");
    buf_add_json_text(out, c->name);
    add_text(out, "title", c->title);
    add_text(out, "kind", kinds[c->kind]);
    add_text(out, "builtin", c->builtin);
    buf_addf(out, ",\"enabled\":%s", c->enabled ? "true" : "false");
    add_state(u, out);
    add_facts(hub, c->name, out);
    add_text(out, "secret_delivery", c->uses_env_secrets ? "env" : "none");
}

static void add_raw(struct buf *out, const char *name, struct bytes raw)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_bytes(out, raw.n ? raw : BYTES("null"));
}

static void add_line(struct buf *out, const struct log_line *line);

static void add_server(const struct hub *hub, const struct upstream *u, struct buf *out)
{
    enum { LAST = 20 };
    const struct facts *facts = catalogue_facts(hub->catalogue, upstream_config(u)->name);
    struct log_line lines[LAST];
    size_t n = upstream_log(u, lines, LAST);
    begin_server(hub, u, out);
    add_raw(out, "server_info", facts && facts->known ? facts->server_info : BYTES_NONE);
    add_raw(out, "capabilities", facts && facts->known ? facts->capabilities : BYTES_NONE);
    add_raw(out, "instructions", facts && facts->known ? facts->instructions : BYTES_NONE);
    buf_add_text(out, ",\"last_lines\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(out, ',');
        add_line(out, &lines[i]);
    }
    buf_add_text(out, "]}");
}

void api_servers(struct visit *v, struct bytes body)
{
    const struct query_list *q = v->query;
    const struct hub *hub = v->api->hub;
    struct list l;
    (void)body;
    if (!list_begin(&l, v, q->limit, q->cursor))
        return;
    for (size_t i = 0; i < hub->upstream_count; i++) {
        const struct config_server *c = upstream_config(hub->upstreams[i]);
        bool is_wanted = (!q->server || strcmp(q->server, c->name) == 0) &&
                         (!q->q || has_text(bytes_of(c->name), q->q) || has_text(bytes_of(c->title), q->q));
        if (is_wanted && list_row(&l)) {
            begin_server(hub, hub->upstreams[i], &l.out);
            buf_add_char(&l.out, '}');
        }
    }
    list_end(&l, true);
}

/* NULL: it was answered. */
static struct upstream *find(struct visit *v)
{
    const char *name = arena_text(v->arena, visit_subject(v, 0));
    struct upstream *u = hub_find_upstream(v->api->hub, name);
    if (!u)
        visit_fault(v, FAULT_NOT_FOUND, "there is no server '%.60s'", name);
    return u;
}

void api_server(struct visit *v, struct bytes body)
{
    struct upstream *u = find(v);
    struct buf json = {0};
    (void)body;
    if (!u)
        return;
    add_server(v->api->hub, u, &json);
    visit_thing(v, &json);
}

/* --- logs --- */

static const struct {
    const char *word, *level;
} words[] = {
    {"error",     "error"  },
    {"fatal",     "error"  },
    {"panic",     "error"  },
    {"exception", "error"  },
    {"warn",      "warning"},
    {"debug",     "debug"  },
    {"trace",     "debug"  },
};

/* Servers write what they like to standard error: a guess from the first word of those that is in the line.
 */
static const char *level_of(struct bytes text)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (has_text(text, words[i].word))
            return words[i].level;
    return "info";
}

static int rank(const char *level)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    int i = 0;
    while (i < 3 && strcmp(levels[i], level) != 0)
        i++;
    return i;
}

static void add_line(struct buf *out, const struct log_line *line)
{
    char at[25];
    stamp_text((struct stamp){line->at_ms}, at);
    buf_addf(out, "{\"ts\":\"%s\",\"level\":\"%s\",\"text\":", at, level_of(line->text));
    buf_add_json(out, line->text);
    buf_add_char(out, '}');
}

/* "15m" ago, or a time as we write it; false: neither. `out` as we write times, which sort as text. */
static bool read_since(const char *since, char out[static 25])
{
    int64_t ms;
    if (duration_read(bytes_of(since), &ms) == 0) {
        stamp_text((struct stamp){stamp_now().ms - ms}, out);
        return true;
    }
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    size_t n = strlen(since);
    if (n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (form[i] == 'd' ? since[i] < '0' || since[i] > '9' : since[i] != form[i])
            return false;
    memcpy(out, since, n + 1);
    return true;
}

void api_server_logs(struct visit *v, struct bytes body)
{
    const struct query_logs *q = v->query;
    struct upstream *u = find(v);
    struct log_line lines[LINES];
    char since[25] = "";
    struct list l;
    (void)body;
    if (!u)
        return;
    if (q->since && !read_since(q->since, since)) {
        visit_fault(v, FAULT_INVALID_REQUEST, "'since' must be as 15m, or 2026-11-21T09:14:03.120Z");
        return;
    }
    size_t n = upstream_log(u, lines, (size_t)q->limit);
    if (!list_begin(&l, v, LINES, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        char at[25];
        stamp_text((struct stamp){lines[i].at_ms}, at);
        bool is_wanted =
            strcmp(at, since) > 0 && (!q->level || rank(level_of(lines[i].text)) >= rank(q->level));
        if (is_wanted && list_row(&l))
            add_line(&l.out, &lines[i]);
    }
    list_end(&l, true);
}

/* --- start, stop, restart --- */

static const struct shape nothing[] = {{0}};

static bool is_running(const struct upstream *u)
{
    enum upstream_state s = upstream_state(u);
    return s != UPSTREAM_OFF && s != UPSTREAM_LOST && s != UPSTREAM_QUARANTINED;
}

/* NULL: it was answered. */
static struct upstream *find_for_order(struct visit *v, struct bytes body)
{
    char none;
    return visit_read(v, body, nothing, &none) ? find(v) : NULL;
}

static void answer_order(struct visit *v, const struct upstream *u)
{
    struct buf json = {0};
    add_server(v->api->hub, u, &json);
    visit_json(v, 202, &json);
}

void api_server_start(struct visit *v, struct bytes body)
{
    struct upstream *u = find_for_order(v, body);
    if (!u)
        return;
    if (is_running(u)) {
        visit_fault(v, FAULT_WRONG_STATE, "server '%s' is %s already", upstream_config(u)->name,
                    upstream_state_name(upstream_state(u)));
        return;
    }
    upstream_start(u);
    answer_order(v, u);
}

void api_server_stop(struct visit *v, struct bytes body)
{
    struct upstream *u = find_for_order(v, body);
    if (!u)
        return;
    if (upstream_state(u) == UPSTREAM_OFF) {
        visit_fault(v, FAULT_WRONG_STATE, "server '%s' is off already", upstream_config(u)->name);
        return;
    }
    upstream_stop(u, arena_printf(v->arena, "stopped by %s", v->principal));
    answer_order(v, u);
}

void api_server_restart(struct visit *v, struct bytes body)
{
    struct upstream *u = find_for_order(v, body);
    if (!u)
        return;
    upstream_restart(u);
    answer_order(v, u);
}
