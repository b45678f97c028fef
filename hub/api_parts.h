#pragma once
/*
 * api_parts -- the inside of the api, shared by api*.c, errand.c, health.c, page.c and stream*.c only.
 *
 * A visit is one HTTP request, from its head to web's on_end. What it makes lives in its arena.
 */
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/loop.h"
#include "core/base/shape.h"
#include "core/rpc/envelope.h"
#include "hub/activity.h"
#include "hub/api.h"
#include "hub/catalogue.h"
#include "hub/hub.h"

enum { SUBJECTS = 2, TRACE_TEXT = 56 };

struct visit;

struct route {
    enum method method; /* GET serves HEAD too */
    const char *path;   /* "/api/v1/servers/{server}/logs" */
    const char *may;    /* action asked of policy; NULL: everybody may */
    void (*handle)(struct visit *v, struct bytes body);
    const struct shape *query; /* NULL: takes none */
    size_t query_size;
};
extern const struct route api_routes[]; /* ended by a row without path */

struct api {
    struct hub *hub;
    struct link visits, errands, tabs; /* tabs: WebSockets */
    struct activity *activity;
    struct envelope *envelope;
    struct timer beat; /* /livez: when the loop turned last */
    int64_t beat_at;
    unsigned char cursor_key[SEAL_KEY];
};

struct visit {
    struct link link;
    struct api *api;
    struct request *request;
    struct arena *arena;
    const struct route *route;
    const char *principal;
    struct bytes subjects[SUBJECTS]; /* what stood for {…} in the path, decoded */
    void *query;                     /* as the route's shape says */
    struct bytes trace;              /* the 32 digits of traceparent, or empty */
    bool is_page;                    /* faults are told in plain text */
    void (*on_end)(struct visit *v); /* what waits for it or streams to it: lets go now */
    void *waiting;
};

/* --- api.c --- */
struct bytes visit_subject(const struct visit *v, size_t i);
/* Reads the body by its shape; false: it was answered. An empty body counts as {}. */
bool visit_read(struct visit *v, struct bytes body, const struct shape *shape, void *out);

/* --- api_answer.c: each of these answers, once --- */
void visit_json(struct visit *v, int status, struct buf *json); /* takes the buffer's memory */
void visit_thing(struct visit *v, struct buf *json);            /* 200 with an ETag, or 304 */
void visit_text(struct visit *v, int status, const char *type, struct bytes text);
void visit_fault(struct visit *v, enum fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void visit_fault_told(struct visit *v, const struct fault_told *fault, const char *field);
void visit_add_headers(struct visit *v);

/* A list: begin, one row per thing, end. Only the rows of the page are written. */
struct list {
    struct visit *visit;
    struct buf out;
    int64_t from, limit, total, given;
    int64_t next; /* where the next page begins, when it is not counted in rows; 0: it is */
};
/* false: the cursor was no good and that was answered. A cursor is bound to who asks, the path and the
 * filter. */
bool list_begin(struct list *l, struct visit *v, int64_t limit, const char *cursor);
bool list_row(struct list *l); /* counts one; true: write it to l->out */
void list_end(struct list *l, bool is_exact);

/* --- handlers --- */
void api_status(struct visit *v, struct bytes body);
void api_overview(struct visit *v, struct bytes body);
void api_servers(struct visit *v, struct bytes body);
void api_server(struct visit *v, struct bytes body);
void api_server_logs(struct visit *v, struct bytes body);
void api_server_start(struct visit *v, struct bytes body);
void api_server_stop(struct visit *v, struct bytes body);
void api_server_restart(struct visit *v, struct bytes body);
void api_tools(struct visit *v, struct bytes body);
void api_tool(struct visit *v, struct bytes body);
void api_prompts(struct visit *v, struct bytes body);
void api_resources(struct visit *v, struct bytes body);
void api_templates(struct visit *v, struct bytes body);
void api_call_make(struct visit *v, struct bytes body);
void api_prompt_get(struct visit *v, struct bytes body);
void api_content(struct visit *v, struct bytes body);
void api_complete(struct visit *v, struct bytes body);
void api_calls(struct visit *v, struct bytes body);
void api_call(struct visit *v, struct bytes body);
void api_call_result(struct visit *v, struct bytes body);
void api_call_cancel(struct visit *v, struct bytes body);
void api_config(struct visit *v, struct bytes body);
void api_config_schema(struct visit *v, struct bytes body);
void api_clients(struct visit *v, struct bytes body);
void api_client_snippet(struct visit *v, struct bytes body);
void api_openapi(struct visit *v, struct bytes body);
void api_stream_plain(struct visit *v, struct bytes body);
void api_events(struct visit *v, struct bytes body);
void stream_drain(struct api *a);   /* WebSockets */
void events_drain(struct visit *v); /* an event stream, when it is one */
void health_live(struct visit *v, struct bytes body);
void health_ready(struct visit *v, struct bytes body);
void health_all(struct visit *v, struct bytes body);
void health_metrics(struct visit *v, struct bytes body);
void health_beat(void *ctx); /* the api's timer */
void page_status(struct visit *v, struct bytes body);
void page_style(struct visit *v, struct bytes body);
void page_mark(struct visit *v, struct bytes body);

/* Shapes of queries. */
struct query_list {
    int64_t limit;
    const char *cursor, *q, *server;
};
struct query_calls {
    int64_t limit;
    const char *cursor, *q, *server, *tool, *state, *outcome;
};
struct query_logs {
    int64_t limit;
    const char *since, *level;
};
struct query_content {
    const char *uri;
    int64_t deadline_ms;
};
struct query_snippet {
    const char *server;
};
struct query_events {
    const char *topics;
};

/* "http://127.0.0.1:8080" as this visitor reached us, or the first TCP listener; in the visit's arena. */
const char *visit_base(const struct visit *v);
/* Is `part` in `s`, letters alike? */
bool has_text(struct bytes s, const char *part);
