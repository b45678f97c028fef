/* list_files, read_file, search_text and the resources: what is shown, what is refused, and page by page. */
#include "tests/unit/servers/workspace/workspace_bed.h"

#include <pthread.h>
#include <time.h>

static void age(struct bed *b, const char *name)
{
    const struct timespec at[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    assert_int_equal(utimensat(AT_FDCWD, in_root(b, name), at, AT_SYMLINK_NOFOLLOW), 0);
}

static void files_are_listed_in_order_with_what_git_ignores_left_out(void **state)
{
    struct bed b;
    bed_new(&b);
    GIT(&b, "init", "-q");
    make_folder(in_root(&b, "src"));
    put(&b, "src/b.c", "int b;\n");
    put(&b, "src/a,\"x\".c", "");
    put(&b, "note.o", "");
    put(&b, ".gitignore", "*.o\n");
    assert_int_equal(symlink("/etc", in_root(&b, "out")), 0);
    static const char *const all[] = {"src", "src/b.c", "src/a,\"x\".c", ".gitignore", "out"};
    for (size_t i = 0; i < 5; i++)
        age(&b, all[i]);
    gives(&b, "list_files", "{}",
          "# rows=5 total=5\npath,type,size,modified\n.gitignore,file,4,2023-11-14T22:13Z\n"
          "out,link,0,2023-11-14T22:13Z\nsrc,folder,0,2023-11-14T22:13Z\n"
          "\"src/a,\"\"x\"\".c\",file,0,2023-11-14T22:13Z\nsrc/b.c,file,7,2023-11-14T22:13Z\n");
    static const char *const ways[] = {"src", "src/", "./src", "./src//"};
    for (size_t i = 0; i < 4; i++) {
        char arguments[100];
        snprintf(arguments, sizeof(arguments), "{\"path\":\"%s\",\"format\":\"json\",\"glob\":\"b*\"}",
                 ways[i]);
        gives(&b, "list_files", arguments,
              "{\"rows\":1,\"total\":1,\"items\":[{\"path\":\"src/"
              "b.c\",\"type\":\"file\",\"size\":7,\"modified\":"
              "\"2023-11-14T22:13Z\"}]}");
    }
    gives(&b, "list_files", "{\"path\":\".\",\"glob\":\"src/b*\"}",
          "# rows=1 total=1\npath,type,size,modified\nsrc/b.c,file,7,2023-11-14T22:13Z\n");
    refuses(&b, "list_files", "{\"path\":\"out\"}", "refused");
    refuses(&b, "list_files", "{\"path\":\"../\"}", "refused");
    refuses(&b, "list_files", "{\"path\":\".git\"}", "refused");
    refuses(&b, "list_files", "{\"path\":\"none\"}", "not_found");
    refuses(&b, "list_files", "{\"path\":\"src/b.c\"}", "not_found");
    bed_end(&b);
}

static void pages_of_a_list_lose_nothing(void **state)
{
    struct bed b;
    struct buf out = {0};
    char name[40], arguments[400], cursor[300] = "";
    size_t rows = 0, pages = 0;
    bed_new(&b);
    for (int i = 0; i < 57; i++) {
        snprintf(name, sizeof(name), "f%02d", i);
        put(&b, name, "x");
    }
    bool more = true;
    while (more) {
        if (*cursor)
            snprintf(arguments, sizeof(arguments), "{\"limit\":10,\"cursor\":\"%s\"}", cursor);
        else
            snprintf(arguments, sizeof(arguments), "{\"limit\":10}");
        assert_null(call(&b, "list_files", arguments, &out));
        for (;; rows++) {
            snprintf(name, sizeof(name), "\nf%02zu,", rows);
            if (!strstr(out.p, name))
                break;
        }
        pages++;
        more = word_after(&out, "next_cursor=", cursor, sizeof(cursor));
    }
    assert_int_equal(rows, 57);
    assert_int_equal(pages, 6);
    /* A cursor belongs to its arguments. */
    snprintf(arguments, sizeof(arguments), "{\"limit\":11,\"cursor\":\"%s\"}", cursor);
    refuses(&b, "list_files", arguments, "invalid");
    refuses(&b, "list_files", "{\"cursor\":\"AAAA\"}", "invalid");
    buf_end(&out);
    bed_end(&b);
}

static void a_page_is_never_too_large(void **state)
{
    struct bed b;
    struct buf out = {0};
    char name[300];
    size_t rows = 0;
    bed_new(&b);
    for (int i = 0; i < 300; i++) {
        memset(name, 1, 200);
        snprintf(name + 200, 20, "%03d", i);
        put(&b, name, "");
    }
    char arguments[400] = "{\"limit\":1000,\"format\":\"json\"}", cursor[300];
    bool more = true;
    while (more) {
        assert_null(call(&b, "list_files", arguments, &out)); /* call() looks at the size */
        json_t *page = kit_json(out.p);
        rows += json_array_size(json_object_get(page, "items"));
        const char *next = json_str(page, "next_cursor");
        more = next != NULL;
        if (more) {
            snprintf(cursor, sizeof(cursor), "%s", next);
            snprintf(arguments, sizeof(arguments), "{\"limit\":1000,\"format\":\"json\",\"cursor\":\"%s\"}",
                     cursor);
        }
        json_decref(page);
    }
    assert_int_equal(rows, 300);
    buf_end(&out);
    bed_end(&b);
}

/* --- read_file --- */

static void lines_of_a_file_are_read(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "a.txt", "one\ntwo\nthree\nfour");
    gives(&b, "read_file", "{\"path\":\"a.txt\"}", "one\ntwo\nthree\nfour");
    gives(&b, "read_file", "{\"path\":\"./a.txt\",\"start\":4}", "four");
    gives(&b, "read_file", "{\"path\":\"a.txt\",\"start\":9}", "");
    struct buf out = {0};
    assert_null(call(&b, "read_file", "{\"path\":\"a.txt\",\"start\":2,\"lines\":2}", &out));
    assert_true(bytes_begin(buf_bytes(&out), "two\nthree\n…[+4 B; go on with start=4"));
    buf_end(&out);
    put(&b, "empty", "");
    gives(&b, "read_file", "{\"path\":\"empty\"}", "");
    make_folder(in_root(&b, "dir"));
    refuses(&b, "read_file", "{\"path\":\"dir\"}", "invalid");
    refuses(&b, "read_file", "{\"path\":\"none\"}", "not_found");
    refuses(&b, "read_file", "{\"path\":\"../x\"}", "refused");
    refuses(&b, "read_file", "{\"path\":\"dir/.GIT/config\"}", "refused");
    refuses(&b, "read_file", "{\"path\":\"a.txt\",\"folder\":\"other\"}", "not_found");
    assert_int_equal(symlink("a.txt", in_root(&b, "link")), 0);
    refuses(&b, "read_file", "{\"path\":\"link\"}", "refused");
    assert_int_equal(mkfifo(in_root(&b, "pipe"), 0600), 0);
    refuses(&b, "read_file", "{\"path\":\"pipe\"}", "invalid");
    bed_end(&b);
}

/* Reads a file by cursors to its end. */
static void read_all(struct bed *b, const char *name, const char *more, struct buf *whole)
{
    struct buf out = {0};
    char arguments[500], cursor[300] = "";
    bool goes_on = true;
    for (int pages = 0; goes_on; pages++) {
        assert_true(pages < 100);
        snprintf(arguments, sizeof(arguments), "{\"path\":\"%s\"%s%s%s%s}", name, more,
                 *cursor ? ",\"cursor\":\"" : "", cursor, *cursor ? "\"" : "");
        assert_null(call(b, "read_file", arguments, &out));
        goes_on = word_after(&out, "next_cursor=", cursor, sizeof(cursor));
        const char *tail = strstr(out.p, "…[+");
        size_t n = tail ? (size_t)(tail - out.p) : out.n;
        buf_add(whole, out.p, n);
    }
    buf_end(&out);
}

static void a_large_file_is_read_to_its_end_by_cursor(void **state)
{
    struct bed b;
    struct buf text = {0}, whole = {0};
    bed_new(&b);
    for (int i = 0; i < 4000; i++)
        buf_addf(&text, "line %d with é and more\n", i);
    put_bytes(&b, "big.txt", text.p, text.n);
    read_all(&b, "big.txt", ",\"lines\":100000", &whole);
    kit_bytes_eq(buf_bytes(&whole), text.p);
    /* In small pages, and a line that is longer than a page. */
    buf_clear(&whole);
    read_all(&b, "big.txt", ",\"lines\":300,\"max_bytes\":1024", &whole);
    assert_int_equal(strncmp(text.p, whole.p, whole.n), 0);
    buf_clear(&text);
    for (int i = 0; i < 70000; i++)
        buf_add_text(&text, "é");
    put_bytes(&b, "long.txt", text.p, text.n);
    buf_clear(&whole);
    read_all(&b, "long.txt", "", &whole);
    kit_bytes_eq(buf_bytes(&whole), text.p);
    buf_end(&text);
    buf_end(&whole);
    bed_end(&b);
}

static void a_file_that_is_no_text_is_told_of(void **state)
{
    struct bed b;
    struct buf out = {0};
    bed_new(&b);
    put_bytes(&b, "a b.bin", "\0\1\2", 3);
    put_bytes(&b, "bad.txt", "\xff\xfe", 2);
    assert_null(call(&b, "read_file", "{\"path\":\"a b.bin\"}", &out));
    assert_non_null(strstr(out.p, "3 bytes"));
    assert_non_null(strstr(out.p, "workspace://main/files/a%20b.bin"));
    assert_null(call(&b, "read_file", "{\"path\":\"bad.txt\"}", &out));
    assert_non_null(strstr(out.p, "not text"));
    json_t *m = ask(&b, "resources/read", "\"uri\":\"workspace://main/files/a%20b.bin\"");
    json_t *first = json_array_get(json_object_get(json_object_get(m, "result"), "contents"), 0);
    assert_string_equal(json_str(first, "blob"), "AAEC");
    assert_string_equal(json_str(first, "uri"), "workspace://main/files/a%20b.bin");
    json_decref(m);
    buf_end(&out);
    bed_end(&b);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "huge", "x");
    assert_int_equal(truncate(in_root(&b, "huge"), (8 << 20) + 1), 0);
    refuses(&b, "read_file", "{\"path\":\"huge\"}", "too_large");
    json_t *m = ask(&b, "resources/read", "\"uri\":\"workspace://main/files/huge\"");
    assert_int_equal(json_int(json_object_get(m, "error"), "code", 0), -31413);
    json_decref(m);
    bed_end(&b);
}

/* --- search_text --- */

static void lines_are_found(void **state)
{
    struct bed b;
    bed_new(&b);
    make_folder(in_root(&b, "deep"));
    put(&b, "a.txt", "Hello\nworld\nhello, \"you\"");
    put(&b, "deep/b.c", "int HELLO;\n");
    put_bytes(&b, "deep/c.bin", "hello\0", 6);
    gives(&b, "search_text", "{\"find\":\"hello\"}",
          "# rows=3 total=3\npath,line,text\na.txt,1,Hello\na.txt,3,\"hello, \"\"you\"\"\"\ndeep/b.c,1,int "
          "HELLO;\n");
    gives(&b, "search_text", "{\"find\":\"hello\",\"match_case\":true}",
          "# rows=1 total=1\npath,line,text\na.txt,3,\"hello, \"\"you\"\"\"\n");
    gives(&b, "search_text", "{\"find\":\"hello\",\"path\":\"deep/\",\"format\":\"json\"}",
          "{\"rows\":1,\"total\":1,\"items\":[{\"path\":\"deep/b.c\",\"line\":1,\"text\":\"int HELLO;\"}]}");
    gives(&b, "search_text", "{\"find\":\"hello\",\"path\":\"deep/b.c\"}",
          "# rows=1 total=1\npath,line,text\ndeep/b.c,1,int HELLO;\n");
    gives(&b, "search_text", "{\"find\":\"nowhere\"}", "# rows=0 total=0\npath,line,text\n");
    refuses(&b, "search_text", "{\"find\":\"x\",\"path\":\"none\"}", "not_found");
    refuses(&b, "search_text", "{\"find\":\"x\",\"path\":\"/etc\"}", "refused");
    refuses(&b, "search_text", "{\"find\":\"\"}", "invalid");
    bed_end(&b);
}

static void a_found_text_deep_in_a_line_is_shown(void **state)
{
    struct bed b;
    struct buf text = {0}, out = {0};
    bed_new(&b);
    for (int i = 0; i < 3000; i++)
        buf_add_text(&text, "é ");
    buf_add_text(&text, "needle");
    for (int i = 0; i < 3000; i++)
        buf_add_text(&text, " é");
    put_bytes(&b, "long", text.p, text.n);
    assert_null(call(&b, "search_text", "{\"find\":\"NEEDLE\"}", &out));
    assert_non_null(strstr(out.p, "needle"));
    assert_true(out.n < 500);
    buf_end(&text);
    buf_end(&out);
    bed_end(&b);
}

static void a_search_stops_when_its_time_is_up(void **state)
{
    struct bed b;
    struct buf text = {0};
    bed_new(&b);
    for (int i = 0; i < 2000; i++)
        buf_add_text(&text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaaa");
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        put_bytes(&b, name, text.p, text.n);
    }
    struct buf find = {0};
    buf_add_text(&find, "{\"find\":\"");
    for (int i = 0; i < 1000; i++)
        buf_add_char(&find, 'a');
    buf_add_text(&find, "b\"}");
    /* Eight million places with a thousand letters alike at each: linear, or it takes minutes. */
    int64_t begun = kit_real_ms();
    gives(&b, "search_text", find.p, "# rows=0 total=0\npath,line,text\n");
    assert_true(kit_real_ms() - begun < 5000);
    b.deadline_ms = 1;
    refuses(&b, "search_text", find.p, "deadline");
    buf_end(&text);
    buf_end(&find);
    bed_end(&b);
}

static void a_cancelled_search_ends(void **state)
{
    struct bed b;
    struct buf text = {0};
    bed_new(&b);
    for (int i = 0; i < 100000; i++)
        buf_add_text(&text, "some words that stand here\n");
    for (int i = 0; i < 300; i++) {
        char name[16], twin[16];
        snprintf(name, sizeof(name), "f%d", i);
        snprintf(twin, sizeof(twin), "f%dx", i);
        put_bytes(&b, name, text.p, i ? 20 : text.n);
        if (i && i < 20)
            assert_int_equal(link(in_root(&b, "f0"), in_root(&b, twin)), 0);
    }
    say(&b, "tools/call", "\"name\":\"search_text\",\"arguments\":{\"find\":\"nothing of the kind\"}");
    static const char cancel[] =
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n";
    assert_int_equal(write(b.fd, cancel, sizeof(cancel) - 1), (ssize_t)sizeof(cancel) - 1);
    /* It is not answered, and the line serves on. */
    gives(&b, "read_file", "{\"path\":\"f1\"}", "some words that stan");
    buf_end(&text);
    bed_end(&b);
}

static void the_end_of_input_waits_for_work_that_runs(void **state)
{
    struct bed b;
    struct buf text = {0};
    bed_new(&b);
    for (int i = 0; i < 60000; i++)
        buf_add_text(&text, "some words that stand here\n");
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        put_bytes(&b, name, text.p, text.n);
    }
    for (int i = 0; i < 8; i++)
        say(&b, "tools/call", "\"name\":\"search_text\",\"arguments\":{\"find\":\"nothing of the kind\"}");
    buf_end(&text);
    bed_end(&b); /* the sanitizer sees what is used after its end */
}

/* --- races --- */

struct mover {
    char real[1500], kept[1500], link[1500];
    int stop; /* atomic */
};

static void *move(void *ctx)
{
    struct mover *m = ctx;
    while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED))
        if (rename(m->real, m->kept) < 0 || rename(m->link, m->real) < 0 || rename(m->real, m->link) < 0 ||
            rename(m->kept, m->real) < 0)
            break;
    return NULL;
}

static void nothing_of_a_place_outside_is_told_while_folders_become_links(void **state)
{
    struct bed b;
    struct mover m = {.stop = 0};
    struct buf out = {0};
    pthread_t thread;
    bed_new(&b);
    make_folder(kit_path("place"));
    make_folder(in_root(&b, "dir"));
    for (int i = 0; i < 40; i++) {
        char name[40];
        snprintf(name, sizeof(name), "place/f%d", i);
        kit_file(name, "SECRET of 18 bytes");
        snprintf(name, sizeof(name), "dir/f%d", i);
        put(&b, name, "inside");
    }
    assert_int_equal(symlink(kit_path("place"), in_root(&b, "link")), 0);
    snprintf(m.real, sizeof(m.real), "%s", in_root(&b, "dir"));
    snprintf(m.kept, sizeof(m.kept), "%s", in_root(&b, "kept"));
    snprintf(m.link, sizeof(m.link), "%s", in_root(&b, "link"));
    assert_int_equal(pthread_create(&thread, NULL, move, &m), 0);
    for (int i = 0; i < 300; i++) {
        call(&b, "list_files", "{\"limit\":1000}", &out);
        assert_null(strstr(out.p, ",18,"));
        call(&b, "read_file", "{\"path\":\"dir/f1\"}", &out);
        assert_null(strstr(out.p, "SECRET"));
        call(&b, "search_text", "{\"find\":\"of 18\"}", &out);
        assert_null(strstr(out.p, "SECRET"));
    }
    __atomic_store_n(&m.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    buf_end(&out);
    bed_end(&b);
}

/* --- resources, folders --- */

static void resources_are_the_files_of_the_folder(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "b \"1\".txt", "t");
    put(&b, ".hidden", "t");
    make_folder(in_root(&b, "dir"));
    put(&b, "dir/c", "deep");
    json_t *m = ask(&b, "resources/list", "");
    json_t *all = json_object_get(json_object_get(m, "result"), "resources");
    assert_int_equal(json_array_size(all), 1);
    kit_json_eq(
        json_array_get(all, 0),
        "{\"uri\":\"workspace://main/files/b%20%221%22.txt\",\"name\":\"b \\\"1\\\".txt\",\"size\":1}");
    json_decref(m);
    m = ask(&b, "resources/read", "\"uri\":\"workspace://main/files/dir/c\"");
    json_t *first = json_array_get(json_object_get(json_object_get(m, "result"), "contents"), 0);
    assert_string_equal(json_str(first, "text"), "deep");
    json_decref(m);
    static const char *const none[] = {"workspace://main/files/..%2Fx",
                                       "workspace://main/files/.git/config",
                                       "workspace://main/files/%2e%2e/x",
                                       "workspace://main/files/dir",
                                       "workspace://main/files/",
                                       "workspace://other/files/b",
                                       "workspace://main/files/%00",
                                       "workspace://main/files/%zz",
                                       "workspace://main",
                                       "other://main/files/b"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        char params[100];
        snprintf(params, sizeof(params), "\"uri\":\"%s\"", none[i]);
        m = ask(&b, "resources/read", params);
        assert_int_equal(json_int(json_object_get(m, "error"), "code", 0), -32602);
        json_decref(m);
    }
    bed_end(&b);
}

static void several_folders_are_told_apart(void **state)
{
    struct bed b = {.root = mem_text(kit_path("two"))};
    struct buf settings = {0};
    make_folder(b.root);
    make_folder(in_root(&b, "my place"));
    make_folder(in_root(&b, "other"));
    put(&b, "my place/f", "mine");
    put(&b, "other/f", "theirs");
    buf_addf(&settings, "{\"folders\":[\"%s/my place\",{\"id\":\"o\",\"path\":\"%s/other\"}]}", b.root,
             b.root);
    bed_open(&b, settings.p);
    assert_non_null(b.serve);
    gives(&b, "read_file", "{\"folder\":\"my place\",\"path\":\"f\"}", "mine");
    gives(&b, "read_file", "{\"folder\":\"o\",\"path\":\"f\"}", "theirs");
    refuses(&b, "read_file", "{\"path\":\"f\"}", "invalid");
    refuses(&b, "read_file", "{\"folder\":\"x\",\"path\":\"f\"}", "not_found");
    refuses(&b, "show_log", "{}", "invalid");
    json_t *m = ask(&b, "resources/read", "\"uri\":\"workspace://my%20place/files/f\"");
    assert_non_null(json_object_get(m, "result"));
    json_decref(m);
    m = ask(&b, "resources/list", "");
    json_t *all = json_object_get(json_object_get(m, "result"), "resources");
    assert_string_equal(json_str(json_array_get(all, 0), "uri"), "workspace://my%20place/files/f");
    json_decref(m);
    buf_end(&settings);
    bed_end(&b);
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{\"path\":\"relative\"}",
        "{\"path\":\"/no/such/folder\"}",
        "{\"folders\":[]}",
        "{\"folders\":5}",
        "{\"folders\":[5]}",
        "{\"folders\":[{\"id\":\"\",\"path\":\"/tmp\"}]}",
        "{\"folders\":[{\"id\":\"a/b\",\"path\":\"/tmp\"}]}",
        "{\"folders\":[{\"id\":\"a\\\"b\",\"path\":\"/tmp\"}]}",
        "{\"folders\":[{\"id\":\"a\",\"path\":\"/tmp\"},{\"id\":\"a\",\"path\":\"/\"}]}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct bed b = {0};
        bed_open(&b, wrong[i]);
        if (b.serve)
            fail_msg("%s was accepted", wrong[i]);
        assert_true(kit_why()->text[0] != 0);
        bed_end(&b);
    }
}

KIT_MAIN(cmocka_unit_test(files_are_listed_in_order_with_what_git_ignores_left_out),
         cmocka_unit_test(pages_of_a_list_lose_nothing), cmocka_unit_test(a_page_is_never_too_large),
         cmocka_unit_test(lines_of_a_file_are_read),
         cmocka_unit_test(a_large_file_is_read_to_its_end_by_cursor),
         cmocka_unit_test(a_file_that_is_no_text_is_told_of),
         cmocka_unit_test(a_file_over_the_limit_is_refused), cmocka_unit_test(lines_are_found),
         cmocka_unit_test(a_found_text_deep_in_a_line_is_shown),
         cmocka_unit_test(a_search_stops_when_its_time_is_up), cmocka_unit_test(a_cancelled_search_ends),
         cmocka_unit_test(the_end_of_input_waits_for_work_that_runs),
         cmocka_unit_test(nothing_of_a_place_outside_is_told_while_folders_become_links),
         cmocka_unit_test(resources_are_the_files_of_the_folder),
         cmocka_unit_test(several_folders_are_told_apart),
         cmocka_unit_test(settings_that_make_no_sense_are_refused))
