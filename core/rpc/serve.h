#pragma once
/*
 * serve -- the server side: MCP of both eras over stdin and stdout, for our own servers.
 *
 * Speaks 2026-07-28 (server/discover, stateless requests, subscriptions/listen) and every legacy revision
 * (initialize, ...), decided by the first message as 20-mcp §4.1 does for HTTP. Tools come as table rows;
 * parsing, validation, JSON Schema and lists come from the rows. A handler answers exactly once, now or
 * later; a handler that returns without answering and without waiting is answered for with an internal error.
 */
#include "core/base/loop.h"
#include "core/base/shape.h"
#include "core/base/why.h"
#include "core/rpc/fault.h"

struct serve;
/* One request being served: a customer's order. (`call` is the hub's word for its own side of one.) */
struct order; /* one tools/call, prompts/get, resources/read in progress on this side */

enum tool_traits {
    TOOL_READS = 1,      /* readOnlyHint true */
    TOOL_WRITES = 2,     /* destructiveHint false, idempotentHint false */
    TOOL_SETS = 4,       /* destructiveHint false, idempotentHint true */
    TOOL_DESTROYS = 8,   /* destructiveHint true, idempotentHint true */
    TOOL_AT_HOME = 16,   /* openWorldHint false: touches only the hub's own folder */
    TOOL_UNTRUSTED = 32, /* the result carries outsiders' words */
};

struct tool {
    const char *name;
    void (*run)(struct order *o, const void *args);
    size_t args_size;
    const struct shape *shape;
    unsigned traits;
    const char *toolset;
    const char *help;
};
#define TOOL(name_, fn_, type_, shape_, traits_, toolset_, help_)                                  \
    {                                                                                              \
        .name = name_, .run = fn_, .args_size = sizeof(type_), .shape = shape_, .traits = traits_, \
        .toolset = toolset_, .help = help_                                                         \
    }

struct resource_row { /* a concrete resource or a template (RFC 6570 level 1-2 with {+path}) */
    const char *uri;  /* "workspace://{id}/files/{+path}" */
    const char *name, *help, *mime;
    bool is_template;
};

struct server {
    const char *name, *title, *version, *instructions;
    const struct tool *tools; /* ended by a row without name */
    const struct resource_row *resources;
    /* All may be NULL. The server object is what `open` gives. */
    int (*open)(struct serve *s, const json_t *settings, void **out, struct why *why);
    void (*close)(void *server);
    void (*list_resources)(struct order *o); /* answers with order_answer_members: "resources":[…] */
    void (*read)(struct order *o, struct bytes uri);
    int (*subscribe)(void *server, struct bytes uri, struct why *why); /* 0, or 1: no such resource */
    void (*unsubscribe)(void *server, struct bytes uri);
    void (*complete)(struct order *o, struct bytes ref, struct bytes argument, struct bytes value);
};

/* Reads fd_in, writes fd_out until end of input; then closes the server and stops the loop. */
struct serve *serve_new(struct loop *loop, const struct server *row, const json_t *settings, int fd_in,
                        int fd_out, struct why *why);
void serve_free(struct serve *s);
void *serve_server(struct serve *s);
struct loop *serve_loop(struct serve *s);

/* To be called by handlers. */
struct arena *order_arena(struct order *o);
void *order_server(struct order *o);
struct serve *order_serve(struct order *o);
/* The handler returns now and answers later; `on_cancel` is called at most once, and then it must still
 * finish. */
void order_wait(struct order *o, void (*on_cancel)(struct order *o, void *ctx), void *ctx);
bool order_is_cancelled(const struct order *c);
int64_t order_deadline_ms(const struct order *c); /* monotonic; INT64_MAX: none */
void order_progress(struct order *o, int64_t done, int64_t total, const char *message);
/* Text content. */
void order_answer_text(struct order *o, struct bytes text);
/* `content`: a JSON array as bytes. */
void order_answer_content(struct order *o, struct bytes content);
/* A result object as raw JSON members ("\"contents\":[…]"): for resources and completions. */
void order_answer_members(struct order *o, struct bytes members);
/* The server's own fault: isError, text "name: sentence", _meta fault {name}. Names: 60-servers §3. */
void order_fail(struct order *o, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A JSON-RPC error (unknown resource, …). */
void order_refuse(struct order *o, enum fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notifications, sent to those who asked for them. */
void serve_resource_updated(struct serve *s, struct bytes uri);
void serve_resources_changed(struct serve *s);
