#pragma once
/*
 * session -- one legacy client, from initialize to DELETE (20-mcp §4.5).
 *
 * The id is 256 random bits, bound to principal and endpoint: another's session is unknown, not forbidden.
 * Sessions live in this process only. 5,000 in all, 1,000 of one principal; when there is no room the idlest
 * one without a stream and without a call ends. A session that for 30 minutes has neither ends too.
 */
#include "core/base/id.h"
#include "core/base/list.h"
#include "core/base/loop.h"
#include "hub/caller.h"
#include "hub/tape.h"

enum { SESSIONS_MOST = 5000, SESSIONS_PER_PRINCIPAL = 1000, SESSION_IN_FLIGHT = 64, SESSION_URIS = 256 };

enum session_state { SESSION_OPENING, SESSION_LIVE };

struct sessions;
struct ask;

/* A question sent to the client, not yet answered. */
struct asked {
    struct link link;
    uint64_t number;   /* ours: "tl-q-<number>" */
    struct ask *ask;   /* whose call asks */
    uint64_t question; /* its name there */
};

struct session {
    struct sessions *all;
    struct link link; /* idlest first */
    char id[TOKEN_TEXT];
    char *principal;
    const char *server; /* endpoint: NULL is all; lent by the configuration */
    struct caller caller;
    struct buf capabilities, client_info; /* what caller points into */
    enum session_state state;
    struct link asks; /* in flight: struct ask, oldest first */
    size_t ask_count;
    struct link questions;    /* struct asked */
    struct link tapes;        /* struct tape */
    struct link follows;      /* struct follow */
    struct tape *unsolicited; /* the GET stream; one of `tapes` */
    unsigned pending;         /* bits 1 << item_kind: list_changed waits until the stream has room */
    uint64_t next_question, next_stream;
    int64_t touched_ms;
    struct timer idle;
};

struct session_spec {
    const char *principal;
    const char *server;
    enum revision revision;
    struct bytes capabilities, client_info; /* raw objects, copied; empty when absent */
    bool wants_frames;
};

struct sessions_ops {
    void (*on_end)(struct session *s, void *ctx); /* before it goes: its calls must end */
};
struct sessions *sessions_new(struct loop *loop, int64_t idle_ms, const struct sessions_ops *ops, void *ctx);
void sessions_free(struct sessions *all); /* ends them all */
/* NULL: no room (`is_total`: of all principals together). */
struct session *session_new(struct sessions *all, const struct session_spec *spec, bool *is_total);
/* The live session with this id, if it is theirs; it counts as used. */
struct session *session_find(struct sessions *all, struct bytes id, const char *principal,
                             const char *server);
void session_end(struct session *s);
size_t sessions_count(const struct sessions *all);
struct link *sessions_list(struct sessions *all);
struct tape *session_find_tape(struct session *s, uint64_t number);
size_t session_streams(const struct session *s);
