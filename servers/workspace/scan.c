#include "servers/workspace/scan.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/base/work.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void run_on_worker(void *job)
{
    struct scan *s = job;
    s->run(s);
}

static void done_on_loop(void *job)
{
    struct scan *s = job;
    if (s->fault[0])
        order_fail(s->order, s->fault, "%s", s->why);
    else if (s->is_content)
        order_answer_content(s->order, buf_bytes(&s->text));
    else
        order_answer_text(s->order, buf_bytes(&s->text));
    buf_end(&s->text);
    free(s);
}

static void cancelled(struct order *o, void *ctx)
{
    struct scan *s = ctx;
    (void)o;
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
}

void scan_start(struct order *o, struct root *root, void (*run)(struct scan *s), const void *args)
{
    struct scan *s = NEW(struct scan);
    *s = (struct scan){
        .order = o, .root = root, .args = args, .run = run, .deadline_ms = order_deadline_ms(o)};
    order_wait(o, cancelled, s);
    work(serve_loop(order_serve(o)), run_on_worker, done_on_loop, s);
}

void scan_fail(struct scan *s, const char *name, const char *format, ...)
{
    va_list args;
    if (s->fault[0])
        return;
    snprintf(s->fault, sizeof(s->fault), "%s", name);
    va_start(args, format);
    vsnprintf(s->why, sizeof(s->why), format, args);
    va_end(args);
}

bool scan_must_stop(struct scan *s)
{
    if (__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
        scan_fail(s, "cancelled", "stopped by the caller");
    else if (clock_ms() >= s->deadline_ms)
        scan_fail(s, "deadline",
                  "the time of the call was up before the scan was done; narrow it with 'path' or 'glob'");
    return s->fault[0] != 0;
}

char *path_tidy(const char *path)
{
    struct buf out = {0};
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && *p == '.')) {
            if (out.n)
                buf_add_char(&out, '/');
            buf_add(&out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return buf_take(&out);
}

void page_tell(struct scan *s, struct bytes rest, int64_t position, int64_t most, uint64_t arguments)
{
    enum { NOTE = 160 }; /* room for the note at the end */
    size_t n = rest.n, room = (size_t)most - NOTE;
    struct buf cursor = {0};
    if (n > (size_t)most) {
        const char *end = memrchr(rest.p, '\n', room);
        n = end ? (size_t)(end - rest.p) + 1 : utf8_cut(rest, room);
        n = n ? n : room; /* no text at all */
    }
    buf_add(&s->text, rest.p, n);
    if (n == rest.n)
        return;
    cursor_add(&cursor, position + (int64_t)n, arguments);
    buf_addf(&s->text, "…[+%zu B] next_cursor=%s", rest.n - n, cursor.p);
    buf_end(&cursor);
}

/* --- rows --- */

void rows_begin(struct rows *r, const char *const *columns, int64_t from, int64_t limit, const char *format)
{
    *r = (struct rows){.columns = columns, .from = (size_t)from, .limit = (size_t)limit};
    r->is_json = strcmp(format, "json") == 0;
}

bool rows_want(struct rows *r)
{
    size_t at = r->seen++;
    if (at < r->from || r->is_full)
        return false;
    if (r->shown >= r->limit) {
        r->is_full = true;
        return false;
    }
    r->shown++;
    return true;
}

static void add_csv(struct buf *out, struct bytes cell)
{
    bool is_plain = true;
    for (size_t i = 0; i < cell.n && is_plain; i++)
        is_plain = cell.p[i] != '"' && cell.p[i] != ',' && cell.p[i] != '\n' && cell.p[i] != '\r';
    if (is_plain) {
        buf_add_bytes(out, cell);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < cell.n; i++) {
        if (cell.p[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, cell.p[i]);
    }
    buf_add_char(out, '"');
}

void rows_add(struct rows *r, const struct bytes *cells, const bool *is_number)
{
    size_t before = r->text.n;
    if (r->is_json)
        buf_add_text(&r->text, r->shown > 1 ? ",{" : "{");
    for (size_t i = 0; r->columns[i]; i++) {
        if (i)
            buf_add_char(&r->text, ',');
        if (!r->is_json) {
            add_csv(&r->text, cells[i]);
            continue;
        }
        buf_addf(&r->text, "\"%s\":", r->columns[i]);
        if (is_number[i])
            buf_add_bytes(&r->text, cells[i]);
        else
            buf_add_json(&r->text, cells[i]);
    }
    buf_add_char(&r->text, r->is_json ? '}' : '\n');
    if (r->text.n <= RESULT_BYTES || r->shown == 1)
        return;
    r->text.n = before; /* it is the first of the next page */
    r->shown--;
    r->is_full = true;
}

void rows_tell(struct rows *r, struct scan *s, int64_t total, bool more, uint64_t arguments)
{
    struct buf cursor = {0};
    if (more)
        cursor_add(&cursor, (int64_t)(r->from + r->shown), arguments);
    if (r->is_json) {
        buf_addf(&s->text, "{\"rows\":%zu", r->shown);
        if (total >= 0)
            buf_addf(&s->text, ",\"total\":%lld", (long long)total);
        if (more)
            buf_addf(&s->text, ",\"next_cursor\":\"%s\"", cursor.p);
        buf_add_text(&s->text, ",\"items\":[");
        buf_add_bytes(&s->text, buf_bytes(&r->text));
        buf_add_text(&s->text, "]}");
    } else {
        buf_addf(&s->text, "# rows=%zu", r->shown);
        if (total >= 0)
            buf_addf(&s->text, " total=%lld", (long long)total);
        if (more)
            buf_addf(&s->text, " next_cursor=%s", cursor.p);
        buf_add_char(&s->text, '\n');
        for (size_t i = 0; r->columns[i]; i++)
            buf_addf(&s->text, "%s%s", i ? "," : "", r->columns[i]);
        buf_add_char(&s->text, '\n');
        buf_add_bytes(&s->text, buf_bytes(&r->text));
    }
    buf_end(&cursor);
    buf_end(&r->text);
}

/* --- cursors --- */

struct cursor {
    char version, pad[7];
    int64_t position;
    uint64_t arguments;
};

void cursor_add(struct buf *out, int64_t position, uint64_t arguments)
{
    struct cursor c = {.version = 1, .position = position, .arguments = arguments};
    base64url_add(out, (struct bytes){(const char *)&c, sizeof(c)});
}

int cursor_read(const char *text, uint64_t arguments, int64_t *position)
{
    struct buf raw = {0};
    struct cursor c = {0};
    *position = 0;
    if (!text)
        return 0;
    bool is_ours = base64url_read(bytes_of(text), &raw) == 0 && raw.n == sizeof(c);
    if (is_ours)
        memcpy(&c, raw.p, sizeof(c));
    buf_end(&raw);
    if (!is_ours || c.version != 1 || c.arguments != arguments || c.position < 0)
        return -1;
    *position = c.position;
    return 0;
}

uint64_t arguments_hash(const char *const *texts, size_t n, int64_t number)
{
    struct hash h;
    unsigned char sum[HASH_SIZE];
    uint64_t out;
    hash_begin(&h);
    for (size_t i = 0; i < n; i++) {
        hash_add(&h, bytes_of(texts[i]));
        hash_add(&h, BYTES("\0"));
    }
    hash_add(&h, (struct bytes){(const char *)&number, sizeof(number)});
    hash_finish(&h, sum);
    memcpy(&out, sum, sizeof(out));
    return out;
}
