/*
 * What the catalogue keeps in state.db, so that lists answer right after a restart.
 *
 * A list is written when it differs, in one transaction with the names it was given; rows that stayed are not
 * touched. Where nothing can be written (a full disk) the hub goes on from memory and says so.
 */
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/catalogue_parts.h"

static void tell(const struct source *s, const struct why *why)
{
    log_warn("catalogue.not_kept", "server", s->config->name, "why", why->text);
}

/* --- facts --- */

void keep_facts(const struct source *s)
{
    const struct facts *f = &s->facts;
    struct why why = {0};
    int rc =
        store_run(s->catalogue->store, &why,
                  "insert or replace into upstream(name, digest, era, revision, capabilities, server_info,"
                  " instructions, probed_at) values(?, ?, ?, ?, ?, ?, ?, ?)",
                  "ttttbbbi", s->config->name, s->config->digest,
                  !f->known              ? NULL
                  : f->era == ERA_MODERN ? "modern"
                                         : "legacy",
                  revision_text(f->revision), f->capabilities, f->server_info, f->instructions, f->probed_at);
    if (rc < 0)
        tell(s, &why);
}

/* --- names --- */

bool keep_name(struct source *s, enum item_kind kind, struct bytes exposed, struct bytes name)
{
    struct store *store = s->catalogue->store;
    const struct shelf *before = &s->shelves[kind];
    const struct entry *e = before->needs_keeping ? NULL : shelf_find(before, name);
    if (e && bytes_are(e->item.exposed, exposed))
        return true;
    struct row *r =
        store_query(store, NULL, "select server, name from name_owner where kind = ? and exposed = ?", "ib",
                    (int64_t)kind, exposed);
    int found = r ? store_next(r) : -1;
    bool is_own =
        found == 1 && bytes_say(store_bytes(r, 0), s->config->name) && bytes_are(store_bytes(r, 1), name);
    store_done(r);
    if (found == 1)
        return is_own;
    if (s->names >= NAMES_MOST)
        return false;
    s->names++;
    store_run(store, NULL, "insert into name_owner(kind, exposed, server, name) values(?, ?, ?, ?)", "ibtb",
              (int64_t)kind, exposed, s->config->name, name);
    return true;
}

/* --- lists --- */

static void keep_entry(const struct source *s, const struct entry *e, int64_t seen_at)
{
    unsigned char digest[HASH_SIZE];
    hash_sha256(e->item.raw, digest);
    store_run(s->catalogue->store, NULL,
              "insert or replace into item(kind, server, ordinal, name, exposed, raw, digest, first_seen, "
              "last_seen)"
              " values(?, ?, ?, ?, ?, ?, ?, ?, ?)",
              "itibbbbii", (int64_t)e->item.kind, s->config->name, (int64_t)e->ordinal, e->item.name,
              e->item.exposed, e->item.raw, (struct bytes){(const char *)digest, sizeof(digest)},
              e->first_seen, seen_at);
}

void keep_shelf(const struct source *s, enum item_kind kind, const struct shelf *old, const struct shelf *now)
{
    struct store *store = s->catalogue->store;
    size_t kept = old->needs_keeping ? 0 : old->count;
    for (size_t i = 0; i < now->count; i++)
        if (i >= kept || !bytes_are(old->entries[i].item.raw, now->entries[i].item.raw))
            keep_entry(s, &now->entries[i], now->seen_at);
    store_run(store, NULL, "delete from item where server = ? and kind = ? and ordinal >= ?", "tii",
              s->config->name, (int64_t)kind, (int64_t)now->count);
}

void keep_seen(const struct source *s, enum item_kind kind, int64_t wall)
{
    store_run(s->catalogue->store, NULL, "update item set last_seen = ? where server = ? and kind = ?", "iti",
              wall, s->config->name, (int64_t)kind);
}

/* --- loading --- */

/* 1: there, of this very definition; 0: not. */
static int load_facts(struct source *s, struct why *why)
{
    struct row *r =
        store_query(s->catalogue->store, why,
                    "select digest, era, revision, probed_at, capabilities, server_info, instructions"
                    " from upstream where name = ?",
                    "t", s->config->name);
    if (!r)
        return -1;
    int rc = store_next(r);
    if (rc == 1 && bytes_say(store_bytes(r, 0), s->config->digest)) {
        int revision = revision_read(store_bytes(r, 2));
        struct facts f = {.known = store_bytes(r, 1).n > 0,
                          .era = bytes_say(store_bytes(r, 1), "modern") ? ERA_MODERN : ERA_LEGACY,
                          .revision = revision < 0 ? REVISION_2025_11_25 : (enum revision)revision,
                          .probed_at = store_int(r, 3)};
        f.capabilities = store_bytes(r, 4);
        f.server_info = store_bytes(r, 5);
        f.instructions = store_bytes(r, 6);
        catalogue_put_facts(s, &f);
    } else if (rc == 1) {
        rc = 0;
    }
    store_done(r);
    return rc < 0 ? why_set(why, -1, "cannot read what is known of server '%s'", s->config->name) : rc;
}

struct loaded {
    struct buf text; /* one definition behind the other */
    struct bytes *items;
    int64_t *first_seen;
    size_t count, cap;
    int64_t seen_at;
};

static void load_row(struct loaded *l, const struct row *r)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->items = mem_grow(l->items, l->cap, sizeof(*l->items));
        l->first_seen = mem_grow(l->first_seen, l->cap, sizeof(*l->first_seen));
    }
    struct bytes raw = store_bytes(r, 0);
    buf_add_bytes(&l->text, raw);
    l->items[l->count].n = raw.n;
    l->first_seen[l->count++] = store_int(r, 1);
    if (l->count == 1 || store_int(r, 2) < l->seen_at)
        l->seen_at = store_int(r, 2);
}

static int load_shelf(struct source *s, enum item_kind kind, struct why *why)
{
    struct loaded l = {0};
    struct shelf *shelf = &s->shelves[kind];
    struct row *r = store_query(s->catalogue->store, why,
                                "select raw, first_seen, last_seen from item where server = ? and kind = ?"
                                " order by ordinal",
                                "ti", s->config->name, (int64_t)kind);
    if (!r)
        return -1;
    int rc;
    while ((rc = store_next(r)) == 1)
        load_row(&l, r);
    store_done(r);
    const char *p = l.text.p; /* it moves no more */
    for (size_t i = 0; i < l.count; p += l.items[i++].n)
        l.items[i].p = p;
    shelf_fill(s, kind, l.items, l.count, shelf);
    shelf->seen_at = l.seen_at;
    for (size_t i = 0; i < shelf->count && i < l.count; i++)
        shelf->entries[i].first_seen = l.first_seen[i];
    buf_end(&l.text);
    free(l.items);
    free(l.first_seen);
    return rc < 0 ? why_set(why, -1, "cannot read the items of server '%s'", s->config->name) : 0;
}

static int count_names(struct source *s, struct why *why)
{
    struct row *r = store_query(s->catalogue->store, why, "select count(*) from name_owner where server = ?",
                                "t", s->config->name);
    if (!r)
        return -1;
    if (store_next(r) == 1)
        s->names = (size_t)store_int(r, 0);
    store_done(r);
    return 0;
}

static int load_source(struct source *s, struct why *why)
{
    if (count_names(s, why) < 0)
        return -1;
    int known = load_facts(s, why);
    if (known < 0)
        return -1;
    if (!known) {
        /* Of another definition under this name, so perhaps of another program. */
        store_run(s->catalogue->store, NULL, "delete from item where server = ?", "t", s->config->name);
        store_run(s->catalogue->store, NULL, "delete from upstream where name = ?", "t", s->config->name);
        return 0;
    }
    for (int k = 0; s->is_on && k < ITEM_KINDS; k++)
        if (load_shelf(s, (enum item_kind)k, why) < 0)
            return -1;
    return 0;
}

int keep_load(struct catalogue *c, struct why *why)
{
    int rc = 0;
    store_begin(c->store);
    for (size_t i = 0; i < c->count && rc == 0; i++)
        rc = load_source(&c->sources[i], why);
    struct why late = {0};
    if (store_commit(c->store, &late) < 0 && rc == 0)
        log_warn("catalogue.not_kept", "why", late.text);
    return rc;
}
