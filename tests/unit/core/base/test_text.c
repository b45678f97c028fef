#include "core/base/id.h"
#include "core/base/text.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

static void utf8_knows_the_edges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"",                                     true },
        {"plain ascii, longer than eight bytes", true },
        {"\xc2\x80",                             true },
        {"\xdf\xbf\xe0\xa0\x80",                 true },
        {"\xed\x9f\xbf\xee\x80\x80",             true },
        {"\xf4\x8f\xbf\xbf",                     true },
        {"\xf4\x90\x80\x80",                     false}, /* above U+10FFFF */
        {"\xed\xa0\x80",                         false}, /* a surrogate */
        {"\xc0\xaf",                             false}, /* overlong */
        {"\xe0\x9f\xbf",                         false},
        {"\xf0\x8f\xbf\xbf",                     false},
        {"\x80",                                 false},
        {"12345678\xc3",                         false},
        {"\xf5\x80\x80\x80",                     false},
        {"\xc3\x28",                             false}
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (utf8_is_valid(bytes_of(rows[i].text)) != rows[i].valid)
            fail_msg("row %zu should be %svalid", i, rows[i].valid ? "" : "in");
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    struct bytes s = BYTES("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t n = 0; n < sizeof cuts / sizeof cuts[0]; n++)
        assert_int_equal(utf8_cut(s, n), cuts[n]);
}

/* RFC 4648 §10. */
static void base64_agrees_with_the_rfc(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"",       ""        },
        {"f",      "Zg=="    },
        {"f\x6f",  "Zm8="    },
        {"foo",    "Zm9v"    },
        {"foob",   "Zm9vYg=="},
        {"fooba",  "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"}
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        base64_add(&b, bytes_of(rows[i][0]));
        kit_bytes_eq(buf_bytes(&b), rows[i][1]);
        buf_clear(&b);
        assert_int_equal(base64_read(bytes_of(rows[i][1]), &b), 0);
        kit_bytes_eq(buf_bytes(&b), rows[i][0]);
        buf_end(&b);
    }
    struct buf b = {0};
    base64url_add(&b, BYTES("\xfb\xff\xfe"));
    base64url_add(&b, BYTES("a"));
    kit_bytes_eq(buf_bytes(&b), "-__-YQ");
    buf_end(&b);
}

static void base64_has_one_form_only(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "Zm9v\n", "Zm 9", "A===", "-_-_", "===="};
    static const char *const bad_url[] = {"Zg==", "A", "Zh", "Zm9", "Z", "+/+/", "Zm9v="};
    struct buf b = {0};
    buf_add_text(&b, "kept");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (base64_read(bytes_of(bad[i]), &b) == 0)
            fail_msg("took %s", bad[i]);
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++)
        if (base64url_read(bytes_of(bad_url[i]), &b) == 0)
            fail_msg("took %s", bad_url[i]);
    kit_bytes_eq(buf_bytes(&b), "kept");
    buf_end(&b);
}

static void base64_comes_back_at_every_length(void **state)
{
    (void)state;
    char random[70];
    random_fill(random, sizeof random);
    for (size_t n = 0; n <= sizeof random; n++) {
        struct buf coded = {0}, plain = {0};
        base64url_add(&coded, (struct bytes){random, n});
        assert_int_equal(base64url_read(buf_bytes(&coded), &plain), 0);
        assert_true(bytes_are(buf_bytes(&plain), (struct bytes){random, n}));
        buf_end(&coded);
        buf_end(&plain);
    }
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    struct buf b = {0};
    hex_add(&b, (struct bytes){"\0\xab\xff", 3});
    kit_bytes_eq(buf_bytes(&b), "00abff");
    buf_end(&b);
}

static void percent_is_strict(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(percent_read(BYTES("a%2Fb%c3%A4+"), &b), 0);
    kit_bytes_eq(buf_bytes(&b), "a/b\xc3\xa4+");
    assert_int_equal(percent_read(BYTES("%00"), &b), -1);
    assert_int_equal(percent_read(BYTES("%4"), &b), -1);
    assert_int_equal(percent_read(BYTES("%g0"), &b), -1);
    assert_int_equal(percent_read(BYTES("x%"), &b), -1);
    buf_clear(&b);
    percent_add(&b, BYTES("aZ09-._~/ \xff%"));
    kit_bytes_eq(buf_bytes(&b), "aZ09-._~%2F%20%FF%25");
    buf_end(&b);
}

static void numbers_are_digits_only(void **state)
{
    (void)state;
    int64_t v = 7;
    assert_int_equal(number_read(BYTES("9223372036854775807"), &v), 0);
    assert_true(v == INT64_MAX);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "9223372036854775808", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (number_read(bytes_of(bad[i]), &v) == 0)
            fail_msg("took '%s'", bad[i]);
    assert_true(v == INT64_MAX); /* written only on success */
}

static void durations_and_sizes_need_their_unit(void **state)
{
    (void)state;
    int64_t v;
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {
        {"250ms", 250       },
        {"5s",    5000      },
        {"15m",   900000    },
        {"2h",    7200000   },
        {"90d",   7776000000},
        {"0s",    0         }
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(duration_read(bytes_of(times[i].text), &v), 0);
        assert_true(v == times[i].ms);
    }
    static const char *const bad[] = {"", "5", "s", "5 s", "-5s", "5S", "1.5s", "5sec", "99999999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (duration_read(bytes_of(bad[i]), &v) == 0)
            fail_msg("took '%s'", bad[i]);
    assert_int_equal(size_read(BYTES("64KiB"), &v), 0);
    assert_true(v == 65536);
    assert_int_equal(size_read(BYTES("1GiB"), &v), 0);
    assert_true(v == 1 << 30);
    assert_int_equal(size_read(BYTES("17"), &v), 0);
    assert_true(v == 17);
    assert_int_equal(size_read(BYTES("64KB"), &v), -1);
    assert_int_equal(size_read(BYTES("99999999999GiB"), &v), -1);
}

static void shown_text_cannot_steer_a_terminal(void **state)
{
    (void)state;
    struct buf b = {0};
    text_show(&b, BYTES("a\x1b[2J\r\n\xe2\x80\xaegpj\xf3\xa0\x80\x81\xc2\x9b\xff\xc3\xa4"));
    kit_bytes_eq(buf_bytes(&b), "a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}gpj\\u{e0001}\\u{9b}\xef\xbf\xbd\xc3\xa4");
    buf_end(&b);
}

static void the_nearest_name_is_a_near_one(void **state)
{
    (void)state;
    static const char *const names[] = {"command", "timeout", "tools", "url", NULL};
    assert_string_equal(text_nearest("commandd", names), "command");
    assert_string_equal(text_nearest("tool", names), "tools");
    assert_string_equal(text_nearest("timeoutt", names), "timeout");
    assert_null(text_nearest("something", names));
    assert_null(text_nearest("abc", names)); /* three changes of three letters */
    assert_null(text_nearest("", names));
}

static void patterns_match_whole_texts(void **state)
{
    (void)state;
    assert_true(text_matches(BYTES("rm_file"), "rm_*"));
    assert_true(text_matches(BYTES("abc"), "a?c"));
    assert_true(text_matches(BYTES("abcabd"), "*abd"));
    assert_true(text_matches(BYTES(""), "**"));
    assert_false(text_matches(BYTES(""), "?"));
    assert_false(text_matches(BYTES("abc"), "ab"));
    assert_false(text_matches(BYTES("ab"), "abc"));
    struct buf many = {0};
    for (int i = 0; i < 5000; i++)
        buf_add_char(&many, 'a');
    assert_false(text_matches(buf_bytes(&many), "*a*a*a*a*a*a*b")); /* and soon */
    buf_end(&many);
}

KIT_MAIN(cmocka_unit_test(utf8_knows_the_edges), cmocka_unit_test(a_cut_never_splits_a_character),
         cmocka_unit_test(base64_agrees_with_the_rfc), cmocka_unit_test(base64_has_one_form_only),
         cmocka_unit_test(base64_comes_back_at_every_length), cmocka_unit_test(hex_is_lower_case),
         cmocka_unit_test(percent_is_strict), cmocka_unit_test(numbers_are_digits_only),
         cmocka_unit_test(durations_and_sizes_need_their_unit),
         cmocka_unit_test(shown_text_cannot_steer_a_terminal),
         cmocka_unit_test(the_nearest_name_is_a_near_one), cmocka_unit_test(patterns_match_whole_texts))
