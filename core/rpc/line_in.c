#include "core/rpc/line_parts.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * From bytes to whoever waits for them. A line is looked at when it is whole; only one that has grown past
 * SCANNED_EARLY is scanned while it still comes, so that its end costs no long pause. A line over the limit
 * is not kept: it is skipped to its newline, and the request it answers is told apart by the id before the
 * large part or at the very end of the line, where most servers write it.
 */

enum {
    READ_SIZE = 64 * 1024,
    SCANNED_EARLY = 256 * 1024,
    KEPT_ROOM = 256 * 1024,
    NOISE_MAX = 100,
    BATCH_MAX = 64,
};

/* Our ids are whole numbers from 1, written without anything around them; "1", 1.0 and 01 are not ours. */
static struct pending *pending_of(struct line *l, struct bytes id)
{
    uint64_t v = 0;

    if (id.n == 0 || id.n > 18)
        return NULL;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] < '0' || id.p[i] > '9')
            return NULL;
        v = v * 10 + (uint64_t)(id.p[i] - '0');
    }
    return ids_get(&l->by_id, v);
}

/* An answer that does not say whose it is can only be meant for the one that waits. */
static struct pending *only_pending(struct line *l)
{
    return l->in_flight == 1 ? list_entry(l->pending.next, struct pending, link) : NULL;
}

static void answered(struct line *l, const struct envelope *e, struct bytes text)
{
    bool is_anonymous = e->id.type == JSON_T_NONE || e->id.type == JSON_T_NULL;
    struct pending *p = is_anonymous ? only_pending(l) : pending_of(l, e->id.value);
    struct line_answer answer = {.envelope = e, .text = text};

    if (!p) {
        l->counts.unknown_answers++;
        return;
    }
    answer.outcome = e->kind == ENVELOPE_RESULT ? LINE_RESULT : LINE_ERROR;
    pending_finish(p, &answer);
}

static void asked(struct line *l, const struct envelope *e)
{
    if (bytes_say(e->method, "ping"))
        line_answer_request(l, e->id.value, BYTES("{}"));
    else if (l->ops->on_request)
        l->ops->on_request(l->ctx, e);
    else
        line_refuse_request(l, e->id.value, fault_row(FAULT_METHOD_NOT_FOUND)->legacy,
                            "nobody is there to be asked");
}

static void notified(struct line *l, const struct envelope *e, struct bytes text)
{
    if (text.n > l->limits.notification) {
        l->counts.malformed++;
        return;
    }
    if (!bytes_say(e->method, "notifications/progress")) {
        if (l->ops->on_notification)
            l->ops->on_notification(l->ctx, e);
        return;
    }
    const struct member *token = members_find(&e->inside, "progressToken");
    struct pending *p = token ? pending_of(l, token->value) : NULL;
    if (p)
        pending_progress(p, e);
}

static void route(struct line *l, const struct envelope *e, struct bytes text)
{
    switch (e->kind) {
    case ENVELOPE_RESULT:
    case ENVELOPE_ERROR:
        answered(l, e, text);
        return;
    case ENVELOPE_REQUEST:
        asked(l, e);
        return;
    case ENVELOPE_NOTIFICATION:
        notified(l, e, text);
        return;
    case ENVELOPE_BATCH:
    case ENVELOPE_ODD:
        l->counts.malformed++;
        return;
    }
}

/* Servers of 2025-03-26 may put several messages into an array. */
static void route_batch(struct line *l)
{
    const struct members *parts = &l->envelope->elements;

    if (parts->n == 0 || parts->n > BATCH_MAX) {
        l->counts.malformed++;
        return;
    }
    const struct envelope_limits wide = {
        .depth = 128, .values = SIZE_MAX, .keys = SIZE_MAX, .meta = l->limits.message};
    if (!l->element)
        l->element = envelope_new(&wide);
    for (size_t i = 0; i < parts->n && !l->is_lost; i++) {
        envelope_begin(l->element);
        if (envelope_scan(l->element, parts->p[i].value, true, NULL) == 0)
            route(l, l->element, parts->p[i].value);
        else
            l->counts.malformed++;
    }
}

/* --- lines that are not what they should be --- */

static void noise(struct line *l, struct bytes text)
{
    l->counts.noise++;
    l->noise_run++;
    if (l->ops->on_noise)
        l->ops->on_noise(l->ctx, text);
    if (l->noise_run >= NOISE_MAX)
        line_lose(l, "it wrote 100 lines that are not JSON");
}

/* The id in `…"id":12}` at the very end of a message; NULL when it does not stand there. The last brace
 * closes the message itself, so what stands before it is one of its own members. */
static struct bytes id_at_end(struct bytes t)
{
    struct bytes none = BYTES_NONE;

    while (t.n && strchr(" \t\r", t.p[t.n - 1]))
        t.n--;
    if (t.n == 0 || t.p[t.n - 1] != '}')
        return none;
    t.n--;
    while (t.n && strchr(" \t", t.p[t.n - 1]))
        t.n--;
    size_t end = t.n;
    while (t.n && t.p[t.n - 1] >= '0' && t.p[t.n - 1] <= '9')
        t.n--;
    struct bytes id = {t.p + t.n, end - t.n};
    while (t.n && strchr(" \t", t.p[t.n - 1]))
        t.n--;
    if (t.n == 0 || t.p[t.n - 1] != ':')
        return none;
    t.n--;
    while (t.n && strchr(" \t", t.p[t.n - 1]))
        t.n--;
    if (id.n == 0 || t.n < 5 || memcmp(t.p + t.n - 4, "\"id\"", 4) != 0 || t.p[t.n - 5] == '\\')
        return none;
    return id;
}

/* A message that passes a limit. What waits for it ends; what nobody waits for is counted. */
static void give_up(struct line *l, struct envelope_part part, struct bytes end, size_t size,
                    const char *limit)
{
    struct bytes id = part.id.p ? part.id : id_at_end(end);
    struct line_answer answer = {.outcome = LINE_TOO_LARGE};

    l->counts.malformed++;
    if (part.has_method) {
        if (id.p)
            line_refuse_request(l, id, fault_row(FAULT_TOO_LARGE)->legacy, "the request is too large");
        return;
    }
    struct pending *p = id.p ? pending_of(l, id) : only_pending(l);
    if (!p)
        return;
    if (limit) {
        fault_tell(&answer.fault, FAULT_TOO_LARGE, "the server's answer passes a limit: %s", limit);
    } else {
        fault_tell(&answer.fault, FAULT_TOO_LARGE, "the server's answer is larger than %zu bytes",
                   l->limits.message);
        fault_data(&answer.fault, "\"limit\":\"result_bytes\",\"max\":%zu,\"seen\":%zu", l->limits.message,
                   size);
    }
    pending_finish(p, &answer);
}

static void keep_tail(struct line *l, struct bytes text)
{
    size_t n = text.n < LINE_TAIL ? text.n : LINE_TAIL;
    size_t kept = l->tail_n + n <= LINE_TAIL ? l->tail_n : LINE_TAIL - n;

    memmove(l->tail, l->tail + l->tail_n - kept, kept);
    memcpy(l->tail + kept, text.p + text.n - n, n);
    l->tail_n = kept + n;
}

static void begin_skip(struct line *l, struct bytes text)
{
    l->is_skipping = true;
    l->skipped = l->tail_n = 0;
    if (!l->is_part_scanned)
        envelope_begin(l->envelope);
    l->skips_noise = envelope_scan(l->envelope, text, false, NULL) == ENVELOPE_INVALID;
    l->skipped_part = envelope_so_far(l->envelope, text);
    struct bytes id = l->skipped_part.id;
    if (id.n < sizeof(l->skipped_id)) {
        memcpy(l->skipped_id, id.p ? id.p : "", id.n);
        l->skipped_part.id.p = id.p ? l->skipped_id : NULL;
    } else {
        l->skipped_part.id = BYTES("\"\""); /* too long to be one of ours, so nobody's */
    }
    l->is_part_scanned = false;
}

static void skip(struct line *l, struct bytes text)
{
    l->skipped += text.n;
    keep_tail(l, text);
    if (l->skipped / 4 > l->limits.message)
        line_lose(l, "it wrote a line without end");
}

static void end_skip(struct line *l)
{
    l->is_skipping = false;
    if (l->skips_noise)
        noise(l, (struct bytes){l->tail, l->tail_n});
    else
        give_up(l, l->skipped_part, (struct bytes){l->tail, l->tail_n}, l->skipped, NULL);
}

/* --- lines --- */

static bool is_blank(struct bytes t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!strchr(" \t\r", t.p[i]))
            return false;
    return true;
}

static void take_line(struct line *l, struct bytes text)
{
    struct why why = {0};

    if (is_blank(text))
        return;
    if (!l->is_part_scanned)
        envelope_begin(l->envelope);
    l->is_part_scanned = false;
    switch (envelope_scan(l->envelope, text, true, &why)) {
    case 0:
        l->noise_run = 0;
        if (l->envelope->kind == ENVELOPE_BATCH)
            route_batch(l);
        else
            route(l, l->envelope, text);
        return;
    case ENVELOPE_LIMIT:
        give_up(l, envelope_so_far(l->envelope, text), text, text.n, why.text);
        return;
    default:
        noise(l, text);
        return;
    }
}

static void line_ended(struct line *l, struct bytes text)
{
    if (!l->is_skipping && text.n <= l->limits.message) {
        take_line(l, text);
        return;
    }
    if (!l->is_skipping)
        begin_skip(l, text);
    skip(l, text);
    if (!l->is_lost)
        end_skip(l);
}

/* What has come of a line whose newline has not. */
static void line_goes_on(struct line *l)
{
    struct bytes text = {l->in.p + l->line_at, l->in.n - l->line_at};

    if (!l->is_skipping && text.n > l->limits.message)
        begin_skip(l, text);
    if (l->is_skipping) {
        l->line_at = l->searched = l->in.n;
        skip(l, text);
    } else if (text.n > SCANNED_EARLY) {
        if (!l->is_part_scanned)
            envelope_begin(l->envelope);
        l->is_part_scanned = true;
        envelope_scan(l->envelope, text, false, NULL); /* a refusal stands until the line is whole */
    }
}

static void take_lines(struct line *l)
{
    while (!l->is_lost) {
        const char *end = memchr(l->in.p + l->searched, '\n', l->in.n - l->searched);
        if (!end)
            break;
        struct bytes text = {l->in.p + l->line_at, (size_t)(end - l->in.p) - l->line_at};
        l->line_at = l->searched = l->line_at + text.n + 1;
        line_ended(l, text);
    }
    if (l->is_lost)
        return;
    l->searched = l->in.n;
    if (l->line_at < l->in.n)
        line_goes_on(l);
    if (l->line_at == l->in.n && l->in.cap > KEPT_ROOM)
        buf_end(&l->in);
    else
        buf_drop_front(&l->in, l->line_at);
    l->searched -= l->line_at;
    l->line_at = 0;
}

bool line_read(struct line *l)
{
    buf_reserve(&l->in, READ_SIZE);
    ssize_t n = recv(l->fd, l->in.p + l->in.n, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (n <= 0) {
        line_lose(l, n == 0 ? "it closed its output" : "its output cannot be read");
        return false;
    }
    l->in.n += (size_t)n;
    l->in.p[l->in.n] = '\0';
    take_lines(l);
    return true;
}

void line_readable(struct line *l)
{
    line_read(l);
}
