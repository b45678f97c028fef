#pragma once
/* call_parts -- the inside of a call, shared by call.c, call_send.c and question.c only. */
#include "core/base/id.h"
#include "core/base/list.h"
#include "core/base/table.h"
#include "hub/call.h"
#include "hub/era.h"
#include "hub/upstream.h"

enum { QUESTIONS_MAX = 16, ROUNDS_MAX = 8 };

/* One question of the server, on its way to the client and back. */
struct asked {
    uint64_t id;
    struct buf key;    /* modern upstream: the key in inputRequests, raw; legacy: the request id, raw */
    struct buf answer; /* modern: the raw result */
    bool is_open;
};

struct calls {
    struct hub *hub;
    struct link all;
    struct call *free_ones; /* kept for reuse: the steady state allocates nothing */
    size_t count, free_count;
    struct buf params;  /* the request being assembled */
    struct buf scratch; /* the answer being assembled */
};

struct call {
    struct link link;
    struct call *next_free;
    struct calls *calls;
    char id[ID_TEXT]; /* made when somebody asks */
    enum call_kind kind;
    const char *method;
    const struct caller *caller;
    const char *endpoint;
    const struct call_ops *ops;
    void *ctx;

    struct upstream *upstream;
    struct buf name;      /* as the caller called it */
    struct buf tool;      /* the server's own name or uri */
    struct buf members;   /* params for the server without _meta: `,"name":…,"arguments":…` */
    struct buf meta;      /* members of _meta that pass: `,"k":v` */
    struct buf token;     /* the caller's progress token, raw; empty: none */
    char trace[33];       /* W3C trace id of the caller, or "" */
    struct buf responses; /* modern upstream: raw inputResponses and state for the next send */
    struct buf held;      /* the latest progress frame, waiting for its turn */
    bool has_ticket_state;
    unsigned char digest[32];
    bool has_digest;
    bool wraps_structured; /* the tool's: legacy callers see its structuredContent in {"result":…} */

    struct lane_wait *wait;
    struct holder holder;
    struct lane *lane; /* lent by the holder while it holds */
    struct pending *pending;
    struct timer timer; /* held progress; question leg; pacing of state-only rounds */
    enum { CALL_TIMER_NONE, CALL_TIMER_PROGRESS, CALL_TIMER_QUESTION, CALL_TIMER_ROUND } timer_is;
    int64_t started_us, deadline_at, asked_at; /* deadline_at: monotonic ms */
    int64_t progress_sent_at;
    double progress;
    bool has_progress;

    struct asked *asked; /* QUESTIONS_MAX of them once there is one */
    bool *gone;          /* set when the call is given back while call_ask_lane still looks at it */
    size_t asked_count, open_count;
    uint64_t last_question;
    int rounds;
};

/* call.c */
void call_finish(struct call *c, const struct call_done *done);
void call_fail(struct call *c, bool is_protocol, enum fault fault, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void call_fail_told(struct call *c, const struct fault_told *fault);
struct era_spec call_era(const struct call *c);
void call_set_timer(struct call *c, int what, int64_t ms);
bool call_ask_lane(struct call *c); /* false: the call was finished in here */

/* call_send.c */
int call_prepare(struct call *c, const struct call_spec *spec); /* 0, or <0: it was failed */
void call_send(struct call *c); /* on its lane; asks for another when the server is not there any more */
void call_flush_progress(struct call *c);

/* question.c */
extern const struct holder_ops call_holder_ops;
void question_round(struct call *c, const struct envelope *e); /* input_required from a modern server */
void question_timed_out(struct call *c);
void question_next_round(struct call *c);
/* The call is over: a server that still waits for an answer hears that none comes; so does the client, if
 * wanted. */
void question_drop_all(struct call *c, bool tells_client);
/* A modern caller's retry: opens its ticket. 0, or <0: it was failed. */
int question_read_retry(struct call *c, const struct envelope *e);
