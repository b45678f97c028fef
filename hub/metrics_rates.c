/* The last minute, second by second: what the overview shows. */
#include "core/base/clock.h"
#include "hub/hub.h"
#include "hub/metrics_parts.h"

enum { WINDOW = 60, OCTAVE = 8 };

static int64_t second_now(const struct metrics *m)
{
    return loop_now_ms(m->hub->loop) / 1000;
}

/* Step 0 ends at 1 µs; eight steps double the time. */
static size_t step_of(int64_t us)
{
    if (us < 1)
        us = 1;
    int octave = 63 - __builtin_clzll((uint64_t)us);
    int64_t part = octave >= 3 ? (us >> (octave - 3)) & 7 : (us << (3 - octave)) & 7;
    size_t step = (size_t)octave * OCTAVE + (size_t)part;
    return step < RATE_STEPS ? step : RATE_STEPS - 1;
}

/* The middle of a step. */
static int64_t time_of(size_t step)
{
    uint64_t low = ((uint64_t)1 << (step / OCTAVE)) * (OCTAVE + step % OCTAVE);
    uint64_t width = (uint64_t)1 << (step / OCTAVE);
    return (int64_t)((2 * low + width) / ((uint64_t)2 * OCTAVE));
}

void rates_add(struct metrics *m, bool is_error, int64_t us)
{
    int64_t now = second_now(m);
    struct second *s = &m->seconds[now & (RATE_SECONDS - 1)];
    if (s->at != now)
        *s = (struct second){.at = now};
    s->calls++;
    s->errors += is_error;
    s->steps[step_of(us)]++;
}

static int64_t percentile(const uint64_t *steps, uint64_t total, double part)
{
    uint64_t wanted = (uint64_t)((double)total * part), seen = 0;
    for (size_t i = 0; i < RATE_STEPS; i++) {
        seen += steps[i];
        if (seen > wanted)
            return time_of(i);
    }
    return 0;
}

/* Rates are those of the last whole second; percentiles those of the last minute. */
struct metrics_rates metrics_rates(const struct metrics *m)
{
    struct metrics_rates rates = {0};
    uint64_t steps[RATE_STEPS] = {0}, total = 0;
    int64_t now = second_now(m);
    for (size_t i = 0; i < RATE_SECONDS; i++) {
        const struct second *s = &m->seconds[i];
        if (s->calls == 0 || now - s->at > WINDOW)
            continue;
        if (s->at == now - 1) {
            rates.calls_per_s = s->calls;
            rates.errors_per_s = s->errors;
        }
        total += s->calls;
        for (size_t k = 0; k < RATE_STEPS; k++)
            steps[k] += s->steps[k];
    }
    rates.p50_us = percentile(steps, total, 0.50);
    rates.p95_us = percentile(steps, total, 0.95);
    rates.p99_us = percentile(steps, total, 0.99);
    return rates;
}
