/*
 * Recording. A call is counted in a row of trunkline_calls_total and in one of the histogram of durations;
 * which rows these are is looked up once for each kind of call and then found in a small cache, because this
 * is on the path of every call.
 */
#include "hub/metrics.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "hub/metrics_parts.h"

#include <assert.h>

struct metrics *metrics_new(struct hub *hub)
{
    struct metrics *m = NEW(struct metrics);
    m->hub = hub;
    m->started_s = clock_ms() / 1000;
    return m;
}

static void free_values(struct table *t)
{
    size_t at = 0;
    struct bytes key;
    void *value;
    while (table_next(t, &at, &key, &value))
        free(value);
    table_end(t);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    free_values(&m->operations);
    free_values(&m->tallies);
    table_end(&m->tools);
    for (size_t i = 0; i < METRICS_CACHE; i++)
        free(m->cache[i].key);
    free(m);
}

static struct bytes with_end(const char *text)
{
    return (struct bytes){text, strlen(text) + 1};
}

/* A uri is never a label, and the number of tools has a cap. */
static const char *tool_label(struct metrics *m, const char *server, const char *method, struct bytes tool)
{
    if (strcmp(method, "tools/call") != 0 || tool.n == 0)
        return "";
    struct buf key = {0};
    buf_add_bytes(&key, with_end(server));
    buf_add_bytes(&key, tool);
    bool is_known = table_get(&m->tools, buf_bytes(&key)) != NULL;
    if (!is_known && m->tools.count < METRICS_LABEL_CAP) {
        table_put(&m->tools, buf_bytes(&key), m);
        is_known = true;
    }
    buf_end(&key);
    return is_known ? NULL : "other";
}

/* The row behind `parts`, made when it is not there yet: `size` bytes, followed by the parts themselves,
 * where the first `count` members of the row, all of them const char *, point. */
static void *row_of(struct table *t, const struct bytes *parts, size_t count, size_t size)
{
    struct buf key = {0};
    for (size_t i = 0; i < count; i++) {
        buf_add_bytes(&key, parts[i]);
        buf_add_char(&key, '\0');
    }
    assert(key.p);
    char *row = table_get(t, buf_bytes(&key));
    if (!row) {
        row = mem_new(size + key.n);
        memcpy(row + size, key.p, key.n);
        const char **labels = (const char **)row;
        const char *at = row + size;
        for (size_t i = 0; i < count; i++) {
            labels[i] = at;
            at += parts[i].n + 1;
        }
        table_put(t, buf_bytes(&key), row);
    }
    buf_end(&key);
    return row;
}

static const char *error_label(const char *outcome)
{
    return strcmp(outcome, "ok") == 0 ? "" : outcome;
}

static void fill(struct metrics *m, struct series *s, const struct series *call)
{
    struct buf key = {0};
    const struct bytes parts[] = {bytes_of(call->server), bytes_of(call->method), call->tool,
                                  bytes_of(call->via), bytes_of(call->outcome)};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        buf_add_bytes(&key, parts[i]);
        buf_add_char(&key, '\0');
    }
    free(s->key);
    *s = (struct series){.key = buf_take(&key)};
    s->server = s->key;
    s->method = s->server + parts[0].n + 1;
    s->tool = (struct bytes){s->method + parts[1].n + 1, parts[2].n};
    s->via = s->tool.p + parts[2].n + 1;
    s->outcome = s->via + parts[3].n + 1;

    const char *label = tool_label(m, call->server, call->method, call->tool);
    struct bytes tool = label ? bytes_of(label) : call->tool;
    const struct bytes operation[] = {parts[1], tool, bytes_of(error_label(call->outcome))};
    const struct bytes tally[] = {parts[0], tool, parts[3], parts[4]};
    s->operation = row_of(&m->operations, operation, 3, sizeof(struct operation));
    s->tally = row_of(&m->tallies, tally, 4, sizeof(struct tally));
}

static bool is_same(const struct series *s, const struct series *call)
{
    return s->key && bytes_are(s->tool, call->tool) && strcmp(s->server, call->server) == 0 &&
           strcmp(s->outcome, call->outcome) == 0 && strcmp(s->method, call->method) == 0 &&
           strcmp(s->via, call->via) == 0;
}

/* Which place of the cache: the pointers are those of literals and of the configuration, so they are as good
 * as what they point to, and a wrong guess costs only a fill. */
static size_t place_of(const struct series *call)
{
    uint64_t h = (uintptr_t)call->server * 31 + (uintptr_t)call->outcome * 17 + (uintptr_t)call->via +
                 (uintptr_t)call->method * 7;
    for (size_t i = 0; i < call->tool.n; i++)
        h = (h ^ (unsigned char)call->tool.p[i]) * 0x100000001b3u;
    return (h ^ h >> 29) & (METRICS_CACHE - 1);
}

static void measure(struct operation *o, int64_t us)
{
    size_t i = 0;
    while (i < METRICS_BUCKETS && us > metrics_bounds_us[i])
        i++;
    o->buckets[i]++;
    o->count++;
    o->sum_us += us;
}

/* NOLINTNEXTLINE(readability-function-size): its labels are its parameters; a struct would only hide them */
void metrics_call(struct metrics *m, const char *server, const char *method, struct bytes tool,
                  const char *via, const char *outcome, int64_t us)
{
    const struct series call = {
        .server = server, .method = method, .tool = tool, .via = via, .outcome = outcome};
    struct series *s = &m->cache[place_of(&call)];
    if (!is_same(s, &call))
        fill(m, s, &call);
    s->tally->count++;
    measure(s->operation, us);
    rates_add(m, strcmp(outcome, "ok") != 0, us);
}
