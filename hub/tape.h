#pragma once
/*
 * tape -- one event stream of a legacy session, kept so that a client may come back for the rest of it
 * (20-mcp §4.5).
 *
 * Each frame becomes an event "<stream>-<seq>"; the last 256 events or 1 MiB stay on the tape, five minutes
 * after its reader dropped. Writers do not care whether anybody reads. A finished tape that was read to its
 * end is gone by itself. Owns no request: it writes to its reader until that ends.
 */
#include "core/base/list.h"
#include "core/base/loop.h"
#include "core/net/web.h"
#include "hub/guest.h"

enum { TAPE_EVENTS = 256, TAPE_BYTES = 1 << 20, TAPE_KEEP_MS = 5 * 60 * 1000, TAPE_RETRY_MS = 3000 };

struct tape {
    struct guest guest;   /* what its reader's request_ctx is */
    struct link link;     /* in its session's list */
    struct tape **holder; /* whoever must forget it when it goes; may be NULL */
    struct loop *loop;
    struct request *reader; /* NULL: nobody reads now */
    /* Told when a reader is up to date: frames held back may go. May be NULL. */
    void (*on_drained)(struct tape *t, void *ctx);
    void *ctx;
    uint64_t number, next, first; /* stream; sequence of the next event, of the oldest kept one */
    struct link events;
    size_t bytes;
    struct timer timer; /* keep-alive while read, end of patience while not */
    bool is_finished;
};

struct tape *tape_new(struct loop *loop, uint64_t number, struct link *list);
/* Ends the reader's stream, leaves the list, tells the holder. NULL is fine. */
void tape_free(struct tape *t);
/* `r` reads from now on: its stream is begun here. `primes`: with the priming event first, which tells the
 * client its place before there is anything (2025-11-25 and later; older clients choke on the empty data). A
 * former reader's stream ends. */
void tape_read(struct tape *t, struct request *r, bool primes);
/* Can what follows event `seq` still be given? */
bool tape_reaches(const struct tape *t, uint64_t seq);
/* As tape_read, after the events behind `seq`. */
void tape_resume(struct tape *t, struct request *r, uint64_t seq);
/* One JSON-RPC message without line breaks, in pieces. */
void tape_write(struct tape *t, const struct bytes *parts, size_t n);
/* No more will come. The tape may be gone afterwards. */
void tape_finish(struct tape *t);
size_t tape_queued(const struct tape *t); /* bytes its reader has not taken; 0 without one */
/* "<stream>-<seq>"; false: it is none of ours. */
bool event_id_read(struct bytes text, uint64_t *stream, uint64_t *seq);
