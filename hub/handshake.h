#pragma once
/*
 * handshake -- the first words on a line, and which era a server speaks (20-mcp §8.2).
 *
 * Legacy: initialize with 2025-11-25, any known answer accepted, then notifications/initialized. Modern:
 * server/discover. Both give the facts the catalogue keeps.
 */
#include "core/rpc/line.h"
#include "hub/catalogue.h"

struct handshake;
struct handshake_ops {
    void (*on_facts)(void *ctx, const struct facts *facts); /* lent */
    void (*on_refused)(void *ctx, const struct why *why);
};
/* `capabilities`: what we declare in initialize (legacy). Finished by one callback, after which it is gone.
 */
struct handshake *handshake_new(struct line *line, enum era era, struct bytes capabilities,
                                const struct handshake_ops *ops, void *ctx);
void handshake_free(struct handshake *h); /* before it is finished; NULL is fine */

/* What server/discover told of the era. */
enum verdict { VERDICT_MODERN, VERDICT_LEGACY, VERDICT_NOT_SERVED };
struct probe;
struct probe_ops {
    void (*on_verdict)(void *ctx, enum verdict verdict, const struct why *why);
};
struct probe *probe_new(struct line *line, const struct probe_ops *ops, void *ctx);
void probe_free(struct probe *p);

/* {"io.modelcontextprotocol/protocolVersion":…,"…clientInfo":{trunkline},"…clientCapabilities":<capabilities>}
 * without the braces: what every modern request of ours carries in its `_meta`. */
void handshake_add_meta(struct buf *out, struct bytes capabilities);
