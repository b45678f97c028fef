/*
 * The envelope scanner: what it says must not depend on how the bytes arrive, and whether a text is JSON must
 * be what jansson says, apart from the few things jansson is known to refuse.
 */
#include "core/rpc/envelope.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static bool same_place(struct bytes a, struct bytes in_a, struct bytes b, struct bytes in_b)
{
    return a.n == b.n && (!a.p || !b.p ? a.p == b.p : a.p - in_a.p == b.p - in_b.p);
}

static void must_agree(const struct envelope *a, struct bytes in_a, const struct envelope *b,
                       struct bytes in_b)
{
    must(a->kind == b->kind && a->fault == b->fault && a->has_jsonrpc == b->has_jsonrpc, "kind");
    must(same_place(a->id.value, in_a, b->id.value, in_b), "id");
    must(same_place(a->method, in_a, b->method, in_b), "method");
    must(same_place(a->params.value, in_a, b->params.value, in_b), "params");
    must(same_place(a->result.value, in_a, b->result.value, in_b), "result");
    must(same_place(a->error_message, in_a, b->error_message, in_b), "error message");
    must(a->inside.n == b->inside.n && a->meta.n == b->meta.n && a->elements.n == b->elements.n, "counts");
    for (size_t i = 0; i < a->inside.n; i++)
        must(same_place(a->inside.p[i].value, in_a, b->inside.p[i].value, in_b), "member");
    for (size_t i = 0; i < a->meta.n; i++)
        must(same_place(a->meta.p[i].key, in_a, b->meta.p[i].key, in_b), "meta");
}

/* One byte more each time; small texts in a block of their own each time, so that reading too far is seen. */
static void split(struct envelope *e, const struct envelope *whole, int verdict, struct bytes text)
{
    int rc = ENVELOPE_MORE;

    envelope_begin(e);
    for (size_t n = 0; n <= text.n && rc == ENVELOPE_MORE; n++) {
        struct bytes part = {text.p, n};
        char *own = text.n <= 256 ? malloc(n ? n : 1) : NULL;
        if (own) {
            memcpy(own, text.p, n);
            part.p = own;
        }
        rc = envelope_scan(e, part, false, NULL);
        free(own);
    }
    must(rc != 0, "done before the end was told");
    if (rc == ENVELOPE_MORE)
        rc = envelope_scan(e, text, true, NULL);
    must(rc == verdict, "verdict of the pieces");
    if (rc == 0)
        must_agree(e, text, whole, text);
}

static bool has_surrogate(struct bytes t)
{
    for (size_t i = 0; i + 3 < t.n; i++)
        if (t.p[i] == '\\' && t.p[i + 1] == 'u' && (t.p[i + 2] | 0x20) == 'd')
            return true;
    return false;
}

static void compare(int verdict, struct bytes text)
{
    json_error_t error;
    json_t *tree =
        json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);

    json_decref(tree);
    if (verdict == ENVELOPE_LIMIT)
        return;
    if (tree) {
        /* jansson takes a NUL between tokens for the end of the text */
        must(verdict == 0 || memchr(text.p, '\0', text.n), "refused what jansson accepts");
        return;
    }
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
        code == json_error_stack_overflow || has_surrogate(text))
        return;
    if (code == json_error_duplicate_key)
        must(verdict != 0, "a duplicate was missed");
    else
        must(verdict == ENVELOPE_INVALID || verdict == ENVELOPE_DUPLICATE, "accepted what jansson refuses");
}

static void look_deeper(const struct envelope *e)
{
    struct members m = {0};
    struct buf out = {0};
    int64_t number;

    for (size_t i = 0; i < e->inside.n; i++) {
        const struct member *each = &e->inside.p[i];
        must((members_read(&m, each->value) == 0) == (each->type == JSON_T_OBJECT), "an object is read");
        must((elements_read(&m, each->value) == 0) == (each->type == JSON_T_ARRAY), "an array is read");
        member_decode(each, &out);
        member_int(each, &number);
        size_t before = out.n;
        envelope_add_line(&out, each->value);
        must(!memchr(out.p + before, '\n', out.n - before), "no line ends in a line");
    }
    members_end(&m);
    buf_end(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct envelope_limits strict = {.refuse_duplicates = true};
    struct bytes text = {(const char *)data, size};

    if (size > 16384)
        return 0;
    struct envelope *whole = envelope_new(&strict), *pieces = envelope_new(&strict);
    envelope_begin(whole);
    int verdict = envelope_scan(whole, text, true, NULL);
    must(verdict != ENVELOPE_MORE, "a whole text is never unfinished");
    split(pieces, whole, verdict, text);
    compare(verdict, text);
    if (verdict == 0)
        look_deeper(whole);
    envelope_free(whole);
    envelope_free(pieces);
    return 0;
}
