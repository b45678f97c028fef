#pragma once
/* help -- what the table of commands says to people: help texts, man pages, completion, the reference page.
 */
#include "core/base/bytes.h"

/* noun NULL: everything. Exit status. */
int help_show(const char *noun, const char *verb);
void help_add(struct buf *out, const char *noun, const char *verb);
void help_add_man(struct buf *out, const char *noun); /* man(7) source; NULL: trunkline(1) */
void help_add_reference(struct buf *out);             /* docs/reference/cli.md */
/* bash, zsh or fish; -1: no such shell. */
int help_add_completion(struct buf *out, const char *shell);
