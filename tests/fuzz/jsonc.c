/*
 * JSON with comments: blanking keeps length and line ends, changes nothing in JSON, and every value of what
 * it gives has a place where just this value begins.
 */
#include "core/base/json.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MOST = 200 };

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* The place as an offset: lines and columns counted back. */
static size_t offset_of(struct bytes text, int line, int column)
{
    size_t at = 0;
    for (; line > 1; line--)
        at += bytes_find((struct bytes){text.p + at, text.n - at}, '\n') + 1;
    for (; column > 1; column--)
        for (at++; at < text.n && (text.p[at] & 0xc0) == 0x80;)
            at++;
    return at;
}

static void must_begin_here(struct bytes text, const char *pointer, const json_t *value)
{
    int line, column;
    must(json_place(text, pointer, &line, &column) == 0, "every value has a place");
    size_t at = offset_of(text, line, column);
    must(at < text.n, "the place is in the text");
    json_t *there = json_loadb(text.p + at, text.n - at, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
    must(there && json_equal(there, value), "the value begins at its place");
    json_decref(there);
}

static void add_token(struct buf *pointer, const char *key)
{
    buf_add_char(pointer, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            buf_add_text(pointer, *key == '~' ? "~0" : "~1");
        else
            buf_add_char(pointer, *key);
    }
}

/* The first members and items, down one branch. */
static void look_around(struct bytes text, json_t *value)
{
    struct buf pointer = {0};
    buf_reserve(&pointer, 0);
    for (int depth = 0; value && depth < DEPTH_MOST; depth++) {
        must_begin_here(text, pointer.p, value);
        if (json_is_array(value) && json_array_size(value)) {
            size_t last = json_array_size(value) - 1;
            buf_addf(&pointer, "/%zu", last);
            value = json_array_get(value, last);
        } else if (json_is_object(value) && json_object_size(value)) {
            void *member = json_object_iter(value);
            add_token(&pointer, json_object_iter_key(member));
            value = json_object_iter_value(member);
        } else {
            value = NULL;
        }
    }
    buf_end(&pointer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    char *blanked = malloc(size ? size : 1);
    memcpy(blanked, data, size);
    jsonc_blank(blanked, size);
    for (size_t i = 0; i < size; i++) {
        must(blanked[i] == (char)data[i] || blanked[i] == ' ', "only blanks are put in");
        must((blanked[i] == '\n') == (data[i] == '\n'), "lines stay lines");
    }
    struct bytes text = {blanked, size};
    json_t *as_it_came = json_read((struct bytes){(const char *)data, size}, NULL);
    must(!as_it_came || memcmp(blanked, data, size) == 0, "JSON has nothing to blank");
    json_decref(as_it_came);
    json_t *value = json_read(text, NULL);
    if (value)
        look_around(text, value);
    json_decref(value);
    free(blanked);
    return 0;
}
