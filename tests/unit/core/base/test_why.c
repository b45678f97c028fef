#include "core/base/text.h"
#include "core/base/why.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <string.h>

static void gives_the_code_back(void **state)
{
    (void)state;
    struct why why;
    assert_int_equal(why_set(&why, -7, "cannot reach '%s'", "x"), -7);
    assert_int_equal(why.code, -7);
    assert_string_equal(why.text, "cannot reach 'x'");
    assert_int_equal(why_set(NULL, -7, "nobody asks"), -7);
    assert_int_equal(why_errno(NULL, ENOENT, "nobody asks"), -ENOENT);
}

static void errno_is_told_in_words(void **state)
{
    (void)state;
    struct why why;
    assert_int_equal(why_errno(&why, ENOENT, "cannot open '%s'", "f"), -ENOENT);
    assert_string_equal(why.text, "cannot open 'f': No such file or directory");
}

static void too_long_is_cut_between_characters(void **state)
{
    (void)state;
    struct why why;
    char longer[400];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(longer, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof longer; i += 3)
            memcpy(longer + i, "\xe2\x82\xac", 4);
        why_set(&why, -1, "%s", longer);
        assert_true(utf8_is_valid(bytes_of(why.text)));
        assert_in_range(strlen(why.text), sizeof why.text - 3, sizeof why.text - 1);
        why_errno(&why, ENOENT, "%s", longer);
        assert_true(utf8_is_valid(bytes_of(why.text)));
    }
}

KIT_MAIN(cmocka_unit_test(gives_the_code_back), cmocka_unit_test(errno_is_told_in_words),
         cmocka_unit_test(too_long_is_cut_between_characters))
