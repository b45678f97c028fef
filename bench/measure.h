// measure -- what every bench program measures with: the clock, a histogram, the CPU time of other processes.
//
// The histogram is log-linear (128 steps per power of two, so a value is kept within 0.8 %), fixed in size
// and never allocates. CPU times come from the process clocks of the kernel: nanoseconds, all threads, user
// and system; /proc/<pid>/stat has the same sum in ticks of 10 ms, far too coarse for rounds of half a
// second.
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static inline uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

// A bench program never outlives the script that started it.
static inline void end_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

_Noreturn static inline void die(const char *what)
{
    perror(what);
    exit(2);
}

static inline void *room(void *old, size_t n)
{
    void *p = realloc(old, n);
    if (p == NULL)
        die("out of memory");
    return p;
}

#define HIST_BITS 7
#define HIST_STEPS (1u << HIST_BITS)
#define HIST_SLOTS ((64 - HIST_BITS + 1) * HIST_STEPS)

struct hist {
    uint64_t n;
    uint64_t max;
    uint64_t slot[HIST_SLOTS];
};

static inline void hist_clear(struct hist *h)
{
    memset(h, 0, sizeof *h);
}

static inline void hist_add(struct hist *h, uint64_t v)
{
    unsigned shift = v < HIST_STEPS ? 0 : (unsigned)(63 - __builtin_clzll(v)) - HIST_BITS;
    uint64_t at = v < HIST_STEPS ? v : shift * (uint64_t)HIST_STEPS + (v >> shift);
    h->slot[at]++;
    h->n++;
    if (v > h->max)
        h->max = v;
}

// The middle of the slot that holds the given share (0..1) of all values; 0 when there are none.
static inline double hist_at(const struct hist *h, double share)
{
    uint64_t want = (uint64_t)(share * (double)h->n + 0.5);
    uint64_t seen = 0;

    if (want < 1)
        want = 1;
    for (uint64_t i = 0; i < HIST_SLOTS; i++) {
        seen += h->slot[i];
        if (h->slot[i] == 0 || seen < want)
            continue;
        if (i < 2 * HIST_STEPS)
            return (double)i;
        uint64_t shift = i / HIST_STEPS - 1;
        return (double)((i - shift * HIST_STEPS) << shift) + (double)(1ull << shift) / 2;
    }
    return 0;
}

// Processes whose CPU time is counted, given as NAME=PID.
#define WATCH_MAX 8

struct watch {
    char name[32];
    clockid_t clock;
    uint64_t from, to;
};

struct watches {
    struct watch all[WATCH_MAX];
    int n;
};

static inline int watch_add(struct watches *w, const char *spec)
{
    const char *equals = strchr(spec, '=');
    if (equals == NULL || w->n == WATCH_MAX || equals - spec >= (long)sizeof w->all[0].name)
        return -1;
    struct watch *one = &w->all[w->n];
    memset(one, 0, sizeof *one);
    memcpy(one->name, spec, (size_t)(equals - spec));
    if (clock_getcpuclockid((pid_t)strtol(equals + 1, NULL, 10), &one->clock) != 0)
        return -1;
    w->n++;
    return 0;
}

static inline void watch_begin(struct watches *w)
{
    for (int i = 0; i < w->n; i++)
        w->all[i].from = clock_ns(w->all[i].clock);
}

static inline void watch_finish(struct watches *w)
{
    for (int i = 0; i < w->n; i++)
        w->all[i].to = clock_ns(w->all[i].clock);
}

// Prints `"cpu_us":{"hub":8.91,…}`, per call; a process that died meanwhile shows as null, not as cheap.
static inline void watch_print(const struct watches *w, uint64_t calls)
{
    printf("\"cpu_us\":{");
    for (int i = 0; i < w->n; i++) {
        const struct watch *one = &w->all[i];
        printf("%s\"%s\":", i > 0 ? "," : "", one->name);
        if (one->to < one->from || one->to == 0 || calls == 0)
            printf("null");
        else
            printf("%.4f", (double)(one->to - one->from) / 1000.0 / (double)calls);
    }
    printf("}");
}

static inline void hist_print(const struct hist *h)
{
    printf("\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f",
           hist_at(h, 0.5) / 1000, hist_at(h, 0.9) / 1000, hist_at(h, 0.99) / 1000, hist_at(h, 0.999) / 1000,
           (double)h->max / 1000);
}
