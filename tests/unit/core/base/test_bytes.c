#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

static void views_compare_as_bytes(void **state)
{
    (void)state;
    assert_true(bytes_say(BYTES("a\0b"), "a") == false);
    assert_true(bytes_are(BYTES_NONE, BYTES("")));
    assert_true(bytes_begin(BYTES("prefix"), "pre"));
    assert_false(bytes_begin(BYTES("pr"), "pre"));
    assert_true(bytes_begin(BYTES_NONE, ""));
    assert_true(bytes_end_with(BYTES("x.json"), ".json"));
    assert_false(bytes_end_with(BYTES("json"), ".json"));
    assert_true(bytes_say_nocase(BYTES("Content-TYPE"), "content-type"));
    assert_false(bytes_say_nocase(BYTES("[ab"), "{ab")); /* 0x20 apart, but no letters */
}

static void order_is_memcmp_then_length(void **state)
{
    (void)state;
    assert_true(bytes_order(BYTES("a"), BYTES("b")) < 0);
    assert_true(bytes_order(BYTES("ab"), BYTES("a")) > 0);
    assert_true(bytes_order(BYTES("\xff"), BYTES("a")) > 0);
    assert_int_equal(bytes_order(BYTES_NONE, BYTES("")), 0);
}

static void trim_takes_space_and_tab_only(void **state)
{
    (void)state;
    kit_bytes_eq(bytes_trim(BYTES(" \t a b\t ")), "a b");
    kit_bytes_eq(bytes_trim(BYTES("\na ")), "\na");
    kit_bytes_eq(bytes_trim(BYTES("  ")), "");
}

static void find_gives_the_length_when_absent(void **state)
{
    (void)state;
    assert_int_equal(bytes_find(BYTES("a=b=c"), '='), 1);
    assert_int_equal(bytes_find(BYTES("abc"), '='), 3);
    assert_int_equal(bytes_find(BYTES_NONE, '='), 0);
}

static void a_buffer_is_always_ended(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 1000; i++) {
        buf_add_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.p[b.n], 0);
    }
    assert_int_equal(b.n, 1000);
    buf_drop_front(&b, 990);
    kit_bytes_eq(buf_bytes(&b), "cdefghijkl");
    buf_drop_front(&b, 10);
    assert_int_equal(b.n, 0);
    buf_add(&b, NULL, 0);
    buf_clear(&b);
    char *p = buf_take(&b);
    assert_string_equal(p, "");
    assert_null(b.p);
    free(p);
    p = buf_take(&b); /* never NULL */
    assert_string_equal(p, "");
    free(p);
    buf_end(&b);
}

static void numbers_are_written_to_the_ends(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        const char *text;
    } rows[] = {
        {0,         "0"                   },
        {-1,        "-1"                  },
        {INT64_MAX, "9223372036854775807" },
        {INT64_MIN, "-9223372036854775808"}
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        buf_add_int(&b, rows[i].v);
        kit_bytes_eq(buf_bytes(&b), rows[i].text);
        buf_end(&b);
    }
}

static void format_grows_as_needed(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_addf(&b, "%s-%0500d", "x", 7);
    assert_int_equal(b.n, 502);
    assert_int_equal(b.p[501], '7');
    buf_end(&b);
    _cleanup_free_ char *text = text_format("%d%%", 5);
    assert_string_equal(text, "5%");
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_add_json(&b, BYTES("a\"\\\b\f\n\r\t\x01\x1f/\x7f\xc3\xa4\xf0\x9f\x98\x80"));
    kit_bytes_eq(buf_bytes(&b), "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7f\xc3\xa4\xf0\x9f\x98\x80\"");
    buf_clear(&b);
    buf_add_json(&b, (struct bytes){"a\0b", 3});
    kit_bytes_eq(buf_bytes(&b), "\"a\\u0000b\"");
    buf_clear(&b);
    buf_add_json_text(&b, NULL);
    kit_bytes_eq(buf_bytes(&b), "null");
    buf_end(&b);
}

static void json_strings_are_always_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bad, *good;
    } rows[] = {
        {"a\xff"
         "b",   "\"a\xef\xbf\xbd"
         "b\""                               },
        {"\xc0\x80",     "\"\xef\xbf\xbd\xef\xbf\xbd\""            },
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"x\xe2\x82",    "\"x\xef\xbf\xbd\xef\xbf\xbd\""           }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        buf_add_json(&b, bytes_of(rows[i].bad));
        kit_bytes_eq(buf_bytes(&b), rows[i].good);
        buf_end(&b);
    }
}

KIT_MAIN(cmocka_unit_test(views_compare_as_bytes), cmocka_unit_test(order_is_memcmp_then_length),
         cmocka_unit_test(trim_takes_space_and_tab_only), cmocka_unit_test(find_gives_the_length_when_absent),
         cmocka_unit_test(a_buffer_is_always_ended), cmocka_unit_test(numbers_are_written_to_the_ends),
         cmocka_unit_test(format_grows_as_needed), cmocka_unit_test(json_strings_are_escaped),
         cmocka_unit_test(json_strings_are_always_utf8))
