/* KEY=VALUE words as JSON. */
#include "cli/arguments.h"
#include "tests/kit/kit.h"

static const char schema[] =
    "{\"properties\":{\"n\":{\"type\":\"integer\"},\"x\":{\"type\":\"number\"},"
    "\"on\":{\"type\":\"boolean\"},\"list\":{\"type\":\"array\"},\"o\":{\"type\":\"object\"},"
    "\"maybe\":{\"type\":[\"null\",\"integer\"]},\"free\":{},\"s\":{\"type\":\"string\"}}}";

/* The object made of one word, or NULL and the exit status. */
static char *made(const char *word, int *status)
{
    struct cli c = {.output = OUTPUT_TABLE};
    struct buf out = {0};
    char *words[] = {(char *)word};
    json_t *tree = kit_json(schema);
    *status = arguments_add(&c, &out, words, 1, tree);
    json_decref(tree);
    if (*status == 0)
        return buf_take(&out);
    buf_end(&out);
    return NULL;
}

static void becomes(const char *word, const char *wanted)
{
    int status;
    char *got = made(word, &status);
    assert_int_equal(status, 0);
    assert_string_equal(got, wanted);
    free(got);
}

static void is_refused(const char *word)
{
    int status;
    assert_null(made(word, &status));
    assert_int_equal(status, EXIT_USAGE);
}

static void the_schema_says_what_a_value_is(void **state)
{
    becomes("n=5", "{\"n\":5}");
    becomes("on=true", "{\"on\":true}");
    becomes("list=[1,\"a\"]", "{\"list\":[1,\"a\"]}");
    becomes("o={\"a\":{}}", "{\"o\":{\"a\":{}}}");
    becomes("maybe=7", "{\"maybe\":7}");
    becomes("s=5", "{\"s\":\"5\"}");
    becomes("free=5", "{\"free\":\"5\"}");
    becomes("unknown=true", "{\"unknown\":\"true\"}");
}

static void numbers_keep_their_spelling(void **state)
{
    becomes("x=1.0", "{\"x\":1.0}");
    becomes("x=1e2", "{\"x\":1e2}");
    becomes("n=9007199254740993", "{\"n\":9007199254740993}");
}

static void text_is_quoted_whatever_it_holds(void **state)
{
    becomes("s=a \"b\" = c", "{\"s\":\"a \\\"b\\\" = c\"}");
    becomes("s=", "{\"s\":\"\"}");
}

static void json_is_taken_as_it_is(void **state)
{
    becomes("s:={\"z\": 1,  \"a\": 1.0}", "{\"s\":{\"z\": 1,  \"a\": 1.0}}");
    becomes("free:=null", "{\"free\":null}");
}

static void a_file_is_read(void **state)
{
    char *word = text_format("s=@%s", kit_file("text", "line one\nline \"two\"\n"));
    becomes(word, "{\"s\":\"line one\\nline \\\"two\\\"\\n\"}");
    free(word);
    is_refused("s=@/no/such/file");
}

static void what_is_wrong_is_refused(void **state)
{
    is_refused("n=five");
    is_refused("n=");
    is_refused("n=1,\"evil\":2");
    is_refused("on=yes");
    is_refused("s:=[");
    is_refused("plain");
    is_refused("=5");
    is_refused(":=5");
}

static void words_become_one_object(void **state)
{
    struct cli c = {.output = OUTPUT_TABLE};
    struct buf out = {0};
    char *words[] = {"a=1", "b:=2"};
    assert_int_equal(arguments_add(&c, &out, words, 2, NULL), 0);
    kit_bytes_eq(buf_bytes(&out), "{\"a\":\"1\",\"b\":2}");
    buf_clear(&out);
    assert_int_equal(arguments_add(&c, &out, NULL, 0, NULL), 0);
    kit_bytes_eq(buf_bytes(&out), "{}");
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(the_schema_says_what_a_value_is), cmocka_unit_test(numbers_keep_their_spelling),
         cmocka_unit_test(text_is_quoted_whatever_it_holds), cmocka_unit_test(json_is_taken_as_it_is),
         cmocka_unit_test(a_file_is_read), cmocka_unit_test(what_is_wrong_is_refused),
         cmocka_unit_test(words_become_one_object))
