/* Sources to leaves: files, then the environment, then flags; see config_parts.h. */
#include "core/base/config_parts.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20 };

struct layer {
    const char *name;  /* of the file; or all that is said about the origin, when there is no text */
    struct bytes text; /* comments blanked */
    json_t *seen; /* leaves of this and its equals: path → origin; NULL: it may say again what others said */
};

/* Where an object stands: as leaves are named, as the table names it, and in the file. */
struct place {
    const char *path, *pattern, *pointer;
};

static const char *join(struct arena *a, const char *section, const char *separator, const char *name)
{
    return *section ? arena_printf(a, "%s%s%s", section, separator, name) : name;
}

static const char *join_pointer(struct arena *a, const char *pointer, const char *key)
{
    struct buf out = {0};
    buf_addf(&out, "%s/", pointer);
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            buf_add_text(&out, *key == '~' ? "~0" : "~1");
        else
            buf_add_char(&out, *key);
    }
    const char *joined = arena_text(a, buf_bytes(&out));
    buf_end(&out);
    return joined;
}

static struct place step_in(struct config_draft *d, const struct place *at, const char *key)
{
    struct arena *a = d->config->arena;
    const char *name = arena_text(a, bytes_of(key));
    if (!*at->path && strcmp(key, "mcpServers") == 0)
        name = "servers";
    bool is_server = strcmp(at->pattern, "servers") == 0;
    return (struct place){join(a, at->path, ".", name), join(a, at->pattern, ".", is_server ? "*" : name),
                          join_pointer(a, at->pointer, key)};
}

static void set_origin(struct config_draft *d, const struct layer *layer, const struct place *at)
{
    int line, column;
    const char *origin = layer->name;
    if (layer->text.p && json_place(layer->text, at->pointer, &line, &column) == 0)
        origin = arena_printf(d->config->arena, "%s:%d:%d", layer->name, line, column);
    json_object_set_new(d->origins, at->path, json_string(origin));
}

static int refuse_unknown(struct config_draft *d, const struct place *section, const struct place *at,
                          const char *key)
{
    const char *nearest = config_key_nearest(section->pattern, key, d->config->arena);
    if (nearest)
        return config_refuse(d, at->path, "'%.64s' is not known; did you mean '%s'?", at->path, nearest);
    return config_refuse(d, at->path, "'%.64s' is not known", at->path);
}

static int note_server(struct config_draft *d, const struct place *at, const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!islower((unsigned char)name[0]) || name[n] || n > 20)
        return config_refuse(d, at->path, "server name '%.40s' must be like [a-z][a-z0-9-]{0,19}", name);
    if (strcmp(name, "trunkline") == 0)
        return config_refuse(d, at->path, "server name 'trunkline' is reserved");
    return json_object_set_new(d->names, name, json_true());
}

static int put_leaf(struct config_draft *d, const struct layer *layer, struct place at,
                    const struct config_key *key, json_t *value)
{
    const char *first = layer->seen ? json_str(layer->seen, at.path) : NULL;
    if (key->kind == KEY_LATER)
        return config_refuse(d, at.path, "'%s' is not supported by this release", at.path);
    if (first)
        return config_refuse(d, at.path, "'%s' is defined twice, first at %s", at.path, first);
    if (layer->seen)
        json_object_set(layer->seen, at.path, json_object_get(d->origins, at.path));
    return json_object_set(d->leaves, at.path, value);
}

/* Other names of a key lead to the one in the table. */
static void use_true_name(struct config_draft *d, const struct config_key *key, const struct layer *layer,
                          struct place *at)
{
    if (strcmp(key->path, at->pattern) == 0)
        return;
    const char *parent_end = strrchr(at->path, '.');
    const char *name = strrchr(key->path, '.') + 1;
    at->path = arena_printf(d->config->arena, "%.*s.%s", (int)(parent_end - at->path), at->path, name);
    at->pattern = key->path;
    set_origin(d, layer, at);
}

/* Recursion goes as deep as the table, never as deep as the file. */
static int read_members(struct config_draft *d, const struct layer *layer, json_t *object,
                        const struct place *section)
{
    const char *name;
    json_t *member;
    json_object_foreach (object, name, member) {
        struct place at = step_in(d, section, name);
        set_origin(d, layer, &at);
        const struct config_key *key = strchr(name, '.') ? NULL : config_key_find(at.pattern);
        bool is_section = !key && !strchr(name, '.') && config_key_is_section(at.pattern);
        int rc = 0;
        if (strcmp(at.pattern, "servers.*") == 0)
            rc = note_server(d, &at, name);
        if (rc == 0 && is_section && !json_is_object(member))
            rc = config_refuse(d, at.path, "'%s' must be an object", at.path);
        else if (rc == 0 && is_section)
            rc = read_members(d, layer, member, &at);
        else if (rc == 0 && !key)
            rc = refuse_unknown(d, section, &at, name);
        if (rc == 0 && key) {
            use_true_name(d, key, layer, &at);
            rc = put_leaf(d, layer, at, key, member);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_layer(struct config_draft *d, const struct layer *layer, json_t *tree)
{
    const struct place top = {"", "", ""};
    return read_members(d, layer, tree, &top);
}

int config_read_object(struct config_draft *d, json_t *tree)
{
    const struct layer layer = {.name = "supervisor"};
    if (!json_is_object(tree))
        return why_set(d->why, -1, "the configuration is no object");
    return read_layer(d, &layer, tree);
}

/* `text` is blanked in place. */
static int read_text(struct config_draft *d, const char *file, struct buf *text, json_t *seen)
{
    struct why why = {0};
    buf_reserve(text, 0);
    jsonc_blank(text->p, text->n);
    const struct layer layer = {.name = file, .text = buf_bytes(text), .seen = seen};
    _cleanup_json_ json_t *tree = json_read(layer.text, &why);
    if (!tree)
        return why_set(d->why, -1, "%s:%s", file, why.text);
    if (!json_is_object(tree))
        return why_set(d->why, -1, "%s:1:1: a configuration is an object", file);
    return read_layer(d, &layer, tree);
}

static int read_file(struct config_draft *d, const char *path, json_t *seen)
{
    struct buf text = {0};
    int rc = file_read(path, FILE_MOST, &text, d->why) < 0 ? -1 : read_text(d, path, &text, seen);
    buf_end(&text);
    return rc;
}

static int is_json_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && bytes_end_with(bytes_of(entry->d_name), ".json");
}

/* Counts the files it read into *count. */
static int read_folder(struct config_draft *d, const char *folder, json_t *seen, int *count)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_json_file, alphasort);
    int rc = 0;
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = text_format("%s/%s", folder, entries[i]->d_name);
        if (rc == 0)
            rc = read_file(d, path, seen);
        free(entries[i]);
        ++*count;
    }
    if (n >= 0)
        free(entries);
    return rc;
}

static char *user_file(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config)
        return text_format("%s/trunkline/trunkline.json", config);
    return home && *home ? text_format("%s/.config/trunkline/trunkline.json", home) : NULL;
}

static int read_found_files(struct config_draft *d, json_t *seen)
{
    static const char main_file[] = "/etc/trunkline/trunkline.json";
    int count = 0;
    if (access(main_file, F_OK) == 0) {
        count++;
        if (read_file(d, main_file, seen) < 0)
            return -1;
    }
    if (read_folder(d, "/etc/trunkline/conf.d", seen, &count) < 0)
        return -1;
    _cleanup_free_ char *user = user_file();
    if (user && access(user, F_OK) == 0)
        return read_file(d, user, NULL);
    if (count)
        return 0;
    struct buf text = {0};
    buf_add_bytes(&text, d->source->embedded);
    int rc = text.n ? read_text(d, "(default)", &text, seen) : 0;
    buf_end(&text);
    return rc;
}

static char lower(char c)
{
    return (char)tolower((unsigned char)c);
}

static bool is_same_name(const char *server, const char *upper)
{
    size_t i = 0;
    for (; server[i] && upper[i]; i++)
        if (server[i] != (upper[i] == '_' ? '-' : lower(upper[i])))
            return false;
    return !server[i] && (upper[i] == 0 || strncmp(upper + i, "__", 2) == 0);
}

/* "SERVERS__MY_FS__CWD": the server whose name that is, since names have dashes and variables cannot. */
static const char *server_of(const struct config_draft *d, const char *variable)
{
    const char *name;
    json_t *unused;
    json_object_foreach (d->names, name, unused) {
        size_t n = strlen(name);
        _cleanup_free_ char *part = bytes_copy((struct bytes){variable, strnlen(variable, n)});
        if (is_same_name(name, part) && strncmp(variable + strlen(part), "__", 2) == 0)
            return name;
    }
    return NULL;
}

static char *dotted(const char *variable)
{
    struct buf out = {0};
    buf_reserve(&out, 0);
    for (; *variable; variable++) {
        if (variable[0] == '_' && variable[1] == '_') {
            buf_add_char(&out, '.');
            variable++;
        } else {
            buf_add_char(&out, lower(*variable));
        }
    }
    return buf_take(&out);
}

/* A value as people write it into a variable: lists by commas, objects as JSON. Bad ones are refused when
 * stored. */
static json_t *value_of(const struct config_key *key, const char *text)
{
    int64_t number;
    json_t *value = NULL;
    bool is_list = key->kind == KEY_STRINGS || key->kind == KEY_LISTEN;
    if (is_list || key->kind == KEY_BOOL || key->kind == KEY_MAP || key->kind == KEY_JSON)
        value = json_read(bytes_of(text), NULL);
    if (value || !(is_list || key->kind == KEY_INT))
        return value ? value : json_string(text);
    if (key->kind == KEY_INT)
        return number_read(bytes_of(text), &number) == 0 ? json_integer(number) : json_string(text);
    value = json_array();
    for (size_t n; *text; text += n + (text[n] == ',')) {
        n = strcspn(text, ",");
        json_array_append_new(value, json_stringn(text, n));
    }
    return value;
}

static int read_variable(struct config_draft *d, const char *name, const char *variable, const char *text)
{
    struct arena *a = d->config->arena;
    _cleanup_free_ char *path = dotted(variable);
    struct place at = {path, path, ""};
    const struct layer layer = {.name = arena_printf(a, "environment %s", name)};
    if (strncmp(path, "servers.", 8) == 0) {
        const char *server = server_of(d, variable + strlen("SERVERS__"));
        if (!server)
            return why_set(d->why, -1, "%s: names no server of the configuration", layer.name);
        const char *rest = path + 8 + strlen(server) + 1;
        at = (struct place){arena_printf(a, "servers.%s.%s", server, rest),
                            arena_printf(a, "servers.*.%s", rest), ""};
    }
    set_origin(d, &layer, &at);
    const struct config_key *key = config_key_find(at.pattern);
    if (!key) {
        const char *dot = strrchr(at.pattern, '.');
        const char *section =
            dot ? arena_text(a, (struct bytes){at.pattern, (size_t)(dot - at.pattern)}) : "";
        return refuse_unknown(d, &(struct place){.pattern = section}, &at, dot ? dot + 1 : at.pattern);
    }
    use_true_name(d, key, &layer, &at);
    _cleanup_json_ json_t *value = value_of(key, text);
    if (!value)
        return config_refuse(d, at.path, "'%s' is not UTF-8", at.path);
    return put_leaf(d, &layer, at, key, value);
}

/* TRUNKLINE_<KEY__PATH>; variables without "__" belong to others, but for TRUNKLINE_LISTEN. */
static int read_environment(struct config_draft *d)
{
    static const char prefix[] = "TRUNKLINE_";
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || strncmp(*entry, prefix, sizeof prefix - 1) != 0)
            continue;
        const char *name = arena_text(d->config->arena, (struct bytes){*entry, (size_t)(equals - *entry)});
        const char *variable = name + sizeof prefix - 1;
        if (!strstr(variable, "__") && strcmp(variable, "LISTEN") != 0)
            continue;
        if (read_variable(d, name, variable, equals + 1) < 0)
            return -1;
    }
    return 0;
}

int config_read_sources(struct config_draft *d)
{
    _cleanup_json_ json_t *seen = json_object();
    int rc = d->source->main_file ? read_file(d, d->source->main_file, seen) : read_found_files(d, seen);
    if (rc < 0 || read_environment(d) < 0)
        return -1;
    if (d->source->state) {
        json_object_set_new(d->leaves, "hub.state", json_string(d->source->state));
        json_object_set_new(d->origins, "hub.state", json_string("--state"));
    }
    return 0;
}
