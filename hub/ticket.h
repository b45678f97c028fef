#pragma once
/*
 * ticket -- our requestState: sealed, bound to caller and call, used once (20-mcp §9.1).
 *
 * "tl1." + base64url(nonce || box) under the key of the hub's run folder; the vault takes its place later
 * behind the same functions. Spent ids are kept in state.db until they expire.
 */
#include "core/base/bytes.h"
#include "core/base/config.h"
#include "core/store/store.h"

struct tickets;
enum { TICKET_INNER_MOST = 90 * 1024 }; /* of the server's own state; a larger one could not come back */
enum ticket_kind { TICKET_RELAY, TICKET_PARKED, TICKET_RETRY, TICKET_APPROVAL };

struct ticket {
    enum ticket_kind kind;
    const char *principal, *server;
    unsigned char call[32]; /* digest of endpoint, method, name or uri, arguments */
    uint64_t parked;
    struct bytes inner; /* the server's own requestState, raw JSON string with quotes, or empty */
};
struct tickets *tickets_new(struct store *store, const char *key_file, struct why *why);
void tickets_free(struct tickets *t);
void ticket_add(struct tickets *t, const struct ticket *ticket, struct buf *out);
/* NULL: opened, checked against `want` (principal, server, call) and spent; `inner` is lent until the next
 * call. Else data.reason: "malformed" "expired" "request" "used" "lost". */
const char *ticket_open(struct tickets *t, struct bytes text, const struct ticket *want, struct ticket *out);
