#include "cli/arguments.h"

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MOST = 4 << 20 };

int arguments_read(const struct cli *c, const char *file, struct buf *out)
{
    struct why why = {0};
    char piece[16384];
    size_t n;
    if (strcmp(file, "-") != 0)
        return file_read(file, FILE_MOST, out, &why) < 0 ? cli_fail(c, EXIT_USAGE, "%s", why.text)
                                                         : EXIT_DONE;
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        buf_add(out, piece, n);
        if (out->n > FILE_MOST)
            return cli_fail(c, EXIT_USAGE, "standard input has more than %d bytes", FILE_MOST);
    }
    return EXIT_DONE;
}

/* "type" may be a list: the first that is not null counts. */
static const char *type_of(const json_t *schema, const char *key)
{
    const json_t *property = json_object_get(json_object_get(schema, "properties"), key);
    json_t *type = json_object_get(property, "type"), *one;
    size_t i;
    json_array_foreach (type, i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), "null") != 0)
            return json_string_value(one);
    }
    return json_is_string(type) ? json_string_value(type) : "string";
}

static bool is_literal(const char *type)
{
    static const char *const types[] = {"integer", "number", "boolean", "array", "object", "null"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static int add_value(const struct cli *c, struct buf *out, const char *key, const char *value,
                     const char *type)
{
    struct why why = {0};
    if (!is_literal(type)) {
        struct buf text = {0};
        int status = EXIT_DONE;
        if (value[0] == '@')
            status = arguments_read(c, value + 1, &text);
        else
            buf_add_text(&text, value);
        buf_add_json(out, buf_bytes(&text));
        buf_end(&text);
        return status;
    }
    _cleanup_json_ json_t *tree = json_read(bytes_of(value), &why);
    if (!tree)
        return cli_fail(c, EXIT_USAGE, "'%s' must be %s %s as JSON; '%s' is not: %s", key,
                        strchr("aeiou", type[0]) ? "an" : "a", type, value, why.text);
    /* The number keeps the form it was typed in. */
    buf_add_text(out, value);
    return EXIT_DONE;
}

int arguments_add(const struct cli *c, struct buf *out, char **words, int n, const json_t *schema)
{
    buf_add_char(out, '{');
    for (int i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');
        if (!equals || equals == words[i])
            return cli_fail(c, EXIT_USAGE, "'%s': arguments are KEY=VALUE, or KEY:=JSON", words[i]);
        bool is_json = equals[-1] == ':';
        _cleanup_free_ char *key =
            bytes_copy((struct bytes){words[i], (size_t)(equals - words[i]) - is_json});
        if (i)
            buf_add_char(out, ',');
        buf_add_json_text(out, key);
        buf_add_char(out, ':');
        int status = add_value(c, out, key, equals + 1, is_json ? "object" : type_of(schema, key));
        if (status)
            return status;
    }
    buf_add_char(out, '}');
    return EXIT_DONE;
}
