#include "core/net/sse.h"

#include "core/base/text.h"

/* ---- writing ---- */

/* The part before any line end: a field of one line never becomes two. */
static struct bytes one_line(struct bytes s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r' && s.p[n] != 0)
        n++;
    return (struct bytes){s.p, n};
}

static void add_field(struct buf *out, const char *name, struct bytes value)
{
    buf_add_text(out, name);
    buf_add(out, ": ", 2);
    buf_add_bytes(out, value);
    buf_add_char(out, '\n');
}

static void add_data(struct buf *out, struct bytes data)
{
    size_t at = 0;
    do {
        size_t n = 0;
        while (at + n < data.n && data.p[at + n] != '\n' && data.p[at + n] != '\r')
            n++;
        add_field(out, "data", (struct bytes){data.p + at, n});
        at += n;
        if (at + 1 < data.n && data.p[at] == '\r' && data.p[at + 1] == '\n')
            at++;
    } while (at++ < data.n);
}

void sse_add(struct buf *out, const struct sse_event *e)
{
    if (e->event.p)
        add_field(out, "event", one_line(e->event));
    if (e->id.p)
        add_field(out, "id", one_line(e->id));
    if (e->retry_ms >= 0) {
        buf_add_text(out, "retry: ");
        buf_add_int(out, e->retry_ms);
        buf_add_char(out, '\n');
    }
    if (e->data.p)
        add_data(out, e->data);
    buf_add_char(out, '\n');
}

void sse_add_comment(struct buf *out, const char *text)
{
    buf_add_char(out, ':');
    if (*text)
        buf_add_char(out, ' ');
    buf_add_bytes(out, one_line(bytes_of(text)));
    buf_add(out, "\n\n", 2);
}

/* ---- reading ---- */

void sse_reader_init(struct sse_reader *r, size_t limit)
{
    *r = (struct sse_reader){.limit = limit, .retry_ms = -1};
}

void sse_reader_end(struct sse_reader *r)
{
    buf_end(&r->line);
    buf_end(&r->data);
    buf_end(&r->event);
    buf_end(&r->id);
}

static void set(struct buf *b, struct bytes value)
{
    buf_clear(b);
    buf_add_bytes(b, value);
}

static void take_line(struct sse_reader *r)
{
    struct bytes line = {r->line.p, r->line.n}, value = BYTES_NONE;
    size_t n = bytes_find(line, ':');
    if (n < line.n) {
        value = (struct bytes){line.p + n + 1, line.n - n - 1};
        if (value.n && value.p[0] == ' ')
            value = (struct bytes){value.p + 1, value.n - 1};
    }
    struct bytes name = {line.p, n};
    int64_t ms;
    if (bytes_say(name, "data")) {
        if (r->has_data)
            buf_add_char(&r->data, '\n');
        if (value.n)
            buf_add_bytes(&r->data, value);
        r->has_data = true;
    } else if (bytes_say(name, "event")) {
        set(&r->event, value);
    } else if (bytes_say(name, "id")) {
        if (bytes_find(value, 0) == value.n) {
            set(&r->id, value);
            r->has_id = true;
        }
    } else if (bytes_say(name, "retry")) {
        if (number_read(value, &ms) == 0)
            r->retry_ms = ms;
    } /* anything else, comments too (their name is empty), says nothing to us */
}

static struct bytes held(const struct buf *b)
{
    return (struct bytes){b->p ? b->p : "", b->n};
}

/* An empty line: what was gathered is an event, if it has data. */
static void dispatch(struct sse_reader *r, void (*fn)(const struct sse_event *e, void *ctx), void *ctx)
{
    if (r->has_data) {
        struct sse_event e = {.id = r->has_id ? held(&r->id) : BYTES_NONE,
                              .event = r->event.n ? held(&r->event) : BYTES_NONE,
                              .data = held(&r->data),
                              .retry_ms = r->retry_ms};
        fn(&e, ctx);
    }
    buf_clear(&r->data);
    buf_clear(&r->event);
    r->has_data = false;
}

static void end_line(struct sse_reader *r, void (*fn)(const struct sse_event *e, void *ctx), void *ctx)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (!r->began && r->line.n >= 3 && memcmp(r->line.p, mark, 3) == 0)
        buf_drop_front(&r->line, 3);
    r->began = true;
    if (r->line.n == 0)
        dispatch(r, fn, ctx);
    else
        take_line(r);
    buf_clear(&r->line);
}

int sse_feed(struct sse_reader *r, struct bytes piece, void (*fn)(const struct sse_event *e, void *ctx),
             void *ctx)
{
    size_t at = 0;
    while (at < piece.n) {
        if (r->saw_cr && piece.p[at] == '\n') { /* the second half of CRLF */
            r->saw_cr = false;
            at++;
            continue;
        }
        r->saw_cr = false;
        size_t n = 0;
        while (at + n < piece.n && piece.p[at + n] != '\n' && piece.p[at + n] != '\r')
            n++;
        if (r->line.n + r->data.n + r->event.n + n > r->limit)
            return -1;
        buf_add(&r->line, piece.p + at, n);
        at += n;
        if (at == piece.n)
            break;
        r->saw_cr = piece.p[at++] == '\r';
        end_line(r, fn, ctx);
    }
    return 0;
}
