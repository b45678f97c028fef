#pragma once
/*
 * gate -- what an HTTP request head must be before anybody looks at it. A table of rules over a neutral head,
 * so that web (heads read by libmicrohttpd) and the door (WebSocket heads read by gate_read) are held to the
 * same.
 *
 * Pure: no memory, no sockets. The first rule that fails gives the verdict.
 */
#include "core/base/bytes.h"

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};
#define METHOD_BIT(m) (1u << (m))

struct web_listener { /* where a connection came from; kept by the caller as long as the web lives */
    const char *name; /* "127.0.0.1:8080" or "unix:/…" */
    bool is_unix;
    bool is_loopback;
    const char *const *hosts;   /* NULL-ended; NULL: localhost, 127.0.0.1, [::1] with any port */
    const char *const *origins; /* NULL-ended allow-list besides the loopback ones */
};

enum { GATE_HEADERS = 100 };
struct gate_header {
    struct bytes name, value; /* value trimmed */
};
struct gate_head {
    struct bytes method, target; /* as sent; the target is raw */
    bool is_http10;
    size_t bytes; /* of the whole head; 0: unknown */
    size_t count;
    struct gate_header headers[GATE_HEADERS];
};

enum {
    GATE_QUERY = 1,    /* a query is allowed */
    GATE_ANY_TYPE = 2, /* a body of any Content-Type; else application/json */
    GATE_STREAMS = 4,  /* GET needs `Accept: text/event-stream`, POST that or application/json */
    GATE_CORS = 8,     /* OPTIONS is answered, answers name the origin */
};
struct gate_route {
    const char *path; /* exact, or with '*' at its end for all that begin so; the first that fits counts */
    unsigned methods; /* METHOD_BITs; 0: any */
    unsigned flags;   /* without any route: GATE_QUERY */
    size_t uri, body; /* 0: the general limit */
    const char *type; /* besides application/json; or NULL */
};
const struct gate_route *gate_route(const struct gate_route *routes, struct bytes path); /* never NULL */

struct gate_rules {
    const struct web_listener *listener;
    const struct gate_route *routes;
    size_t uri, headers, body; /* limits */
    bool is_websocket;         /* an upgrade is what is asked for here */
};
struct gate_pass { /* what the gate learnt on the way */
    enum method method;
    struct bytes path, query; /* raw; query.p NULL: there was no '?' */
    const struct gate_route *route;
    bool has_body, is_chunked, expects_continue;
    uint64_t length; /* when not chunked */
    size_t body_limit;
};
struct gate_verdict { /* status 0: passed */
    int status;
    const char *name; /* REST code: "origin_refused"; "header_mismatch" for a doubled Mcp-* */
    char text[160];
    unsigned allow; /* 405: METHOD_BITs */
};
/* 0, or 1 with `verdict` told. `pass` is filled as far as it got, method and path always. */
int gate_check(const struct gate_head *head, const struct gate_rules *rules, struct gate_pass *pass,
               struct gate_verdict *verdict);
struct bytes gate_header(const struct gate_head *head, const char *name); /* first such; p NULL: none */
bool gate_origin_is_listed(struct bytes origin, const struct web_listener *listener);
/* `list` is an Accept header (p NULL: everything); type as "application/json". q=0 refuses. */
bool gate_accepts(struct bytes list, const char *type);
const char *method_name(enum method m);
/* "GET, POST" of METHOD_BITs into `out`. */
void method_list(unsigned bits, struct buf *out);

/* Strict reading of a whole request head (up to and with the blank line), for sockets that libmicrohttpd
 * never sees. Returns 0, or 1 with `verdict`. Slices point into `raw`. */
int gate_read(struct bytes raw, struct gate_head *head, struct gate_verdict *verdict);
/* The whole check of a WebSocket head: gate_read, gate_check, and RFC 6455 §4.2.1. */
int gate_check_websocket(struct bytes raw, const struct gate_rules *rules, struct gate_verdict *verdict);
