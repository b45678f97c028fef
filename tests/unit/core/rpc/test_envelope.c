#include "core/rpc/envelope.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

static int scan(struct envelope *e, const char *text)
{
    envelope_begin(e);
    return envelope_scan(e, bytes_of(text), true, NULL);
}

static void assert_bytes(struct bytes seen, const char *wanted)
{
    char *copy = bytes_copy(seen);

    assert_string_equal(copy, wanted);
    free(copy);
}

static void request_is_sliced(void **state)
{
    (void)state;
    struct envelope *e = envelope_new(NULL);

    assert_int_equal(
        scan(e,
             "{\"jsonrpc\": \"2.0\", \"id\":\"a\\u0041\",\"method\":\"tools/call\",\n \"params\":"
             "{\"name\":\"x\",\"arguments\":{\"n\": 1.0, \"m\":[-0,1e400]},\"_meta\":{\"k\":{\"v\":[]}}}}"),
        0);
    assert_int_equal(e->kind, ENVELOPE_REQUEST);
    assert_true(e->has_jsonrpc);
    assert_bytes(e->id.value, "\"a\\u0041\"");
    assert_bytes(e->method, "tools/call");
    assert_int_equal(e->inside.n, 3);
    assert_bytes(members_find(&e->inside, "arguments")->value, "{\"n\": 1.0, \"m\":[-0,1e400]}");
    assert_bytes(member_plain(members_find(&e->inside, "name")), "x");
    assert_int_equal(e->meta.n, 1);
    assert_bytes(e->meta.p[0].key, "k");
    assert_bytes(e->meta.p[0].value, "{\"v\":[]}");
    assert_null(members_find(&e->inside, "nothing"));
    envelope_free(e);
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum envelope_kind kind;
    } rows[] = {
        {"{\"method\":\"m\",\"id\":1}",                             ENVELOPE_REQUEST     },
        {"{\"method\":\"m\",\"id\":-3}",                            ENVELOPE_REQUEST     },
        {"{\"method\":\"m\"}",                                      ENVELOPE_NOTIFICATION},
        {"{\"result\":{},\"id\":1}",                                ENVELOPE_RESULT      },
        {"{\"error\":{\"code\":-1,\"message\":\"x\"},\"id\":null}", ENVELOPE_ERROR       },
        {"{\"error\":{\"code\":-1,\"message\":\"x\"}}",             ENVELOPE_ERROR       },
        {"[]",                                                      ENVELOPE_BATCH       },
        {" [{},1] ",                                                ENVELOPE_BATCH       },
        {"{}",                                                      ENVELOPE_ODD         },
        {"1",                                                       ENVELOPE_ODD         },
        {"\"x\"",                                                   ENVELOPE_ODD         },
        {"null",                                                    ENVELOPE_ODD         },
        {"{\"method\":\"m\",\"id\":null}",                          ENVELOPE_ODD         },
        {"{\"method\":\"m\",\"id\":1.0}",                           ENVELOPE_ODD         },
        {"{\"method\":\"m\",\"id\":1e2}",                           ENVELOPE_ODD         },
        {"{\"method\":\"m\",\"id\":[1]}",                           ENVELOPE_ODD         },
        {"{\"method\":\"m\",\"id\":true}",                          ENVELOPE_ODD         },
        {"{\"method\":1,\"id\":1}",                                 ENVELOPE_ODD         },
        {"{\"method\":\"a\\u0062\",\"id\":1}",                      ENVELOPE_ODD         },
        {"{\"m\\u0065thod\":\"a\",\"id\":1}",                       ENVELOPE_ODD         },
        {"{\"method\":\"a\",\"id\":1,\"i\\u0064\":2}",              ENVELOPE_ODD         },
        {"{\"result\":{}}",                                         ENVELOPE_ODD         },
        {"{\"result\":{},\"id\":null}",                             ENVELOPE_ODD         },
        {"{\"result\":{},\"id\":1,\"method\":\"m\"}",               ENVELOPE_ODD         },
        {"{\"result\":{},\"id\":1,\"error\":{\"code\":1}}",         ENVELOPE_ODD         },
        {"{\"error\":7,\"id\":1}",                                  ENVELOPE_ODD         },
        {"{\"error\":{\"code\":\"7\"},\"id\":1}",                   ENVELOPE_ODD         },
    };
    struct envelope *e = envelope_new(NULL);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (scan(e, rows[i].text) != 0 || e->kind != rows[i].kind)
            fail_msg("%s: kind %d, wanted %d", rows[i].text, (int)e->kind, (int)rows[i].kind);
        assert_true((e->kind == ENVELOPE_ODD) == (e->fault != NULL));
    }
    envelope_free(e);
}

static void error_is_sliced(void **state)
{
    (void)state;
    struct envelope *e = envelope_new(NULL);

    assert_int_equal(
        scan(e, "{\"id\":4,\"error\":{\"message\":\"no \\\"x\\\"\",\"code\":-32602,\"data\":[1, 2]}}"), 0);
    assert_int_equal(e->error_code, -32602);
    assert_bytes(e->error_message, "\"no \\\"x\\\"\"");
    assert_bytes(e->error_data, "[1, 2]");
    assert_false(e->has_jsonrpc);
    envelope_free(e);
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "tru",
        "nullx",
        "NaN",
        "'x'",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"\x80\"",
        "[\"\xC3\"]",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "{}{}",
        "[}",
        "{]",
        "\xEF\xBB\xBF{}",
        "// x\n{}",
        "[,1]",
        "\"\xE0\x80\x80\"",
        "]",
        "--1",
        "{\"a\":}",
        "\"\x1f\"",
        "\"\xE2\x82x\"",
        "[1}",
        "{\"a\":1]",
    };
    struct envelope *e = envelope_new(NULL);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (scan(e, rows[i]) != ENVELOPE_INVALID || json_is_valid(bytes_of(rows[i])))
            fail_msg("accepted: %s", rows[i]);
    assert_true(
        json_is_valid(BYTES("[{\"params\":[true,false,null,-0.5E-7,\"\\ud800\xF0\x9F\x98\x80\x7f\"]}]")));
    envelope_free(e);
}

static void limits_are_named(void **state)
{
    (void)state;
    static const struct envelope_limits few = {
        .depth = 3, .values = 6, .keys = 2, .id = 4, .method = 5, .meta = 9};
    static const struct {
        const char *text, *name;
    } rows[] = {
        {"[[[[]]]]",                              "'depth'" },
        {"[1,2,3,4,5,6]",                         "'values'"},
        {"{\"a\":1,\"b\":2,\"c\":3}",             "'keys'"  },
        {"{\"id\":12345}",                        "'id'"    },
        {"{\"method\":\"abcd\"}",                 "'method'"},
        {"{\"params\":{\"_meta\":{\"abc\":12}}}", "'_meta'" },
    };
    struct envelope *e = envelope_new(&few);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct why why = {0};
        envelope_begin(e);
        assert_int_equal(envelope_scan(e, bytes_of(rows[i].text), true, &why), ENVELOPE_LIMIT);
        assert_non_null(strstr(why.text, rows[i].name));
    }
    assert_int_equal(scan(e, "[[[]]]"), 0);
    assert_int_equal(scan(e, "[1,2,3,4,5]"), 0);
    assert_int_equal(scan(e, "{\"id\":1234}"), 0);
    assert_int_equal(scan(e, "{\"params\":{\"_meta\":{\"abc\":1}}}"), 0);
    envelope_free(e);
}

static void duplicates_are_refused_when_asked(void **state)
{
    (void)state;
    static const struct envelope_limits strict = {.refuse_duplicates = true};
    struct envelope *e = envelope_new(&strict), *lax = envelope_new(NULL);

    assert_int_equal(scan(e, "{\"params\":{\"a\":{\"b\":1,\"c\":2,\"b\":3}}}"), ENVELOPE_DUPLICATE);
    assert_int_equal(scan(e, "{\"params\":{\"name\":1,\"n\\u0061me\":2}}"), ENVELOPE_DUPLICATE);
    assert_int_equal(scan(e, "{\"id\":1,\"method\":\"m\",\"id\":1}"), ENVELOPE_DUPLICATE);
    assert_int_equal(scan(e, "[{\"a\":1},{\"a\":{\"a\":1}},{\"a\":1}]"), 0);

    struct buf many = {0};
    buf_add_char(&many, '{');
    for (int i = 0; i < 300; i++)
        buf_addf(&many, "\"k%d\":0,", i);
    size_t n = many.n;
    buf_add_text(&many, "\"k\":0}");
    assert_int_equal(scan(e, many.p), 0);
    many.n = n;
    buf_add_text(&many, "\"k17\":0}");
    assert_int_equal(scan(e, many.p), ENVELOPE_DUPLICATE);
    buf_end(&many);

    assert_int_equal(scan(lax, "{\"method\":\"m\",\"params\":{\"a\":1},\"params\":{\"a\":2,\"a\":3}}"), 0);
    assert_int_equal(lax->inside.n, 2);
    assert_bytes(members_find(&lax->inside, "a")->value, "3");
    assert_int_equal(scan(lax, "{\"method\":\"m\",\"params\":{\"_meta\":{\"a\":1}},\"params\":7}"), 0);
    assert_int_equal(lax->inside.n + lax->meta.n, 0);
    envelope_free(e);
    envelope_free(lax);
}

static void pieces_agree_with_the_whole(void **state)
{
    (void)state;
    static const char text[] =
        " {\"jsonrpc\":\"2.0\",\"id\":-120,\"result\":{\"a\":[1.5e+7,true,null,{\"k\\n\\u00e9\":\"\xC3\xA9"
        "\xF0\x9F\x98\x80\"}],\"_meta\":{\"x\":false}}} \n";
    struct envelope *e = envelope_new(NULL);

    for (size_t cut = 0; cut < sizeof(text); cut++) {
        char *early = bytes_copy((struct bytes){text, cut});
        envelope_begin(e);
        assert_int_equal(envelope_scan(e, (struct bytes){early, cut}, false, NULL), ENVELOPE_MORE);
        free(early);
        assert_int_equal(envelope_scan(e, BYTES(text), true, NULL), 0);
        assert_int_equal(e->kind, ENVELOPE_RESULT);
        assert_bytes(e->id.value, "-120");
        assert_bytes(members_find(&e->meta, "x")->value, "false");
    }
    envelope_free(e);
}

static struct envelope_part part_of(const char *text)
{
    struct envelope *e = envelope_new(NULL);

    assert_int_equal(envelope_scan(e, bytes_of(text), false, NULL), ENVELOPE_MORE);
    struct envelope_part part = envelope_so_far(e, bytes_of(text));
    envelope_free(e);
    return part;
}

static void what_has_passed_is_known_before_the_end(void **state)
{
    (void)state;
    struct envelope_part part = part_of("{\"id\":17,\"result\":{\"text\":\"aaaa");
    assert_bytes(part.id, "17");
    assert_false(part.has_method);
    part = part_of("{\"result\":{\"id\":3,\"method\":4,\"text\":\"aaaa");
    assert_null(part.id.p);
    assert_false(part.has_method);
    part = part_of("{\"id\":{\"a\":1},\"result\":[");
    assert_true(part.id.p && part.id.n == 0);
    assert_true(part_of("{\"method\":\"m\",\"params\":{").has_method);
    assert_true(part_of("{\"params\":{\"a\":[").has_method);
}

static struct member string_of(const char *text)
{
    return (struct member){.value = bytes_of(text), .type = JSON_T_STRING};
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"\"",                             ""                                    },
        {"\"a\\/\\\\\\\"b\"",                "a/\\\"b"                             },
        {"\"\\b\\f\\n\\r\\t\"",              "\b\f\n\r\t"                          },
        {"\"\\u00e9\\u20AC\\ud83d\\uDE00\"", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
    };
    struct buf out = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct member m = string_of(rows[i][0]);
        buf_clear(&out);
        assert_int_equal(member_decode(&m, &out), 0);
        assert_bytes(buf_bytes(&out), rows[i][1]);
    }
    static const char *const lone[] = {"\"x\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\n\""};
    buf_clear(&out);
    buf_add_text(&out, "kept");
    for (size_t i = 0; i < sizeof(lone) / sizeof(lone[0]); i++) {
        struct member m = string_of(lone[i]);
        assert_int_equal(member_decode(&m, &out), -1);
        assert_bytes(buf_bytes(&out), "kept");
    }
    struct member escaped = string_of("\"a\\n\""), plain = string_of("\"a\"");
    assert_null(member_plain(&escaped).p);
    assert_bytes(member_plain(&plain), "a");
    buf_end(&out);
}

static void whole_numbers_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } rows[] = {
        {"0",                    0,  0        },
        {"-1",                   0,  -1       },
        {"9223372036854775807",  0,  INT64_MAX},
        {"-9223372036854775808", 0,  INT64_MIN},
        {"1.0",                  -1, 0        },
        {"1e3",                  -1, 0        },
        {"9223372036854775808",  -1, 0        },
        {"-9223372036854775809", -1, 0        },
        {"99999999999999999999", -1, 0        },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct member m = {.value = bytes_of(rows[i].text), .type = JSON_T_NUMBER};
        int64_t v = 0;
        assert_int_equal(member_int(&m, &v), rows[i].rc);
        assert_true(v == rows[i].value);
    }
}

static void deeper_objects_are_read(void **state)
{
    (void)state;
    struct members m = {0};

    assert_int_equal(
        members_read(&m, BYTES(" { \"a\" : [1,\"]}\"] , \"b\\\"\":{\"c\":\"\\\\\"},\"d\":-1.5e3 } ")), 0);
    assert_int_equal(m.n, 3);
    assert_bytes(m.p[0].value, "[1,\"]}\"]");
    assert_true(m.p[1].key_has_escapes);
    assert_bytes(m.p[1].value, "{\"c\":\"\\\\\"}");
    assert_bytes(m.p[2].value, "-1.5e3");
    assert_int_equal(m.p[2].type, JSON_T_NUMBER);
    assert_int_equal(members_read(&m, BYTES("{}")), 0);
    assert_int_equal(m.n, 0);
    assert_int_equal(elements_read(&m, BYTES("[ null , [ ] ]")), 0);
    assert_int_equal(m.n, 2);
    assert_bytes(m.p[1].value, "[ ]");
    assert_int_equal(elements_read(&m, BYTES("{}")), -1);
    assert_int_equal(members_read(&m, BYTES("7")), -1);
    assert_int_equal(members_read(&m, BYTES("{\"a\":")), -1);
    members_end(&m);
}

static void line_ends_between_tokens_become_spaces(void **state)
{
    (void)state;
    struct buf out = {0};

    buf_add_text(&out, "\n");
    envelope_add_line(&out, BYTES("{\r\n\t\"a\": \"\\n\"\n}"));
    assert_bytes(buf_bytes(&out), "\n{  \t\"a\": \"\\n\" }");
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(request_is_sliced), cmocka_unit_test(kinds_are_told_apart),
         cmocka_unit_test(error_is_sliced), cmocka_unit_test(what_is_no_json_is_refused),
         cmocka_unit_test(limits_are_named), cmocka_unit_test(duplicates_are_refused_when_asked),
         cmocka_unit_test(pieces_agree_with_the_whole),
         cmocka_unit_test(what_has_passed_is_known_before_the_end), cmocka_unit_test(strings_are_decoded),
         cmocka_unit_test(whole_numbers_are_read_exactly), cmocka_unit_test(deeper_objects_are_read),
         cmocka_unit_test(line_ends_between_tokens_become_spaces))
