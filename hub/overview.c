#include "hub/overview.h"

#include "core/base/clock.h"
#include "hub/calls.h"
#include "hub/catalogue.h"
#include "hub/events.h"
#include "hub/face_mcp.h"
#include "hub/hub.h"
#include "hub/metrics.h"
#include "hub/upstream.h"

static double ms(int64_t us)
{
    return (double)us / 1000.0;
}

static void add_servers(const struct hub *hub, struct buf *out)
{
    size_t ready = 0, enabled = 0;
    for (size_t i = 0; i < hub->upstream_count; i++) {
        ready += upstream_state(hub->upstreams[i]) == UPSTREAM_READY;
        enabled += upstream_config(hub->upstreams[i])->enabled;
    }
    buf_addf(out, ",\"servers\":{\"ready\":%zu,\"enabled\":%zu,\"total\":%zu}", ready, enabled,
             hub->upstream_count);
}

void overview_add(struct hub *hub, struct buf *out)
{
    struct metrics_rates rates = metrics_rates(hub->metrics);
    struct face_counts face = hub->face ? face_counts(hub->face) : (struct face_counts){0};
    double part = rates.calls_per_s > 0 ? rates.errors_per_s / rates.calls_per_s : 0;
    buf_addf(out, "{\"uptime_ms\":%lld,\"calls_per_s\":%g,\"errors_per_s\":%g,\"error_rate\":%.4g",
             (long long)(stamp_now().ms - hub->started_at), rates.calls_per_s, rates.errors_per_s, part);
    buf_addf(out, ",\"p50_ms\":%g,\"p95_ms\":%g,\"p99_ms\":%g", ms(rates.p50_us), ms(rates.p95_us),
             ms(rates.p99_us));
    buf_addf(out, ",\"in_flight\":%zu", hub->calls ? calls_count(hub->calls) : 0);
    add_servers(hub, out);
    buf_addf(out, ",\"tools\":%zu", hub->catalogue ? catalogue_count(hub->catalogue, ITEM_TOOL, NULL) : 0);
    buf_addf(out, ",\"sessions\":%zu,\"listens\":%zu,\"people\":%zu}", face.sessions, face.listens,
             events_counts(hub->events).listeners);
}
