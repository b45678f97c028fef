#include "hub/names.h"
#include "tests/kit/kit.h"

#include <string.h>

static void exposed(struct buf *out, const char *prefix, struct bytes name, size_t most)
{
    buf_clear(out);
    name_add_exposed(out, prefix, "fs", name, most);
}

static void plain_names_get_the_server_in_front(void **state)
{
    struct buf out = {0};
    exposed(&out, "fs", BYTES("read_file"), 64);
    kit_bytes_eq(buf_bytes(&out), "fs__read_file");
    exposed(&out, "files", BYTES("Read-2"), 64);
    kit_bytes_eq(buf_bytes(&out), "files__Read-2");
    exposed(&out, "", BYTES("read_file"), 64);
    kit_bytes_eq(buf_bytes(&out), "read_file");
    buf_end(&out);
}

/* The endings were made by another program: base32 of SHA-256("fs\0name"). */
static void names_that_do_not_fit_end_in_a_digest(void **state)
{
    struct buf out = {0};
    char name[101] = "";
    memset(name, 'x', 100);
    exposed(&out, "fs", BYTES("read file"), 64);
    kit_bytes_eq(buf_bytes(&out), "fs__read_file-7zlibx");
    exposed(&out, "fs", BYTES("\xc3\xa9"), 64);
    kit_bytes_eq(buf_bytes(&out), "fs____-vlfzr3");
    exposed(&out, "fs", bytes_of(name), 64);
    kit_bytes_eq(buf_bytes(&out), "fs__xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-7uqdkm");
    assert_int_equal(out.n, 64);
    exposed(&out, "fs", bytes_of(name), 40);
    kit_bytes_eq(buf_bytes(&out), "fs__xxxxxxxxxxxxxxxxxxxxxxxxxxxxx-7uqdkm");
    assert_int_equal(out.n, 40);
    exposed(&out, "fs", (struct bytes){name, 60}, 64);
    assert_int_equal(out.n, 64);
    assert_null(memchr(out.p, '-', out.n));
    buf_end(&out);
}

static void every_name_is_one_that_clients_take(void **state)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    struct buf out = {0};
    char name[128];
    for (size_t n = 1; n <= sizeof(name); n++)
        for (int c = 0; c < 256; c += 5) {
            memset(name, c, n);
            exposed(&out, "a-server-of-20-lettr", (struct bytes){name, n}, 64);
            assert_in_range(out.n, 1, 64);
            assert_int_equal(strspn(out.p, set), out.n);
        }
    buf_end(&out);
}

static void a_rewritten_uri_comes_apart_again(void **state)
{
    struct buf out = {0};
    struct bytes server, there;
    uri_add_rewritten(&out, "fs", BYTES("file:///a+b"));
    kit_bytes_eq(buf_bytes(&out), "tl.fs+file:///a+b");
    assert_true(uri_read_rewritten(buf_bytes(&out), &server, &there));
    kit_bytes_eq(server, "fs");
    kit_bytes_eq(there, "file:///a+b");
    static const char *const others[] = {"", "tl.", "tl.fs", "tl.+x", "file:///tl.fs+x", "TL.fs+x"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(uri_read_rewritten(bytes_of(others[i]), &server, &there));
    buf_end(&out);
}

static void schemes_are_what_stands_before_the_colon(void **state)
{
    kit_bytes_eq(uri_scheme(BYTES("git+ssh://x")), "git+ssh");
    kit_bytes_eq(uri_scheme(BYTES("a:")), "a");
    static const char *const none[] = {"", ":x", "1a:x", "no scheme", "a/b:c", "-a:x"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_null(uri_scheme(bytes_of(none[i])).p);
}

static const struct match {
    const char *pattern, *uri;
    bool is_match;
} matches[] = {
    {"test://plain",       "test://plain",      true },
    {"test://plain",       "test://plainer",    false},
    {"test://{id}/data",   "test://1/data",     true },
    {"test://{id}/data",   "test://1/2/data",   false},
    {"test://{id}/data",   "test:///data",      false},
    {"test://{id}/data",   "test://1/dat",      false},
    {"test://{id}/data",   "test://1/data/",    false},
    {"test://{a}-{b}",     "test://x-y-z",      true },
    {"test://{a}-{b}",     "test://x",          false},
    {"test://{a,b}",       "test://1,2",        true },
    {"file:///{+path}",    "file:///a/b/c.txt", true },
    {"file:///{+path}",    "file:///",          false},
    {"file:///{+path}.md", "file:///a.md/b.md", true },
    {"file:///{+path}.md", "file:///a.md/b",    false},
    {"x:{#part}",          "x:#a/b",            true },
    {"x:{#part}",          "x:",                true },
    {"x:{#part}",          "x:a",               false},
    {"x:a{.ext}",          "x:a.txt",           true },
    {"x:a{.ext}",          "x:a/txt",           false},
    {"x:a{/one,two}",      "x:a/1/2",           true },
    {"x:a{/one}",          "x:a?1",             false},
    {"x:a{;p}",            "x:a;p=1",           true },
    {"x:a{?q,r}",          "x:a?q=1&r=2",       true },
    {"x:a{?q}",            "x:a",               true },
    {"x:a{?q}",            "x:a&q=1",           false},
    {"x:a?f=1{&q}",        "x:a?f=1&q=2",       true },
    {"{a}{b}{c}",          "abc",               true },
    {"{a}{b}{c}",          "ab",                false},
    {"{+a}{+b}x",          "xxxx",              true },
    {"x:{unclosed",        "x:{unclosed",       true },
    {"x:{}",               "x:{}",              true },
    {"x:{}",               "x:anything",        false},
    {"",                   "",                  true },
    {"",                   "x",                 false},
};

static void templates_match_what_they_expand_to(void **state)
{
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        size_t steps = 1 << 20;
        const struct match *m = &matches[i];
        if (template_matches(bytes_of(m->pattern), bytes_of(m->uri), &steps) != m->is_match)
            fail_msg("'%s' and '%s'", m->pattern, m->uri);
    }
}

static void a_search_costs_no_more_than_it_may(void **state)
{
    struct buf pattern = {0}, uri = {0};
    for (int i = 0; i < 500; i++)
        buf_add_text(&pattern, "{+a}a");
    for (int i = 0; i < 4096; i++)
        buf_add_char(&uri, 'a');
    size_t enough = 1 << 23, little = 1 << 20;
    assert_true(template_matches(buf_bytes(&pattern), buf_bytes(&uri), &enough));
    assert_false(template_matches(buf_bytes(&pattern), buf_bytes(&uri), &little));
    assert_int_equal(little, 0);
    buf_add_char(&uri, 'a');
    assert_false(template_matches(BYTES("{+a}"), buf_bytes(&uri), &enough));
    buf_end(&pattern);
    buf_end(&uri);
}

KIT_MAIN(cmocka_unit_test(plain_names_get_the_server_in_front),
         cmocka_unit_test(names_that_do_not_fit_end_in_a_digest),
         cmocka_unit_test(every_name_is_one_that_clients_take),
         cmocka_unit_test(a_rewritten_uri_comes_apart_again),
         cmocka_unit_test(schemes_are_what_stands_before_the_colon),
         cmocka_unit_test(templates_match_what_they_expand_to),
         cmocka_unit_test(a_search_costs_no_more_than_it_may))
