#pragma once
/*
 * line -- the client side of one NDJSON connection to an MCP server: ids, pending calls, deadlines,
 * cancellation.
 *
 * Owns the descriptor. Ids are integers counted from 1; an answer is matched exactly, anything unknown, late
 * or twice is dropped and counted. Every pending request has a deadline and is finished exactly once. All
 * writing of a loop turn goes out in one writev. Lines that are not JSON are told to `on_noise`; 100 in a
 * row, a line of 4 x the limit without newline, or a send queue over 8 MiB end the line. A line never stops
 * reading because a client is slow. `ping` from the peer is answered here.
 */
#include "core/base/loop.h"
#include "core/rpc/envelope.h"
#include "core/rpc/fault.h"

struct line;
struct pending;

/* How a request ended. RESULT and ERROR lend the envelope and the bytes until the callback returns. */
enum line_outcome { LINE_RESULT, LINE_ERROR, LINE_DEADLINE, LINE_LOST, LINE_TOO_LARGE };

struct line_answer {
    enum line_outcome outcome;
    const struct envelope *envelope; /* RESULT, ERROR */
    struct bytes text;               /* the whole line, for splicing */
    struct fault_told fault;         /* DEADLINE, LOST, TOO_LARGE: ready to be told */
};

struct pending_ops {
    /* Exactly once, never from inside line_request; not after pending_cancel. */
    void (*on_answer)(void *ctx, const struct line_answer *answer);
    /* A progress notification that bears this request's token. May be NULL. */
    void (*on_progress)(void *ctx, const struct envelope *progress);
};

struct line_ops {
    /* A request from the server (elicitation/create, sampling/createMessage, roots/list, ...). Answer later
     * with line_answer_request or line_refuse_request, quoting `id` (copy it). */
    void (*on_request)(void *ctx, const struct envelope *request);
    /* Any notification but progress (those are routed) and cancelled of unknown ids. */
    void (*on_notification)(void *ctx, const struct envelope *notification);
    void (*on_noise)(void *ctx, struct bytes text);
    /* End of file or of patience. Pending requests were finished with LINE_LOST before. Called once; the line
     * may be freed inside. */
    void (*on_lost)(void *ctx, const struct why *why);
};

struct line_limits {
    size_t message;      /* bytes of one line from the server: 64 MiB */
    size_t notification; /* 1 MiB */
    size_t backlog;      /* 8 MiB waiting to be read by the server */
};

struct line *line_new(struct loop *loop, int fd, const struct line_limits *limits, const struct line_ops *ops,
                      void *ctx);
void line_free(struct line *l); /* closes the fd; pending requests end with LINE_LOST first */
void line_shut(
    struct line *l); /* closes our writing side: the server sees end of input; answers still come */

/*
 * Sends {"jsonrpc":"2.0","id":N,"method":<method>,"params":<params>}. `params` is assembled by the caller and
 * copied. In it the caller may write the token LINE_ID once (see line_next_id) as progress token.
 */
struct request_spec {
    const char *method;
    struct bytes params; /* an object, or empty for none */
    int64_t deadline_ms; /* from now */
    int64_t idle_ms;     /* after the latest progress frame, once there was one; 0: none */
    const struct pending_ops *ops;
    void *ctx;
};
int64_t line_next_id(const struct line *l); /* the id the next line_request will use: for progressToken */
/* NULL when the backlog is full or the line is lost (`why`). */
struct pending *line_request(struct line *l, const struct request_spec *spec, struct why *why);
bool line_is_open(const struct line *l); /* takes requests; false from the moment it is lost */
int64_t pending_id(const struct pending *p);
/* Forgets the caller and sends notifications/cancelled with `reason`; no callback follows. `initialize` is
 * not told. */
void pending_cancel(struct pending *p, const char *reason);
/* Stops the deadline while a human is asked; pending_resume starts it again with what was left. */
void pending_pause(struct pending *p);
void pending_resume(struct pending *p);

void line_notify(struct line *l, const char *method, struct bytes params);
void line_answer_request(struct line *l, struct bytes id, struct bytes result);
void line_refuse_request(struct line *l, struct bytes id, int code, const char *message);

struct line_counts {
    size_t in_flight, backlog, unknown_answers, noise, malformed;
};
struct line_counts line_counts(const struct line *l);
