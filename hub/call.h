#pragma once
/*
 * call -- one call in flight, from a resolved request to exactly one answer.
 *
 * tools/call, prompts/get, resources/read and completion/complete, from any entry (MCP of both eras, REST).
 * Resolves the name in the catalogue, asks policy (the one enforcement point), forwards the arguments as the
 * bytes they came in, translates between the eras, asks the client back where a server has questions, obeys
 * deadline and cancel. Lends everything it gives until the callback returns. Loop: the hub's.
 */
#include "core/rpc/envelope.h"
#include "hub/caller.h"

struct hub;
struct call;

enum call_kind { CALL_TOOL, CALL_PROMPT, CALL_READ, CALL_COMPLETE };

enum { CALL_PARTS = 20 };
struct call_done {
    enum { CALL_RESULT, CALL_ERROR, CALL_FAULT } outcome;
    /* RESULT: the value of `result`, already in the caller's era. ERROR: the value of `error`. In pieces, to
     * be written one behind the other. */
    struct bytes parts[CALL_PARTS];
    size_t part_count;
    bool is_error; /* a result with isError true */
    /* FAULT: for tools/call the front makes a result of it (fault_add_tool_result) unless `is_protocol`,
     * which is told as JSON-RPC error always (unknown tool, bad params, missing capability). */
    struct fault_told fault;
    bool is_protocol;
};

/* A question of the server to a legacy client: sent as a JSON-RPC request with an id of the front's. */
struct question {
    uint64_t id;         /* ours, unique in this call */
    const char *method;  /* elicitation/create, sampling/createMessage, roots/list */
    struct bytes params; /* object, or empty */
};

struct call_ops {
    /* One JSON-RPC notification for this client, complete (its own progress token in it), without newline. */
    void (*on_notification)(void *ctx, struct bytes message);
    void (*on_question)(void *ctx,
                        const struct question *q); /* legacy callers only; may be NULL: cannot be asked */
    /* The server no longer wants the answer: tell the client notifications/cancelled. */
    void (*on_question_gone)(void *ctx, uint64_t question);
    void (*on_done)(void *ctx,
                    const struct call_done *done); /* exactly once; may come from inside call_start */
};

struct call_spec {
    enum call_kind kind;
    const struct caller *caller; /* lent until on_done */
    const char *server;          /* endpoint of one server (bare names), NULL: all */
    const struct envelope
        *envelope; /* the request: `inside` and `meta` are its params; lent until call_start returns */
    const char *method;
    const struct call_ops *ops;
    void *ctx;
    struct bytes traceparent; /* from the HTTP header, or empty */
    int64_t deadline_ms;      /* 0: what the configuration says; only ever lowers it */
};

/* NULL when on_done was already called. */
struct call *call_start(struct hub *hub, const struct call_spec *spec);
/* The caller is gone or cancelled: the upstream is told; no callback follows. `why` for the record: "caller
 * gone". */
void call_cancel(struct call *c, const char *why);
/* The client's answer to a question: `result` value, or NULL and an error. Late ones are ignored. */
void call_answer(struct call *c, uint64_t question, const struct bytes *result);
const char *call_id(const struct call *c); /* "call_01J…" */

/* For REST and the live stream: what runs. */
struct call_view {
    const char *id, *server, *principal, *method;
    struct bytes tool; /* exposed name or uri */
    int64_t started_ms;
    const char *state; /* running input_required */
};
void call_each(struct hub *hub, void (*fn)(const struct call_view *v, void *ctx), void *ctx);
/* Ends a call from outside: its caller gets FAULT_CANCELLED. 0, or 1: no such call. */
int call_stop(struct hub *hub, const char *id, const char *by);
