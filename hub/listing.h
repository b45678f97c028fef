#pragma once
/*
 * listing -- fetches the lists of one server, all pages, and gives them to the catalogue.
 *
 * One fetch of a kind at a time plus one pending; <= 1,000 pages; an empty-string cursor means "more", a
 * repeated one stops (20-mcp §6.1, §6.5). list_changed notices are gathered for 50 ms.
 */
#include "core/rpc/line.h"
#include "hub/catalogue.h"

struct listing;
struct listing_ops {
    void (*on_all_listed)(void *ctx); /* once: every declared list was fetched */
    void (*on_failed)(void *ctx, const char *method, const struct why *why); /* a list kept its old items */
};
struct listing_source {
    const char *server; /* lent until listing_free */
    struct line *line;
    const struct facts *facts;
};
struct listing *listing_new(struct loop *loop, struct catalogue *catalogue,
                            const struct listing_source *source, const struct listing_ops *ops, void *ctx);
void listing_free(struct listing *l);
void listing_refresh(struct listing *l, enum item_kind kind); /* list_changed came */
