#include "core/base/log.h"

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VALUE_MOST = 2048, LINES_MOST = 1000, EVENTS = 128, TURNING = 8, NUMBER_TEXT = 24 };

/* How often an event was told in the current second. Events beyond the places share the last one. */
struct tally {
    const char *event;
    int64_t told, dropped;
};

/* The log is the one part of the process that everybody shares, so it has state. */
static struct {
    pthread_mutex_t lock;
    const char *role;
    enum log_level least;
    bool is_json;
    int64_t second;
    struct tally tallies[EVENTS];
    char numbers[TURNING][NUMBER_TEXT];
    unsigned next_number;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER, .role = "trunkline", .least = LOG_INFO, .is_json = true};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_begin(const char *role, enum log_level least, int is_json)
{
    self.role = role;
    self.least = least;
    self.is_json = is_json < 0 ? !isatty(STDERR_FILENO) : is_json != 0;
}

static enum log_level level_of(const char *name)
{
    for (int i = LOG_DEBUG; name && i <= LOG_ERROR; i++) {
        if (strcmp(level_names[i], name) == 0)
            return (enum log_level)i;
    }
    return LOG_INFO;
}

void log_begin_by(const char *role, const char *level, const char *format)
{
    const char *wanted = getenv("TRUNKLINE_LOG");
    bool is_json = format && strcmp(format, "json") == 0, is_text = format && strcmp(format, "text") == 0;
    log_begin(role, level_of(wanted ? wanted : level), is_json ? 1 : is_text ? 0 : -1);
}

const char *log_int(int64_t v)
{
    char *text = self.numbers[__atomic_fetch_add(&self.next_number, 1, __ATOMIC_RELAXED) % TURNING];
    snprintf(text, NUMBER_TEXT, "%lld", (long long)v);
    return text;
}

/* What log_int made is a number in JSON too. */
static bool is_number(const char *value)
{
    return value >= self.numbers[0] && value < self.numbers[0] + sizeof self.numbers;
}

static void add_head(struct buf *line, enum log_level level, const char *event)
{
    char now[25];
    stamp_text(stamp_now(), now);
    if (self.is_json)
        buf_addf(line, "{\"ts\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"event\":\"%s\"", now,
                 level_names[level], self.role, event);
    else
        buf_addf(line, "%.12s %-5s %s %s", now + 11, level_names[level], self.role, event);
}

static void add_field(struct buf *line, const char *key, const char *value)
{
    size_t n = strnlen(value, VALUE_MOST + 1);
    bool is_cut = n > VALUE_MOST;
    struct bytes shown = {value, is_cut ? utf8_cut((struct bytes){value, n}, VALUE_MOST) : n};
    if (!self.is_json) {
        buf_addf(line, " %s=", key);
        text_show(line, shown);
        buf_add_text(line, is_cut ? "…" : "");
        return;
    }
    buf_addf(line, ",\"%s\":", key);
    if (is_number(value)) {
        buf_add_bytes(line, shown);
        return;
    }
    buf_add_json(line, shown);
    if (is_cut) {
        line->n--; /* the closing quote */
        buf_add_text(line, "…\"");
    }
}

static void end_line(struct buf *line)
{
    buf_add_text(line, self.is_json ? "}\n" : "\n");
    for (size_t done = 0; done < line->n;) {
        ssize_t n = write(STDERR_FILENO, line->p + done, line->n - done);
        if (n <= 0)
            break; /* nobody is left to tell */
        done += (size_t)n;
    }
    buf_end(line);
}

static void tell_dropped(void)
{
    for (size_t i = 0; i < EVENTS && self.tallies[i].event; i++) {
        const struct tally *t = &self.tallies[i];
        if (t->dropped == 0)
            continue;
        struct buf line = {0};
        add_head(&line, LOG_WARN, "log.dropped");
        add_field(&line, "of", t->event);
        add_field(&line, "count", log_int(t->dropped));
        end_line(&line);
    }
    memset(self.tallies, 0, sizeof self.tallies);
}

static bool may_tell(const char *event)
{
    int64_t second = clock_ms() / 1000;
    if (second != self.second) {
        tell_dropped();
        self.second = second;
    }
    size_t i = 0;
    while (i < EVENTS - 1 && self.tallies[i].event && strcmp(self.tallies[i].event, event) != 0)
        i++;
    struct tally *t = &self.tallies[i];
    t->event = t->event ? t->event : event;
    bool may = t->told < LINES_MOST;
    t->told += may;
    t->dropped += !may;
    return may;
}

bool log_writes(enum log_level level)
{
    return level >= self.least;
}

void log_write(enum log_level level, const char *event, ...)
{
    if (!log_writes(level))
        return;
    pthread_mutex_lock(&self.lock);
    if (may_tell(event)) {
        struct buf line = {0};
        add_head(&line, level, event);
        va_list fields;
        va_start(fields, event);
        for (const char *key; (key = va_arg(fields, const char *));) {
            const char *value = va_arg(fields, const char *);
            if (value)
                add_field(&line, key, value);
        }
        va_end(fields);
        end_line(&line);
    }
    pthread_mutex_unlock(&self.lock);
}
