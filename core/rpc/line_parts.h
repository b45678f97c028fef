#pragma once
/* line_parts -- what line.c (requests, writing, the end) and line_in.c (reading, routing) share. */
#include "core/base/list.h"
#include "core/base/table.h"
#include "core/rpc/line.h"

enum { LINE_TAIL = 96 };

struct pending {
    struct link link; /* in line->pending, oldest first */
    struct line *line;
    int64_t id;
    const struct pending_ops *ops;
    void *ctx;
    struct timer timer;
    int64_t begun_ms, deadline_at; /* monotonic */
    int64_t idle_ms, idle_at;      /* idle_at 0: no progress frame yet */
    int64_t left_ms;               /* paused: what was left; else -1 */
    uint64_t sent_from;            /* place of its first byte among all bytes ever queued */
    bool is_initialize;
    struct pending *next_free;
};

struct line {
    struct loop *loop;
    int fd;
    struct watch *watch;
    struct line_limits limits;
    const struct line_ops *ops;
    void *ctx;

    struct link pending;
    struct ids by_id;
    struct pending *free_list;
    int64_t last_id;
    size_t in_flight;

    struct buf out; /* out.p[out_at..n) waits to be written */
    size_t out_at;
    uint64_t queued, written;
    struct defer flush;

    struct buf in;
    size_t line_at, searched; /* begin of the line in hand; no newline before `searched` */
    struct envelope *envelope, *element;
    bool is_part_scanned; /* the envelope has seen a first part of the line in hand */
    bool is_skipping;     /* the line in hand is too long */
    bool skips_noise;     /* and no JSON either */
    size_t skipped;
    struct envelope_part skipped_part; /* its id is kept in skipped_id */
    char skipped_id[24];
    char tail[LINE_TAIL]; /* last bytes of what was skipped */
    size_t tail_n;
    size_t noise_run;

    struct line_counts counts;
    unsigned busy; /* callbacks are running: the memory must stay */
    bool is_lost, is_freed, is_choked, wants_shut, watches_write;
};

void line_hold(struct line *l);
void line_release(struct line *l);
/* The line is over: pending requests end, then its owner is told. */
void line_lose(struct line *l, const char *reason);
void line_readable(struct line *l);
/* One read and all lines that are whole. False when nothing more came. */
bool line_read(struct line *l);

/* Takes the request off the line and tells its owner how it ended. */
void pending_finish(struct pending *p, const struct line_answer *answer);
void pending_progress(struct pending *p, const struct envelope *progress);
