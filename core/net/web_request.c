/* The request as its handler sees it: what came, what is answered, and how it ends. */
#include "core/base/mem.h"
#include "core/net/web_away.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { SPARES = 1024, KEEP = 2048 }; /* requests kept for reuse, and the memory each may keep */

struct request *request_new(struct web *w, struct conn *c)
{
    struct request *r;
    if (list_is_empty(&w->spares)) {
        r = NEW(struct request);
    } else {
        r = list_entry(w->spares.next, struct request, link);
        list_drop(&r->link);
        w->spare_count--;
    }
    r->web = w;
    r->conn = c;
    r->from = c->from;
    r->uid = c->uid;
    memcpy(r->address, c->address, sizeof(r->address));
    assert(!c->request);
    c->request = r;
    list_add(&w->requests, &r->link);
    return r;
}

static void clear(struct buf *b)
{
    if (b->cap > KEEP)
        buf_end(b);
    else
        buf_clear(b);
}

void request_free(struct request *r)
{
    list_drop(&r->link);
    buf_end(&r->head);
    buf_end(&r->body);
    buf_end(&r->headers);
    buf_end(&r->copy);
    free(r->taken);
    free(r);
}

static void recycle(struct request *r)
{
    struct web *w = r->web;
    list_drop(&r->link);
    list_drop(&r->phase);
    if (w->spare_count >= SPARES) {
        request_free(r);
        return;
    }
    free(r->taken);
    clear(&r->head);
    clear(&r->body);
    clear(&r->headers);
    clear(&r->copy);
    struct buf head = r->head, body = r->body, headers = r->headers, copy = r->copy;
    *r = (struct request){.head = head, .body = body, .headers = headers, .copy = copy};
    list_add(&w->spares, &r->link);
    w->spare_count++;
}

void request_end(struct request *r)
{
    struct web *w = r->web;
    list_drop(&r->phase);
    if (r->conn)
        r->conn->request = NULL;
    r->conn = NULL;
    if (r->is_streaming)
        w->counts.streams--;
    if (r->has_begun) {
        r->has_begun = false;
        w->ops->on_end(r, w->ctx);
    }
    recycle(r);
}

/* on_end never comes from within a call of the handler's, so that it need not fear for what it holds. */
static void end_later(struct request *r)
{
    list_drop(&r->phase);
    list_add(&r->web->ending, &r->phase);
    if (!r->web->is_running)
        loop_defer(r->web->loop, &r->web->run);
}

static bool is_awaited(const struct request *r)
{
    return r->has_begun && !r->is_answered && r->step != STEP_BODY;
}

void request_tell_gone(struct request *r)
{
    r->is_gone = true;
    if (r->was_told || !r->has_begun || !r->on_gone)
        return;
    r->was_told = true;
    r->on_gone(r, r->gone_ctx);
}

void request_cut(struct request *r)
{
    if (r->conn)
        r->conn->request = NULL;
    r->conn = NULL;
    list_drop(&r->phase);
    if (is_awaited(r))
        request_tell_gone(r); /* on_gone may answer */
    else
        request_end(r);
}

void request_settle(struct request *r)
{
    list_drop(&r->phase);
    if (is_awaited(r))
        request_tell_gone(r);
    else
        request_end(r);
}

/* ---- what came ---- */

struct layout {
    struct gate_head *head;
    const char *next; /* where the next header line must begin */
    bool is_broken;
};

static enum MHD_Result add_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_n,
                                  const char *value, size_t value_n)
{
    struct layout *l = ctx;
    (void)kind;
    if (name != l->next || !value)
        l->is_broken = true;
    if (l->head->count < GATE_HEADERS)
        l->head->headers[l->head->count] = (struct gate_header){
            {name,  name_n },
            {value, value_n}
        };
    l->head->count++;
    l->next = value + value_n + 2;
    return MHD_YES;
}

/* The head is copied, because the handler may need it longer than libmicrohttpd keeps it. */
static void copy_head(struct request *r, const char *method, size_t method_n, size_t n)
{
    struct gate_head *h = &r->web->seen;
    size_t target_n = r->head.n, count = h->count < GATE_HEADERS ? h->count : GATE_HEADERS;
    size_t at = (target_n + n + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    buf_reserve(&r->head, at + count * sizeof(struct gate_header));
    buf_add(&r->head, method, n);
    const char *copy = r->head.p + target_n;
    h->target = (struct bytes){r->head.p, target_n};
    h->method = (struct bytes){copy, method_n};
    h->bytes = r->head_bytes = n;
    for (size_t i = 0; i < count; i++) {
        struct gate_header *line = &h->headers[i];
        line->name.p = copy + (line->name.p - method);
        line->value.p = copy + (line->value.p - method);
        line->value = bytes_trim(line->value);
    }
    r->lines = (struct gate_header *)(void *)(r->head.p + at);
    r->line_count = count;
    memcpy(r->lines, h->headers, count * sizeof(struct gate_header));
}

/*
 * libmicrohttpd cuts what it reads in place, ends each piece with NUL, and is lenient: a NUL in a name or
 * value ends it unseen, a lone LF ends a line, a folded line is joined. All of these leave gaps. So the
 * pieces must lie in its buffer exactly as a well-formed head would: method, SP, target, SP, version, CRLF,
 * lines that end with CRLF, CRLF. (A version of libmicrohttpd that moves pieces about would make us refuse
 * everything: seen at once.)
 */
int request_take_head(struct request *r, const char *method, const char *version)
{
    size_t method_n = strlen(method);
    size_t n = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    struct layout l = {.head = &r->web->seen, .next = version + strlen(version) + 2};
    l.head->count = 0;
    MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, add_header, &l);
    if (l.is_broken || l.next + 2 != method + n || method + method_n + 1 != r->target_at ||
        r->target_at + r->head.n + 1 != version)
        return 1;
    copy_head(r, method, method_n, n);
    l.head->is_http10 = r->is_http10 = strcmp(version, "HTTP/1.0") == 0;
    return 0;
}

enum method request_method(const struct request *r)
{
    return r->pass.method;
}

struct bytes request_path(const struct request *r)
{
    return r->pass.path;
}

struct bytes request_query(const struct request *r)
{
    return r->pass.query;
}

struct bytes request_header(const struct request *r, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->line_count; i++)
        if (r->lines[i].name.n == n && strncasecmp(r->lines[i].name.p, name, n) == 0)
            return r->lines[i].value;
    return BYTES_NONE;
}

const struct web_listener *request_listener(const struct request *r)
{
    return r->from;
}

const char *request_address(const struct request *r)
{
    return r->address;
}

int64_t request_uid(const struct request *r)
{
    return r->uid;
}

void request_each_header(const struct request *r, const char *prefix,
                         void (*fn)(struct bytes name, struct bytes value, void *ctx), void *ctx)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < r->line_count; i++) {
        const struct gate_header *h = &r->lines[i];
        if (h->name.n >= n && strncasecmp(h->name.p, prefix, n) == 0)
            fn(h->name, h->value, ctx);
    }
}

bool request_accepts(const struct request *r, const char *type)
{
    return gate_accepts(request_header(r, "Accept"), type);
}

bool request_is_http10(const struct request *r)
{
    return r->is_http10;
}

void request_set_ctx(struct request *r, void *ctx)
{
    r->ctx = ctx;
}

void *request_ctx(const struct request *r)
{
    return r->ctx;
}

void request_on_gone(struct request *r, void (*fn)(struct request *r, void *ctx), void *ctx)
{
    r->on_gone = fn;
    r->gone_ctx = ctx;
    if (r->is_gone && !r->was_told)
        end_later(r); /* tells it before anything else */
}

/* ---- what is answered ---- */

const char *web_date(struct web *w)
{
    time_t now = time(NULL);
    if (now != w->date_s) {
        struct tm tm;
        w->date_s = now;
        gmtime_r(&now, &tm);
        strftime(w->date, sizeof(w->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return w->date;
}

static bool is_fit(const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    return true;
}

static void add_pair(struct request *r, const char *name, const char *value)
{
    buf_add(&r->headers, name, strlen(name) + 1);
    buf_add(&r->headers, value, strlen(value) + 1);
}

void request_add_header(struct request *r, const char *name, const char *value)
{
    if (!is_fit(value)) /* what others said must not make a header of its own */
        return;
    if (strcasecmp(name, "Cache-Control") == 0)
        r->has_cache_control = true;
    add_pair(r, name, value);
}

bool request_next_header(const struct request *r, size_t *at, const char **name, const char **value)
{
    if (*at >= r->headers.n)
        return false;
    *name = r->headers.p + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value - r->headers.p) + strlen(*value) + 1;
    return true;
}

/* The gate has let the origin pass; its scripts may read the answer, and these headers of it. */
static void add_origin(struct request *r)
{
    struct bytes origin = request_header(r, "Origin");
    char text[256];
    if (!r->pass.route || !(r->pass.route->flags & GATE_CORS))
        return;
    add_pair(r, "Vary", "Origin");
    if (!origin.p || origin.n >= sizeof(text) || !gate_origin_is_listed(origin, r->from))
        return;
    memcpy(text, origin.p, origin.n);
    text[origin.n] = 0;
    add_pair(r, "Access-Control-Allow-Origin", text);
    add_pair(r, "Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After");
}

void request_finish_headers(struct request *r, bool is_stream)
{
    add_pair(r, "Date", web_date(r->web));
    add_pair(r, "X-Content-Type-Options", "nosniff");
    if (!r->has_cache_control)
        add_pair(r, "Cache-Control", "no-store");
    if (is_stream)
        add_pair(r, "X-Accel-Buffering", "no");
    add_origin(r);
}

/* The answer is there: let libmicrohttpd ask for it, or, where nobody is left to hear it, end. */
static void answered(struct request *r)
{
    r->is_answered = true;
    if (!r->conn) {
        end_later(r);
        return;
    }
    web_resume(r);
    web_wake(r->web);
}

static void begin_answer(struct request *r, int status, const char *type)
{
    assert(!r->is_answered && !r->is_streaming && !r->is_parting); /* exactly once */
    r->status = status;
    if (type)
        request_add_header(r, "Content-Type", type);
}

void request_answer(struct request *r, int status, const char *type, struct bytes body)
{
    begin_answer(r, status, type);
    buf_clear(&r->copy);
    if (body.n)
        buf_add_bytes(&r->copy, body);
    r->answer = (struct bytes){r->copy.p, r->copy.n};
    answered(r);
}

void request_answer_take(struct request *r, int status, const char *type, char *body, size_t n)
{
    begin_answer(r, status, type);
    r->taken = body;
    r->answer = (struct bytes){body, n};
    answered(r);
}

void request_refuse(struct request *r, int status, struct bytes json)
{
    begin_answer(r, status, "application/json");
    buf_clear(&r->copy);
    buf_add_bytes(&r->copy, json);
    r->answer = (struct bytes){r->copy.p, r->copy.n};
    r->web->counts.refused++;
    if (r->conn && !r->is_gone)
        away_answer(r);
    answered(r);
}

void web_add_refusal(struct web *w, struct request *r, const struct gate_verdict *v, struct buf *out)
{
    if (w->ops->on_refusal) {
        w->ops->on_refusal(r, v, out, w->ctx);
        return;
    }
    buf_add_text(out, "{\"error\":{\"code\":");
    buf_add_json_text(out, v->name);
    buf_add_text(out, ",\"message\":");
    buf_add_json_text(out, v->text);
    buf_add_text(out, "}}");
}

void request_refused(struct request *r, const struct gate_verdict *v)
{
    struct buf json = {0};
    web_add_refusal(r->web, r, v, &json);
    if (v->allow) {
        struct buf allow = {0};
        method_list(v->allow, &allow);
        request_add_header(r, "Allow", allow.p);
        buf_end(&allow);
    }
    if (v->status == 503)
        request_add_header(r, "Retry-After", "1");
    if (v->status == 426)
        request_add_header(r, "Upgrade", "websocket");
    request_refuse(r, v->status, (struct bytes){json.p, json.n});
    buf_end(&json);
}

void request_preflight(struct request *r)
{
    static const char usual[] = "Content-Type, Accept, Authorization, Last-Event-ID, MCP-Protocol-Version, "
                                "Mcp-Session-Id, Mcp-Method, Mcp-Name, traceparent, tracestate, baggage";
    struct bytes asked = request_header(r, "Access-Control-Request-Headers");
    struct buf names = {0}, methods = {0};
    buf_add_text(&names, usual);
    while (asked.n) { /* Mcp-Param-* are as many as there are parameters: those that are asked for */
        size_t n = bytes_find(asked, ',');
        struct bytes one = bytes_trim((struct bytes){asked.p, n});
        if (one.n > 10 && strncasecmp(one.p, "Mcp-Param-", 10) == 0) {
            buf_add_text(&names, ", ");
            buf_add_bytes(&names, one);
        }
        size_t skip = n < asked.n ? n + 1 : n;
        asked = (struct bytes){asked.p + skip, asked.n - skip};
    }
    method_list(r->pass.route->methods, &methods);
    request_add_header(r, "Access-Control-Allow-Methods", methods.p ? methods.p : "GET, POST, DELETE");
    request_add_header(r, "Access-Control-Allow-Headers", names.p);
    request_add_header(r, "Access-Control-Max-Age", "600");
    r->status = 204;
    r->is_answered = true;
    r->step = STEP_SKIP;
    buf_end(&names);
    buf_end(&methods);
}

void request_stream(struct request *r, int status, const char *type)
{
    begin_answer(r, status, type);
    r->is_streaming = true;
    r->web->counts.streams++;
    if (!r->conn || r->is_gone)
        return;
    away_begin_stream(r);
    web_resume(r);
    web_wake(r->web);
}

void request_push(struct request *r, struct bytes piece)
{
    assert(r->is_streaming && !r->is_answered);
    if (r->conn && !r->is_gone && piece.n)
        away_push(r, piece);
}

void request_finish(struct request *r)
{
    assert(r->is_streaming && !r->is_answered);
    r->is_answered = true;
    if (r->conn && !r->is_gone)
        away_finish(r);
    else if (!r->conn)
        end_later(r);
}

size_t request_queued(const struct request *r)
{
    return r->conn ? r->conn->out.n - r->conn->sent : 0;
}

bool request_is_streaming(const struct request *r)
{
    return r->is_streaming;
}

void request_on_drained(struct request *r, void (*fn)(struct request *r, void *ctx))
{
    r->on_drained = fn;
}
