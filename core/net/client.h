#pragma once
/*
 * client -- HTTP/1.1 over a Unix socket or loopback TCP, for the command line and the stdio front. Own small
 * client: fixed peer (our hub), no TLS, no redirects. Responses with Content-Length, chunked, or until close.
 */
#include "core/base/bytes.h"
#include "core/base/loop.h"
#include "core/base/why.h"

struct http; /* where the hub is */
struct http_call;

struct http_ops {
    /* Head is known. headers: lookup by http_header. */
    void (*on_head)(struct http_call *c, int status, void *ctx);
    void (*on_piece)(struct http_call *c, struct bytes piece, void *ctx); /* decoded body bytes */
    /* Once, last. why NULL: complete. */
    void (*on_end)(struct http_call *c, const struct why *why, void *ctx);
};
struct http_spec {
    const char *method, *path; /* path with query */
    const char *headers; /* "Name: value\r\n…" besides Host, Content-Length, Connection; may be NULL */
    struct bytes body;   /* copied */
    int64_t timeout_ms;  /* until the head; 0: none */
    bool is_once;        /* must not be done twice: never sent again, so never on a connection that waited */
    const struct http_ops *ops;
    void *ctx;
};
/* "unix:/path" or "http://127.0.0.1:8080". */
struct http *http_new(struct loop *loop, const char *base, struct why *why);
void http_free(struct http *h);
struct http_call *http_send(struct http *h,
                            const struct http_spec *spec); /* a connection per call, reused when idle */
struct bytes http_header(const struct http_call *c, const char *name);
void http_cancel(struct http_call *c); /* closes its connection; no callback follows */

/* Blocking convenience for the command line: whole body into `out`; status or -1 with `why`. */
int http_fetch(const char *base, const struct http_spec *spec, struct buf *out, struct why *why);
