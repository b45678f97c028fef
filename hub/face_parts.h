#pragma once
/* face_parts -- the inside of the MCP front, shared by face_*.c and exchange.c only. */
#include "hub/catalogue.h"
#include "hub/exchange.h"
#include "hub/face_mcp.h"
#include "hub/follow.h"
#include "hub/hub.h"
#include "hub/listen.h"

enum { SERVES_LEGACY = 1, SERVES_MODERN = 2, EXCHANGES_SPARE = 256, STREAM_QUEUE = 256 * 1024 };

struct face {
    struct hub *hub;
    struct envelope *envelope, *element; /* of a body; of one element of a batch */
    struct sessions *sessions;
    struct listens *listens;
    struct follows *follows;
    struct link live, spare; /* exchanges */
    size_t spare_count;
    struct ids people; /* uid + 1 -> "local:<name>" */
    struct buf room;   /* decoded text, until the next one */
    size_t dropped;    /* notifications for clients that take no stream */
};

/* A JSON-RPC method of clients. Notifications are not here. */
struct method_row {
    struct bytes name;
    unsigned eras;
    const char *capability;  /* what the endpoint must have declared; NULL: none */
    const char *name_member; /* of params: what Mcp-Name repeats; NULL: none */
    void (*handle)(struct ask *a, const struct envelope *e);
    int kind; /* enum item_kind of lists, enum call_kind of calls */
};
/* NULL: no such method. face_rows.c */
const struct method_row *method_find(struct bytes name);

/* face_mcp.c */
void refuse_text(struct exchange *x, int status, enum fault fault, struct bytes id, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
const char *face_principal(struct face *f, const struct request *r);
/* The id of what was scanned, when it can be quoted. */
struct bytes quotable_id(const struct envelope *e);
/* Runs one request of an open exchange: capability, params, handler. */
void face_dispatch(struct ask *a, const struct envelope *e);
struct bytes decoded(struct face *f, const struct member *m); /* p NULL: no string */
bool is_modern_version(struct bytes version);

/* face_modern.c, face_legacy.c: from step 6 and 7 of the ladder on. */
void modern_serve(struct exchange *x, const struct envelope *e);
void legacy_serve(struct exchange *x, const struct envelope *e);
void legacy_serve_batch(struct exchange *x, const struct envelope *e);
void legacy_take_answer(struct exchange *x, const struct envelope *e);
void modern_refuse_version(struct exchange *x, const struct envelope *e, struct bytes claim);
void legacy_get(struct face *f, struct request *r, const char *server);
void legacy_delete(struct face *f, struct request *r, const char *server);
extern const struct sessions_ops face_sessions_ops;

/* face_session.c: handlers of legacy methods that change the session. */
void handle_initialize(struct ask *a, const struct envelope *e);
void handle_set_level(struct ask *a, const struct envelope *e);
void handle_subscribe(struct ask *a, const struct envelope *e);
void handle_unsubscribe(struct ask *a, const struct envelope *e);
void subscribing_forget(struct subscribing *s);
/* One more caller of the endpoint wants this level: legacy servers that were told a less verbose one are told
 * anew; those that were told nothing only when it was said (`is_said`) and is the most verbose of all. */
void face_want_log(struct face *f, const char *endpoint, int level, bool is_said);
/* A list of `server` changed (kind: tools, prompts or resources): on the GET stream, when there is room. */
void session_tell(struct session *s, unsigned kind, const char *server);
void session_send_pending(struct session *s); /* the GET stream has room */

/* face_call.c */
void handle_call(struct ask *a, const struct envelope *e);
void call_answer_asked(struct session *s, uint64_t number, const struct bytes *result);
