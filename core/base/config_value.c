#include "core/base/config_parts.h"
#include "core/base/text.h"

#include <inttypes.h>

/* Says what the value should have been; `path` is shown as the file has it. */
static int refuse(struct config_draft *d, const char *path, const char *wanted)
{
    return config_refuse(d, path, "'%s' must be %s", path, wanted);
}

static int store_enum(struct config_draft *d, const struct config_key *key, const char *path,
                      const char *text, const char **out)
{
    for (const char *const *choice = key->choices; *choice; choice++) {
        if (text && strcmp(*choice, text) == 0) {
            *out = *choice;
            return 0;
        }
    }
    struct buf list = {0};
    for (const char *const *choice = key->choices; *choice; choice++)
        buf_addf(&list, "%s'%s'", choice == key->choices ? (key->choices[1] ? "one of " : "") : ", ",
                 *choice);
    int rc = refuse(d, path, list.p);
    buf_end(&list);
    return rc;
}

static int in_range(struct config_draft *d, const struct config_key *key, const char *path, int64_t v,
                    int64_t *out)
{
    if (v < key->min || v > key->max)
        return config_refuse(d, path, "'%s' must be from %" PRId64 " to %" PRId64 "%s", path, key->min,
                             key->max,
                             key->kind == KEY_DURATION ? " ms"
                             : key->kind == KEY_SIZE   ? " bytes"
                                                       : "");
    *out = v;
    return 0;
}

static int store_number(struct config_draft *d, const struct config_key *key, const char *path,
                        const json_t *value, int64_t *out)
{
    struct bytes text = {json_string_value(value), json_string_length(value)};
    bool is_text = json_is_string(value);
    int64_t v = json_integer_value(value);
    switch (key->kind) {
    case KEY_DURATION:
        if (!is_text || duration_read(text, &v) < 0)
            return refuse(d, path, "a duration like \"5s\" (ms, s, m, h, d)");
        break;
    case KEY_SIZE:
        if (is_text ? size_read(text, &v) < 0 : !json_is_integer(value))
            return refuse(d, path, "a size like \"64KiB\" (KiB, MiB, GiB or bytes)");
        break;
    default: /* text: from the environment or a reference */
        if (is_text ? number_read(text, &v) < 0 : !json_is_integer(value))
            return refuse(d, path, "a whole number");
    }
    return in_range(d, key, path, v, out);
}

int config_read_strings(struct config_draft *d, const char *path, const json_t *value,
                        struct strings_view *out)
{
    if (!json_is_array(value))
        return refuse(d, path, "a list of strings");
    size_t n = json_array_size(value);
    const char **items = arena_take(d->config->arena, (n + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        const char *item = json_string_value(json_array_get(value, i));
        if (!item)
            return refuse(d, path, "a list of strings");
        items[i] = arena_text(d->config->arena, bytes_of(item));
    }
    *out = (struct strings_view){items, n};
    return 0;
}

int config_store(struct config_draft *d, const struct config_key *key, const char *path, json_t *value,
                 void *base)
{
    void *place = (char *)base + key->at;
    const char *text = json_string_value(value);
    switch (key->kind) {
    case KEY_STRING:
        if (!text || !*text || json_string_length(value) > (size_t)key->max)
            return refuse(d, path, "a string that is not empty");
        *(const char **)place = arena_text(d->config->arena, bytes_of(text));
        return 0;
    case KEY_ENUM:
        return store_enum(d, key, path, text, place);
    case KEY_BOOL:
        if (!json_is_boolean(value))
            return refuse(d, path, "true or false");
        *(bool *)place = json_is_true(value);
        return 0;
    case KEY_STRINGS:
        return config_read_strings(d, path, value, place);
    default:
        return store_number(d, key, path, value, place);
    }
}

json_t *config_leaf(const struct config_draft *d, const struct config_key *key, const char *path)
{
    json_t *value = json_object_get(d->leaves, path);
    return value ? json_incref(value) : config_key_default(key);
}

void config_emit(struct config_draft *d, const char *path, json_t *value, json_t *shown)
{
    json_t *object = d->config->tree;
    const char *from = path;
    for (size_t n; from[n = strcspn(from, ".")] == '.'; from += n + 1) {
        const char *name = arena_text(d->config->arena, (struct bytes){from, n});
        json_t *inside = json_object_get(object, name);
        if (!inside) {
            inside = json_object();
            json_object_set_new(object, name, inside);
        }
        object = inside;
    }
    const char *origin = json_str(d->origins, path);
    json_t *entry =
        json_pack("{s:O, s:s}", "value", shown ? shown : value, "origin", origin ? origin : "default");
    json_object_set_new(d->config->origins, path, entry);
    json_object_set_new(object, from, value);
}
