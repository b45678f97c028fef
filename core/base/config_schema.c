/* The table of keys as a JSON Schema for editors, and as a page for people. */
#include "core/base/config_parts.h"
#include "core/base/text.h"

#include <inttypes.h>

/* Values may come by reference, which no pattern of a duration or size fits. */
#define OR_REFERENCE "|[$][{]"

static json_t *object_schema(void)
{
    return json_pack("{s:s, s:{}, s:b}", "type", "object", "properties", "additionalProperties", 0);
}

/* The schema of what stands below `name` in the object `schema` describes; "*" stands for any name. */
static json_t *inside(json_t *schema, const char *name)
{
    if (strcmp(name, "*") == 0) {
        json_t *any = json_object_get(schema, "additionalProperties");
        if (!json_is_object(any)) {
            any = object_schema();
            json_object_set_new(schema, "additionalProperties", any);
            json_object_set_new(schema, "propertyNames",
                                json_pack("{s:s}", "pattern", "^[a-z][a-z0-9-]{0,19}$"));
        }
        return any;
    }
    json_t *properties = json_object_get(schema, "properties"), *found = json_object_get(properties, name);
    if (!found) {
        found = object_schema();
        json_object_set_new(properties, name, found);
    }
    return found;
}

static json_t *enum_schema(const struct config_key *key)
{
    json_t *list = json_array();
    for (size_t i = 0; key->choices[i]; i++)
        json_array_append_new(list, json_string(key->choices[i]));
    return json_pack("{s:o}", "enum", list);
}

static json_t *listen_schema(void)
{
    return json_pack(
        "{s:s, s:{s:[{s:s}, {s:s, s:[s], s:b, s:{s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}, s:{s:s, s:{s:s}}, "
        "s:{s:s}}}]}}",
        "type", "array", "items", "anyOf", "type", "string", "type", "object", "required", "address",
        "additionalProperties", 0, "properties", "address", "type", "string", "mode", "type", "string",
        "hosts", "type", "array", "items", "type", "string", "origins", "type", "array", "items", "type",
        "string", "optional", "type", "boolean");
}

static json_t *key_schema(const struct config_key *key)
{
    switch (key->kind) {
    case KEY_ENUM:
        return enum_schema(key);
    case KEY_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case KEY_INT:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)key->min, "maximum",
                         (json_int_t)key->max);
    case KEY_DURATION:
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9]+(ms|s|m|h|d)$" OR_REFERENCE);
    case KEY_SIZE:
        return json_pack("{s:[s,s], s:s}", "type", "string", "integer", "pattern",
                         "^[0-9]+(KiB|MiB|GiB)?$" OR_REFERENCE);
    case KEY_STRINGS:
        return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
    case KEY_MAP:
        return json_pack("{s:s, s:{s:[s,s,s]}}", "type", "object", "additionalProperties", "type", "string",
                         "integer", "boolean");
    case KEY_JSON:
        return json_pack("{s:s}", "type", "object");
    case KEY_LISTEN:
        return listen_schema();
    default:
        return json_pack("{s:s}", "type", "string");
    }
}

static void add_key(json_t *root, const struct config_key *row)
{
    const struct config_key *key = row->same ? config_key_find(row->same) : row;
    json_t *schema = root;
    char name[64];
    const char *from = row->path;
    for (size_t n; from[n = strcspn(from, ".")] == '.'; from += n + 1) {
        snprintf(name, sizeof name, "%.*s", (int)n, from);
        schema = inside(schema, name);
    }
    json_t *leaf = key_schema(key), *otherwise = config_key_default(key);
    if (key->help && *key->help)
        json_object_set_new(leaf, "description", json_string(key->help));
    if (otherwise)
        json_object_set_new(leaf, "default", otherwise);
    json_object_set_new(json_object_get(schema, "properties"), from, leaf);
}

void config_add_schema(struct buf *out)
{
    _cleanup_json_ json_t *root = object_schema();
    json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(root, "title", json_string("Trunkline configuration"));
    for (const struct config_key *key = config_keys; key->path; key++)
        if (key->kind != KEY_LATER)
            add_key(root, key);
    json_t *properties = json_object_get(root, "properties");
    json_object_set_new(properties, "mcpServers", json_pack("{s:s}", "$ref", "#/properties/servers"));
    json_add(out, root);
}

static const char *type_name(const struct config_key *key)
{
    static const char *const names[] = {
        [KEY_STRING] = "string",        [KEY_BOOL] = "bool",   [KEY_INT] = "whole number",
        [KEY_DURATION] = "duration",    [KEY_SIZE] = "size",   [KEY_STRINGS] = "list of strings",
        [KEY_MAP] = "names to strings", [KEY_JSON] = "object", [KEY_LISTEN] = "list",
    };
    return names[key->kind];
}

static void add_row(struct buf *out, const struct config_key *key)
{
    bool is_server = strncmp(key->path, "servers.*.", 10) == 0;
    buf_addf(out, "| `%s%s` | ", is_server ? "." : "", is_server ? key->path + 10 : key->path);
    if (key->kind == KEY_ENUM)
        for (size_t i = 0; key->choices[i]; i++)
            buf_addf(out, "%s`%s`", i ? " " : "", key->choices[i]);
    else
        buf_add_text(out, type_name(key));
    buf_addf(out, " | %s%s%s | %s |\n", key->otherwise ? "`" : "", key->otherwise ? key->otherwise : "",
             key->otherwise ? "`" : "", key->help);
}

static void add_rows(struct buf *out, bool of_servers)
{
    buf_add_text(out, "| key | type | default | meaning |\n|---|---|---|---|\n");
    for (const struct config_key *key = config_keys; key->path; key++)
        if (key->kind != KEY_LATER && !key->same && (strncmp(key->path, "servers.*.", 10) == 0) == of_servers)
            add_row(out, key);
}

void config_add_reference(struct buf *out)
{
    buf_add_text(
        out, "# Configuration\n\n"
             "Made from the table of keys; `trunkline config schema` prints the same as a JSON Schema.\n\n"
             "Files are JSON with comments and trailing commas. `--config FILE` is the only file then; "
             "without it\n"
             "`/etc/trunkline/trunkline.json`, `/etc/trunkline/conf.d/*.json` (a key in two of them is an "
             "error) and\n"
             "`~/.config/trunkline/trunkline.json` are read, and where there is none of them, the embedded "
             "default.\n\n"
             "Order: flag, then `TRUNKLINE_<KEY__PATH>` (`TRUNKLINE_HUB__CALLS__DEADLINE=30s`), then the "
             "user's file,\n"
             "then the others, then the default. An unknown key is an error, and so is a key of a later "
             "release.\n\n"
             "Durations: `250ms` `5s` `15m` `2h` `90d`. Sizes: `64KiB` `4MiB` `1GiB` or bytes. References in "
             "strings:\n"
             "`${env:NAME}`, `${file:/path}`, `${state}`, `${workspaceFolder}`; `$$` is a dollar.\n\n");
    add_rows(out, false);
    buf_add_text(
        out,
        "\n## Servers\n\n"
        "`servers.<name>`, or `mcpServers.<name>`; a name is `[a-z][a-z0-9-]{0,19}`. One of `builtin` and\n"
        "`command` is needed; `envFile` and `transport` are other names of `env_file` and `type`.\n\n");
    add_rows(out, true);
}
