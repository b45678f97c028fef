#pragma once
/*
 * era -- results and errors of a server in the words of the caller's revision (20-mcp §10).
 *
 * Bytes pass through: what a revision must not see is cut out, what it must see is put in front, everything
 * else is the slice that came. A tree is built only where a content kind must become text.
 */
#include "core/rpc/envelope.h"
#include "hub/call.h"
#include "hub/catalogue.h"

struct era_spec {
    const struct catalogue *catalogue;
    const struct caller *caller;
    enum call_kind kind;
    const char *endpoint; /* NULL: aggregated */
    const char *server;
    struct bytes uri; /* resources/read: as the caller wrote it */
    enum era upstream_era;
    bool is_builtin;       /* may speak in what only our own servers may say: dev.trunkline/… */
    bool wraps_structured; /* the tool's output schema is shown to legacy callers wrapped: so is its result */
};
/* Fills done->parts from the `result` in `e` (whose bytes are lent on), and is_error. What is new goes to
 * `scratch`. */
void era_result(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
                struct buf *scratch);
/* The `error` of `e`: parts, or a fault where the code means something else to the caller. */
void era_error(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
               struct buf *scratch);
/* An input_required result for a modern caller, its state replaced by `ticket` (a plain text; empty: none).
 */
void era_input_required(const struct envelope *e, struct bytes ticket, struct call_done *done,
                        struct buf *scratch);
/* The params of a question as this legacy caller may see them: `prefix` NULL, or the server's name to show.
 */
void era_add_question(struct buf *out, const struct caller *caller, const char *method, struct bytes params,
                      const char *prefix, bool from_modern);
/* Which CAN_… a question needs; 0: no such question. */
unsigned era_question_needs(struct bytes method, struct bytes params);
