#pragma once
/* metrics -- counters and histograms in Prometheus text (70 §8). Names and labels are one table in metrics.c.
 */
#include "core/base/bytes.h"
#include "core/rpc/fault.h"

struct hub;
struct metrics;
struct metrics *metrics_new(struct hub *hub);
void metrics_free(struct metrics *m);
/* A call ended. outcome: ok tool_error denied cancelled timeout upstream limited. `us` microseconds. Hot
 * path. */
void metrics_call(struct metrics *m, const char *server, const char *method, struct bytes tool,
                  const char *via, const char *outcome, int64_t us);
void metrics_add(const struct metrics *m, struct buf *out); /* the exposition */
void metrics_add_reference(struct buf *out); /* docs/reference/metrics.md, from the same table */
/* For the overview tile: calls and errors of the last second / minute, percentiles in µs. */
struct metrics_rates {
    double calls_per_s, errors_per_s;
    int64_t p50_us, p95_us, p99_us;
};
struct metrics_rates metrics_rates(const struct metrics *m);
