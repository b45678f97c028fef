#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

static void a_fault_has_line_and_column(void **state)
{
    (void)state;
    struct why why;
    assert_null(json_read(BYTES("{\n  \"a\": nope}"), &why));
    assert_memory_equal(why.text, "2:", 2);
    assert_null(json_read(BYTES(""), &why));
    assert_memory_equal(why.text, "1:", 2);
    assert_null(json_read(BYTES_NONE, NULL));
    assert_null(json_read(BYTES("{\"a\":1,\"a\":2}"), &why));
    assert_null(json_read(BYTES("1 2"), &why));
    assert_null(json_read(BYTES("\"\xff\""), &why));
    _cleanup_json_ json_t *number = json_read(BYTES("7"), &why);
    assert_int_equal(json_integer_value(number), 7);
}

static void comments_and_trailing_commas_become_space(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"a\":1, // x\n}",                  "{\"a\":1      \n}"                 },
        {"[1,2,/* , */ ]",                     "[1,2         ]"                    },
        {"{\"u\":\"http://x\",\"c\":\"/*\",}", "{\"u\":\"http://x\",\"c\":\"/*\" }"},
        {"[\"a,\",\"\\\"//\",]",               "[\"a,\",\"\\\"//\" ]"              },
        {"/*\n*/[1,\n\n]",                     "  \n  [1 \n\n]"                    },
        {"[,]",                                "[ ]"                               },
        {"\xef\xbb\xbf{}",                     "   {}"                             },
        {"[1] /* open",                        "[1]        "                       },
        {"[1] //",                             "[1]   "                            },
        {"[1] /",                              "[1] /"                             },
        {"\"open \\",                          "\"open \\"                         },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        _cleanup_free_ char *text = mem_text(rows[i][0]);
        jsonc_blank(text, strlen(text));
        assert_string_equal(text, rows[i][1]);
    }
    _cleanup_json_ json_t *value = jsonc_read(BYTES("// hello\n{\"a\": [1, 2,], /* b */}"), NULL);
    kit_json_eq(value, "{\"a\": [1, 2]}");
}

static void expect_place(const char *text, const char *pointer, int line, int column)
{
    int l = 0, c = 0;
    if (json_place(bytes_of(text), pointer, &l, &c) < 0)
        fail_msg("no place for %s", pointer);
    if (l != line || c != column)
        fail_msg("%s is at %d:%d, wanted %d:%d", pointer, l, c, line, column);
}

static void places_are_where_values_begin(void **state)
{
    (void)state;
    static const char text[] = " { \"a\": 1,\n  \"b\": [true, {\"c\": \"x]}\"}, null ],\n \"\xc3\xa4\": "
                               "\"\xc3\xb6\", \"d/~e\": -5 }";
    expect_place(text, "", 1, 2);
    expect_place(text, "/a", 1, 9);
    expect_place(text, "/b", 2, 8);
    expect_place(text, "/b/0", 2, 9);
    expect_place(text, "/b/1/c", 2, 21);
    expect_place(text, "/b/2", 2, 29);
    expect_place(text, "/\xc3\xa4", 3, 7);
    expect_place(text, "/d~1~0e", 3, 20);
    expect_place("{\"\\u0061\": 1}", "/a", 1, 12);
    int l, c;
    assert_int_equal(json_place(bytes_of(text), "/b/3", &l, &c), -1);
    assert_int_equal(json_place(bytes_of(text), "/x", &l, &c), -1);
    assert_int_equal(json_place(bytes_of(text), "/a/b", &l, &c), -1);
    assert_int_equal(json_place(bytes_of(text), "a", &l, &c), -1);
    assert_int_equal(json_place(BYTES("[1,"), "/1", &l, &c), -1);
    assert_int_equal(json_place(BYTES("{\"a"), "/a", &l, &c), -1);
    assert_int_equal(json_place(BYTES(""), "", &l, &c), -1);
}

static void trees_are_written_compactly_in_their_order(void **state)
{
    (void)state;
    _cleanup_json_ json_t *value = kit_json("{\"z\": [1, 2.5, null], \"a\": {\"b\": \"x\\n\"}}");
    _cleanup_free_ char *text = json_text(value);
    assert_string_equal(text, "{\"z\":[1,2.5,null],\"a\":{\"b\":\"x\\n\"}}");
}

static void members_of_the_wrong_type_are_absent(void **state)
{
    (void)state;
    _cleanup_json_ json_t *value = kit_json("{\"s\": \"x\", \"i\": 7, \"r\": 1.5}");
    assert_string_equal(json_str(value, "s"), "x");
    assert_null(json_str(value, "i"));
    assert_null(json_str(NULL, "i"));
    assert_int_equal(json_int(value, "i", 0), 7);
    assert_int_equal(json_int(value, "r", -1), -1);
    assert_int_equal(json_int(value, "s", -1), -1);
}

KIT_MAIN(cmocka_unit_test(a_fault_has_line_and_column),
         cmocka_unit_test(comments_and_trailing_commas_become_space),
         cmocka_unit_test(places_are_where_values_begin),
         cmocka_unit_test(trees_are_written_compactly_in_their_order),
         cmocka_unit_test(members_of_the_wrong_type_are_absent))
