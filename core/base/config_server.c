/* One server of the configuration: which kind it is, its environment, its digest. */
#include "core/base/config_parts.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <ctype.h>
#include <stdlib.h>

enum { ENV_FILE_MOST = 256 * 1024 };

/* The server being filled. */
struct filling {
    struct config_draft *d;
    struct config_server *server;
    const char *path; /* "servers.fs" */
    json_t *env;      /* effective: file and own */
};

static const char *below(const struct filling *f, const char *name)
{
    return arena_printf(f->d->config->arena, "%s.%s", f->path, name);
}

static json_t *own(const struct filling *f, const char *name)
{
    return json_object_get(f->d->leaves, below(f, name));
}

/* All rows that have a place in struct config_server. */
static int fill_rows(struct filling *f)
{
    for (const struct config_key *key = config_keys; key->path; key++) {
        if (strncmp(key->path, "servers.*.", 10) != 0 || key->kind == KEY_LATER || key->same ||
            key->at == BY_HAND)
            continue;
        const char *path = below(f, key->path + 10);
        json_t *value = config_leaf(f->d, key, path);
        if (!value)
            continue;
        if (config_store(f->d, key, path, value, f->server) < 0) {
            json_decref(value);
            return -1;
        }
        config_emit(f->d, path, value, NULL);
    }
    return 0;
}

/* Which servers come with the program is known to those who load the configuration first, not here. */
static int check_builtin(struct filling *f)
{
    const char *const *names = f->d->source->builtins, *near;
    for (size_t i = 0; names && names[i]; i++)
        if (strcmp(names[i], f->server->builtin) == 0)
            return 0;
    if (!names)
        return 0;
    near = text_nearest(f->server->builtin, names);
    return config_refuse(f->d, below(f, "builtin"), "there is no built-in server '%s'%s%s%s",
                         f->server->builtin, near ? "; did you mean '" : "", near ? near : "",
                         near ? "'?" : "");
}

static int fill_kind(struct filling *f)
{
    static const char *const of_commands[] = {"args", "env", "env_file", "cwd", "secret_delivery",
                                              "type", NULL};
    struct config_server *s = f->server;
    if (!s->builtin == !s->command)
        return config_refuse(f->d, f->path, "'%s' needs one of 'command' and 'builtin'", f->path);
    s->kind = s->builtin ? SERVER_BUILTIN : SERVER_COMMAND;
    if (s->command && own(f, "settings"))
        return config_refuse(f->d, below(f, "settings"), "'%s' is for built-in servers",
                             below(f, "settings"));
    for (size_t i = 0; s->builtin && of_commands[i]; i++)
        if (own(f, of_commands[i]))
            return config_refuse(f->d, below(f, of_commands[i]), "'%s' is for servers with a 'command'",
                                 below(f, of_commands[i]));
    return s->builtin ? check_builtin(f) : 0;
}

static bool is_env_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return *name == 0;
}

/* Takes a line of an env file apart in place: `export NAME="value"`, `NAME=value # no comment here`. */
static int read_env_line(struct filling *f, char *line, int number)
{
    const char *file = below(f, "env_file");
    struct bytes text = bytes_trim((struct bytes){line, strcspn(line, "\r")});
    if (text.n == 0 || text.p[0] == '#')
        return 0;
    if (bytes_begin(text, "export "))
        text = bytes_trim((struct bytes){text.p + 7, text.n - 7});
    size_t equals = bytes_find(text, '=');
    _cleanup_free_ char *name = bytes_copy(bytes_trim((struct bytes){text.p, equals}));
    if (equals == text.n || !is_env_name(name))
        return config_refuse(f->d, file, "line %d of the env file is not NAME=VALUE", number);
    struct bytes value = bytes_trim((struct bytes){text.p + equals + 1, text.n - equals - 1});
    char quote = value.n >= 2 ? value.p[0] : 0;
    if ((quote == '"' || quote == '\'') && value.p[value.n - 1] == quote)
        value = (struct bytes){value.p + 1, value.n - 2};
    json_t *string = json_stringn(value.p, value.n);
    if (!string)
        return config_refuse(f->d, file, "line %d of the env file is not UTF-8", number);
    return json_object_set_new(f->env, name, string);
}

static int read_env_file(struct filling *f)
{
    json_t *leaf = own(f, "env_file");
    const char *path = json_string_value(leaf), *key = below(f, "env_file");
    struct buf text = {0};
    struct why why = {0};
    if (!leaf)
        return 0;
    if (!path || !*path)
        return config_refuse(f->d, key, "'%s' must be a path", key);
    if (file_read(path, ENV_FILE_MOST, &text, &why) < 0) {
        buf_end(&text);
        return config_refuse(f->d, key, "%s", why.text);
    }
    int rc = 0, number = 0;
    buf_reserve(&text, 0);
    for (char *line = text.p, *end; rc == 0 && line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        rc = read_env_line(f, line, ++number);
    }
    buf_end(&text);
    return rc;
}

/* Numbers and booleans are common in other programs' files; a variable is text. */
static json_t *env_text(const json_t *value)
{
    if (json_is_string(value))
        return json_string(json_string_value(value));
    if (!json_is_integer(value) && !json_is_boolean(value))
        return NULL;
    _cleanup_free_ char *text = json_text(value);
    return json_string(text);
}

static int read_env_map(struct filling *f)
{
    const char *key = below(f, "env"), *name;
    json_t *map = own(f, "env"), *value;
    if (map && !json_is_object(map))
        return config_refuse(f->d, key, "'%s' must be an object of names and strings", key);
    json_object_foreach (map, name, value) {
        json_t *text = env_text(value);
        if (!text || !is_env_name(name)) {
            json_decref(text);
            return config_refuse(f->d, key, "'%s.%.40s' must be NAME: \"text\"", key, name);
        }
        json_object_set_new(f->env, name, text);
    }
    return 0;
}

static bool looks_like_a_token(const char *value)
{
    static const char *const begins[] = {"ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-",
                                         "sk-",  "AKIA", "eyJ",  "AIza",        "npm_",   NULL};
    for (size_t i = 0; begins[i]; i++)
        if (strlen(value) >= 16 && strncmp(value, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static int fill_env(struct filling *f)
{
    struct config_server *s = f->server;
    const char *delivery = json_string_value(own(f, "secret_delivery")), *name;
    json_t *value;
    s->uses_env_secrets = delivery && strcmp(delivery, "env") == 0;
    if (s->uses_env_secrets && f->d->config->profile == PROFILE_STRICT)
        return config_refuse(f->d, below(f, "secret_delivery"),
                             "profile strict allows no secrets in environments");
    if (read_env_file(f) < 0 || read_env_map(f) < 0)
        return -1;
    s->env = arena_take(f->d->config->arena, (json_object_size(f->env) + 1) * sizeof *s->env);
    json_object_foreach (f->env, name, value) {
        struct arena *a = f->d->config->arena;
        s->env[s->env_count++] = (struct config_env){arena_text(a, bytes_of(name)),
                                                     arena_text(a, bytes_of(json_string_value(value)))};
        if (!s->uses_env_secrets && looks_like_a_token(json_string_value(value)) &&
            config_warn(f->d, below(f, "env"),
                        "'%s.env.%s' looks like a secret; say \"secret_delivery\": \"env\"", f->path,
                        name) < 0)
            return -1;
    }
    return 0;
}

/* What people may see of the environment: references as they were written, no values. */
static json_t *shown_env(const struct filling *f)
{
    json_t *shown = json_object(), *value;
    const char *name;
    json_object_foreach (f->env, name, value) {
        json_object_set_new(shown, name, json_string("(hidden)"));
    }
    return shown;
}

static int fill_by_hand(struct filling *f)
{
    struct config_server *s = f->server;
    json_t *disabled = own(f, "disabled"), *type = own(f, "type"), *settings = own(f, "settings");
    if (disabled && (!json_is_boolean(disabled) || own(f, "enabled")))
        return config_refuse(f->d, below(f, "disabled"),
                             "'%s' must be true or false, without 'enabled' beside it", below(f, "disabled"));
    if (disabled) {
        s->enabled = !json_is_true(disabled);
        config_emit(f->d, below(f, "enabled"), json_boolean(s->enabled), NULL);
    }
    if (type && strcmp(json_is_string(type) ? json_string_value(type) : "", "stdio") != 0)
        return config_refuse(f->d, below(f, "type"),
                             "'%s' must be 'stdio': remote servers are not supported by this "
                             "release",
                             below(f, "type"));
    if (settings && !json_is_object(settings))
        return config_refuse(f->d, below(f, "settings"), "'%s' must be an object", below(f, "settings"));
    if (settings) {
        s->settings = settings;
        config_emit(f->d, below(f, "settings"), json_incref(settings), NULL);
    }
    if (s->kind == SERVER_COMMAND) {
        config_emit(f->d, below(f, "secret_delivery"), json_string(s->uses_env_secrets ? "env" : "none"),
                    NULL);
        _cleanup_json_ json_t *shown = shown_env(f);
        config_emit(f->d, below(f, "env"), json_incref(f->env), shown);
    }
    return 0;
}

static int check_prefix(struct filling *f)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    struct config_server *s = f->server;
    const char *key = below(f, "prefix");
    if (!s->prefix) {
        s->prefix = s->name;
        config_emit(f->d, key, json_string(s->prefix), NULL);
    }
    size_t n = strspn(s->prefix, allowed);
    if (s->prefix[n] || n > 32 || strstr(s->prefix, "__"))
        return config_refuse(f->d, key, "'%s' must have at most 32 letters, digits, '-' and single '_'", key);
    for (const struct config_server *other = f->d->config->servers; other != s; other++)
        if (strcmp(other->prefix, s->prefix) == 0)
            return config_refuse(f->d, key, "'%s' is also the prefix of server '%s'", key, other->name);
    return 0;
}

/* The definition in canonical form: members sorted, no space. */
static void fill_digest(struct filling *f)
{
    json_t *servers = json_object_get(f->d->config->tree, "servers"), *value;
    _cleanup_json_ json_t *definition = json_deep_copy(json_object_get(servers, f->server->name));
    const char *name;
    json_object_foreach (json_object_get(definition, "env"), name, value) {
        json_string_set(value, "");
    }
    _cleanup_free_ char *text = json_dumps(definition, JSON_COMPACT | JSON_SORT_KEYS);
    unsigned char digest[HASH_SIZE];
    struct buf hex = {0};
    hash_sha256(bytes_of(text), digest);
    for (size_t i = 0; i < HASH_SIZE; i++)
        buf_addf(&hex, "%02x", digest[i]);
    memcpy(f->server->digest, hex.p, sizeof f->server->digest);
    buf_end(&hex);
}

static int fill_server(struct config_draft *d, const char *name, struct config_server *s)
{
    struct arena *a = d->config->arena;
    s->name = arena_text(a, bytes_of(name));
    _cleanup_json_ json_t *env = json_object();
    struct filling f = {.d = d, .server = s, .path = arena_printf(a, "servers.%s", name), .env = env};
    if (fill_rows(&f) < 0 || fill_kind(&f) < 0 || fill_env(&f) < 0 || fill_by_hand(&f) < 0 ||
        check_prefix(&f) < 0)
        return -1;
    fill_digest(&f);
    return 0;
}

int config_fill_servers(struct config_draft *d)
{
    struct config *c = d->config;
    const char *name;
    json_t *unused;
    c->servers = arena_take(c->arena, (json_object_size(d->names) + 1) * sizeof *c->servers);
    json_object_foreach (d->names, name, unused) {
        if (fill_server(d, name, &c->servers[c->server_count++]) < 0)
            return -1;
    }
    return 0;
}
