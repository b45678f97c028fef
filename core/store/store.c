/*
 * A file that is damaged, somebody else's or newer than this program is refused by name, never moved or
 * emptied: what it holds (names given for ever, tickets that were used) cannot be made again.
 */
#include "core/store/store.h"

#include "core/base/mem.h"
#include "core/base/table.h"
#include "core/store/migrations.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <unistd.h>

enum { BUSY_MS = 2000 };

struct row {
    sqlite3_stmt *statement;
    struct store *store;
    bool is_running;
    bool is_kept; /* in the table; else gone with store_done */
};

struct store {
    sqlite3 *db;
    char *path;
    struct table rows; /* by their text */
    bool is_inside;    /* between store_begin and store_commit */
    struct why first;  /* what failed first there */
};

static int refuse(const struct store *s, struct why *why, const char *doing)
{
    return why_set(why, -1, "cannot %s '%s': %s", doing, s->path, sqlite3_errmsg(s->db));
}

/* --- statements --- */

static struct row *prepare(struct store *s, const char *sql, struct why *why)
{
    struct row *r = table_get_text(&s->rows, sql);
    if (r && !r->is_running)
        return r;
    bool is_kept = !r;
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(s->db, sql, -1, is_kept ? SQLITE_PREPARE_PERSISTENT : 0, &statement, NULL) !=
        SQLITE_OK) {
        refuse(s, why, "ask");
        return NULL;
    }
    r = NEW(struct row);
    *r = (struct row){.statement = statement, .store = s, .is_kept = is_kept};
    if (is_kept)
        table_put(&s->rows, bytes_of(sql), r);
    return r;
}

static int bind_one(sqlite3_stmt *statement, int at, char type, va_list *values)
{
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(statement, at, va_arg(*values, int64_t));
    case 't':
        return sqlite3_bind_text(statement, at, va_arg(*values, const char *), -1, SQLITE_TRANSIENT);
    case 'b': {
        struct bytes b = va_arg(*values, struct bytes);
        /* A NULL pointer would bind null; no bytes are an empty blob. */
        return sqlite3_bind_blob64(statement, at, b.p ? b.p : "", b.n, SQLITE_TRANSIENT);
    }
    case 'n':
        return sqlite3_bind_null(statement, at);
    default:
        assert(!"a letter of i, t, b, n");
        return SQLITE_MISUSE;
    }
}

static struct row *start(struct store *s, struct why *why, const char *sql, const char *types,
                         va_list *values)
{
    struct row *r = prepare(s, sql, why);
    if (!r)
        return NULL;
    r->is_running = true;
    assert(sqlite3_bind_parameter_count(r->statement) == (int)strlen(types));
    for (int i = 0; types[i]; i++) {
        if (bind_one(r->statement, i + 1, types[i], values) == SQLITE_OK)
            continue;
        refuse(s, why, "ask");
        store_done(r);
        return NULL;
    }
    return r;
}

struct row *store_query(struct store *s, struct why *why, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    struct row *r = start(s, why, sql, types, &values);
    va_end(values);
    return r;
}

int store_next(struct row *r)
{
    int rc = sqlite3_step(r->statement);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

void store_done(struct row *r)
{
    if (!r)
        return;
    r->is_running = false;
    if (r->is_kept) {
        sqlite3_reset(r->statement);
        sqlite3_clear_bindings(r->statement);
        return;
    }
    sqlite3_finalize(r->statement);
    free(r);
}

int64_t store_int(const struct row *r, int column)
{
    return sqlite3_column_int64(r->statement, column);
}

struct bytes store_bytes(const struct row *r, int column)
{
    const char *p = sqlite3_column_blob(r->statement, column);
    return (struct bytes){p, (size_t)sqlite3_column_bytes(r->statement, column)};
}

static int run(struct store *s, struct why *why, const char *sql, const char *types, va_list *values)
{
    struct row *r = start(s, why, sql, types, values);
    if (!r)
        return -1;
    int rc;
    while ((rc = store_next(r)) == 1)
        ;
    if (rc < 0)
        refuse(s, why, "write");
    store_done(r);
    return rc;
}

int store_run(struct store *s, struct why *why, const char *sql, const char *types, ...)
{
    struct why own = {0};
    va_list values;
    va_start(values, types);
    int rc = run(s, &own, sql, types, &values);
    va_end(values);
    if (rc == 0)
        return 0;
    if (s->is_inside && !s->first.code)
        s->first = own;
    return why_set(why, -1, "%s", own.text);
}

/* --- several as one --- */

void store_begin(struct store *s)
{
    assert(!s->is_inside);
    s->first = (struct why){0};
    s->is_inside = true;
    store_run(s, NULL, "begin immediate", "");
}

int store_commit(struct store *s, struct why *why)
{
    assert(s->is_inside);
    if (!s->first.code)
        store_run(s, NULL, "commit", "");
    s->is_inside = false;
    if (!s->first.code)
        return 0;
    /* Some faults (a full disk) have rolled back already. */
    if (!sqlite3_get_autocommit(s->db))
        store_run(s, NULL, "rollback", "");
    return why_set(why, -1, "%s", s->first.text);
}

/* --- opening --- */

static int read_number(struct store *s, struct why *why, const char *sql, int64_t *out)
{
    struct row *r = store_query(s, why, sql, "");
    if (!r)
        return -1;
    int rc = store_next(r);
    if (rc == 1)
        *out = store_int(r, 0);
    else
        refuse(s, why, "read");
    store_done(r);
    return rc == 1 ? 0 : -1;
}

static int execute(struct store *s, struct why *why, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : refuse(s, why, "set up");
}

static int migrate_one(struct store *s, size_t at, struct why *why)
{
    _cleanup_free_ char *mark =
        text_format("pragma application_id=%d; pragma user_version=%zu; commit", STORE_APPLICATION, at + 1);
    if (execute(s, why, "begin immediate") == 0 && execute(s, why, store_migrations[at]) == 0 &&
        execute(s, why, mark) == 0)
        return 0;
    execute(s, NULL, "rollback");
    return -1;
}

/* Before anything is written to it. */
static int check_ours(struct store *s, int64_t *version, struct why *why)
{
    int64_t application;
    if (read_number(s, why, "pragma application_id", &application) < 0 ||
        read_number(s, why, "pragma user_version", version) < 0)
        return -1;
    if (application != STORE_APPLICATION && (application || *version))
        return why_set(why, -1, "cannot use '%s': it is a database of another program", s->path);
    if (*version < 0 || *version > (int64_t)store_migration_count)
        return why_set(why, -1, "cannot use '%s': a newer version wrote it (schema %lld, this one knows %zu)",
                       s->path, (long long)*version, store_migration_count);
    return 0;
}

static int check_whole(struct store *s, struct why *why)
{
    struct row *r = store_query(s, why, "pragma quick_check(1)", "");
    if (!r)
        return -1;
    int rc = store_next(r) == 1 ? 0 : refuse(s, why, "read");
    struct bytes said = rc == 0 ? store_bytes(r, 0) : BYTES_NONE;
    if (rc == 0 && !bytes_say(said, "ok"))
        rc = why_set(why, -1, "cannot use '%s': it is damaged: %.*s", s->path, (int)said.n, said.p);
    store_done(r);
    return rc;
}

static int open_file(struct store *s, struct why *why)
{
    /* SQLite would make it readable for everybody; its journals take the mode from it. */
    if (strcmp(s->path, ":memory:") != 0) {
        int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return why_errno(why, errno, "cannot open '%s'", s->path);
        close(fd);
    }
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return refuse(s, why, "open");
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

static int ready(struct store *s, struct why *why)
{
    int64_t version;
    if (open_file(s, why) < 0 || check_ours(s, &version, why) < 0 || check_whole(s, why) < 0 ||
        execute(s, why, "pragma journal_mode=wal; pragma synchronous=full; pragma foreign_keys=on") < 0)
        return -1;
    for (size_t at = (size_t)version; at < store_migration_count; at++)
        if (migrate_one(s, at, why) < 0)
            return -1;
    return 0;
}

struct store *store_open(const char *path, struct why *why)
{
    struct store *s = NEW(struct store);
    s->path = mem_text(path);
    if (ready(s, why) < 0) {
        store_close(s);
        return NULL;
    }
    return s;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    size_t at = 0;
    struct bytes text;
    void *row;
    while (table_next(&s->rows, &at, &text, &row)) {
        assert(!((struct row *)row)->is_running);
        sqlite3_finalize(((struct row *)row)->statement);
        free(row);
    }
    table_end(&s->rows);
    int rc = sqlite3_close(s->db);
    assert(rc == SQLITE_OK);
    free(s->path);
    free(s);
}
