#include "hub/names.h"

#include "core/base/hash.h"

#include <assert.h>

enum { TAIL = 7 }; /* '-' and six letters: thirty bits */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* RFC 4648 §6 in lower case. */
static void add_tail(struct buf *out, const char *server, struct bytes name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char digest[HASH_SIZE];
    struct hash h;
    hash_begin(&h);
    hash_add(&h, bytes_of(server));
    hash_add(&h, (struct bytes){"", 1});
    hash_add(&h, name);
    hash_finish(&h, digest);
    uint32_t bits =
        (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    buf_add_char(out, '-');
    for (int i = 0; i < 6; i++)
        buf_add_char(out, letters[bits >> (27 - 5 * i) & 31]);
}

void name_add_exposed(struct buf *out, const char *prefix, const char *server, struct bytes name, size_t most)
{
    size_t from = out->n;
    bool is_changed = false;
    assert(most >= NAME_MIN);
    if (*prefix) {
        buf_add_text(out, prefix);
        buf_add_text(out, "__");
    }
    for (size_t i = 0; i < name.n; i++) {
        bool fits = is_plain(name.p[i]);
        buf_add_char(out, fits ? name.p[i] : '_');
        is_changed = is_changed || !fits;
    }
    if (!is_changed && out->n - from <= most)
        return;
    if (out->n - from > most - TAIL)
        out->n = from + most - TAIL;
    add_tail(out, server, name);
}

/* --- URIs --- */

void uri_add_rewritten(struct buf *out, const char *server, struct bytes uri)
{
    buf_add_text(out, "tl.");
    buf_add_text(out, server);
    buf_add_char(out, '+');
    buf_add_bytes(out, uri);
}

/* Case does not count in a scheme (RFC 3986 §3.1), and servers' names are lower case: "TL." is no form of
 * ours. */
bool uri_read_rewritten(struct bytes uri, struct bytes *server, struct bytes *there)
{
    if (!bytes_begin(uri, "tl."))
        return false;
    struct bytes rest = {uri.p + 3, uri.n - 3};
    size_t plus = bytes_find(rest, '+');
    if (plus == 0 || plus == rest.n)
        return false;
    *server = (struct bytes){rest.p, plus};
    *there = (struct bytes){rest.p + plus + 1, rest.n - plus - 1};
    return true;
}

struct bytes uri_scheme(struct bytes uri)
{
    size_t n = bytes_find(uri, ':');
    if (n == 0 || n == uri.n)
        return BYTES_NONE;
    for (size_t i = 0; i < n; i++) {
        char c = uri.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter && (i == 0 || !is_later))
            return BYTES_NONE;
    }
    return (struct bytes){uri.p, n};
}

/* --- templates --- */

enum { URI_MOST = 4096 };

/* What an expression may stand for: what it begins with, which bytes end it, whether it may be nothing at
 * all. */
struct operator
{
    char mark, begins;
    const char *ends;
    bool may_be_empty;
};
static const struct operator operators[] = {
    {'+', 0,   "",    false},
    {'#', '#', "",    true },
    {'.', '.', "/?#", true },
    {'/', '/', "?#",  true },
    {';', ';', "/?#", true },
    {'?', '?', "#",   true },
    {'&', '&', "#",   true },
};
static const struct operator simple = {0, 0, "/?#", false};

static const struct operator* operator_of(char mark)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (operators[i].mark == mark)
            return &operators[i];
    return &simple;
}

/* Which positions of the URI the pattern so far can have reached. All of them are carried along together, so
 * no pattern can make the search go back. */
struct reach {
    struct bytes uri;
    bool at[URI_MOST + 1];
};

static bool step_literal(struct reach *r, char c)
{
    bool any = false;
    for (size_t i = r->uri.n; i > 0; i--) {
        r->at[i] = r->at[i - 1] && r->uri.p[i - 1] == c;
        any = any || r->at[i];
    }
    r->at[0] = false;
    return any;
}

static bool step_expression(struct reach *r, const struct operator* op)
{
    bool any = false, is_inside = false;
    for (size_t i = 0; i <= r->uri.n; i++) {
        bool was_here = r->at[i];
        bool may_go_on = i < r->uri.n && !strchr(op->ends, r->uri.p[i]) && r->uri.p[i];
        r->at[i] = is_inside || (was_here && op->may_be_empty);
        any = any || r->at[i];
        bool begins = was_here && i < r->uri.n && (!op->begins || r->uri.p[i] == op->begins);
        is_inside = (begins && (op->begins || may_go_on)) || (is_inside && may_go_on);
    }
    return any;
}

/* Up to the first expression a template is text: nearly all that do not match end here. */
static size_t plain_head(struct bytes pattern, struct bytes uri)
{
    size_t n = bytes_find(pattern, '{');
    return n <= uri.n && (n == 0 || memcmp(pattern.p, uri.p, n) == 0) ? n : SIZE_MAX;
}

bool template_matches(struct bytes pattern, struct bytes uri, size_t *steps)
{
    struct reach r;
    size_t head = plain_head(pattern, uri);
    if (!uri.p || head == SIZE_MAX || uri.n > URI_MOST || memchr(uri.p, 0, uri.n))
        return false;
    if (head == pattern.n)
        return head == uri.n;
    r.uri = (struct bytes){uri.p + head, uri.n - head};
    memset(r.at, 0, r.uri.n + 1);
    r.at[0] = true;
    for (size_t i = head; i < pattern.n; i++) {
        if (*steps <= r.uri.n) {
            *steps = 0;
            return false;
        }
        *steps -= r.uri.n + 1;
        struct bytes rest = {pattern.p + i, pattern.n - i};
        size_t close = *rest.p == '{' ? bytes_find(rest, '}') : rest.n;
        bool is_expression = close < rest.n && close > 1;
        if (is_expression ? !step_expression(&r, operator_of(rest.p[1])) : !step_literal(&r, *rest.p))
            return false;
        if (is_expression)
            i += close;
    }
    return r.at[r.uri.n];
}
