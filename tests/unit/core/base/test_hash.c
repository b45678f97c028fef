#include "core/base/hash.h"
#include "core/base/text.h"
#include "tests/kit/kit.h"

static void expect_hex(const unsigned char digest[HASH_SIZE], const char *hex)
{
    struct buf b = {0};
    hex_add(&b, (struct bytes){(const char *)digest, HASH_SIZE});
    kit_bytes_eq(buf_bytes(&b), hex);
    buf_end(&b);
}

/* FIPS 180-2, appendix B. */
static void sha256_agrees_with_the_standard(void **state)
{
    (void)state;
    unsigned char digest[HASH_SIZE];
    hash_sha256(BYTES("abc"), digest);
    expect_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256(BYTES_NONE, digest);
    expect_hex(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct hash h;
    hash_begin(&h);
    hash_add(&h, BYTES("a"));
    hash_add(&h, BYTES_NONE);
    hash_add(&h, BYTES("bc"));
    hash_finish(&h, digest);
    expect_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void what_was_sealed_opens_with_key_and_subject_only(void **state)
{
    (void)state;
    unsigned char key[SEAL_KEY] = "0123456789abcdef0123456789abcde", other[SEAL_KEY] = "x";
    struct buf sealed = {0}, plain = {0};
    seal_add(&sealed, key, BYTES("secret"), BYTES("about"));
    assert_int_equal(sealed.n, 6 + SEAL_OVERHEAD);
    assert_int_equal(seal_read(buf_bytes(&sealed), key, BYTES("about"), &plain), 0);
    kit_bytes_eq(buf_bytes(&plain), "secret");
    assert_int_equal(seal_read(buf_bytes(&sealed), other, BYTES("about"), &plain), -1);
    assert_int_equal(seal_read(buf_bytes(&sealed), key, BYTES("abouT"), &plain), -1);
    for (size_t i = 0; i < sealed.n; i++) {
        sealed.p[i] ^= 1;
        assert_int_equal(seal_read(buf_bytes(&sealed), key, BYTES("about"), &plain), -1);
        sealed.p[i] ^= 1;
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_int_equal(seal_read((struct bytes){sealed.p, n}, key, BYTES("about"), &plain), -1);
    kit_bytes_eq(buf_bytes(&plain), "secret");
    buf_end(&sealed);
    buf_end(&plain);
}

static void no_two_seals_are_alike(void **state)
{
    (void)state;
    unsigned char key[SEAL_KEY] = {0};
    struct buf a = {0}, b = {0};
    seal_add(&a, key, BYTES_NONE, BYTES_NONE);
    seal_add(&b, key, BYTES_NONE, BYTES_NONE);
    assert_false(bytes_are(buf_bytes(&a), buf_bytes(&b)));
    buf_clear(&b);
    assert_int_equal(seal_read(buf_bytes(&a), key, BYTES_NONE, &b), 0);
    assert_int_equal(b.n, 0);
    buf_end(&a);
    buf_end(&b);
}

static void equality_looks_at_all_bytes(void **state)
{
    (void)state;
    assert_true(hash_is_equal("abcd", "abcd", 4));
    assert_false(hash_is_equal("abcd", "abce", 4));
    assert_false(hash_is_equal("abcd", "xbcd", 4));
    assert_true(hash_is_equal("abcd", "abce", 3));
}

KIT_MAIN(cmocka_unit_test(sha256_agrees_with_the_standard),
         cmocka_unit_test(what_was_sealed_opens_with_key_and_subject_only),
         cmocka_unit_test(no_two_seals_are_alike), cmocka_unit_test(equality_looks_at_all_bytes))
