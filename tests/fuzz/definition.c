/*
 * Definitions of tools, prompts, resources and templates: whatever is not hidden must be written as valid
 * JSON for every revision, under the name we give it and no other.
 */
#include "core/base/mem.h"
#include "hub/catalogue_parts.h"
#include "hub/names.h"

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

static void must_be_named(struct bytes text, const char *key, const char *name)
{
    json_t *tree = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    /* jansson refuses a few texts that are JSON: numbers beyond double, mostly. */
    const char *seen = tree ? json_string_value(json_object_get(tree, key)) : name;
    must(seen && strcmp(seen, name) == 0, "the name");
    json_decref(tree);
}

static void write_all(struct entry *e)
{
    static const char *const keys[] = {"name", "name", "uri", "uriTemplate"};
    struct buf out = {0};
    for (int dialect = DIALECT_OLD; dialect <= DIALECT_MODERN; dialect++) {
        buf_clear(&out);
        struct render_as as = {.dialect = (enum dialect)dialect};
        render_entry(&out, e, &as);
        must(json_is_valid(buf_bytes(&out)), "written as it was named");
        buf_clear(&out);
        as.exposed = BYTES("given");
        as.ui = BYTES("ui://\"x");
        render_entry(&out, e, &as);
        must(json_is_valid(buf_bytes(&out)), "written under another name");
        must_be_named(buf_bytes(&out), keys[e->item.kind], "given");
    }
    buf_end(&out);
}

static void match(struct bytes pattern)
{
    size_t steps = 1 << 16;
    template_matches(pattern, pattern, &steps);
    template_matches(pattern, BYTES("file:///a/b?c=d&e#f"), &steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes raw = {(const char *)data, size};
    struct buf name = {0};
    if (!json_is_valid(raw))
        return 0;
    for (int turn = 0; turn < 2 * ITEM_KINDS; turn++) {
        struct definition_from from = {
            .kind = (enum item_kind)(turn / 2), .is_builtin = turn % 2, .is_modern = turn % 2};
        struct entry e = {
            .item = {.kind = from.kind, .raw = raw}
        };
        buf_clear(&name);
        char *reason = definition_read(&from, raw, &e.definition, &name);
        if (!reason)
            write_all(&e);
        if (!reason && from.kind == ITEM_TEMPLATE)
            match(buf_bytes(&name));
        free(reason);
    }
    buf_end(&name);
    return 0;
}
