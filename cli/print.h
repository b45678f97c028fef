#pragma once
/*
 * print -- output in one of three shapes. `json` is the API's own object, `jsonl` one item a line, `table`
 * for people.
 *
 * Text that came from servers never steers a terminal: control and bidi characters are shown as marked code
 * points unless --raw or stdout is no terminal.
 */
#include "cli/command.h"
#include "core/base/bytes.h"

#include <jansson.h>

struct column {
    const char *title;
    const char *key; /* member of the item; "a.b" goes deeper */
    bool is_wide;    /* may be cut to fit */
};
#define COLUMN(title, key) \
    {                      \
        title, key, false  \
    }
#define WIDE(title, key) \
    {                    \
        title, key, true \
    }
/* `answer` is {"items":[…]} or one object (a single row). */
int print_list(const struct cli *c, const json_t *answer, const struct column *columns);
/* One object: `json`, or KEY VALUE lines for the rows of `columns`. */
int print_object(const struct cli *c, const json_t *object, const struct column *columns);
void print_json(const struct cli *c, const json_t *value);
/* Text of a server, as it may be shown; ends with a newline. */
void print_text(const struct cli *c, struct bytes text);
void print_cell(struct buf *out, const json_t *value);
