#pragma once
/* hash -- SHA-256 and sealed boxes under a key, by libsodium (whose header is included only in hash.c). */
#include "core/base/bytes.h"

enum { HASH_SIZE = 32, SEAL_KEY = 32, SEAL_OVERHEAD = 40 };
void hash_sha256(struct bytes s, unsigned char out[static HASH_SIZE]);
/* Incremental, for values joined by separators. */
struct hash {
    _Alignas(16) unsigned char state[128];
};
void hash_begin(struct hash *h);
void hash_add(struct hash *h, struct bytes s);
void hash_finish(struct hash *h, unsigned char out[static HASH_SIZE]);
bool hash_is_equal(const void *a, const void *b, size_t n); /* constant time */
/* XChaCha20-Poly1305: out = nonce[24] || box. `about` is authenticated with it. */
void seal_add(struct buf *out, const unsigned char key[static SEAL_KEY], struct bytes plain,
              struct bytes about);
int seal_read(struct bytes sealed, const unsigned char key[static SEAL_KEY], struct bytes about,
              struct buf *out); /* -1 */
