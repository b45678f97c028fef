#include "core/rpc/serve_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * Bytes in, bytes out. A client that does not read its answers is not asked for more: reading stops while
 * much waits to be written. At the end of the input nothing is left to be done for anybody, so what runs is
 * cancelled; when the last of it is over, the loop stops.
 */

enum {
    READ_SIZE = 64 * 1024,
    LINE_MAX_BYTES = 8 * 1024 * 1024, /* the hub takes bodies of 4 MiB */
    BACKLOG_MAX = 8 * 1024 * 1024,
    KEPT_ROOM = 256 * 1024,
    BATCH_MAX = 64,
};

void serve_wake(struct serve *s)
{
    loop_defer(s->loop, &s->turn_end);
}

void message_begin(struct serve *s)
{
    buf_add_text(&s->out, "{\"jsonrpc\":\"2.0\",");
}

void message_end(struct serve *s)
{
    buf_add_text(&s->out, "}\n");
    serve_wake(s);
}

void serve_answer_fault(struct serve *s, const struct fault_told *f, enum era era, struct bytes id)
{
    fault_add_response(&s->out, f, era, id);
    buf_add_char(&s->out, '\n');
    serve_wake(s);
}

/* --- out --- */

static void write_some(struct serve *s)
{
    while (s->out_at < s->out.n) {
        ssize_t n = write(s->fd_out, s->out.p + s->out_at, s->out.n - s->out_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            s->out_at = s->out.n; /* nobody is there any more */
            serve_begin_end(s);
        }
        if (n < 0)
            break;
        s->out_at += (size_t)n;
    }
    if (s->out_at == s->out.n) {
        s->out_at = 0;
        if (s->out.cap > KEPT_ROOM)
            buf_end(&s->out);
        else
            buf_clear(&s->out);
    }
}

static void set_watches(struct serve *s)
{
    size_t waiting = s->out.n - s->out_at;
    bool pauses = waiting > BACKLOG_MAX;

    if (s->watch_out)
        watch_set(s->watch_out, waiting ? WATCH_WRITE : 0);
    if (pauses != s->is_paused && !s->is_ending)
        watch_set(s->watch_in, pauses ? 0 : WATCH_READ);
    s->is_paused = pauses;
}

void serve_turn_end(void *ctx)
{
    struct serve *s = ctx;

    orders_sweep(s);
    if (s->is_ending && s->in_flight == 0)
        listens_end(s, true);
    write_some(s);
    set_watches(s);
    if (s->is_ending && s->in_flight == 0 && s->out.n == 0 && !s->is_closed) {
        s->is_closed = true;
        loop_stop(s->loop);
    }
}

void serve_output(int events, void *ctx)
{
    (void)events;
    serve_turn_end(ctx);
}

void serve_begin_end(struct serve *s)
{
    if (s->is_ending)
        return;
    s->is_ending = true;
    watch_set(s->watch_in, 0);
    orders_cancel_all(s);
    serve_wake(s);
}

/* --- in --- */

static void refuse(struct serve *s, enum fault fault, const char *text, struct bytes id)
{
    struct fault_told told;

    fault_tell(&told, fault, "%s", text);
    serve_answer_fault(s, &told, s->saw_modern && !s->version ? ERA_MODERN : ERA_LEGACY, id);
}

/* Arrays existed in one revision only; there each part is answered as if it had come alone. */
static void take_batch(struct serve *s)
{
    const struct members *parts = &s->envelope->elements;

    if (!s->version || strcmp(s->version, "2025-03-26") != 0 || parts->n == 0 || parts->n > BATCH_MAX) {
        refuse(s, FAULT_INVALID_REQUEST, "an array of messages is not taken here", BYTES_NONE);
        return;
    }
    for (size_t i = 0; i < parts->n; i++) {
        envelope_begin(s->element);
        if (envelope_scan(s->element, parts->p[i].value, true, NULL) == 0 &&
            s->element->kind != ENVELOPE_ODD && s->element->kind != ENVELOPE_BATCH)
            serve_message(s, s->element);
        else
            refuse(s, FAULT_INVALID_REQUEST, "this part of the array is no message", BYTES_NONE);
    }
}

/* The id for the refusal of a message that is no good as a whole. */
static struct bytes legal_id(const struct envelope *e)
{
    bool is_legal = e->id.type == JSON_T_STRING;
    int64_t number;

    if (e->id.type == JSON_T_NUMBER)
        is_legal = member_int(&e->id, &number) == 0;
    return is_legal ? e->id.value : BYTES_NONE;
}

static void take_line(struct serve *s, struct bytes text)
{
    struct why why = {0};
    size_t i = 0;

    while (i < text.n && strchr(" \t\r", text.p[i]))
        i++;
    if (i == text.n)
        return;
    envelope_begin(s->envelope);
    switch (envelope_scan(s->envelope, text, true, &why)) {
    case 0:
        break;
    case ENVELOPE_LIMIT:
        refuse(s, FAULT_TOO_LARGE, why.text, envelope_so_far(s->envelope, text).id);
        return;
    case ENVELOPE_DUPLICATE:
        refuse(s, FAULT_INVALID_REQUEST, why.text, envelope_so_far(s->envelope, text).id);
        return;
    default:
        refuse(s, FAULT_PARSE, why.text, BYTES_NONE);
        return;
    }
    if (s->envelope->kind == ENVELOPE_BATCH)
        take_batch(s);
    else if (s->envelope->kind == ENVELOPE_ODD)
        refuse(s, FAULT_INVALID_REQUEST, s->envelope->fault, legal_id(s->envelope));
    else if (!s->envelope->has_jsonrpc)
        refuse(s, FAULT_INVALID_REQUEST, "'jsonrpc' is not \"2.0\"", legal_id(s->envelope));
    else
        serve_message(s, s->envelope);
}

static void begin_skip(struct serve *s, struct bytes text)
{
    struct fault_told told;

    s->is_skipping = true;
    envelope_begin(s->envelope);
    envelope_scan(s->envelope, text, false, NULL);
    fault_tell(&told, FAULT_TOO_LARGE, "a message has at most %d bytes", (int)LINE_MAX_BYTES);
    fault_data(&told, "\"limit\":\"message\",\"max\":%d", (int)LINE_MAX_BYTES);
    serve_answer_fault(s, &told, ERA_LEGACY, envelope_so_far(s->envelope, text).id);
}

static void take_lines(struct serve *s)
{
    size_t at = 0;

    while (!s->is_ending) {
        const char *end = memchr(s->in.p + s->searched, '\n', s->in.n - s->searched);
        if (!end)
            break;
        struct bytes text = {s->in.p + at, (size_t)(end - s->in.p) - at};
        at = s->searched = at + text.n + 1;
        if (!s->is_skipping)
            take_line(s, text);
        s->is_skipping = false;
    }
    s->searched = s->in.n;
    if (s->in.n - at > LINE_MAX_BYTES && !s->is_skipping)
        begin_skip(s, (struct bytes){s->in.p + at, s->in.n - at});
    if (s->is_skipping)
        at = s->in.n;
    if (at == s->in.n && s->in.cap > KEPT_ROOM)
        buf_end(&s->in);
    else
        buf_drop_front(&s->in, at);
    s->searched -= at;
}

void serve_input(int events, void *ctx)
{
    struct serve *s = ctx;
    (void)events;

    if (s->is_ending)
        return;
    buf_reserve(&s->in, READ_SIZE);
    ssize_t n = read(s->fd_in, s->in.p + s->in.n, READ_SIZE);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        serve_begin_end(s);
        return;
    }
    s->in.n += (size_t)n;
    s->in.p[s->in.n] = '\0';
    take_lines(s);
}
