#pragma once
/* metrics_parts -- the inside of the metrics, shared by metrics*.c only. */
#include "core/base/table.h"
#include "hub/metrics.h"

enum {
    METRICS_BUCKETS = 15,     /* bounds of a histogram; one more counts what is above the last */
    METRICS_LABEL_CAP = 2000, /* tools told apart; those beyond are "other" */
    METRICS_CACHE = 512,      /* power of two */
    RATE_SECONDS = 64,        /* power of two, more than a minute */
    RATE_STEPS = 256,         /* up to 70 minutes */
};

/* One row of mcp_server_operation_duration_seconds. */
struct operation {
    const char *method, *tool, *error; /* "" where a label is empty; in the table's key */
    uint64_t buckets[METRICS_BUCKETS + 1], count;
    int64_t sum_us;
};

/* One row of trunkline_calls_total. */
struct tally {
    const char *server, *tool, *via, *outcome;
    uint64_t count;
};

/* What a call looked like the last time, so that the next of its kind finds its rows by one comparison. */
struct series {
    char *key; /* server NUL method NUL tool NUL via NUL outcome NUL */
    const char *server, *method, *via, *outcome;
    struct bytes tool;
    struct operation *operation;
    struct tally *tally;
};

/* One second of all calls. */
struct second {
    int64_t at; /* seconds of the monotonic clock */
    uint32_t calls, errors;
    uint32_t steps[RATE_STEPS]; /* by the logarithm of the time: eight steps an octave */
};

struct metrics {
    struct hub *hub;
    struct table operations, tallies, tools;
    struct series cache[METRICS_CACHE];
    struct second seconds[RATE_SECONDS];
    int64_t started_s;
};

/* metrics_rates.c */
void rates_add(struct metrics *m, bool is_error, int64_t us);

/* metrics_process.c: the three families process_*. */
struct process_use {
    int64_t resident, fds; /* bytes; -1: the kernel does not tell */
    double cpu_s;
};
void metrics_each_process(const struct metrics *m,
                          void (*fn)(const char *role, const struct process_use *use, void *ctx), void *ctx);

/* metrics_text.c */
extern const int64_t metrics_bounds_us[METRICS_BUCKETS];
