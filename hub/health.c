/* /livez, /readyz, /healthz, /metrics. A dead tool server makes the hub degraded, never not ready. */
#include "core/base/clock.h"
#include "hub/api_parts.h"
#include "hub/metrics.h"
#include "hub/upstream.h"

#include <sys/statvfs.h>

enum { BEAT_MOST_MS = 2000 };

void health_live(struct visit *v, struct bytes body)
{
    int64_t late = clock_ms() - v->api->beat_at;
    struct buf json = {0};
    (void)body;
    buf_addf(&json, "{\"status\":\"%s\",\"last_turn_ms\":%lld}", late <= BEAT_MOST_MS ? "ok" : "failed",
             (long long)late);
    visit_json(v, late <= BEAT_MOST_MS ? 200 : 503, &json);
}

void health_ready(struct visit *v, struct bytes body)
{
    const struct hub *hub = v->api->hub;
    const char *reason = hub->is_draining ? "the hub is about to stop" : "the hub is starting";
    struct buf json = {0};
    (void)body;
    if (hub->is_ready && !hub->is_draining) {
        buf_add_text(&json, "{\"status\":\"ok\",\"reasons\":[]}");
        visit_json(v, 200, &json);
        return;
    }
    buf_addf(&json, "{\"status\":\"not_ready\",\"reasons\":[\"%s\"]}", reason);
    request_add_header(v->request, "Retry-After", "1");
    visit_json(v, 503, &json);
}

static bool is_well(const struct upstream *u)
{
    enum upstream_state s = upstream_state(u);
    return s == UPSTREAM_READY || s == UPSTREAM_OFF;
}

static void add_servers(const struct hub *hub, struct buf *out)
{
    buf_add_text(out, ",\"servers\":{");
    for (size_t i = 0; i < hub->upstream_count; i++) {
        const struct upstream *u = hub->upstreams[i];
        if (i)
            buf_add_char(out, ',');
        buf_add_json_text(out, upstream_config(u)->name);
        buf_addf(out, ":{\"state\":\"%s\",\"sandbox\":%d,\"reason\":", upstream_state_name(upstream_state(u)),
                 upstream_sandbox(u));
        buf_add_json_text(out, upstream_reason(u));
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

static void add_disk(const struct hub *hub, struct buf *out)
{
    struct statvfs disk;
    if (!hub->config->state || statvfs(hub->config->state, &disk) < 0)
        return;
    buf_addf(out, ",\"disk\":{\"free_bytes\":%llu}",
             (unsigned long long)disk.f_bavail * (unsigned long long)disk.f_frsize);
}

void health_all(struct visit *v, struct bytes body)
{
    const struct hub *hub = v->api->hub;
    bool is_ready = hub->is_ready && !hub->is_draining, all_well = true;
    struct buf json = {0};
    (void)body;
    for (size_t i = 0; i < hub->upstream_count; i++)
        all_well = all_well && is_well(hub->upstreams[i]);
    buf_addf(&json, "{\"status\":\"%s\",\"roles\":{\"hub\":\"%s\"}",
             !is_ready  ? "failed"
             : all_well ? "ok"
                        : "degraded",
             is_ready           ? "ready"
             : hub->is_draining ? "draining"
                                : "starting");
    add_servers(hub, &json);
    add_disk(hub, &json);
    buf_add_char(&json, '}');
    visit_json(v, is_ready ? 200 : 503, &json);
}

void health_metrics(struct visit *v, struct bytes body)
{
    struct buf text = {0};
    (void)body;
    if (!v->api->hub->config->metrics) {
        visit_fault(v, FAULT_NOT_FOUND, "telemetry.metrics is off");
        return;
    }
    metrics_add(v->api->hub->metrics, &text);
    visit_text(v, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&text));
    buf_end(&text);
}
