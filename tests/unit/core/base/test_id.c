#include "core/base/id.h"
#include "core/base/text.h"
#include "tests/kit/kit.h"

#include <string.h>

static void ids_have_prefix_and_time(void **state)
{
    (void)state;
    char a[ID_TEXT], b[ID_TEXT];
    id_make("call", a);
    id_make("call", b);
    assert_int_equal(strlen(a), 4 + 1 + 26);
    assert_memory_equal(a, "call_0", 6); /* the first letter of a ULID's time stays 0 until the year 3084 */
    assert_int_equal(strspn(a + 5, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 26);
    assert_memory_equal(a, b, 5 + 7); /* the same half minute */
    assert_string_not_equal(a, b);
}

static void tokens_are_256_bits(void **state)
{
    (void)state;
    char a[TOKEN_TEXT], b[TOKEN_TEXT];
    struct buf bits = {0};
    token_make(a);
    token_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 43);
    assert_int_equal(base64url_read(bytes_of(a), &bits), 0);
    assert_int_equal(bits.n, 32);
    buf_end(&bits);
}

static void every_bit_of_a_token_is_by_chance(void **state)
{
    (void)state;
    unsigned char ones[32] = {0}, zeros[32] = {0};
    for (int i = 0; i < 60; i++) {
        char token[TOKEN_TEXT];
        struct buf bits = {0};
        token_make(token);
        assert_int_equal(base64url_read(bytes_of(token), &bits), 0);
        for (size_t k = 0; k < 32; k++) {
            ones[k] |= (unsigned char)bits.p[k];
            zeros[k] |= (unsigned char)~bits.p[k];
        }
        buf_end(&bits);
    }
    for (size_t k = 0; k < 32; k++)
        assert_int_equal(ones[k] & zeros[k], 0xff); /* wrong once in 2^50 runs */
}

static void every_byte_is_filled(void **state)
{
    (void)state;
    unsigned char seen[300] = {0}, bytes[300];
    for (int i = 0; i < 20; i++) {
        random_fill(bytes, sizeof bytes);
        for (size_t k = 0; k < sizeof bytes; k++)
            seen[k] |= bytes[k];
    }
    for (size_t k = 0; k < sizeof seen; k++)
        assert_int_not_equal(seen[k], 0);
    assert_true(random_number() != random_number());
}

KIT_MAIN(cmocka_unit_test(ids_have_prefix_and_time), cmocka_unit_test(tokens_are_256_bits),
         cmocka_unit_test(every_bit_of_a_token_is_by_chance), cmocka_unit_test(every_byte_is_filled))
