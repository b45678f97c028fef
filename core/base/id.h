#pragma once
/* id -- names that are unique, and tokens that cannot be guessed. */
#include <stddef.h>
#include <stdint.h>

enum { ID_TEXT = 40, TOKEN_TEXT = 44 };
/* "call_01J…": `prefix`, '_', a ULID (Crockford base32, 26 letters, time first). */
void id_make(const char *prefix, char out[static ID_TEXT]);
/* 256 random bits as base64url without padding: 43 letters. */
void token_make(char out[static TOKEN_TEXT]);
void random_fill(void *p, size_t n); /* getrandom; aborts where it fails */
uint64_t random_number(void);
