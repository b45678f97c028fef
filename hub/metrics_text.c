/*
 * Telling: one row a family, in the order of the exposition; the reference page comes from the same rows.
 * Prometheus text format 0.0.4; names of MCP operations by OpenTelemetry's conventions for MCP.
 */
#include "hub/call.h"
#include "hub/catalogue.h"
#include "hub/events.h"
#include "hub/face_mcp.h"
#include "hub/hub.h"
#include "hub/metrics_parts.h"
#include "hub/upstream.h"
#include "hub/version.h"

#include <stdio.h>

const int64_t metrics_bounds_us[METRICS_BUCKETS] = {500,     1000,    2500,    5000,     10000,
                                                    25000,   50000,   100000,  250000,   500000,
                                                    1000000, 2500000, 5000000, 10000000, 30000000};

struct family {
    const char *name, *type, *labels, *help;
    void (*add)(const struct family *f, const struct metrics *m, struct buf *out);
};

/* `name="value"`, with the value escaped; a comma before all but the first. */
static void add_label(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "%s%s=\"", out->n && out->p[out->n - 1] != '{' ? "," : "", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_add_text(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_addf(out, "\\%c", *value);
        else
            buf_add_char(out, *value);
    }
    buf_add_char(out, '"');
}

static void add_one(struct buf *out, const struct family *f, const char *label, const char *value, int64_t v)
{
    buf_add_text(out, f->name);
    if (label) {
        buf_add_char(out, '{');
        add_label(out, label, value);
        buf_add_char(out, '}');
    }
    buf_addf(out, " %lld\n", (long long)v);
}

/* --- calls --- */

static void begin_operation(struct buf *out, const struct family *f, const char *suffix,
                            const struct operation *o)
{
    buf_addf(out, "%s%s{", f->name, suffix);
    add_label(out, "mcp_method_name", o->method);
    add_label(out, "gen_ai_tool_name", o->tool);
    add_label(out, "error_type", o->error);
}

static void add_operation(struct buf *out, const struct family *f, const struct operation *o)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        sum += o->buckets[i];
        begin_operation(out, f, "_bucket", o);
        buf_addf(out, ",le=\"%g\"} %llu\n", (double)metrics_bounds_us[i] / 1e6, (unsigned long long)sum);
    }
    begin_operation(out, f, "_bucket", o);
    buf_addf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)o->count);
    begin_operation(out, f, "_sum", o);
    buf_addf(out, "} %.6f\n", (double)o->sum_us / 1e6);
    begin_operation(out, f, "_count", o);
    buf_addf(out, "} %llu\n", (unsigned long long)o->count);
}

static void add_durations(const struct family *f, const struct metrics *m, struct buf *out)
{
    size_t at = 0;
    struct bytes key;
    void *o;
    while (table_next(&m->operations, &at, &key, &o))
        add_operation(out, f, o);
}

static void add_calls(const struct family *f, const struct metrics *m, struct buf *out)
{
    size_t at = 0;
    struct bytes key;
    void *value;
    while (table_next(&m->tallies, &at, &key, &value)) {
        const struct tally *t = value;
        buf_addf(out, "%s{", f->name);
        add_label(out, "server", t->server);
        add_label(out, "tool", t->tool);
        add_label(out, "via", t->via);
        add_label(out, "outcome", t->outcome);
        buf_addf(out, "} %llu\n", (unsigned long long)t->count);
    }
}

struct running {
    const char *server;
    int64_t count;
};

static void count_running(const struct call_view *v, void *ctx)
{
    struct running *r = ctx;
    r->count += strcmp(v->server, r->server) == 0;
}

/* --- servers: one row each --- */

static void each_server(const struct family *f, const struct metrics *m, struct buf *out,
                        int64_t (*value)(const struct hub *hub, const struct upstream *u))
{
    for (size_t i = 0; i < m->hub->upstream_count; i++) {
        const struct upstream *u = m->hub->upstreams[i];
        add_one(out, f, "server", upstream_config(u)->name, value(m->hub, u));
    }
}

static int64_t in_flight_of(const struct hub *hub, const struct upstream *u)
{
    struct running r = {upstream_config(u)->name, 0};
    if (hub->calls)
        call_each((struct hub *)hub, count_running, &r);
    return r.count;
}

static int64_t up_of(const struct hub *hub, const struct upstream *u)
{
    (void)hub;
    return upstream_state(u) == UPSTREAM_READY;
}

static int64_t restarts_of(const struct hub *hub, const struct upstream *u)
{
    (void)hub;
    return upstream_restarts(u);
}

static int64_t tools_of(const struct hub *hub, const struct upstream *u)
{
    return (int64_t)catalogue_count(hub->catalogue, ITEM_TOOL, upstream_config(u)->name);
}

static void add_in_flight(const struct family *f, const struct metrics *m, struct buf *out)
{
    each_server(f, m, out, in_flight_of);
}

static void add_up(const struct family *f, const struct metrics *m, struct buf *out)
{
    each_server(f, m, out, up_of);
}

static void add_restarts(const struct family *f, const struct metrics *m, struct buf *out)
{
    each_server(f, m, out, restarts_of);
}

static void add_tools(const struct family *f, const struct metrics *m, struct buf *out)
{
    if (m->hub->catalogue)
        each_server(f, m, out, tools_of);
}

/* --- the hub's own --- */

static void add_connections(const struct family *f, const struct metrics *m, struct buf *out)
{
    struct web_counts counts = m->hub->web ? web_counts(m->hub->web) : (struct web_counts){0};
    add_one(out, f, "kind", "http", (int64_t)counts.connections);
    add_one(out, f, "kind", "stream", (int64_t)counts.streams);
    add_one(out, f, "kind", "websocket", m->hub->ws ? (int64_t)ws_count(m->hub->ws) : 0);
}

static void add_sessions(const struct family *f, const struct metrics *m, struct buf *out)
{
    struct face_counts counts = m->hub->face ? face_counts(m->hub->face) : (struct face_counts){0};
    add_one(out, f, "kind", "session", (int64_t)counts.sessions);
    add_one(out, f, "kind", "listen", (int64_t)counts.listens);
}

static void add_stream_events(const struct family *f, const struct metrics *m, struct buf *out)
{
    struct events_counts counts = events_counts(m->hub->events);
    for (size_t i = 0; i < EVENTS_GROUPS; i++)
        add_one(out, f, "topic", events_group_name(i), (int64_t)counts.published[i]);
}

static void add_resyncs(const struct family *f, const struct metrics *m, struct buf *out)
{
    add_one(out, f, NULL, NULL, (int64_t)events_counts(m->hub->events).resyncs);
}

struct asked {
    const struct family *family;
    struct buf *out;
};

static void tell_resident(const char *role, const struct process_use *use, void *ctx)
{
    const struct asked *a = ctx;
    add_one(a->out, a->family, "role", role, use->resident);
}

static void tell_cpu(const char *role, const struct process_use *use, void *ctx)
{
    const struct asked *a = ctx;
    buf_addf(a->out, "%s{", a->family->name);
    add_label(a->out, "role", role);
    buf_addf(a->out, "} %.2f\n", use->cpu_s);
}

static void tell_fds(const char *role, const struct process_use *use, void *ctx)
{
    const struct asked *a = ctx;
    if (use->fds >= 0)
        add_one(a->out, a->family, "role", role, use->fds);
}

static void add_resident(const struct family *f, const struct metrics *m, struct buf *out)
{
    metrics_each_process(m, tell_resident, &(struct asked){f, out});
}

static void add_cpu(const struct family *f, const struct metrics *m, struct buf *out)
{
    metrics_each_process(m, tell_cpu, &(struct asked){f, out});
}

static void add_fds(const struct family *f, const struct metrics *m, struct buf *out)
{
    metrics_each_process(m, tell_fds, &(struct asked){f, out});
}

static void add_build(const struct family *f, const struct metrics *m, struct buf *out)
{
    (void)m;
    add_one(out, f, "version", TRUNKLINE_VERSION, 1);
}

static const struct family families[] = {
    {"mcp_server_operation_duration_seconds", "histogram", "mcp_method_name, gen_ai_tool_name, error_type",
     "Time from a request for a server to its answer, seconds.",                                                                                                         add_durations  },
    {"trunkline_calls_total",                 "counter",   "server, tool, via, outcome",
     "Calls that ended: ok, tool_error, denied, cancelled, timeout, upstream, limited.",                                                                                 add_calls      },
    {"trunkline_calls_in_flight",             "gauge",     "server",                                        "Calls without an answer yet.",                              add_in_flight  },
    {"trunkline_upstream_up",                 "gauge",     "server",                                        "1 when the server is ready, else 0.",                       add_up         },
    {"trunkline_upstream_restarts_total",     "counter",   "server",                                        "Starts after the first one.",                               add_restarts   },
    {"trunkline_tools",                       "gauge",     "server",                                        "Tools in the catalogue, hidden ones too.",                  add_tools      },
    {"trunkline_connections",                 "gauge",     "kind",                                          "Open connections: http, stream, websocket.",                add_connections},
    {"trunkline_sessions",                    "gauge",     "kind",                                          "Legacy sessions, and listen streams of modern clients.",
     add_sessions                                                                                                                                                                       },
    {"trunkline_stream_events_total",         "counter",   "topic",                                         "Events of the live stream, by kind of topic.",
     add_stream_events                                                                                                                                                                  },
    {"trunkline_stream_resync_total",         "counter",   NULL,                                            "Listeners told to read everything again.",
     add_resyncs                                                                                                                                                                        },
    {"process_resident_memory_bytes",         "gauge",     "role",
     "Memory in use by the process; of a server, with all its descendants.",                                                                                             add_resident   },
    {"process_cpu_seconds_total",             "counter",   "role",                                          "User and system time of what runs now.",                    add_cpu        },
    {"process_open_fds",                      "gauge",     "role",                                          "Open descriptors, where the kernel lets the hub see them.",
     add_fds                                                                                                                                                                            },
    {"trunkline_build_info",                  "gauge",     "version",                                       "Always 1.",                                                 add_build      },
};
enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

void metrics_add(const struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        const struct family *f = &families[i];
        buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
        f->add(f, m, out);
    }
}

void metrics_add_reference(struct buf *out)
{
    buf_addf(
        out,
        "# Metrics\n\nMade from the table of families. `GET /metrics` gives them in Prometheus' text "
        "format.\n\nPrincipals, calls and addresses are never labels. Above %d tools the label `tool` is "
        "`other`.\nThe bounds of the histogram are 0.0005 to 30 seconds.\n\n"
        "| name | type | labels | meaning |\n|---|---|---|---|\n",
        METRICS_LABEL_CAP);
    for (size_t i = 0; i < FAMILIES; i++) {
        const struct family *f = &families[i];
        buf_addf(out, "| `%s` | %s | %s | %s |\n", f->name, f->type, f->labels ? f->labels : "", f->help);
    }
}
