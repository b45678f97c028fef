#include "cli/arguments.h"

#include "cli/rest.h"
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

/* "an integer", for a message; NULL: written as text. */
static const char *literal_of(const char *type)
{
    static const char *const types[][2] = {
        {"integer", "an integer"   },
        {"number",  "a number"     },
        {"boolean", "true or false"},
        {"array",   "an array"     },
        {"object",  "an object"    },
        {"null",    "null"         },
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i][0]) == 0)
            return types[i][1];
    return NULL;
}

/* Checked, but not printed anew: a number keeps the form it was typed in. */
static int add_literal(const struct cli *c, struct buf *out, const char *key, struct bytes value,
                       const char *what)
{
    struct why why = {0};
    _cleanup_json_ json_t *tree = rest_json(value, &why);
    if (!tree)
        return cli_fail(c, EXIT_USAGE, "'%s' must be %s in JSON: %s", key, what, why.text);
    buf_add_bytes(out, value);
    return EXIT_DONE;
}

/* `literal` NULL: text. */
static int add_value(const struct cli *c, struct buf *out, const char *key, const char *value,
                     const char *literal)
{
    struct buf file = {0};
    struct bytes given = bytes_of(value);
    int status = EXIT_DONE;
    if (value[0] == '@') {
        status = arguments_read(c, value + 1, &file);
        given = file.n ? buf_bytes(&file) : BYTES("");
    }
    if (status == EXIT_DONE && literal)
        status = add_literal(c, out, key, given, literal);
    else if (status == EXIT_DONE)
        buf_add_json(out, given);
    buf_end(&file);
    return status;
}

int arguments_add(const struct cli *c, struct buf *out, char **words, int n, const json_t *schema)
{
    buf_add_char(out, '{');
    for (int i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');
        bool is_json = equals && equals > words[i] && equals[-1] == ':';
        size_t length = equals ? (size_t)(equals - words[i]) - is_json : 0;
        if (!length)
            return cli_fail(c, EXIT_USAGE, "'%s': arguments are KEY=VALUE, or KEY:=JSON", words[i]);
        _cleanup_free_ char *key = bytes_copy((struct bytes){words[i], length});
        if (i)
            buf_add_char(out, ',');
        buf_add_json_text(out, key);
        buf_add_char(out, ':');
        int status =
            add_value(c, out, key, equals + 1, is_json ? "a value" : literal_of(type_of(schema, key)));
        if (status)
            return status;
    }
    buf_add_char(out, '}');
    return EXIT_DONE;
}
