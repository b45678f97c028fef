#pragma once
/* serve_parts -- what the files of serve share: serve.c (life, methods), serve_io.c (bytes in and out),
 * serve_order.c (one request), serve_list.c (what is told about the server), serve_watch.c (subscriptions).
 */
#include "core/base/list.h"
#include "core/base/table.h"
#include "core/rpc/envelope.h"
#include "core/rpc/serve.h"

#define MCP_MODERN "2026-07-28"
#define META_PREFIX "io.modelcontextprotocol/"

enum { SERVE_IN_FLIGHT = 64, SERVE_LISTENS = 64, SERVE_URIS = 256 };

struct listen {
    struct link link;
    struct bytes id; /* raw, own memory */
    bool wants_resources;
    struct table uris; /* the value is anything but NULL */
};

struct serve {
    struct loop *loop;
    const struct server *row;
    void *object; /* the server's own, from row->open */
    int fd_in, fd_out;
    struct watch *watch_in, *watch_out;
    struct buf in, out;
    size_t searched, out_at;
    struct defer turn_end;
    bool is_skipping, is_paused, is_ending, is_closed;
    struct envelope *envelope, *element;

    const char *version; /* negotiated by initialize; NULL before */
    bool is_initialized; /* notifications/initialized has come */
    bool saw_modern;
    struct link orders; /* in flight */
    struct link done;   /* answered in this turn; freed at its end */
    size_t in_flight;
    struct buf tools, server_info, capabilities;

    struct table watched;   /* uri to `struct watched`: everybody's subscriptions, counted */
    struct table by_legacy; /* uris the legacy client has subscribed to */
    struct link listens;
    size_t listen_count;
};

enum order_kind { ORDER_TOOL, ORDER_RESOURCES, ORDER_READ, ORDER_COMPLETE };

struct order {
    struct link link;
    struct serve *serve;
    struct arena *arena;
    enum order_kind kind;
    enum era era;
    struct bytes id, token; /* raw, in the arena; token.n 0: no progress wanted */
    struct bytes uri;
    const struct tool *tool;
    struct timer timer;
    int64_t deadline_ms, told_progress;
    void (*on_cancel)(struct order *o, void *ctx);
    void *cancel_ctx;
    bool is_running, is_waiting, is_cancelled, is_told, is_over, has_progress;
};

/* --- serve_io.c --- */
void serve_input(int events, void *ctx);
void serve_output(int events, void *ctx);
void serve_turn_end(void *ctx); /* frees finished orders, writes what is there, ends when the time has come */
void serve_wake(struct serve *s);
/* A message: begin, append to serve->out, end. */
void message_begin(struct serve *s);
void message_end(struct serve *s);
void serve_answer_fault(struct serve *s, const struct fault_told *f, enum era era, struct bytes id);
/* End of input, or nobody reads our output. */
void serve_begin_end(struct serve *s);

/* --- serve.c --- */
void serve_message(struct serve *s, const struct envelope *e);

/* --- serve_order.c --- */
struct asked { /* a request on its way to its handler */
    const struct envelope *e;
    enum era era;
    struct fault_told *fault; /* a handler that says false has told why */
};
bool serve_tool_call(struct serve *s, const struct asked *a);
bool serve_resources_list(struct serve *s, const struct asked *a);
bool serve_read(struct serve *s, const struct asked *a);
bool serve_complete(struct serve *s, const struct asked *a);
void orders_cancel(struct serve *s, struct bytes id);
void orders_cancel_all(struct serve *s);
void orders_sweep(struct serve *s);
bool order_is_in_flight(const struct serve *s, struct bytes id);

/* --- serve_list.c --- */
void serve_prepare_lists(struct serve *s);
void serve_end_lists(struct serve *s);
bool serve_initialize(struct serve *s, const struct asked *a);
bool serve_discover(struct serve *s, const struct asked *a);
bool serve_tools_list(struct serve *s, const struct asked *a);
bool serve_templates_list(struct serve *s, const struct asked *a);
/* Adds `"resources":[...]` with the rows that are no templates. */
void serve_add_fixed_resources(struct buf *out, const struct server *row);
/* {"resultType":"complete", for modern; the members; "_meta":{...}} */
void result_begin(struct buf *out, enum era era, bool is_cacheable);
void result_end(struct serve *s, enum era era, struct bytes more_meta);

/* --- serve_watch.c --- */
bool serve_subscribe(struct serve *s, const struct asked *a);
bool serve_unsubscribe(struct serve *s, const struct asked *a);
bool serve_listen(struct serve *s, const struct asked *a);
bool listen_cancel(struct serve *s, struct bytes id);
bool listen_is_open(const struct serve *s, struct bytes id);
void listens_end(struct serve *s, bool tells);
