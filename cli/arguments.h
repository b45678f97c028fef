#pragma once
/*
 * arguments -- KEY=VALUE words as the JSON a tool wants.
 *
 * A value is typed by the tool's inputSchema (integer, number, boolean, array, object; text otherwise);
 * KEY:=JSON is taken as it is; KEY=@FILE reads a file as text.
 */
#include "cli/command.h"
#include "core/base/json.h"

/* Appends the object. 0, or an exit status after the error was printed. */
int arguments_add(const struct cli *c, struct buf *out, char **words, int n, const json_t *schema);
/* The whole of a file, or of stdin for "-". */
int arguments_read(const struct cli *c, const char *file, struct buf *out);
