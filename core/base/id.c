#include "core/base/id.h"

#include "core/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void random_fill(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* a token that can be guessed is worse than no process */
        if (got > 0)
            done += (size_t)got;
    }
}

uint64_t random_number(void)
{
    uint64_t v;
    random_fill(&v, sizeof v);
    return v;
}

void id_make(const char *prefix, char out[static ID_TEXT])
{
    size_t n = strlen(prefix);
    assert(n + 1 + 26 + 1 <= ID_TEXT);
    memcpy(out, prefix, n);
    out[n++] = '_';
    uint64_t ms = (uint64_t)stamp_now().ms;
    for (int shift = 45; shift >= 0; shift -= 5)
        out[n++] = crockford[ms >> shift & 31];
    unsigned char random[16]; /* one byte a letter; five bits of each are used */
    random_fill(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        out[n++] = crockford[random[i] & 31];
    out[n] = 0;
}

void token_make(char out[static TOKEN_TEXT])
{
    unsigned char random[33] = {0};
    random_fill(random, 32);
    for (size_t i = 0; i < 11; i++) {
        uint32_t v = (uint32_t)random[3 * i] << 16 | (uint32_t)random[3 * i + 1] << 8 | random[3 * i + 2];
        for (size_t j = 0; j < 4; j++)
            out[4 * i + j] = base64url[v >> (18 - 6 * j) & 63];
    }
    out[43] = 0; /* the 44th letter would hold no bit of the 256 */
}
