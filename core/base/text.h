#pragma once
/* text -- the forms text takes on the wire: UTF-8, base64, hex, percent, durations, sizes. */
#include "core/base/bytes.h"

bool utf8_is_valid(struct bytes s); /* no surrogates, no overlong forms, <= U+10FFFF */
/* Largest m <= n such that s[0..m) ends at a character's boundary. */
size_t utf8_cut(struct bytes s, size_t n);

void base64url_add(struct buf *out, struct bytes s); /* without padding */
void base64_add(struct buf *out, struct bytes s);    /* RFC 4648 §4, padded */
int base64url_read(struct bytes s, struct buf *out); /* strict, canonical, no padding; -1 when it is not */
int base64_read(struct bytes s, struct buf *out);    /* strict, canonical, padded; -1 when it is not */
void hex_add(struct buf *out, struct bytes s);       /* lower case */

int percent_read(struct bytes s, struct buf *out); /* -1 on a bad escape or %00 */
void percent_add(struct buf *out, struct bytes s); /* all but RFC 3986 unreserved */

/* The decimal digits of a whole number, nothing else; -1 when it is not one or does not fit. */
int number_read(struct bytes s, int64_t *out);
int duration_read(struct bytes s, int64_t *ms); /* "250ms" "5s" "15m" "2h" "90d"; -1 */
int size_read(struct bytes s, int64_t *bytes);  /* "64KiB" "4MiB" "1GiB" or plain digits; -1 */
/* Writes a person's form: control, bidi and tag characters as \u{…}, so that a terminal is never steered. */
void text_show(struct buf *out, struct bytes s);
/* Nearest of `names` (NULL-ended) by edit distance <= 3, or NULL: "did you mean". */
const char *text_nearest(const char *given, const char *const *names);
/* Shell-like match of * and ? over bytes, iterative. */
bool text_matches(struct bytes s, const char *pattern);
