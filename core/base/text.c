#include "core/base/text.h"

#include "core/base/mem.h"

/*
 * Length of the character that begins at p (n > 0 bytes there), and its code point; 0 where the bytes are not
 * UTF-8.
 */
static size_t character(const unsigned char *p, size_t n, uint32_t *point)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = p[0];
    if (c < 0x80) {
        *point = c;
        return 1;
    }
    size_t length = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
    if (length == 0 || length > n)
        return 0;
    c &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *point = c;
    return length;
}

/* Length of the run of plain ASCII at the start, eight bytes at a time. */
static size_t ascii_run(const unsigned char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if (word & 0x8080808080808080)
            break;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

bool utf8_is_valid(struct bytes s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        i += ascii_run(p + i, s.n - i);
        uint32_t point;
        if (i == s.n)
            break;
        size_t length = character(p + i, s.n - i, &point);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_cut(struct bytes s, size_t n)
{
    if (n > s.n)
        n = s.n;
    const unsigned char *p = (const unsigned char *)s.p;
    /* At most three bytes back stands the first byte of a character that the cut may go through. */
    for (size_t back = 1; back <= 4 && back <= n; back++) {
        unsigned char c = p[n - back];
        if (c < 0x80)
            return n;
        if (c >= 0xc0) {
            size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            return length > back ? n - back : n;
        }
    }
    return n;
}

static const char escapes[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
static const char hex_digits[] = "0123456789abcdef";

static void add_escape(struct buf *b, unsigned char c)
{
    if (c == '"' || c == '\\') {
        buf_add(b, (char[]){'\\', (char)c}, 2);
    } else if (escapes[c]) {
        buf_add(b, (char[]){'\\', escapes[c]}, 2);
    } else {
        buf_add(b, (char[]){'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]}, 6);
    }
}

void buf_add_json(struct buf *b, struct bytes s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    buf_reserve(b, s.n + 2);
    buf_add_char(b, '"');
    size_t from = 0, i = 0;
    while (i < s.n) {
        unsigned char c = p[i];
        uint32_t point;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t length = c < 0x80 ? 0 : character(p + i, s.n - i, &point);
        if (length) {
            i += length;
            continue;
        }
        buf_add(b, p + from, i - from);
        if (c < 0x80)
            add_escape(b, c);
        else
            buf_add(b, "\xef\xbf\xbd", 3);
        from = ++i;
    }
    buf_add(b, from < s.n ? p + from : NULL, s.n - from);
    buf_add_char(b, '"');
}

void buf_add_json_text(struct buf *b, const char *text)
{
    if (text)
        buf_add_json(b, bytes_of(text));
    else
        buf_add_text(b, "null");
}

static const char alphabet[2][65] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

static void base64_write(struct buf *out, struct bytes s, bool is_url)
{
    const char *letters = alphabet[is_url];
    const unsigned char *p = (const unsigned char *)s.p;
    buf_reserve(out, s.n / 3 * 4 + 4);
    size_t i = 0;
    for (; i + 3 <= s.n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
        buf_add(out, (char[]){letters[v >> 18], letters[v >> 12 & 63], letters[v >> 6 & 63], letters[v & 63]},
                4);
    }
    if (i == s.n)
        return;
    bool two = s.n - i == 2;
    uint32_t v = (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0);
    char last[4] = {letters[v >> 18], letters[v >> 12 & 63], two ? letters[v >> 6 & 63] : '=', '='};
    buf_add(out, last, is_url ? 2 + (size_t)two : 4);
}

void base64url_add(struct buf *out, struct bytes s)
{
    base64_write(out, s, true);
}

void base64_add(struct buf *out, struct bytes s)
{
    base64_write(out, s, false);
}

static int letter_value(char c, bool is_url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (is_url ? '-' : '+'))
        return 62;
    return c == (is_url ? '_' : '/') ? 63 : -1;
}

/* Letters without padding. The bits left over at the end must be zero: one value has one form. */
static bool read_letters(struct bytes s, bool is_url, struct buf *out)
{
    uint32_t held = 0;
    int bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        int v = letter_value(s.p[i], is_url);
        if (v < 0)
            return false;
        held = held << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_add_char(out, (char)(held >> bits));
            held &= (1u << bits) - 1;
        }
    }
    return held == 0 && bits < 6;
}

static int base64_letters(struct bytes s, bool is_url, struct buf *out)
{
    size_t before = out->n;
    buf_reserve(out, s.n / 4 * 3 + 3);
    if (read_letters(s, is_url, out))
        return 0;
    out->n = before;
    out->p[before] = 0;
    return -1;
}

int base64url_read(struct bytes s, struct buf *out)
{
    return base64_letters(s, true, out);
}

int base64_read(struct bytes s, struct buf *out)
{
    if (s.n % 4)
        return -1;
    for (int i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
        s.n--;
    return base64_letters(s, false, out);
}

void hex_add(struct buf *out, struct bytes s)
{
    buf_reserve(out, s.n * 2);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_add(out, (char[]){hex_digits[c >> 4], hex_digits[c & 15]}, 2);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

int percent_read(struct bytes s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            buf_add_char(out, s.p[i]);
            continue;
        }
        int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
        if (low < 0 || (high == 0 && low == 0))
            return -1;
        buf_add_char(out, (char)(high << 4 | low));
        i += 2;
    }
    return 0;
}

void percent_add(struct buf *out, struct bytes s)
{
    static const char upper[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_add(out, (char[]){'%', upper[c >> 4], upper[c & 15]}, 3);
    }
}

int number_read(struct bytes s, int64_t *out)
{
    int64_t v = 0;
    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
            return -1;
    }
    *out = v;
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

static int unit_read(struct bytes s, const struct unit *units, int64_t *out)
{
    size_t digits = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    int64_t v;
    if (number_read((struct bytes){s.p, digits}, &v) < 0)
        return -1;
    struct bytes name = {s.p + digits, s.n - digits};
    for (; units->name; units++) {
        if (!bytes_say(name, units->name))
            continue;
        if (__builtin_mul_overflow(v, units->factor, &v))
            return -1;
        *out = v;
        return 0;
    }
    return -1;
}

int duration_read(struct bytes s, int64_t *ms)
{
    static const struct unit units[] = {
        {"ms",     1},
        {"s",        1000},
        {"m",60000},
        {"h",      3600000},
        {"d",        86400000},
        {0}
    };
    return unit_read(s, units, ms);
}

int size_read(struct bytes s, int64_t *bytes)
{
    static const struct unit units[] = {
        {"",       1},
        {"KiB",        1 << 10},
        {"MiB",1 << 20},
        {"GiB",    1 << 30},
        {0       }
    };
    return unit_read(s, units, bytes);
}

/* What could steer a terminal or hide text from its reader. */
static bool is_hidden(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x00,    0x1f   },
        {0x7f,    0x9f   },
        {0xad,    0xad   },
        {0x61c,   0x61c  },
        {0x200b,  0x200f },
        {0x2028,  0x202e },
        {0x2060,  0x206f },
        {0xfeff,  0xfeff },
        {0xfff9,  0xfffb },
        {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

void text_show(struct buf *out, struct bytes s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        uint32_t point;
        size_t length = character(p + i, s.n - i, &point);
        if (length == 0) {
            buf_add(out, "\xef\xbf\xbd", 3);
            i++;
            continue;
        }
        if (is_hidden(point))
            buf_addf(out, "\\u{%x}", point);
        else
            buf_add(out, p + i, length);
        i += length;
    }
}

enum { NAME_MOST = 64, DISTANCE_MOST = 3 };

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static size_t distance(struct bytes a, struct bytes b)
{
    size_t row[NAME_MOST + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t changed = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = least_of(changed, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b.n];
}

const char *text_nearest(const char *given, const char *const *names)
{
    struct bytes wanted = bytes_of(given);
    const char *nearest = NULL;
    /* A word that must change in every letter is no misspelling. */
    size_t best = wanted.n < DISTANCE_MOST + 1 ? wanted.n : DISTANCE_MOST + 1;
    if (wanted.n > NAME_MOST)
        return NULL;
    for (; *names; names++) {
        struct bytes name = bytes_of(*names);
        size_t gap = name.n > wanted.n ? name.n - wanted.n : wanted.n - name.n;
        if (name.n > NAME_MOST || gap >= best)
            continue;
        size_t d = distance(wanted, name);
        if (d < best) {
            best = d;
            nearest = *names;
        }
    }
    return nearest;
}

bool text_matches(struct bytes s, const char *pattern)
{
    size_t i = 0, resume = 0;
    const char *star = NULL;
    while (i < s.n) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = i;
        } else if (*pattern && (*pattern == '?' || *pattern == s.p[i])) {
            pattern++;
            i++;
        } else if (star) {
            pattern = star;
            i = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}
