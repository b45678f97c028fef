#include "core/rpc/scan.h"

#include "core/base/id.h"
#include "core/base/mem.h"

#include <assert.h>
#include <endian.h>

/*
 * The loop in scan_go takes one step per token. Strings, which are most of any message, are run through eight
 * bytes at a time; numbers by a small table, so that they too can stop anywhere. A step that runs out of
 * bytes leaves `at` at the first byte it has not used up and says MORE: the next call goes on there.
 */

enum { GO = -1 }; /* besides the outcomes of envelope_scan: take the next step */

#define EVERY_BYTE(b) (0x0101010101010101ull * (b))

static inline bool is_blank(unsigned char c)
{
    return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

struct scanner *scanner_new(const struct envelope_limits *limits)
{
    struct scanner *s = NEW(struct scanner);

    if (limits)
        s->limits = *limits;
    s->limits.depth = s->limits.depth ? s->limits.depth : 64;
    s->limits.values = s->limits.values ? s->limits.values : 200000;
    s->limits.keys = s->limits.keys ? s->limits.keys : 4096;
    s->limits.id = s->limits.id ? s->limits.id : 128;
    s->limits.method = s->limits.method ? s->limits.method : 128;
    s->limits.meta = s->limits.meta ? s->limits.meta : 32768;
    s->frames = mem_array(s->limits.depth + 1, sizeof(*s->frames));
    s->salt[0] = random_number();
    s->salt[1] = random_number() | 1;
    scanner_begin(s);
    return s;
}

void scanner_free(struct scanner *s)
{
    if (!s)
        return;
    buf_end(&s->spelled[0]);
    buf_end(&s->spelled[1]);
    free(s->places);
    free(s->seen);
    free(s->frames);
    free(s);
}

void scanner_begin(struct scanner *s)
{
    s->state = SCAN_VALUE;
    s->at = s->token_at = s->values = s->depth = s->seen_n = 0;
    s->has_escapes = s->top_has_escapes = false;
    s->verdict.code = 0;
    s->top_name = TOP_OTHER;
    s->frames[0] = (struct frame){0};
    memset(s->top, 0, sizeof(s->top));
}

/* --- strings --- */

/* First byte at or behind `i` that is a quote, a backslash, a control character or not ASCII; or t.n. */
static inline size_t plain_run(struct bytes t, size_t i)
{
    while (t.n - i >= 8) {
        uint64_t w;
        memcpy(&w, t.p + i, 8);
        w = le64toh(w);
        uint64_t odd = ((w ^ EVERY_BYTE('"')) - EVERY_BYTE(1)) | ((w ^ EVERY_BYTE('\\')) - EVERY_BYTE(1)) |
                       (w - EVERY_BYTE(' ')) | w;
        odd &= EVERY_BYTE(0x80);
        if (odd)
            return i + ((size_t)__builtin_ctzll(odd) >> 3);
        i += 8;
    }
    while (i < t.n) {
        unsigned char c = (unsigned char)t.p[i];
        if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80)
            break;
        i++;
    }
    return i;
}

/* Length of the character that begins with the non-ASCII byte at `i`: 2-4; 0: cut off; -1: not UTF-8. */
static inline int character(struct bytes t, size_t i)
{
    const unsigned char *p = (const unsigned char *)t.p + i;
    size_t left = t.n - i;
    int need = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;

    if (need == 0)
        return -1;
    if (left < 2)
        return 0;
    /* overlong forms, surrogates and what lies beyond U+10FFFF all show in the second byte */
    unsigned char least = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char most = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < least || p[1] > most)
        return -1;
    for (int k = 2; k < need; k++) {
        if ((size_t)k >= left)
            return 0;
        if ((p[k] & 0xC0) != 0x80)
            return -1;
    }
    return need;
}

static inline bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Length of the escape at `i`: 2 or 6; 0: cut off; -1: there is no such escape. */
static int escape(struct bytes t, size_t i)
{
    if (t.n - i < 2)
        return 0;
    switch (t.p[i + 1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        break;
    default:
        return -1;
    }
    for (size_t k = 2; k < 6; k++) {
        if (k >= t.n - i)
            return 0;
        if (!is_hex((unsigned char)t.p[i + k]))
            return -1;
    }
    return 6;
}

/* From inside a string to behind its closing quote. 0, MORE or INVALID. */
static inline int string_go(struct scanner *s, struct bytes t)
{
    size_t i = s->at;

    for (;;) {
        i = plain_run(t, i);
        s->at = i;
        if (i >= t.n)
            return ENVELOPE_MORE;
        unsigned char c = (unsigned char)t.p[i];
        if (c == '"') {
            s->at = i + 1;
            return 0;
        }
        int n = -1;
        if (c == '\\') {
            s->has_escapes = true;
            n = escape(t, i);
        } else {
            /* text that is not ASCII comes in runs */
            while (i < t.n && (unsigned char)t.p[i] >= 0x80 && (n = character(t, i)) > 0)
                i += (size_t)n;
            s->at = i;
            if (n > 0)
                continue;
        }
        if (n <= 0)
            return n == 0 ? ENVELOPE_MORE : ENVELOPE_INVALID;
        i += (size_t)n;
    }
}

/* --- numbers and words --- */

enum { N_NONE, N_MINUS, N_ZERO, N_WHOLE, N_DOT, N_FRACTION, N_E, N_SIGN, N_EXPONENT, N_STATES };
enum { C_ZERO, C_DIGIT, C_DOT, C_E, C_PLUS, C_MINUS, C_KINDS };

static const unsigned char number_next[N_STATES][C_KINDS] = {
  /*              0           1-9         .      e    +       -      */
    [N_NONE] = {N_ZERO,     N_WHOLE,    0,     0,   0,      N_MINUS},
    [N_MINUS] = {N_ZERO,     N_WHOLE,    0,     0,   0,      0      },
    [N_ZERO] = {0,          0,          N_DOT, N_E, 0,      0      },
    [N_WHOLE] = {N_WHOLE,    N_WHOLE,    N_DOT, N_E, 0,      0      },
    [N_DOT] = {N_FRACTION, N_FRACTION, 0,     0,   0,      0      },
    [N_FRACTION] = {N_FRACTION, N_FRACTION, 0,     N_E, 0,      0      },
    [N_E] = {N_EXPONENT, N_EXPONENT, 0,     0,   N_SIGN, N_SIGN },
    [N_SIGN] = {N_EXPONENT, N_EXPONENT, 0,     0,   0,      0      },
    [N_EXPONENT] = {N_EXPONENT, N_EXPONENT, 0,     0,   0,      0      },
};

static inline int number_kind(unsigned char c)
{
    if (c >= '1' && c <= '9')
        return C_DIGIT;
    switch (c) {
    case '0':
        return C_ZERO;
    case '.':
        return C_DOT;
    case 'e':
    case 'E':
        return C_E;
    case '+':
        return C_PLUS;
    case '-':
        return C_MINUS;
    default:
        return C_KINDS;
    }
}

/* A number ends where something else begins; at the very end of a whole text, too. */
static int number_go(struct scanner *s, struct bytes t, bool is_whole)
{
    for (; s->at < t.n; s->at++) {
        int kind = number_kind((unsigned char)t.p[s->at]);
        unsigned char next = kind < C_KINDS ? number_next[s->number_state][kind] : 0;
        if (next == 0)
            break;
        s->number_state = next;
    }
    if (s->at == t.n && !is_whole)
        return ENVELOPE_MORE;
    bool is_complete = s->number_state == N_ZERO || s->number_state == N_WHOLE ||
                       s->number_state == N_FRACTION || s->number_state == N_EXPONENT;
    return is_complete ? 0 : ENVELOPE_INVALID;
}

static int word_go(struct scanner *s, struct bytes t)
{
    const char *word = t.p[s->token_at] == 't' ? "true" : t.p[s->token_at] == 'f' ? "false" : "null";
    size_t n = strlen(word), have = t.n - s->token_at;

    if (memcmp(t.p + s->token_at, word, have < n ? have : n) != 0)
        return ENVELOPE_INVALID;
    if (have < n)
        return ENVELOPE_MORE;
    s->at = s->token_at + n;
    return 0;
}

/* --- what the envelope wants to know --- */

static enum top_name top_name(struct bytes key)
{
    static const struct {
        struct bytes text;
        enum top_name name;
    } names[] = {
        {{"jsonrpc", 7}, TOP_JSONRPC},
        {{"id", 2},      TOP_ID     },
        {{"method", 6},  TOP_METHOD },
        {{"params", 6},  TOP_PARAMS },
        {{"result", 6},  TOP_RESULT },
        {{"error", 5},   TOP_ERROR  },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (key.n == names[i].text.n && memcmp(key.p, names[i].text.p, key.n) == 0)
            return names[i].name;
    return TOP_OTHER;
}

static bool slot_is_meta(const struct slot *slot, struct bytes t)
{
    return slot->key_n == 5 && memcmp(t.p + slot->key_at, "_meta", 5) == 0;
}

/* Of two members with the same name the last one counts, and so do its own members. */
static void forget_earlier(struct envelope *e, const struct slot *slot, struct bytes t)
{
    const struct scanner *s = e->scanner;
    enum scan_role role = (enum scan_role)s->frames[s->depth].role;

    if (role == ROLE_TOP && s->top_name >= TOP_PARAMS)
        e->inside.n = e->meta.n = 0;
    else if (role == ROLE_INSIDE && slot_is_meta(slot, t))
        e->meta.n = 0;
}

/* A key has been read whole. */
static int key_ended(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    struct frame *f = &s->frames[s->depth];
    size_t at = s->token_at + 1, n = s->at - at - 1;

    if (++f->keys > s->limits.keys)
        return why_set(why, ENVELOPE_LIMIT, "limit 'keys' of one object: at most %zu", s->limits.keys);
    if (s->limits.refuse_duplicates)
        keys_add(s, t, at, n);
    if (f->role != ROLE_NONE) {
        struct slot *slot = &s->slots[s->depth];
        slot->key_at = at;
        slot->key_n = n;
        slot->key_has_escapes = s->has_escapes;
        if (f->role == ROLE_TOP) {
            s->top_name = top_name((struct bytes){t.p + at, n});
            s->top_has_escapes |= s->has_escapes;
        }
        forget_earlier(e, slot, t);
    }
    s->state = SCAN_COLON;
    if (s->at < t.n && t.p[s->at] == ':') { /* nearly always */
        s->at++;
        s->state = SCAN_VALUE;
    }
    return GO;
}

static enum scan_role role_of(const struct envelope *e, struct bytes t, bool is_object)
{
    const struct scanner *s = e->scanner;
    enum scan_role parent = (enum scan_role)s->frames[s->depth].role;

    if (s->notes_nothing)
        return ROLE_NONE;
    if (s->depth == 0)
        return is_object ? ROLE_TOP : ROLE_BATCH;
    if (!is_object)
        return ROLE_NONE;
    if (parent == ROLE_TOP && s->top_name >= TOP_PARAMS)
        return ROLE_INSIDE;
    if (parent == ROLE_INSIDE && s->top_name != TOP_ERROR && slot_is_meta(&s->slots[s->depth], t))
        return ROLE_META;
    return ROLE_NONE;
}

static int note_limit(const struct scanner *s, const struct slot *slot, struct bytes t, size_t n,
                      struct why *why)
{
    enum scan_role role = (enum scan_role)s->frames[s->depth].role;
    const char *name = NULL;
    size_t max = 0;

    if (role == ROLE_TOP && s->top_name == TOP_ID) {
        name = "id";
        max = s->limits.id;
    } else if (role == ROLE_TOP && s->top_name == TOP_METHOD) {
        name = "method";
        max = s->limits.method;
    } else if (role == ROLE_INSIDE && s->top_name != TOP_ERROR && slot_is_meta(slot, t)) {
        name = "_meta";
        max = s->limits.meta;
    }
    if (!name || n <= max)
        return 0;
    return why_set(why, ENVELOPE_LIMIT, "limit '%s': at most %zu bytes, seen %zu", name, max, n);
}

/* A value in a container with a role has ended at s->at. */
static int note(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    const struct slot *slot = &s->slots[s->depth];
    size_t n = s->at - slot->value_at;
    struct member m = {bytes_at(slot->key_at, slot->key_n), bytes_at(slot->value_at, n),
                       json_type_of(t.p[slot->value_at]), slot->key_has_escapes};
    struct members *to = NULL;

    int refused = note_limit(s, slot, t, n, why);
    if (refused)
        return refused;
    switch (s->frames[s->depth].role) {
    case ROLE_TOP:
        s->top[s->top_name] = m;
        return GO;
    case ROLE_BATCH:
        m.key = BYTES_NONE;
        m.key_has_escapes = false;
        to = &e->elements;
        break;
    case ROLE_INSIDE:
        to = &e->inside;
        break;
    default:
        to = &e->meta;
        break;
    }
    if (to->n >= SCAN_NOTED_MAX)
        return why_set(why, ENVELOPE_LIMIT, "limit 'members': at most %d, seen more", SCAN_NOTED_MAX);
    members_add(to, &m);
    return GO;
}

/* --- steps --- */

static inline int value_ended(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;

    const struct frame *f = &s->frames[s->depth];

    if (f->role != ROLE_NONE) {
        int rc = note(e, t, why);
        if (rc != GO)
            return rc;
    }
    s->state = s->depth ? SCAN_AFTER : SCAN_DONE;
    if (s->depth && s->at < t.n && t.p[s->at] == ',') { /* mostly */
        s->at++;
        s->state = f->is_object ? SCAN_KEY : SCAN_VALUE;
    }
    return GO;
}

static inline int text_goes_on(struct envelope *e, struct bytes t, struct why *why)
{
    int rc = string_go(e->scanner, t);
    return rc ? rc : value_ended(e, t, why);
}

static inline int key_goes_on(struct envelope *e, struct bytes t, struct why *why)
{
    int rc = string_go(e->scanner, t);
    return rc ? rc : key_ended(e, t, why);
}

static int container_begins(struct envelope *e, struct bytes t, bool is_object, struct why *why)
{
    struct scanner *s = e->scanner;

    if (s->depth >= s->limits.depth)
        return why_set(why, ENVELOPE_LIMIT, "limit 'depth': at most %zu, seen %zu", s->limits.depth,
                       s->depth + 1);
    enum scan_role role = role_of(e, t, is_object);
    s->at++;
    s->depth++;
    s->frames[s->depth] =
        (struct frame){.is_object = is_object, .role = (unsigned char)role, .first_key = s->seen_n};
    s->state = is_object ? SCAN_KEY_OR_END : SCAN_VALUE_OR_END;
    return GO;
}

static int container_ends(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    struct frame *f = &s->frames[s->depth];

    if (f->is_object != (t.p[s->at] == '}'))
        return ENVELOPE_INVALID;
    if (f->is_object && s->limits.refuse_duplicates && f->keys > 1) {
        int twice = keys_end(s, f, t, why);
        if (twice)
            return twice;
    }
    s->seen_n = f->first_key;
    s->at++;
    s->depth--;
    return value_ended(e, t, why);
}

static inline int value_begins(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    unsigned char c = (unsigned char)t.p[s->at];

    if (c == ']' && s->state == SCAN_VALUE_OR_END)
        return container_ends(e, t, why);
    if (++s->values > s->limits.values)
        return why_set(why, ENVELOPE_LIMIT, "limit 'values': at most %zu, seen more", s->limits.values);
    s->token_at = s->at;
    if (s->frames[s->depth].role != ROLE_NONE)
        s->slots[s->depth].value_at = s->at;
    switch (c) {
    case '"':
        s->at++;
        s->state = SCAN_TEXT;
        return text_goes_on(e, t, why);
    case '{':
    case '[':
        return container_begins(e, t, c == '{', why);
    case 't':
    case 'f':
    case 'n':
        s->state = SCAN_WORD;
        return GO;
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return ENVELOPE_INVALID;
        s->number_state = N_NONE;
        s->state = SCAN_NUMBER;
        return GO;
    }
}

static inline int key_begins(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    char c = t.p[s->at];

    if (c == '}' && s->state == SCAN_KEY_OR_END)
        return container_ends(e, t, why);
    if (c != '"')
        return ENVELOPE_INVALID;
    s->token_at = s->at++;
    s->has_escapes = false;
    s->state = SCAN_KEY_TEXT;
    return key_goes_on(e, t, why);
}

/* What stands between tokens: a colon, a comma, an end. */
static inline int between(struct envelope *e, struct bytes t, struct why *why)
{
    struct scanner *s = e->scanner;
    char c = t.p[s->at];

    if (s->state == SCAN_COLON) {
        s->at++;
        s->state = SCAN_VALUE;
        return c == ':' ? GO : ENVELOPE_INVALID;
    }
    if (s->state == SCAN_DONE)
        return ENVELOPE_INVALID;
    if (c == '}' || c == ']')
        return container_ends(e, t, why);
    s->at++;
    s->state = s->frames[s->depth].is_object ? SCAN_KEY : SCAN_VALUE;
    return c == ',' ? GO : ENVELOPE_INVALID;
}

/* The step that the state asks for at a byte that is no white space. */
static inline int step(struct envelope *e, struct bytes t, bool is_whole, struct why *why)
{
    struct scanner *s = e->scanner;
    int rc;

    switch (s->state) {
    case SCAN_VALUE:
    case SCAN_VALUE_OR_END:
        return value_begins(e, t, why);
    case SCAN_KEY:
    case SCAN_KEY_OR_END:
        return key_begins(e, t, why);
    case SCAN_KEY_TEXT:
        return key_goes_on(e, t, why);
    case SCAN_TEXT:
        return text_goes_on(e, t, why);
    case SCAN_NUMBER:
        rc = number_go(s, t, is_whole);
        return rc ? rc : value_ended(e, t, why);
    case SCAN_WORD:
        rc = word_go(s, t);
        return rc ? rc : value_ended(e, t, why);
    default:
        return between(e, t, why);
    }
}

static inline bool is_inside_token(enum scan_state state)
{
    return state == SCAN_KEY_TEXT || state == SCAN_TEXT || state == SCAN_NUMBER || state == SCAN_WORD;
}

static int steps(struct envelope *e, struct bytes t, bool is_whole, struct why *why)
{
    struct scanner *s = e->scanner;
    int rc = GO;

    while (rc == GO) {
        if (!is_inside_token(s->state)) {
            while (s->at < t.n && is_blank((unsigned char)t.p[s->at]))
                s->at++;
            if (s->at >= t.n)
                return s->state == SCAN_DONE && is_whole ? 0 : ENVELOPE_MORE;
        }
        rc = step(e, t, is_whole, why);
    }
    return rc;
}

int scan_go(struct envelope *e, struct bytes text, bool is_whole, struct why *why)
{
    struct scanner *s = e->scanner;
    int rc = s->verdict.code;

    if (rc == 0) {
        assert(s->at <= text.n);
        rc = steps(e, text, is_whole, &s->verdict);
        if (rc == ENVELOPE_MORE && is_whole)
            rc = why_set(&s->verdict, ENVELOPE_INVALID, "not JSON: it ends at byte %zu, too early", text.n);
        else if (rc == ENVELOPE_INVALID)
            why_set(&s->verdict, rc, "not JSON at byte %zu", s->at);
    }
    if (why && rc != 0 && rc != ENVELOPE_MORE)
        *why = s->verdict;
    return rc;
}
