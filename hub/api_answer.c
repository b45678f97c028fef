/* How a visit is answered: headers, single things with their ETag, faults, pages of lists. */
#include "core/base/mem.h"
#include "core/base/text.h"
#include "hub/api_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void visit_add_headers(struct visit *v)
{
    struct bytes traceparent = request_header(v->request, "traceparent");
    request_add_header(v->request, "Cross-Origin-Resource-Policy", "same-origin");
    if (v->trace.n)
        request_add_header(v->request, "traceparent", arena_text(v->arena, traceparent));
}

static void add_api_headers(struct visit *v)
{
    visit_add_headers(v);
    request_add_header(v->request, "Cache-Control", "private, no-cache");
}

void visit_json(struct visit *v, int status, struct buf *json)
{
    size_t n = json->n;
    add_api_headers(v);
    request_answer_take(v->request, status, "application/json", buf_take(json), n);
}

static void etag_of(struct bytes body, char out[static 20])
{
    unsigned char hash[HASH_SIZE];
    struct buf hex = {0};
    hash_sha256(body, hash);
    hex_add(&hex, (struct bytes){(const char *)hash, 8});
    snprintf(out, 20, "\"%s\"", hex.p);
    buf_end(&hex);
}

/* Is `etag` in the list of If-None-Match? Weak ones count: RFC 9110 §13.1.2. */
static bool is_known(struct bytes header, const char *etag)
{
    while (header.n) {
        size_t n = bytes_find(header, ',');
        struct bytes one = bytes_trim((struct bytes){header.p, n});
        if (bytes_begin(one, "W/"))
            one = (struct bytes){one.p + 2, one.n - 2};
        if (bytes_say(one, etag) || bytes_say(one, "*"))
            return true;
        if (n == header.n)
            break;
        header = (struct bytes){header.p + n + 1, header.n - n - 1};
    }
    return false;
}

void visit_thing(struct visit *v, struct buf *json)
{
    char etag[20];
    etag_of(buf_bytes(json), etag);
    request_add_header(v->request, "ETag", etag);
    if (is_known(request_header(v->request, "If-None-Match"), etag)) {
        buf_end(json);
        add_api_headers(v);
        request_answer(v->request, 304, NULL, BYTES_NONE);
        return;
    }
    visit_json(v, 200, json);
}

void visit_text(struct visit *v, int status, const char *type, struct bytes text)
{
    visit_add_headers(v);
    request_answer(v->request, status, type, text);
}

void visit_fault_told(struct visit *v, const struct fault_told *fault, const char *field)
{
    struct buf json = {0};
    if (fault->retry_after_ms > 0 || fault_row(fault->fault)->http_rest == 429) {
        char seconds[24];
        int64_t ms = fault->retry_after_ms > 0 ? fault->retry_after_ms : 1000;
        snprintf(seconds, sizeof(seconds), "%lld", (long long)((ms + 999) / 1000));
        request_add_header(v->request, "Retry-After", seconds);
    }
    fault_add_rest(&json, fault, field, v->trace);
    visit_json(v, fault_row(fault->fault)->http_rest, &json);
}

void visit_fault(struct visit *v, enum fault fault, const char *format, ...)
{
    struct fault_told told;
    char text[sizeof(told.text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_tell(&told, fault, "%s", text);
    visit_fault_told(v, &told, NULL);
}

/* --- lists --- */

/* What a cursor is bound to: who asks, where, and for what (the query but for the page itself). */
static void add_binding(const struct list *l, struct buf *out)
{
    const struct visit *v = l->visit;
    struct bytes query = request_query(v->request);
    buf_add(out, v->principal, strlen(v->principal) + 1);
    buf_add(out, v->route->path, strlen(v->route->path) + 1);
    while (query.n) {
        struct bytes pair = {query.p, bytes_find(query, '&')};
        size_t gone = pair.n < query.n ? pair.n + 1 : pair.n;
        if (!bytes_begin(pair, "cursor=") && !bytes_begin(pair, "limit=")) {
            buf_add_bytes(out, pair);
            buf_add_char(out, '&');
        }
        query = (struct bytes){query.p + gone, query.n - gone};
    }
}

static int open_cursor(struct list *l, const char *cursor)
{
    struct buf sealed = {0}, plain = {0}, about = {0};
    add_binding(l, &about);
    int rc = base64url_read(bytes_of(cursor), &sealed);
    if (rc == 0)
        rc = seal_read(buf_bytes(&sealed), l->visit->api->cursor_key, buf_bytes(&about), &plain);
    if (rc == 0)
        rc = number_read(buf_bytes(&plain), &l->from);
    buf_end(&sealed);
    buf_end(&plain);
    buf_end(&about);
    return rc;
}

static void add_cursor(struct list *l, int64_t from)
{
    struct buf sealed = {0}, plain = {0}, about = {0};
    add_binding(l, &about);
    buf_add_int(&plain, from);
    seal_add(&sealed, l->visit->api->cursor_key, buf_bytes(&plain), buf_bytes(&about));
    buf_add_char(&l->out, '"');
    base64url_add(&l->out, buf_bytes(&sealed));
    buf_add_char(&l->out, '"');
    buf_end(&sealed);
    buf_end(&plain);
    buf_end(&about);
}

bool list_begin(struct list *l, struct visit *v, int64_t limit, const char *cursor)
{
    *l = (struct list){.visit = v, .limit = limit};
    if (cursor && open_cursor(l, cursor) < 0) {
        visit_fault(v, FAULT_INVALID_REQUEST, "the cursor is not one of this list, or from before a restart");
        return false;
    }
    buf_add_text(&l->out, "{\"items\":[");
    return true;
}

bool list_row(struct list *l)
{
    int64_t at = l->total++;
    if (at < l->from || at >= l->from + l->limit)
        return false;
    if (l->given++)
        buf_add_char(&l->out, ',');
    return true;
}

void list_end(struct list *l, bool is_exact)
{
    buf_add_text(&l->out, "],\"next_cursor\":");
    if (l->next)
        add_cursor(l, l->next);
    else if (l->total > l->from + l->limit)
        add_cursor(l, l->from + l->limit);
    else
        buf_add_text(&l->out, "null");
    buf_addf(&l->out, ",\"total\":{\"value\":%lld,\"exact\":%s}}", (long long)l->total,
             is_exact ? "true" : "false");
    visit_json(l->visit, 200, &l->out);
}
