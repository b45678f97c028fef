#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

#ifdef TEST_CLOCK
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * State of the process, against the house rule, because the clock is asked from everywhere and belongs to
 * nobody; it is set once and exists in test builds only.
 */
static const int64_t *offset_place;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_offset(void)
{
    const char *name = getenv("TRUNKLINE_TEST_CLOCK_FD");
    if (!name)
        return;
    char *end;
    long fd = strtol(name, &end, 10);
    if (*end || end == name)
        return;
    void *p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, (int)fd, 0);
    if (p != MAP_FAILED)
        offset_place = p;
}

bool clock_is_held(void)
{
    pthread_once(&once, find_offset);
    return offset_place != NULL;
}

static int64_t offset_ms(void)
{
    return clock_is_held() ? __atomic_load_n(offset_place, __ATOMIC_RELAXED) : 0;
}
#else
static inline int64_t offset_ms(void)
{
    return 0;
}
#endif

int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + offset_ms();
}

int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + offset_ms() * 1000;
}

struct stamp stamp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (struct stamp){(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + offset_ms()};
}

void stamp_text(struct stamp s, char out[static 25])
{
    int64_t ms = s.ms % 1000;
    time_t seconds = (time_t)(s.ms / 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm);
    /* Masks tell the compiler what the calendar promises: the text has 24 letters. */
    snprintf(out, 25, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
             (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)ms % 1000u);
}
