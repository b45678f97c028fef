#include "core/base/hash.h"

#include "core/base/id.h"

#include <assert.h>
#include <sodium.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct hash), "the state fits");
_Static_assert(crypto_hash_sha256_BYTES == HASH_SIZE, "as the header says");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SEAL_KEY && NONCE + TAG == SEAL_OVERHEAD,
               "as the header says");

static const unsigned char *octets(struct bytes s)
{
    return (const unsigned char *)(s.p ? s.p : "");
}

void hash_sha256(struct bytes s, unsigned char out[static HASH_SIZE])
{
    crypto_hash_sha256(out, octets(s), s.n);
}

void hash_begin(struct hash *h)
{
    crypto_hash_sha256_init((crypto_hash_sha256_state *)h->state);
}

void hash_add(struct hash *h, struct bytes s)
{
    crypto_hash_sha256_update((crypto_hash_sha256_state *)h->state, octets(s), s.n);
}

void hash_finish(struct hash *h, unsigned char out[static HASH_SIZE])
{
    crypto_hash_sha256_final((crypto_hash_sha256_state *)h->state, out);
}

bool hash_is_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

void seal_add(struct buf *out, const unsigned char key[static SEAL_KEY], struct bytes plain,
              struct bytes about)
{
    buf_reserve(out, plain.n + SEAL_OVERHEAD);
    unsigned char *at = (unsigned char *)out->p + out->n;
    unsigned long long length;
    random_fill(at, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(at + NONCE, &length, octets(plain), plain.n, octets(about),
                                               about.n, NULL, at, key);
    assert(length == plain.n + TAG);
    out->n += plain.n + SEAL_OVERHEAD;
    out->p[out->n] = 0;
}

int seal_read(struct bytes sealed, const unsigned char key[static SEAL_KEY], struct bytes about,
              struct buf *out)
{
    if (sealed.n < SEAL_OVERHEAD)
        return -1;
    buf_reserve(out, sealed.n - SEAL_OVERHEAD);
    unsigned long long length;
    int rc = crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)out->p + out->n, &length, NULL,
                                                        octets(sealed) + NONCE, sealed.n - NONCE,
                                                        octets(about), about.n, octets(sealed), key);
    if (rc == 0)
        out->n += length;
    out->p[out->n] = 0;
    return rc == 0 ? 0 : -1;
}
