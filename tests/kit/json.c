#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

json_t *kit_json(const char *text)
{
    struct why why = {0};
    json_t *value = json_read(bytes_of(text), &why);
    if (!value)
        fail_msg("no JSON: %s: %s", why.text, text);
    return value;
}

/* 3 and 3.0 are the same number; jansson's json_equal says they are not. */
static json_t *plain_numbers(const json_t *value)
{
    if (json_is_integer(value))
        return json_real((double)json_integer_value(value));
    if (!json_is_object(value) && !json_is_array(value))
        return json_deep_copy(value);
    json_t *copy = json_is_object(value) ? json_object() : json_array();
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach ((json_t *)value, key, member) {
        json_object_set_new(copy, key, plain_numbers(member));
    }
    json_array_foreach (value, i, member) {
        json_array_append_new(copy, plain_numbers(member));
    }
    return copy;
}

void kit_check_json(const json_t *got, const char *wanted, const char *expr, const char *file, int line)
{
    _cleanup_json_ json_t *expected = kit_json(wanted);
    _cleanup_json_ json_t *a = got ? plain_numbers(got) : NULL;
    _cleanup_json_ json_t *b = plain_numbers(expected);
    if (a && json_equal(a, b))
        return;
    _cleanup_free_ char *text = got ? json_text(got) : text_format("(nothing)");
    print_error("%s is %s\nwanted %s\n", expr, text, wanted);
    _fail(file, line);
}

void kit_check_json_text(struct bytes got, const char *wanted, const char *expr, const char *file, int line)
{
    struct why why = {0};
    _cleanup_json_ json_t *value = json_read(got, &why);
    if (!value)
        print_error("%s is no JSON: %s: %.*s\n", expr, why.text, (int)got.n, got.p ? got.p : "");
    kit_check_json(value, wanted, expr, file, line);
}
