#pragma once
/*
 * listen -- subscriptions/listen of modern clients: one stream each, lists that changed and resources that
 * did (20-mcp §10).
 *
 * The first frame acknowledges what is honoured; every frame bears the id of the request as subscriptionId.
 * At most one frame per list and per resource waits for a slow reader. Nothing survives a reconnect.
 */
#include "core/base/loop.h"
#include "core/net/web.h"
#include "core/rpc/envelope.h"
#include "hub/follow.h"

enum { LISTENS_MOST = 4096, LISTENS_PER_PRINCIPAL = 64, LISTEN_URIS = 256 };

struct hub;
struct listens;

struct listens *listens_new(struct hub *hub, struct follows *follows);
void listens_free(struct listens *all); /* those still open end without a word */

struct listen_filter {
    unsigned kinds;    /* bits 1 << item_kind, of tools, prompts, resources */
    struct bytes uris; /* raw array, or empty */
};
/* params.notifications. 0, or 1: `fault` says what is wrong with it. */
int listen_read_filter(const struct envelope *e, struct listen_filter *filter, struct fault_told *fault);

struct listen_spec {
    struct bytes id; /* raw, of the request; copied */
    const char *server, *principal;
    struct listen_filter filter;
};
/* Is there room for one more? Else `fault`. */
bool listens_have_room(const struct listens *all, const char *principal, struct fault_told *fault);
/* Takes the request and begins its stream. */
void listen_begin(struct listens *all, struct request *r, const struct listen_spec *spec);
void listens_tell(struct listens *all, unsigned kind, const char *server);
void listens_drain(struct listens *all); /* each gets notifications/cancelled, then its result */
size_t listens_count(const struct listens *all);
