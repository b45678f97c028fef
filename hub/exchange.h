#pragma once
/*
 * exchange -- one POST and everything that answers it.
 *
 * It begins with the head of the request and ends with the last answer. A single JSON-RPC request is the
 * common case and costs no allocation: exchanges come from a free list. The answer is JSON when it comes
 * within `mcp.sse_after` and nothing was sent before it, else an event stream (20-mcp §4.3). On a legacy
 * session the stream is a tape of the session, and the exchange outlives the request: a dropped connection
 * cancels nothing. On modern requests it does.
 */
#include "core/rpc/envelope.h"
#include "hub/call.h"
#include "hub/guest.h"
#include "hub/session.h"

struct face;
struct exchange;
struct method_row;
struct subscribing;

/* One JSON-RPC request of the exchange. */
struct ask {
    struct exchange *exchange;
    const struct method_row *row;
    struct call *call;               /* NULL: none runs */
    struct subscribing *subscribing; /* waits for a server's word on a subscription */
    struct link link;                /* in its session's asks */
    bool is_open;                    /* not answered */
    unsigned char id_n;
    char id[128]; /* raw bytes; the envelope refuses longer ones */
};

struct exchange {
    struct guest guest;
    struct link link; /* among the face's live or spare ones */
    struct face *face;
    struct request *request; /* NULL: answered, streamed to a tape, or gone */
    struct session *session; /* legacy */
    struct tape *tape;       /* legacy, streaming */
    const char *server;      /* endpoint */
    const char *principal;
    enum era era;
    struct caller caller; /* modern: of this request alone */
    struct ask single, *asks;
    size_t ask_count, open;
    struct buf answers; /* batch: those given so far */
    struct buf held;    /* the latest notification a slow reader has not made room for */
    struct timer timer; /* JSON still: when to begin a stream; streaming: keep-alive */
    bool accepts_json, accepts_stream;
    bool is_batch, is_streaming, is_held_open; /* dispatch is still running */
};

struct exchange *exchange_new(struct face *face, struct request *r, const char *server);
void exchanges_end(struct face *face); /* abandons those that live */

/* Before dispatch: answers the whole request. The exchange is gone afterwards. */
void exchange_refuse(struct exchange *x, int status, const struct fault_told *fault, struct bytes id);
void exchange_accept(struct exchange *x); /* 202 without a body */
/* From a handler: gives the request away, to a listen stream, which answers it. */
struct request *exchange_yield(struct exchange *x);

/* n asks will be opened, then closed by exchange_dispatched; answers may come in between. */
void exchange_open(struct exchange *x, size_t n, bool is_batch);
struct ask *exchange_ask(struct exchange *x, size_t i, const struct envelope *e,
                         const struct method_row *row);
void exchange_dispatched(struct exchange *x);

/* Writes `{"jsonrpc":"2.0","id":…,"result":` ; the caller adds the value and '}'. */
void ask_begin_result(const struct ask *a, struct buf *out);
struct bytes ask_id(const struct ask *a);
const struct caller *ask_caller(const struct ask *a);
/* Takes `message`, a whole response. `status` counts unless the answer is a stream or a batch. Once; the ask
 * and its exchange may be gone afterwards. */
void ask_answer(struct ask *a, int status, struct buf *message);
void ask_answer_fault(struct ask *a, int status, const struct fault_told *fault);
/* Nothing more is sent for it: the client said so. */
void ask_drop(struct ask *a);
/* A notification or question for the client. */
void exchange_notify(struct exchange *x, struct bytes message);
void exchange_question(struct exchange *x, struct bytes message);
/* Its calls are cancelled, and what is still open of the request is answered with this fault. */
void exchange_abandon(struct exchange *x, enum fault fault, const char *text);
