#pragma once
/*
 * stdio_parts -- the inside of `trunkline stdio`, shared by stdio*.c only.
 *
 * A front reads lines and writes lines; each line that goes to the hub is a post: one HTTP request, whose
 * answers (a body, or the events of a stream) become lines again. A request gets exactly one answer: the
 * hub's, or one made here when the hub can give none.
 */
#include "cli/command.h"
#include "core/base/bytes.h"
#include "core/base/list.h"
#include "core/base/loop.h"
#include "core/base/table.h"
#include "core/net/client.h"
#include "core/net/sse.h"
#include "core/rpc/envelope.h"
#include "core/rpc/fault.h"

enum {
    LINE_MOST = 64 << 20, /* bytes of one line from the client, of one message from the hub */
    AGAIN_MS = 100,       /* first pause before trying again, doubled each time */
    AGAIN_MOST_MS = 1000,
};

enum post_kind {
    POST_MESSAGE,    /* a line of the client's */
    POST_INITIALIZE, /* its initialize */
    POST_REOPEN,     /* our own: the same initialize again, for a hub that has forgotten us */
    POST_LIVE,       /* our own: notifications/initialized behind that */
    POST_REPLAY,     /* our own: a subscription or log level that the new session should have too */
};

struct front;

struct post {
    struct link link; /* in front->going, ->waiting or ->held */
    struct front *front;
    enum post_kind kind;
    enum era era;
    struct http_call *call; /* while on its way */
    struct buf body, headers;
    struct buf open;   /* raw ids that want an answer, a newline behind each */
    struct buf answer; /* a body that is no stream */
    struct sse_reader reader;
    struct timer again;
    size_t plain_headers;                     /* where the Mcp-Param ones begin in `headers` */
    int64_t sent_at_ms, lost_at_ms, pause_ms; /* since when the hub could not be reached; 0: it can */
    unsigned session;                         /* the number of the session it was sent in; 0: none */
    int status, reopens;
    bool is_going, is_stream, gave_something, is_repeatable, is_too_large;
    bool is_initialized; /* notifications/initialized of the client */
    bool must_reopen;    /* the hub has forgotten our session: open a new one, then send this again */
    bool is_headed;      /* Mcp-Param headers were added already */
};

enum session_state { SESSION_NONE, SESSION_OPENING, SESSION_LIVE, SESSION_LOST };

/* The legacy side: a session at the hub that outlives the hub. */
struct session {
    enum session_state state;
    unsigned number; /* counts sessions; a 404 for an older one is no news */
    struct buf id, version;
    struct buf initialize; /* the client's own request, to be said again */
    struct buf log_level;  /* the client's last logging/setLevel */
    struct link wishes;    /* subscriptions, see stdio_legacy.c */
    bool is_announced;     /* the client has sent notifications/initialized */
    /* the stream for what belongs to no request */
    struct http_call *stream;
    struct sse_reader reader;
    struct buf last_event;
    struct timer again;
    int64_t pause_ms;
    int stream_status;
};

struct front {
    struct cli *cli;
    struct loop *loop;
    struct http *http;
    struct buf path; /* "/mcp" or "/mcp/NAME" */
    bool has_era;
    enum era era;
    struct envelope *asked, *answered; /* scanners: of the client's lines, of the hub's messages */
    struct link going, waiting, held;  /* held: until there is a session */
    size_t going_count;
    struct session session;
    struct table definitions; /* of tools that want Mcp-Param headers: JSON text by name */
    struct buf version;       /* of the latest modern request, for its notifications */

    struct buf in, out;
    size_t scanned, out_sent;
    bool skips_line; /* a line was too long: on to the next */
    struct watch *in_watch, *out_watch;
    struct defer flush;
    struct timer grace, end, idle_read;
    struct defer next; /* lets waiting posts go */
    bool is_ending, is_ended, said_unreachable;
    struct http_call *farewell; /* DELETE of the session */
};

/* --- stdio.c --- */
void front_out(struct front *f, struct bytes message); /* one line to the client; copied */
void front_fault(struct front *f, const struct fault_told *fault, struct bytes id);
void front_refuse(struct front *f, enum fault fault, struct bytes id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A post is over: the end may have waited for that. */
void front_rest(struct front *f);
/* --- stdio_post.c --- */
struct post *post_new(struct front *f, enum post_kind kind, struct bytes body);
void post_add_id(struct post *p, struct bytes id);
bool post_waits_for(const struct post *p, struct bytes id);
void post_send(struct post *p); /* now, or when others have come back */
void post_send_later(struct post *p, int64_t ms);
void post_hold(struct post *p);                       /* until there is a session */
void post_forget_id(struct post *p, struct bytes id); /* nobody waits for that answer any more */
void post_drop(struct post *p); /* closes its connection, without an answer to anybody */
/* Answers what is still open with `fault`, and drops it. */
void post_fail(struct post *p, const struct fault_told *fault);
struct post *posts_find(struct front *f, struct bytes id);
void posts_end(struct front *f);
void posts_next(void *ctx);           /* front->next */
bool posts_are_open(struct front *f); /* does any request wait for an answer? */
/* --- stdio_modern.c --- */
void modern_take(struct front *f, const struct envelope *e, struct bytes line, struct bytes version);
void modern_cancel(struct front *f, const struct envelope *e);
/* The hub says that a header is missing: looks up what the tool wants, and sends it again. false: nothing to
 * add. */
bool modern_add_params(struct post *p);
void modern_end(struct front *f);
/* --- stdio_legacy.c --- */
void legacy_begin(struct front *f);
void legacy_take(struct front *f, const struct envelope *e, struct bytes line);
void legacy_add_headers(const struct front *f, struct buf *out); /* as the session is now */
void legacy_head(struct post *p);               /* sees the session in an answer, and that it is gone */
void legacy_reopen(struct post *p);             /* p->must_reopen */
void legacy_answered(struct post *p);           /* it got what it wanted */
void legacy_failed(struct post *p);             /* a post that makes the session could not be done */
void legacy_stream_is_unknown(struct front *f); /* the hub knows no such session */
void legacy_leave(struct front *f);             /* cancels all, says farewell */
void legacy_end(struct front *f);
/* --- stdio_stream.c --- */
void legacy_begin_stream(struct front *f);
void legacy_open_stream(struct front *f); /* unless it is open */
void legacy_close_stream(struct front *f);
