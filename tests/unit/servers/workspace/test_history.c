/* show_log and show_diff over a repository that the test makes. */
#include "tests/unit/servers/workspace/workspace_bed.h"

static void commit(struct bed *b, const char *message, const char *date)
{
    char dated[60];
    snprintf(dated, sizeof(dated), "%s +0000", date);
    setenv("GIT_COMMITTER_DATE", dated, 1);
    setenv("GIT_AUTHOR_DATE", dated, 1);
    GIT(b, "add", "-A");
    GIT(b, "commit", "-q", "-m", message);
}

static void repository(struct bed *b)
{
    bed_new(b);
    GIT(b, "init", "-q");
    put(b, "a.txt", "one\n");
    commit(b, "first, \"of all\"", "2026-01-01T10:00:00");
    make_folder(in_root(b, "d"));
    put(b, "d/b.txt", "b\n");
    commit(b, "second", "2026-01-02T10:00:00");
    put(b, "a.txt", "one\ntwo\n");
    commit(b, "third\n\nWith a body.", "2026-01-03T10:00:00");
}

static size_t rows_of(const struct buf *text)
{
    char n[20];
    assert_true(word_after(text, "# rows=", n, sizeof(n)));
    return strtoul(n, NULL, 10);
}

static void commits_are_told_newest_first(void **state)
{
    struct bed b;
    struct buf out = {0};
    repository(&b);
    assert_null(call(&b, "show_log", "{}", &out));
    assert_int_equal(rows_of(&out), 3);
    const char *third = strstr(out.p, ",2026-01-03T10:00Z,Ann,third\n"),
               *first = strstr(out.p, ",2026-01-01T10:00Z,Ann,\"first, \"\"of all\"\"\"\n");
    assert_true(third && first && third < first);
    assert_null(call(&b, "show_log", "{\"path\":\"d\"}", &out));
    assert_int_equal(rows_of(&out), 1);
    assert_null(call(&b, "show_log", "{\"path\":\"./d/\"}", &out));
    assert_int_equal(rows_of(&out), 1);
    assert_null(call(&b, "show_log", "{\"path\":\"a.txt\",\"ref\":\"HEAD~1\",\"format\":\"json\"}", &out));
    json_t *page = kit_json(out.p);
    assert_int_equal(json_int(page, "rows", 0), 1);
    assert_string_equal(json_str(json_array_get(json_object_get(page, "items"), 0), "author"), "Ann");
    json_decref(page);
    refuses(&b, "show_log", "{\"ref\":\"nowhere\"}", "not_found");
    refuses(&b, "show_log", "{\"path\":\"../x\"}", "refused");
    buf_end(&out);
    bed_end(&b);
}

static void pages_of_a_log_lose_nothing(void **state)
{
    struct bed b;
    struct buf out = {0};
    char arguments[400] = "{\"limit\":2}", cursor[300];
    repository(&b);
    assert_null(call(&b, "show_log", arguments, &out));
    assert_int_equal(rows_of(&out), 2);
    assert_true(word_after(&out, "next_cursor=", cursor, sizeof(cursor)));
    snprintf(arguments, sizeof(arguments), "{\"limit\":2,\"cursor\":\"%s\"}", cursor);
    assert_null(call(&b, "show_log", arguments, &out));
    assert_int_equal(rows_of(&out), 1);
    assert_non_null(strstr(out.p, "first"));
    assert_false(word_after(&out, "next_cursor=", cursor, sizeof(cursor)));
    buf_end(&out);
    bed_end(&b);
}

static void differences_are_text(void **state)
{
    struct bed b;
    struct buf out = {0};
    repository(&b);
    gives(&b, "show_diff", "{}", "# no differences");
    assert_null(call(&b, "show_diff", "{\"from\":\"HEAD~2\",\"to\":\"HEAD\",\"path\":\"a.txt\"}", &out));
    assert_non_null(strstr(out.p, "\n+two\n"));
    assert_null(strstr(out.p, "b.txt"));
    put(&b, "a.txt", "two\n");
    put(&b, "new.txt", "fresh\n");
    put(&b, "d/c.txt", "fresh too\n");
    assert_null(call(&b, "show_diff", "{}", &out));
    assert_non_null(strstr(out.p, "\n-one\n"));
    assert_non_null(strstr(out.p, "\n+fresh\n"));
    assert_non_null(strstr(out.p, "\n+fresh too\n"));
    assert_null(call(&b, "show_diff", "{\"path\":\"./d//\"}", &out));
    assert_non_null(strstr(out.p, "\n+fresh too\n"));
    assert_null(strstr(out.p, "\n-one\n"));
    refuses(&b, "show_diff", "{\"from\":\"nowhere\"}", "not_found");
    refuses(&b, "show_diff", "{\"path\":\"d/../..\"}", "refused");
    buf_end(&out);
    bed_end(&b);
}

static void a_large_difference_comes_page_by_page(void **state)
{
    struct bed b;
    struct buf text = {0}, out = {0}, whole = {0};
    char arguments[400] = "{}", cursor[300];
    repository(&b);
    for (int i = 0; i < 3000; i++)
        buf_addf(&text, "line %d é\n", i);
    for (int i = 0; i < 30000; i++) /* a line that is longer than a page */
        buf_add_text(&text, "é");
    put_bytes(&b, "big.txt", text.p, text.n);
    bool more = true;
    for (int pages = 0; more; pages++) {
        assert_true(pages < 20);
        assert_null(call(&b, "show_diff", arguments, &out));
        more = word_after(&out, "next_cursor=", cursor, sizeof(cursor));
        snprintf(arguments, sizeof(arguments), "{\"cursor\":\"%s\"}", cursor);
        const char *tail = more ? strstr(out.p, "…[+") : NULL;
        buf_add(&whole, out.p, tail ? (size_t)(tail - out.p) : out.n);
    }
    /* Every line of it, with a plus before. */
    const char *at = strstr(whole.p, "\n+line 0 é");
    assert_non_null(at);
    const char *line = text.p;
    for (at++; line < text.p + text.n; at++) {
        size_t n = strcspn(line, "\n");
        assert_int_equal(*at++, '+');
        assert_memory_equal(at, line, n);
        at += n;
        line += n + 1;
    }
    buf_end(&text);
    buf_end(&out);
    buf_end(&whole);
    bed_end(&b);
}

static void a_huge_file_is_not_read_for_a_difference(void **state)
{
    struct bed b;
    struct buf out = {0}, text = {0};
    repository(&b);
    while (text.n <= 8 << 20)
        buf_add_text(&text, "a line of text that is as good as any other one, a thousand times and more\n");
    put_bytes(&b, "huge", text.p, text.n);
    buf_end(&text);
    assert_null(call(&b, "show_diff", "{}", &out));
    assert_true(out.n < 1000);
    assert_non_null(strstr(out.p, "huge"));
    buf_end(&out);
    bed_end(&b);
}

static void a_folder_without_history_says_so(void **state)
{
    struct bed b;
    bed_new(&b);
    refuses(&b, "show_log", "{}", "refused");
    refuses(&b, "show_diff", "{}", "refused");
    bed_end(&b);
}

static void nothing_a_repository_says_is_run(void **state)
{
    struct bed b;
    struct buf out = {0};
    repository(&b);
    put(&b, "run.sh", "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\n");
    assert_int_equal(chmod(in_root(&b, "run.sh"), 0700), 0);
    char command[1500];
    snprintf(command, sizeof(command), "%s", in_root(&b, "run.sh"));
    GIT(&b, "config", "diff.external", command);
    GIT(&b, "config", "core.fsmonitor", command);
    GIT(&b, "config", "diff.x.textconv", command);
    GIT(&b, "config", "filter.x.clean", command);
    put(&b, ".gitattributes", "*.txt diff=x filter=x\n");
    put(&b, "a.txt", "changed\n");
    assert_null(call(&b, "show_diff", "{}", &out));
    assert_null(call(&b, "list_files", "{}", &out));
    assert_int_equal(access(in_root(&b, "ran"), F_OK), -1);
    buf_end(&out);
    bed_end(&b);
}

KIT_MAIN(cmocka_unit_test(commits_are_told_newest_first), cmocka_unit_test(pages_of_a_log_lose_nothing),
         cmocka_unit_test(differences_are_text), cmocka_unit_test(a_large_difference_comes_page_by_page),
         cmocka_unit_test(a_huge_file_is_not_read_for_a_difference),
         cmocka_unit_test(a_folder_without_history_says_so),
         cmocka_unit_test(nothing_a_repository_says_is_run))
