#pragma once
/*
 * migrations -- the tables of state.db, as the steps that made them.
 *
 * Step n brings a file from schema n to n+1. A step that was released never changes; a new need is a new
 * step.
 */
#include <stddef.h>

enum { STORE_APPLICATION = 0x546c6e6b }; /* "Tlnk", in SQLite's application_id: the file is ours */

extern const char *const store_migrations[];
extern const size_t store_migration_count;
