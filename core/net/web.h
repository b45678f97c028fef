#pragma once
/*
 * web -- the HTTP/1.1 server: libmicrohttpd driven by our loop, behind the gate.
 *
 * No type of libmicrohttpd leaves this module. The gate (gate.h) runs when the head of a request is known and
 * before its body is read; what it refuses never reaches the handler. A request object outlives its peer: a
 * handler never asks whether the connection is still there; after on_gone all answers are swallowed, but one
 * must still be given, for only then comes on_end. Every request whose on_head was called ends with on_end,
 * exactly once, after which the object is gone. on_end never comes from within a request_… call; web_free
 * ends what is open without waiting.
 *
 * Every answer carries `X-Content-Type-Options: nosniff`, and `Cache-Control: no-store` unless the handler
 * added a Cache-Control of its own; streams also `X-Accel-Buffering: no`. A stream ends its connection.
 *
 * Loop: that of web_new; no threads. Limits: struct web_limits.
 */
#include "core/base/arena.h"
#include "core/base/loop.h"
#include "core/net/gate.h"

struct web;
struct request;

struct web_limits {                    /* 0 stands for the figure told here */
    size_t uri, headers, header_count; /* 2 KiB (a route may say more), 16 KiB, 100 (more is not possible) */
    size_t body;                       /* 4 MiB (a route may say otherwise) */
    int64_t head_ms, body_ms, idle_ms; /* 10 s, 30 s + 10 s per MiB, 60 s */
    size_t connections, per_address;   /* 12000, 256 (loopback and Unix sockets exempt) */
};

struct web_ops {
    /* The gate has passed, the body is not read. Route: return 0 to go on (the body is collected and on_body
     * called; at once for requests without one), or answer here and return 1: the body is read and dropped.
     */
    int (*on_head)(struct request *r, void *ctx);
    void (*on_body)(struct request *r, struct bytes body, void *ctx); /* lent until on_end */
    /* The last words on a request, peer gone or not. Free what request_ctx holds. */
    void (*on_end)(struct request *r, void *ctx);
    /* Appends the JSON body of a refusal by the gate: `name` is a REST code, `text` a sentence. `r` is there
     * for its path, and NULL when the refusal comes before there is a request. NULL:
     * {"error":{"code":…,"message":…}}. */
    void (*on_refusal)(struct request *r, const struct gate_verdict *verdict, struct buf *out, void *ctx);
    const struct gate_route
        *routes; /* what the gate holds each path to; ends with path NULL; NULL: see gate.h */
};

struct web *web_new(struct loop *loop, const struct web_limits *limits, const struct web_ops *ops, void *ctx);
void web_free(struct web *w); /* answers what is open with 503, closes all */
/* Takes an accepted, nonblocking socket, even when it fails (then it was closed). `address` is copied. `uid`
 * of the peer on Unix sockets (SO_PEERCRED), else -1. */
int web_take(struct web *w, int fd, const struct web_listener *from, const char *address, int64_t uid);
/* Takes a socket only to tell it why it is not served. */
void web_refuse(struct web *w, int fd, const struct web_listener *from, const char *address,
                const struct gate_verdict *verdict);
struct web_counts {
    size_t connections, requests, streams, refused;
};
struct web_counts web_counts(const struct web *w);

/* What came, lent until on_end. Header values are checked by the gate: at most one of each but the
 * list-valued ones (the first is given), 0x20-0x7E and TAB. */
enum method request_method(const struct request *r);
struct bytes request_path(const struct request *r);  /* raw, as sent, without query */
struct bytes request_query(const struct request *r); /* raw, without '?'; p NULL when there was no '?' */
struct bytes request_header(const struct request *r, const char *name); /* p NULL: absent. Trimmed */
const struct web_listener *request_listener(const struct request *r);
const char *request_address(const struct request *r);
int64_t request_uid(const struct request *r);
/* Calls fn for each header whose name begins with `prefix` (no case). */
void request_each_header(const struct request *r, const char *prefix,
                         void (*fn)(struct bytes name, struct bytes value, void *ctx), void *ctx);
/* The peer takes this type by its Accept header (absent: everything). `type` as "text/event-stream". */
bool request_accepts(const struct request *r, const char *type);
void request_set_ctx(struct request *r, void *ctx);
void *request_ctx(const struct request *r);
/* The peer hung up (FIN, RST, half-close) before the answer was complete: called once, at once. */
void request_on_gone(struct request *r, void (*fn)(struct request *r, void *ctx), void *ctx);
bool request_is_http10(const struct request *r);

/* Answering: once. Headers are added before. `type` NULL: no Content-Type. The body is copied. */
void request_add_header(struct request *r, const char *name, const char *value);
void request_answer(struct request *r, int status, const char *type, struct bytes body);
/* The same, but takes a malloc'd body (freed by us). */
void request_answer_take(struct request *r, int status, const char *type, char *body, size_t n);
/* Answers and closes the connection, after dropping <= 64 KiB or 1 s of what still comes. `json` is copied.
 */
void request_refuse(struct request *r, int status, struct bytes json);

/* Streams (SSE): head now, then pieces. Pieces are copied into one queue per stream. */
void request_stream(struct request *r, int status, const char *type);
void request_push(struct request *r, struct bytes piece);
void request_finish(struct request *r);         /* after what is queued has left */
size_t request_queued(const struct request *r); /* bytes not yet taken by the client */
bool request_is_streaming(const struct request *r);
/* Told when the queue has run empty again; ctx is request_ctx. */
void request_on_drained(struct request *r, void (*fn)(struct request *r, void *ctx));
