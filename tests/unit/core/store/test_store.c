#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/store/store.h"
#include "tests/kit/kit.h"

#include <sys/stat.h>
#include <unistd.h>

#define INSERT "insert into spent_ticket(jti, expires) values(?, ?)"
#define COUNT "select count(*) from spent_ticket"

static struct store *opened(const char *path)
{
    struct store *s = store_open(path, kit_why());
    if (!s)
        fail_msg("%s", kit_why()->text);
    return s;
}

static int64_t number(struct store *s, const char *sql)
{
    struct row *r = store_query(s, kit_why(), sql, "");
    assert_non_null(r);
    assert_int_equal(store_next(r), 1);
    int64_t n = store_int(r, 0);
    store_done(r);
    return n;
}

/* A new file of this test's own. */
static char *fresh(const char *name)
{
    char *path = mem_text(kit_path(name));
    unlink(path);
    return path;
}

static void refuses(const char *path, const char *piece)
{
    kit_why()->text[0] = 0;
    struct store *s = store_open(path, kit_why());
    assert_null(s);
    if (!strstr(kit_why()->text, piece) || !strstr(kit_why()->text, path))
        fail_msg("refused with \"%s\"", kit_why()->text);
}

static void values_come_back_as_they_went_in(void **state)
{
    struct store *s = opened(":memory:");
    struct row *r = store_query(s, kit_why(), "select ?, ?, ?, ?, ?, ?", "itbbnt", INT64_MIN, "text",
                                ((struct bytes){"a\0b", 3}), BYTES_NONE, (const char *)NULL);
    assert_non_null(r);
    assert_int_equal(store_next(r), 1);
    assert_true(store_int(r, 0) == INT64_MIN);
    kit_bytes_eq(store_bytes(r, 1), "text");
    assert_true(bytes_are(store_bytes(r, 2), (struct bytes){"a\0b", 3}));
    for (int i = 3; i < 6; i++)
        assert_int_equal(store_bytes(r, i).n, 0);
    assert_int_equal(store_next(r), 0);
    store_done(r);
    /* Columns that must be there take an empty blob, and no null. */
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES_NONE, (int64_t)1));
    fails_with(-1, "NOT NULL", store_run(s, kit_why(), "insert into spent_ticket(expires) values(?)", "n"));
    store_close(s);
}

static void a_statement_runs_inside_itself(void **state)
{
    struct store *s = opened(":memory:");
    int seen = 0;
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("a"), (int64_t)1));
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("b"), (int64_t)2));
    struct row *outer = store_query(s, kit_why(), "select expires from spent_ticket order by jti", "");
    while (store_next(outer) == 1) {
        struct row *inner = store_query(s, kit_why(), "select expires from spent_ticket order by jti", "");
        assert_int_equal(store_next(inner), 1);
        assert_int_equal(store_int(inner, 0), 1);
        assert_int_equal(store_int(outer, 0), ++seen);
        store_done(inner);
    }
    store_done(outer);
    assert_int_equal(seen, 2);
    store_close(s);
}

static void a_fault_is_told_once_and_undoes_all(void **state)
{
    struct store *s = opened(":memory:");
    store_begin(s);
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("a"), (int64_t)1));
    assert_int_equal(store_run(s, NULL, INSERT, "bi", BYTES("a"), (int64_t)2), -1);
    assert_int_equal(store_run(s, NULL, "insert into nothing values(?)", "i", (int64_t)3), -1);
    fails_with(-1, "UNIQUE", store_commit(s, kit_why()));
    assert_int_equal(number(s, COUNT), 0);
    store_begin(s);
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("a"), (int64_t)1));
    passes(store_commit(s, kit_why()));
    assert_int_equal(number(s, COUNT), 1);
    store_close(s);
}

static void what_was_committed_is_there_after_a_restart(void **state)
{
    _cleanup_free_ char *path = fresh("state.db");
    struct store *s = opened(path);
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("kept"), (int64_t)1));
    store_begin(s);
    passes(store_run(s, kit_why(), INSERT, "bi", BYTES("not yet"), (int64_t)2));
    store_close(s);
    s = opened(path);
    assert_int_equal(number(s, COUNT), 1);
    assert_int_equal(number(s, "select expires from spent_ticket"), 1);
    store_close(s);
}

static void the_file_is_durable_and_private(void **state)
{
    _cleanup_free_ char *path = fresh("private.db");
    mode_t before = umask(0);
    struct store *s = opened(path);
    umask(before);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct row *r = store_query(s, kit_why(), "pragma journal_mode", "");
    assert_int_equal(store_next(r), 1);
    kit_bytes_eq(store_bytes(r, 0), "wal");
    store_done(r);
    assert_int_equal(number(s, "pragma synchronous"), 2);
    store_close(s);
}

static void files_it_does_not_understand_are_refused_and_left_alone(void **state)
{
    _cleanup_free_ char *path = fresh("other.db");
    struct store *s = opened(path);
    passes(store_run(s, kit_why(), "pragma user_version = 99", ""));
    store_close(s);
    refuses(path, "newer version wrote it (schema 99");
    refuses(path, "newer version");

    s = NULL;
    _cleanup_free_ char *foreign = fresh("foreign.db");
    s = opened(foreign);
    passes(store_run(s, kit_why(), "pragma application_id = 7", ""));
    store_close(s);
    refuses(foreign, "another program");
    refuses(kit_path("no/such/folder/state.db"), "cannot open");
}

static void a_damaged_file_is_refused_and_left_alone(void **state)
{
    _cleanup_free_ char *path = fresh("damaged.db");
    struct store *s = opened(path);
    for (int64_t i = 0; i < 2000; i++)
        passes(store_run(s, kit_why(), INSERT, "bi", ((struct bytes){(const char *)&i, sizeof(i)}), i));
    store_close(s);

    struct buf text = {0}, after = {0};
    passes(file_read(path, 1 << 24, &text, kit_why()));
    /* Behind the first page, which holds the schema. */
    memset(text.p + 8192, 0x5a, 20000);
    passes(file_replace(path, buf_bytes(&text), 0600, kit_why()));
    refuses(path, "damaged");
    passes(file_read(path, 1 << 24, &after, kit_why()));
    assert_true(bytes_are(buf_bytes(&text), buf_bytes(&after)));

    memset(text.p, 'x', 100);
    passes(file_replace(path, buf_bytes(&text), 0600, kit_why()));
    refuses(path, "not a database");
    buf_end(&text);
    buf_end(&after);
}

KIT_MAIN(cmocka_unit_test(values_come_back_as_they_went_in), cmocka_unit_test(a_statement_runs_inside_itself),
         cmocka_unit_test(a_fault_is_told_once_and_undoes_all),
         cmocka_unit_test(what_was_committed_is_there_after_a_restart),
         cmocka_unit_test(the_file_is_durable_and_private),
         cmocka_unit_test(files_it_does_not_understand_are_refused_and_left_alone),
         cmocka_unit_test(a_damaged_file_is_refused_and_left_alone))
