#pragma once
/*
 * web_inside -- what web.c (libmicrohttpd and the loop), web_conn.c, web_request.c (the request as its
 * handler sees it) and web_away.c share. Nobody else includes it.
 */
#include "core/base/list.h"
#include "core/base/table.h"
#include "core/net/web.h"

#include <microhttpd.h>

/*
 * libmicrohttpd's memory for one connection: head, and body as it passes. It is wholly written over after
 * each request, so it is what an idle connection costs (20 KiB with all that belongs to it), and 1 µs per 40
 * KiB and request.
 */
enum { WEB_POOL = 18 * 1024, WEB_POOL_PER_HEADER = 56 };

/* Connections that all have the same patience: the one that came first is the first to lose it. */
struct wait {
    struct link line;
    struct timer timer;
    int64_t ms;
    struct web *web;
};

struct conn { /* one socket */
    struct web *web;
    int fd;         /* libmicrohttpd's; a copy of our own once it has left */
    bool is_inside; /* libmicrohttpd still knows it */
    bool has_left;
    bool has_hung_up; /* FIN or RST seen */
    bool is_last;     /* nothing comes after what is in `out` */
    bool is_lingering;
    bool is_counted; /* in web->addresses */
    size_t sent, dropped;
    struct buf out; /* what we write ourselves, after leaving */
    struct request *request;
    const struct web_listener *from;
    int64_t uid;
    int64_t due_ms; /* in a wait */
    struct link waiting, link, flush;
    struct timer timer;
    char address[48];
};

enum step {
    STEP_LINE, /* request line known */
    STEP_BODY, /* head passed the gate and the handler; body is being read for it */
    STEP_SKIP, /* the handler wants no body; what comes is dropped */
    STEP_WAIT, /* all read; it is the handler's turn */
};

struct request {
    struct web *web;
    struct conn *conn; /* NULL: cut off */
    struct MHD_Connection *mhd;
    const struct web_listener *from; /* these three outlive the connection */
    int64_t uid;
    char address[48];
    enum step step;
    bool has_begun;    /* on_head was called, so on_end is due */
    bool is_answered;  /* the handler has given its all */
    bool is_streaming; /* the head of a stream is out; the socket leaves libmicrohttpd */
    bool is_parting;   /* the answer is in conn->out; the socket leaves libmicrohttpd */
    bool is_suspended;
    bool is_held; /* libmicrohttpd asks for the answer at each of its runs */
    bool is_gone, was_told;
    int64_t held_until_ms;
    const char *target_at;     /* where libmicrohttpd has the request target */
    struct buf head;           /* target, a copy of the whole head, then `lines` */
    struct gate_header *lines; /* slices of `head` */
    size_t line_count, head_bytes;
    bool is_http10;
    struct gate_pass pass;
    struct buf body;
    int status;
    struct buf headers; /* "Name", NUL, "value", NUL, and so on */
    bool has_cache_control;
    struct bytes answer; /* in `copy` or `taken` */
    struct buf copy;
    char *taken;
    void *ctx;
    void (*on_gone)(struct request *r, void *ctx);
    void *gone_ctx;
    void (*on_drained)(struct request *r, void *ctx);
    struct link link;  /* web->requests */
    struct link phase; /* web->reading, web->writing, or web->ending */
};

struct web {
    struct loop *loop;
    struct MHD_Daemon *mhd;
    struct watch *mhd_watch;
    int peers; /* edge-triggered epoll of our own: hang-ups of all sockets, writing for those that left */
    struct watch *peers_watch;
    struct web_limits limits;
    const struct web_ops *ops;
    void *ctx;
    struct defer run, flush;
    struct timer again;
    struct wait heads, idles;
    struct link conns, requests;
    struct link reading, writing; /* entered in this run of libmicrohttpd and not yet through */
    struct link ending, flushing;
    struct conn *arriving;
    struct gate_head seen; /* the head that is at the gate */
    struct table addresses;
    struct web_counts counts;
    size_t held, suspended, conn_count, spare_count;
    bool is_bulky; /* a message takes more than one run */
    struct link spares;
    bool is_running; /* libmicrohttpd is */
    bool must_run;   /* libmicrohttpd has something to do that its epoll fd does not show */
    int64_t date_s;  /* of `date` */
    char date[32];
};

/* web.c */
void web_wake(struct web *w);       /* runs libmicrohttpd at the end of the turn */
void web_resume(struct request *r); /* if it is suspended */

/* web_conn.c */
void web_set_limits(struct web *w, const struct web_limits *given);
void web_wait_init(struct wait *in, struct web *w, int64_t ms);
void web_wait(struct conn *c, struct wait *in); /* its time begins anew */
void web_wait_over(struct conn *c);
struct conn *conn_new(struct web *w, int fd, const struct web_listener *from, const char *address,
                      int64_t uid);
void conn_free(struct conn *c);
bool conn_count_in(struct conn *c);                             /* false: its address has as many as it may */
void conn_refuse(struct conn *c, const struct gate_verdict *v); /* one that libmicrohttpd never sees */

/* web_request.c */
struct request *request_new(struct web *w, struct conn *c);
void request_cut(struct request *r);    /* the socket is lost to it; it ends at once, or with its answer */
void request_settle(struct request *r); /* it was in web->ending: ends it, or tells its handler to end it */
void request_end(struct request *r);    /* on_end, and back to the spares */
void request_free(struct request *r);
void request_tell_gone(struct request *r);
int request_take_head(struct request *r, const char *method, const char *version); /* 1: not as it was sent */
void request_refused(struct request *r, const struct gate_verdict *v);
void request_preflight(struct request *r);                      /* answers OPTIONS of a CORS route */
void request_finish_headers(struct request *r, bool is_stream); /* adds those of every answer */
/* Walks the pairs: `size_t at = 0; while (request_next_header(r, &at, &name, &value))`. */
bool request_next_header(const struct request *r, size_t *at, const char **name, const char **value);
const char *web_date(struct web *w);
void web_add_refusal(struct web *w, struct request *r, const struct gate_verdict *v, struct buf *out);
