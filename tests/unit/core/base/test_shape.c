#include "core/base/shape.h"
#include "tests/kit/kit.h"

#include <string.h>

static const char *const colours[] = {"red", "green", NULL};

struct inner {
    int64_t depth;
    const char *name;
};

static const struct shape inner_shape[] = {
    INT(struct inner, depth, 1, 9, 5, "How deep"),
    STRING(struct inner, name, REQUIRED, "Its name", .min = 1, .max = 8),
    {0}};

struct all {
    const char *path, *colour;
    int64_t limit, wait, room;
    bool body;
    struct strings tags;
    struct inner *inner;
    json_t *extra;
};

static const struct shape all_shape[] = {STRING(struct all, path, REQUIRED, "Where", .max = 10),
                                         ENUM(struct all, colour, colours, "green", "Which"),
                                         INT(struct all, limit, 1, 100, 50, "How many"),
                                         DURATION(struct all, wait, 1000, "How long"),
                                         SIZE(struct all, room, 65536, "How much"),
                                         BOOL(struct all, body, true, "Whole"),
                                         STRINGS(struct all, tags, 3, "Marks"),
                                         OBJECT(struct all, inner, inner_shape, struct inner, "More"),
                                         JSON(struct all, extra, OPTIONAL, "Anything"),
                                         {0}};

/* Reads `text`; 0 or 1. The tree lives as long as the arena. */
static int read_all(const char *text, struct arena *a, struct all *out, struct shape_faults *faults)
{
    json_t *value = kit_json(text);
    arena_at_close(a, (void (*)(void *))json_decref, value);
    memset(out, 0xaa, sizeof *out);
    return shape_read(all_shape, value, a, out, faults);
}

static void fault_is(const char *text, const char *pointer, const char *said)
{
    struct arena *a = arena_new();
    struct all all;
    struct shape_faults faults;
    assert_int_equal(read_all(text, a, &all, &faults), 1);
    assert_int_equal(faults.n, 1);
    assert_string_equal(faults.at[0].pointer, pointer);
    assert_string_equal(faults.at[0].text, said);
    arena_free(a);
}

static void absent_members_get_their_defaults(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct all all;
    struct shape_faults faults;
    assert_int_equal(read_all("{\"path\": \"p\", \"limit\": null}", a, &all, &faults), 0);
    assert_string_equal(all.path, "p");
    assert_string_equal(all.colour, "green");
    assert_int_equal(all.limit, 50);
    assert_int_equal(all.wait, 1000);
    assert_int_equal(all.room, 65536);
    assert_true(all.body);
    assert_int_equal(all.tags.n, 0);
    assert_null(all.inner);
    assert_null(all.extra);
    arena_free(a);
}

static void every_kind_is_read(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct all all;
    struct shape_faults faults;
    int rc = read_all("{\"path\": \"p\", \"colour\": \"red\", \"limit\": 100, \"wait\": \"2s\", \"room\": "
                      "\"1KiB\", \"body\":"
                      " false, \"tags\": [\"x\", \"y\"], \"inner\": {\"name\": \"n\"}, \"extra\": [1]}",
                      a, &all, &faults);
    assert_int_equal(rc, 0);
    assert_ptr_equal(all.colour, colours[0]);
    assert_int_equal(all.limit, 100);
    assert_int_equal(all.wait, 2000);
    assert_int_equal(all.room, 1024);
    assert_false(all.body);
    assert_int_equal(all.tags.n, 2);
    assert_string_equal(all.tags.p[1], "y");
    assert_null(all.tags.p[2]);
    assert_string_equal(all.inner->name, "n");
    assert_int_equal(all.inner->depth, 5);
    kit_json_eq(all.extra, "[1]");
    arena_free(a);
}

static void faults_say_what_would_be_right(void **state)
{
    (void)state;
    fault_is("{}", "/path", "'path' is missing");
    fault_is("{\"path\": null}", "/path", "'path' is missing");
    fault_is("{\"path\": 3}", "/path", "'path' must be a string");
    fault_is("{\"path\": \"01234567890\"}", "/path", "'path' must have at most 10 bytes");
    fault_is("{\"path\": \"p\", \"limit\": 101}", "/limit", "'limit' must be a whole number from 1 to 100");
    fault_is("{\"path\": \"p\", \"limit\": 1.5}", "/limit", "'limit' must be a whole number from 1 to 100");
    fault_is("{\"path\": \"p\", \"limit\": \"5\"}", "/limit", "'limit' must be a whole number from 1 to 100");
    fault_is("{\"path\": \"p\", \"limit\": 1e300}", "/limit", "'limit' must be a whole number from 1 to 100");
    fault_is("{\"path\": \"p\", \"colour\": \"blue\"}", "/colour", "'colour' must be one of 'red', 'green'");
    fault_is("{\"path\": \"p\", \"body\": 1}", "/body", "'body' must be true or false");
    fault_is("{\"path\": \"p\", \"wait\": 5}", "/wait", "'wait' must be a duration like \"5s\"");
    fault_is("{\"path\": \"p\", \"tags\": \"x\"}", "/tags", "'tags' must be a list of strings");
    fault_is("{\"path\": \"p\", \"tags\": [\"a\",\"b\",\"c\",\"d\"]}", "/tags",
             "'tags' must have at most 3 items");
    fault_is("{\"path\": \"p\", \"tags\": [1]}", "/tags",
             "'tags' must be a list of strings of at most 65536 bytes");
    fault_is("{\"path\": \"p\", \"inner\": []}", "/inner", "'inner' must be an object");
    fault_is("{\"path\": \"p\", \"inner\": {\"name\": \"\"}}", "/inner/name", "'name' must not be empty");
    fault_is("{\"path\": \"p\", \"lmit\": 5}", "/lmit", "'lmit' is not known; did you mean 'limit'?");
    fault_is("{\"path\": \"p\", \"inner\": {\"name\": \"n\", \"zz\": 1}}", "/inner/zz", "'zz' is not known");
    fault_is("[]", "", "an object is wanted here");
}

static void a_whole_number_may_be_written_with_a_point(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct all all;
    struct shape_faults faults;
    assert_int_equal(read_all("{\"path\": \"p\", \"limit\": 7.0}", a, &all, &faults), 0);
    assert_int_equal(all.limit, 7);
    arena_free(a);
}

static void at_most_five_faults_are_told(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct all all;
    struct shape_faults faults;
    assert_int_equal(
        read_all("{\"a1\":1,\"a2\":1,\"a3\":1,\"a4\":1,\"a5\":1,\"a6\":1,\"body\":3}", a, &all, &faults), 1);
    assert_int_equal(faults.n, 5);
    arena_free(a);
}

static void nothing_counts_as_an_empty_object(void **state)
{
    (void)state;
    struct inner inner;
    struct arena *a = arena_new();
    struct shape_faults faults;
    assert_int_equal(shape_read(inner_shape, NULL, a, &inner, &faults), 1);
    assert_string_equal(faults.at[0].pointer, "/name");
    assert_int_equal(shape_read(inner_shape, NULL, a, &inner, NULL), 1);
    arena_free(a);
}

static void the_schema_says_what_the_reader_does(void **state)
{
    (void)state;
    struct buf out = {0};
    shape_add_schema(&out, all_shape);
    kit_json_text_eq(
        buf_bytes(&out),
        "{\"type\":\"object\",\"properties\":{"
        "\"path\":{\"type\":\"string\",\"maxLength\":10,\"description\":\"Where\"},"
        "\"colour\":{\"type\":\"string\",\"enum\":[\"red\",\"green\"],\"default\":\"green\",\"description\":"
        "\"Which\"},"
        "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":50,\"description\":\"How "
        "many\"},"
        "\"wait\":{\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$\",\"description\":\"How long\"},"
        "\"room\":{\"type\":[\"string\",\"integer\"],\"pattern\":\"^[0-9]+(KiB|MiB|GiB)?$\",\"description\":"
        "\"How much\"},"
        "\"body\":{\"type\":\"boolean\",\"default\":true,\"description\":\"Whole\"},"
        "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":3,\"description\":"
        "\"Marks\"},"
        "\"inner\":{\"type\":\"object\",\"properties\":{"
        "\"depth\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"default\":5,\"description\":\"How "
        "deep\"},"
        "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":8,\"description\":\"Its name\"}},"
        "\"required\":[\"name\"],\"additionalProperties\":false,\"description\":\"More\"},"
        "\"extra\":{\"description\":\"Anything\"}},\"required\":[\"path\"],\"additionalProperties\":false}");
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(absent_members_get_their_defaults), cmocka_unit_test(every_kind_is_read),
         cmocka_unit_test(faults_say_what_would_be_right),
         cmocka_unit_test(a_whole_number_may_be_written_with_a_point),
         cmocka_unit_test(at_most_five_faults_are_told), cmocka_unit_test(nothing_counts_as_an_empty_object),
         cmocka_unit_test(the_schema_says_what_the_reader_does))
