#pragma once
/*
 * store -- state.db: SQLite, the only includer of sqlite3.h.
 *
 * WAL, synchronous FULL for what must survive, one writer (this process). Statements are prepared once and
 * kept by their text. Migrations are numbered; an older program refuses a newer file by name.
 */
#include "core/base/bytes.h"
#include "core/base/why.h"

struct store;
struct row; /* a running statement */

struct store *store_open(const char *path, struct why *why); /* ":memory:" for tests; runs the migrations */
void store_close(struct store *s);
/* Binds by letters: 'i' int64_t, 't' const char * (NULL: null), 'b' struct bytes as blob, 'n' null. */
int store_run(struct store *s, struct why *why, const char *sql, const char *types, ...);
/* while (store_next(row) == 1) { … } store_done(row); */
struct row *store_query(struct store *s, struct why *why, const char *sql, const char *types, ...);
int store_next(struct row *r); /* 1 row, 0 end, -1 fault */
void store_done(struct row *r);
int64_t store_int(const struct row *r, int column);
struct bytes store_bytes(const struct row *r, int column); /* until the next store_next */
/* Several store_run as one. Nothing in between may fail unheard: store_commit gives the first fault. */
void store_begin(struct store *s);
int store_commit(struct store *s, struct why *why);
