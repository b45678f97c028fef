#pragma once
/*
 * call -- one tool call by REST, from its first byte to its end: progress on the terminal, Ctrl-C as a
 * cancel.
 */
#include "cli/command.h"
#include "core/base/bytes.h"

/* `body` as POST /api/v1/calls takes it. The call's object as the hub gives it ({id, outcome, is_error,
 * result, …}) is appended to `out`. Exit status; what is not EXIT_DONE was told already. */
int call_make(struct cli *c, struct bytes body, struct buf *out);
