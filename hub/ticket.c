#include "hub/ticket.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <string.h>

enum { TICKET_MAX = 128 * 1024, TTL_MS = 600 * 1000, JTI = 16 };

/*
 * Inside the box, all numbers little-endian as this machine writes them: a ticket never leaves the machine
 * that made it alive. Behind it: principal, server, inner state, each with its length.
 */
struct inside {
    uint32_t kind, principal, server, inner;
    unsigned char jti[JTI], boot[8], call[32];
    int64_t expires; /* wall ms */
    uint64_t parked;
};

struct tickets {
    struct store *store;
    unsigned char key[SEAL_KEY];
    unsigned char boot[8];
    struct buf opened;
};

static const struct bytes about = {"trunkline/mcp/state/1", 21};

struct tickets *tickets_new(struct store *store, const char *key_file, struct why *why)
{
    struct buf key = {0};
    if (file_read(key_file, 64, &key, why) < 0)
        return NULL;
    if (key.n != SEAL_KEY) {
        why_set(why, -1, "key file '%s' does not hold %d bytes", key_file, SEAL_KEY);
        buf_end(&key);
        return NULL;
    }
    struct tickets *t = NEW(struct tickets);
    t->store = store;
    memcpy(t->key, key.p, SEAL_KEY);
    explicit_bzero(key.p, key.n);
    buf_end(&key);
    random_fill(t->boot, sizeof(t->boot));
    return t;
}

void tickets_free(struct tickets *t)
{
    if (!t)
        return;
    explicit_bzero(t->key, sizeof(t->key));
    buf_end(&t->opened);
    free(t);
}

void ticket_add(struct tickets *t, const struct ticket *ticket, struct buf *out)
{
    struct inside in = {.kind = ticket->kind,
                        .principal = (uint32_t)strlen(ticket->principal),
                        .server = (uint32_t)strlen(ticket->server),
                        .inner = (uint32_t)ticket->inner.n,
                        .expires = stamp_now().ms + TTL_MS,
                        .parked = ticket->parked};
    random_fill(in.jti, sizeof(in.jti));
    memcpy(in.boot, t->boot, sizeof(in.boot));
    memcpy(in.call, ticket->call, sizeof(in.call));
    struct buf plain = {0}, box = {0};
    buf_add(&plain, &in, sizeof(in));
    buf_add_text(&plain, ticket->principal);
    buf_add_text(&plain, ticket->server);
    buf_add_bytes(&plain, ticket->inner);
    seal_add(&box, t->key, buf_bytes(&plain), about);
    buf_add_text(out, "tl1.");
    base64url_add(out, buf_bytes(&box));
    buf_end(&plain);
    buf_end(&box);
}

static bool is_spent(struct tickets *t, const struct inside *in)
{
    struct row *r = store_query(t->store, NULL, "select 1 from spent_ticket where jti = ?", "b",
                                (struct bytes){(const char *)in->jti, JTI});
    bool spent = r && store_next(r) == 1;
    store_done(r);
    return spent;
}

static int spend(struct tickets *t, const struct inside *in)
{
    store_run(t->store, NULL, "delete from spent_ticket where expires < ?", "i", stamp_now().ms);
    return store_run(t->store, NULL, "insert into spent_ticket(jti, expires) values(?, ?)", "bi",
                     (struct bytes){(const char *)in->jti, JTI}, in->expires);
}

static bool says(const char **p, const char *end, uint32_t n, const char *text)
{
    if ((size_t)(end - *p) < n)
        return false;
    struct bytes part = {*p, n};
    *p += n;
    return bytes_say(part, text);
}

static const char *judge(struct tickets *t, const struct ticket *want, struct ticket *out)
{
    struct inside in;
    const char *p = t->opened.p, *end = p + t->opened.n;
    if (t->opened.n < sizeof(in))
        return "malformed";
    memcpy(&in, p, sizeof(in));
    p += sizeof(in);
    /* Another principal's ticket is unknown, not forbidden. */
    if (!says(&p, end, in.principal, want->principal))
        return "malformed";
    if (in.expires < stamp_now().ms)
        return "expired";
    if (!says(&p, end, in.server, want->server) || memcmp(in.call, want->call, sizeof(in.call)) != 0)
        return "request";
    if (is_spent(t, &in))
        return "used";
    if (in.kind == TICKET_PARKED && memcmp(in.boot, t->boot, sizeof(in.boot)) != 0)
        return "lost";
    if ((size_t)(end - p) != in.inner || spend(t, &in) != 0)
        return "malformed";
    *out = *want;
    out->kind = (enum ticket_kind)in.kind;
    out->parked = in.parked;
    out->inner = (struct bytes){p, in.inner};
    return NULL;
}

const char *ticket_open(struct tickets *t, struct bytes text, const struct ticket *want, struct ticket *out)
{
    if (text.n > TICKET_MAX || !bytes_begin(text, "tl1."))
        return "malformed";
    struct buf box = {0};
    const char *reason = "malformed";
    buf_clear(&t->opened);
    if (base64url_read((struct bytes){text.p + 4, text.n - 4}, &box) == 0 &&
        seal_read(buf_bytes(&box), t->key, about, &t->opened) == 0)
        reason = judge(t, want, out);
    buf_end(&box);
    return reason;
}
