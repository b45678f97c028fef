#include "core/net/gate.h"

#include "core/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/*
 * One pass sorts the headers we know into places; the rules then look only at places. A rule is a row of
 * `rules` below, in the order in which a refusal is most useful: first what makes the message ambiguous, then
 * who is asking from where, then what is asked for.
 */
enum place {
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    ORIGIN,
    FETCH_SITE,
    CONTENT_TYPE,
    ACCEPT,
    EXPECT,
    UPGRADE,
    CONNECTION,
    WS_KEY,
    WS_VERSION,
    PLACES
};
static const struct {
    const char *name;
    size_t n;
} places[PLACES] = {
#define PLACE(p, text) [p] = {text, sizeof(text) - 1}
    PLACE(HOST, "Host"),
    PLACE(CONTENT_LENGTH, "Content-Length"),
    PLACE(TRANSFER_ENCODING, "Transfer-Encoding"),
    PLACE(ORIGIN, "Origin"),
    PLACE(FETCH_SITE, "Sec-Fetch-Site"),
    PLACE(CONTENT_TYPE, "Content-Type"),
    PLACE(ACCEPT, "Accept"),
    PLACE(EXPECT, "Expect"),
    PLACE(UPGRADE, "Upgrade"),
    PLACE(CONNECTION, "Connection"),
    PLACE(WS_KEY, "Sec-WebSocket-Key"),
    PLACE(WS_VERSION, "Sec-WebSocket-Version"),
#undef PLACE
};
/* Headers whose values are lists, so that several lines are one value. */
static const char *const lists[] = {"Accept",        "Cookie",     "Cache-Control", "Forwarded", "Via",
                                    "X-Forwarded-*", "tracestate", "baggage",       NULL};
static const char *const method_names[] = {
    [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "OTHER"};
static const char *const loopback_hosts[] = {"localhost", "127.0.0.1", "[::1]", NULL};
static const struct gate_route route_any = {.path = "*", .flags = GATE_QUERY};

struct check {
    const struct gate_head *head;
    const struct gate_rules *rules;
    struct gate_pass *pass;
    struct gate_verdict *verdict;
    struct bytes at[PLACES]; /* p NULL: absent */
};

__attribute__((format(printf, 4, 5))) static int refuse(struct gate_verdict *v, int status, const char *name,
                                                        const char *format, ...)
{
    va_list args;
    v->status = status;
    v->name = name;
    v->allow = 0;
    va_start(args, format);
    vsnprintf(v->text, sizeof(v->text), format, args);
    va_end(args);
    return 1;
}

/* A header's name for a text: cut, and known to be printable or shown as '?'. */
static const char *shown(struct bytes s, char out[static 48])
{
    size_t n = s.n < 47 ? s.n : 47;
    for (size_t i = 0; i < n; i++)
        out[i] = s.p[i] > 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
    out[n] = 0;
    return out;
}

/* RFC 9110 §5.6.2: letters, digits and !#$%&'*+-.^_`|~ as a bit each, from 0x00 and from 0x40. */
static bool is_token_char(unsigned char c)
{
    static const uint64_t low = 0x03ff6cfa00000000, high = 0x57ffffffc7fffffe;
    return c < 0x80 && ((c < 0x40 ? low : high) >> (c & 63) & 1);
}

static bool is_token(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

static bool same(struct bytes a, const char *text, size_t n)
{
    return a.n == n && strncasecmp(a.p, text, n) == 0;
}

static bool is_list_valued(struct bytes name)
{
    for (size_t i = 0; lists[i]; i++) {
        size_t n = strlen(lists[i]);
        if (lists[i][n - 1] == '*' ? name.n >= n && strncasecmp(name.p, lists[i], n - 1) == 0
                                   : same(name, lists[i], n))
            return true;
    }
    return false;
}

/* Letter and length of a name as one of 64 bits: names with different bits differ, so most need no
 * comparison. */
static uint64_t name_bit(struct bytes name)
{
    return 1ull << (((unsigned)(name.p[0] | 0x20) * 7 + (unsigned)(name.p[name.n - 1] | 0x20) * 3 + name.n) &
                    63);
}

static bool came_before(const struct gate_head *h, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same(h->headers[j].name, h->headers[i].name.p, h->headers[i].name.n))
            return true;
    return false;
}

static bool is_value(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c > 0x7e)
            return false;
    }
    return true;
}

static int check_headers(struct check *c)
{
    uint64_t seen = 0;
    char name[48];
    if (c->head->count > GATE_HEADERS)
        return refuse(c->verdict, 431, "headers_too_large", "more than %d headers", GATE_HEADERS);
    if (c->rules->headers && c->head->bytes > c->rules->headers)
        return refuse(c->verdict, 431, "headers_too_large", "headers over %zu bytes", c->rules->headers);
    for (size_t i = 0; i < c->head->count; i++) {
        const struct gate_header *h = &c->head->headers[i];
        if (!is_token(h->name))
            return refuse(c->verdict, 400, "invalid_request", "bad header name '%s'", shown(h->name, name));
        if (!is_value(h->value))
            return refuse(c->verdict, 400, "invalid_request", "bad value of header '%s'",
                          shown(h->name, name));
        uint64_t bit = name_bit(h->name);
        if ((seen & bit) && !is_list_valued(h->name) && came_before(c->head, i))
            return refuse(c->verdict, 400,
                          strncasecmp(h->name.p, "Mcp-", 4) == 0 ? "header_mismatch" : "invalid_request",
                          "header '%s' came twice", shown(h->name, name));
        seen |= bit;
        for (size_t p = 0; p < PLACES; p++)
            if (!c->at[p].p && same(h->name, places[p].name, places[p].n)) {
                c->at[p] = h->value;
                break;
            }
    }
    return 0;
}

static int check_framing(struct check *c)
{
    struct gate_pass *p = c->pass;
    struct bytes length = c->at[CONTENT_LENGTH], coding = c->at[TRANSFER_ENCODING];
    int64_t n = 0;
    if (coding.p) {
        if (c->head->is_http10)
            return refuse(c->verdict, 400, "invalid_request", "Transfer-Encoding needs HTTP/1.1");
        if (length.p)
            return refuse(c->verdict, 400, "invalid_request", "both Transfer-Encoding and Content-Length");
        if (!bytes_say_nocase(coding, "chunked"))
            return refuse(c->verdict, 501, "not_implemented", "Transfer-Encoding other than 'chunked'");
        p->is_chunked = p->has_body = true;
    } else if (length.p) {
        if (length.n > 12 || number_read(length, &n) < 0)
            return refuse(c->verdict, 400, "invalid_request", "bad Content-Length");
        p->length = (uint64_t)n;
        p->has_body = n > 0;
    } else if (p->method == METHOD_POST || p->method == METHOD_PUT || p->method == METHOD_PATCH) {
        return refuse(c->verdict, 411, "length_required", "a body needs Content-Length or chunked encoding");
    }
    return 0;
}

static int check_size(struct check *c)
{
    struct gate_pass *p = c->pass;
    p->body_limit = p->route->body ? p->route->body : c->rules->body;
    if (p->body_limit && p->length > p->body_limit)
        return refuse(c->verdict, 413, "too_large", "body over %zu bytes", p->body_limit);
    if (c->at[EXPECT].p) {
        if (!bytes_say_nocase(c->at[EXPECT], "100-continue"))
            return refuse(c->verdict, 417, "invalid_request", "Expect other than '100-continue'");
        p->expects_continue = true;
    }
    return 0;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Escapes well formed and never NUL; no segment is ".." once decoded. A backslash counts as a separator, for
 * those behind us who take it for one. */
static bool path_is_sane(struct bytes path)
{
    size_t dots = 0, others = 0;
    for (size_t i = 0; i < path.n; i++) {
        int c = (unsigned char)path.p[i];
        if (c == '%') {
            if (i + 2 >= path.n || hex_of(path.p[i + 1]) < 0 || hex_of(path.p[i + 2]) < 0)
                return false;
            c = hex_of(path.p[i + 1]) * 16 + hex_of(path.p[i + 2]);
            i += 2;
            if (c == 0)
                return false;
        }
        if (c == '/' || c == '\\') {
            if (dots == 2 && others == 0)
                return false;
            dots = others = 0;
        } else if (c == '.') {
            dots++;
        } else {
            others++;
        }
    }
    return dots != 2 || others > 0;
}

static bool query_is_sane(struct bytes query)
{
    for (size_t i = 0; i < query.n; i++)
        if (query.p[i] == '%' &&
            (i + 2 >= query.n || hex_of(query.p[i + 1]) < 0 || hex_of(query.p[i + 2]) < 0 ||
             (query.p[i + 1] == '0' && query.p[i + 2] == '0')))
            return false;
    return true;
}

static int check_target(struct check *c)
{
    struct gate_pass *p = c->pass;
    struct bytes t = c->head->target;
    size_t limit = p->route->uri ? p->route->uri : c->rules->uri;
    if (limit && t.n > limit)
        return refuse(c->verdict, 414, "uri_too_long", "request target over %zu bytes", limit);
    if (t.n == 0 || t.p[0] != '/')
        return refuse(c->verdict, 400, "invalid_request", "request target must begin with '/'");
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < 0x21 || t.p[i] > 0x7e || t.p[i] == '#')
            return refuse(c->verdict, 400, "invalid_request", "bad byte in the request target");
    if (!path_is_sane(p->path) || !query_is_sane(p->query))
        return refuse(c->verdict, 400, "invalid_request", "bad escape or '..' in the request target");
    if (p->query.p && !(p->route->flags & GATE_QUERY))
        return refuse(c->verdict, 400, "invalid_request", "this path takes no query");
    return 0;
}

/* name[:port] or [v6][:port]. False when malformed. */
static bool split_host(struct bytes s, struct bytes *name)
{
    size_t n = 0;
    if (s.n && s.p[0] == '[') {
        n = bytes_find(s, ']');
        if (n == s.n)
            return false;
        n++;
    } else {
        n = bytes_find(s, ':');
    }
    *name = (struct bytes){s.p, n};
    if (n == 0)
        return false;
    if (n == s.n)
        return true;
    if (s.p[n] != ':' || s.n - n > 6 || s.n - n < 2)
        return false;
    for (size_t i = n + 1; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

static bool is_one_of(struct bytes s, const char *const *names)
{
    for (; names && *names; names++)
        if (bytes_say_nocase(s, *names))
            return true;
    return false;
}

static int check_host(struct check *c)
{
    struct bytes host = c->at[HOST], name;
    const char *const *hosts = c->rules->listener->hosts;
    if (!host.p)
        return refuse(c->verdict, 400, "invalid_request", "no Host header");
    if (!split_host(host, &name))
        return refuse(c->verdict, 400, "invalid_request", "bad Host header");
    if (!is_one_of(name, hosts ? hosts : loopback_hosts) && !(hosts && is_one_of(host, hosts)))
        return refuse(c->verdict, 403, "origin_refused", "this host name is not served here");
    return 0;
}

bool gate_origin_is_listed(struct bytes origin, const struct web_listener *listener)
{
    struct bytes rest, name;
    if (is_one_of(origin, listener->origins))
        return true;
    if (origin.n > 7 && strncasecmp(origin.p, "http://", 7) == 0)
        rest = (struct bytes){origin.p + 7, origin.n - 7};
    else if (origin.n > 8 && strncasecmp(origin.p, "https://", 8) == 0)
        rest = (struct bytes){origin.p + 8, origin.n - 8};
    else
        return false;
    return split_host(rest, &name) && is_one_of(name, loopback_hosts);
}

static int check_origin(struct check *c)
{
    if (c->at[ORIGIN].p && !gate_origin_is_listed(c->at[ORIGIN], c->rules->listener))
        return refuse(c->verdict, 403, "origin_refused", "this origin is not in the list of the listener");
    if (c->at[FETCH_SITE].p && bytes_say_nocase(c->at[FETCH_SITE], "cross-site"))
        return refuse(c->verdict, 403, "origin_refused", "cross-site requests are refused");
    return 0;
}

static int check_method(struct check *c)
{
    struct gate_pass *p = c->pass;
    unsigned allow = p->route->methods;
    if (!is_token(c->head->method))
        return refuse(c->verdict, 400, "invalid_request", "bad method");
    if (p->route->flags & GATE_CORS)
        allow |= allow ? METHOD_BIT(METHOD_OPTIONS) : 0;
    if (allow && !(allow & METHOD_BIT(p->method))) {
        refuse(c->verdict, 405, "method_not_allowed", "this path does not take this method");
        c->verdict->allow = allow;
        return 1;
    }
    return 0;
}

/* Calls for each element of a comma list; parameters stay on it. */
static bool next_element(struct bytes *rest, struct bytes *element)
{
    if (!rest->p || rest->n == 0)
        return false;
    size_t n = bytes_find(*rest, ',');
    *element = bytes_trim((struct bytes){rest->p, n});
    size_t skip = n < rest->n ? n + 1 : n;
    rest->p += skip;
    rest->n -= skip;
    return true;
}

static bool list_has(struct bytes list, const char *word)
{
    struct bytes e;
    while (next_element(&list, &e))
        if (bytes_say_nocase(e, word))
            return true;
    return false;
}

static int check_upgrade(struct check *c)
{
    if (!c->rules->is_websocket && c->at[UPGRADE].p && list_has(c->at[UPGRADE], "websocket"))
        return refuse(c->verdict, 426, "upgrade_required",
                      "a WebSocket needs its own path and a new connection");
    return 0;
}

static struct bytes essence(struct bytes value, struct bytes *parameters)
{
    size_t n = bytes_find(value, ';');
    *parameters = n < value.n ? bytes_trim((struct bytes){value.p + n + 1, value.n - n - 1}) : BYTES_NONE;
    return bytes_trim((struct bytes){value.p, n});
}

static bool charset_is_utf8(struct bytes parameters)
{
    return parameters.n == 0 || bytes_say_nocase(parameters, "charset=utf-8") ||
           bytes_say_nocase(parameters, "charset=\"utf-8\"");
}

static int check_type(struct check *c)
{
    const struct gate_route *route = c->pass->route;
    struct bytes parameters, type;
    if (!c->pass->has_body || (route->flags & GATE_ANY_TYPE) || c->pass->method == METHOD_GET ||
        c->pass->method == METHOD_HEAD || c->pass->method == METHOD_DELETE)
        return 0;
    type = essence(c->at[CONTENT_TYPE], &parameters);
    if ((bytes_say_nocase(type, "application/json") ||
         (route->type && bytes_say_nocase(type, route->type))) &&
        charset_is_utf8(parameters))
        return 0;
    return refuse(c->verdict, 415, "unsupported_media_type", "Content-Type must be application/json");
}

static bool quality_is_zero(struct bytes parameters)
{
    while (parameters.n) {
        size_t n = bytes_find(parameters, ';');
        struct bytes one = bytes_trim((struct bytes){parameters.p, n});
        if (one.n >= 3 && (one.p[0] == 'q' || one.p[0] == 'Q') && one.p[1] == '=') {
            size_t i = 2;
            while (i < one.n && (one.p[i] == '0' || one.p[i] == '.'))
                i++;
            return i == one.n;
        }
        if (n == parameters.n)
            break;
        parameters.p += n + 1;
        parameters.n -= n + 1;
    }
    return false;
}

bool gate_accepts(struct bytes list, const char *type)
{
    struct bytes e, parameters, rest = list;
    size_t slash = bytes_find(bytes_of(type), '/');
    int best = 0; /* how exact the element was that decided: 1 is any, 2 is type, 3 is both */
    bool accepted = false;
    if (!list.p || list.n == 0)
        return true;
    while (next_element(&rest, &e)) {
        struct bytes range = essence(e, &parameters);
        int fit = 0;
        if (bytes_say_nocase(range, type))
            fit = 3;
        else if (range.n == slash + 2 && range.p[slash + 1] == '*' &&
                 strncasecmp(range.p, type, slash + 1) == 0)
            fit = 2;
        else if (bytes_say(range, "*/*"))
            fit = 1;
        if (fit > best) {
            best = fit;
            accepted = !quality_is_zero(parameters);
        }
    }
    return accepted;
}

static int check_accept(struct check *c)
{
    if (!(c->pass->route->flags & GATE_STREAMS))
        return 0;
    bool stream = gate_accepts(c->at[ACCEPT], "text/event-stream");
    if (c->pass->method == METHOD_GET && !stream)
        return refuse(c->verdict, 406, "not_acceptable", "GET here needs 'Accept: text/event-stream'");
    if (c->pass->method == METHOD_POST && !stream && !gate_accepts(c->at[ACCEPT], "application/json"))
        return refuse(c->verdict, 406, "not_acceptable", "Accept names neither of our types");
    return 0;
}

/* From here on nothing of a request is looked at before all of it has passed. */
static int (*const rules[])(struct check *c) = {
    check_headers, check_framing, check_target, check_host, check_origin,
    check_method,  check_upgrade, check_accept, check_type, check_size,
};

static void split_target(struct gate_pass *p, struct bytes target)
{
    size_t n = bytes_find(target, '?');
    p->path = (struct bytes){target.p, n};
    p->query = n < target.n ? (struct bytes){target.p + n + 1, target.n - n - 1} : BYTES_NONE;
}

static enum method method_of(struct bytes text)
{
    for (int m = METHOD_GET; m < METHOD_OTHER; m++)
        if (bytes_say(text, method_names[m]))
            return (enum method)m;
    return METHOD_OTHER;
}

int gate_check(const struct gate_head *head, const struct gate_rules *limits, struct gate_pass *pass,
               struct gate_verdict *verdict)
{
    struct check c = {.head = head, .rules = limits, .pass = pass, .verdict = verdict};
    *pass = (struct gate_pass){.method = method_of(head->method)};
    verdict->status = 0;
    split_target(pass, head->target);
    pass->route = gate_route(limits->routes, pass->path);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i](&c))
            return 1;
    return 0;
}

const struct gate_route *gate_route(const struct gate_route *routes, struct bytes path)
{
    for (; routes && routes->path; routes++) {
        size_t n = strlen(routes->path);
        if (n && routes->path[n - 1] == '*' ? path.n >= n - 1 && memcmp(path.p, routes->path, n - 1) == 0
                                            : bytes_say(path, routes->path))
            return routes;
    }
    return &route_any;
}

struct bytes gate_header(const struct gate_head *head, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < head->count; i++)
        if (same(head->headers[i].name, name, n))
            return head->headers[i].value;
    return BYTES_NONE;
}

const char *method_name(enum method m)
{
    return method_names[m];
}

void method_list(unsigned bits, struct buf *out)
{
    bool is_first = true;
    for (int m = METHOD_GET; m < METHOD_OTHER; m++)
        if (bits & METHOD_BIT(m)) {
            buf_add_text(out, is_first ? "" : ", ");
            buf_add_text(out, method_names[m]);
            is_first = false;
        }
}
