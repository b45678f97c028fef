#include "core/base/config_parts.h"
#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int config_refuse(struct config_draft *d, const char *path, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *origin = json_str(d->origins, path);
    return why_set(d->why, -1, "%s: %s", origin ? origin : "(default)", text);
}

int config_warn(struct config_draft *d, const char *path, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (d->config->profile == PROFILE_STRICT)
        return config_refuse(d, path, "%s", text);
    const char *origin = json_str(d->origins, path);
    buf_addf(&d->warnings, "%s: %s", origin ? origin : "(default)", text);
    buf_add_char(&d->warnings, 0);
    d->config->warnings.n++;
    return 0;
}

static void keep_warnings(struct config_draft *d)
{
    struct strings_view *out = &d->config->warnings;
    const char *from = arena_copy(d->config->arena, buf_bytes(&d->warnings)).p;
    out->p = arena_take(d->config->arena, (out->n + 1) * sizeof *out->p);
    for (size_t i = 0; i < out->n; i++, from += strlen(from) + 1)
        out->p[i] = from;
}

static int resolve_leaf(struct config_draft *d, const char *path)
{
    json_t *value = json_object_get(d->leaves, path);
    if (!value)
        return 0;
    json_incref(value);
    int rc = config_resolve(d, path, &value);
    json_object_set_new(d->leaves, path, value);
    return rc;
}

static int resolve_all(struct config_draft *d)
{
    const char *path;
    json_t *value;
    void *next;
    json_object_foreach_safe(d->leaves, next, path, value)
    {
        if (strcmp(path, "hub.state") != 0 && resolve_leaf(d, path) < 0)
            return -1;
    }
    return 0;
}

static const char *default_state(struct arena *a)
{
    static const char system_wide[] = "/var/lib/trunkline";
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (access(system_wide, W_OK) == 0 || geteuid() == 0)
        return system_wide;
    if (state && state[0] == '/')
        return arena_printf(a, "%s/trunkline", state);
    return home && *home ? arena_printf(a, "%s/.local/state/trunkline", home) : NULL;
}

/* First of all, since other values may refer to it. Roles change their folder, so it is made absolute here.
 */
static int fill_state(struct config_draft *d)
{
    static const char path[] = "hub.state";
    struct config *c = d->config;
    if (resolve_leaf(d, path) < 0)
        return -1;
    json_t *leaf = json_object_get(d->leaves, path);
    const char *state = leaf ? json_string_value(leaf) : default_state(c->arena);
    if (!state || !*state)
        return config_refuse(d, path,
                             leaf ? "'hub.state' must be a path" : "no folder for the state: set --state");
    size_t n = strlen(state);
    while (n > 1 && state[n - 1] == '/')
        n--;
    _cleanup_free_ char *folder = state[0] == '/' ? NULL : getcwd(NULL, 0);
    if (state[0] != '/' && !folder)
        return config_refuse(d, path, "the current folder is gone");
    while (folder && n > 2 && state[0] == '.' && state[1] == '/')
        state += 2, n -= 2;
    c->state = folder ? arena_printf(c->arena, "%s/%.*s", folder, (int)n, state)
                      : arena_text(c->arena, (struct bytes){state, n});
    config_emit(d, path, json_string(c->state), NULL);
    return 0;
}

static int fill_profile(struct config_draft *d)
{
    const struct config_key *key = config_key_find("hub.profile");
    struct config_key here = *key;
    const char *chosen = NULL;
    here.at = 0;
    json_t *value = config_leaf(d, key, key->path);
    if (config_store(d, &here, key->path, value, &chosen) < 0) {
        json_decref(value);
        return -1;
    }
    size_t at = 0;
    while (strcmp(key->choices[at], chosen) != 0)
        at++;
    d->config->profile = (enum config_profile)at; /* the choices stand in the order of the enum */
    config_emit(d, key->path, value, NULL);
    return 0;
}

static int fill_rows(struct config_draft *d)
{
    for (const struct config_key *key = config_keys; key->path; key++) {
        if (strncmp(key->path, "servers.*.", 10) == 0 || key->kind == KEY_LATER || key->same ||
            key->at == BY_HAND)
            continue;
        json_t *value = config_leaf(d, key, key->path);
        if (!value)
            continue;
        if (config_store(d, key, key->path, value, d->config) < 0) {
            json_decref(value);
            return -1;
        }
        config_emit(d, key->path, value, NULL);
    }
    return 0;
}

static int check_public_url(struct config_draft *d)
{
    const char *url = d->config->public_url;
    if (!url)
        return 0;
    const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : "";
    size_t n = strlen(url);
    if (!*host || *host == '/' || strpbrk(url, "?# \t\"<>\\") || url[n - 1] == '/')
        return config_refuse(d, "hub.public_url",
                             "'hub.public_url' must be like https://tools.example, without a '/' "
                             "at its end");
    return 0;
}

static int check_auth(struct config_draft *d)
{
    static const char path[] = "auth.loopback";
    const char *how = json_string_value(json_object_get(d->leaves, path));
    bool is_given = json_object_get(d->leaves, path) != NULL;
    if (is_given && (!how || strcmp(how, "open") != 0))
        return config_refuse(d, path,
                             "'auth.loopback' must be \"open\": keys need identity, which this release does "
                             "not have");
    d->config->loopback_is_open = true;
    config_emit(d, path, json_string("open"), NULL);
    return 0;
}

static int fill(struct config_draft *d)
{
    struct config *c = d->config;
    if (fill_state(d) < 0 || resolve_all(d) < 0 || fill_profile(d) < 0 || fill_rows(d) < 0 ||
        check_public_url(d) < 0 || check_auth(d) < 0)
        return -1;
    if (c->deadline_ms > c->deadline_max_ms)
        return config_refuse(d, "hub.calls.deadline",
                             "'hub.calls.deadline' is above 'hub.calls.deadline_max'");
    if (config_fill_listens(d) < 0 || config_fill_servers(d) < 0)
        return -1;
    keep_warnings(d);
    return 0;
}

static struct config *config_new(void)
{
    struct config *c = NEW(struct config);
    c->arena = arena_new();
    c->tree = json_object();
    c->origins = json_object();
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    json_decref(c->tree);
    json_decref(c->origins);
    arena_free(c->arena);
    free(c);
}

/* Reads from `tree`, or from the sources when there is none. */
static int load(const struct config_source *source, json_t *tree, struct config **out, struct why *why)
{
    struct config_draft d = {.source = source, .is_tree = tree != NULL, .why = why};
    d.config = config_new();
    d.leaves = json_object();
    d.origins = json_object();
    d.names = json_object();
    int rc = tree ? config_read_object(&d, tree) : config_read_sources(&d);
    if (rc == 0)
        rc = fill(&d);
    json_decref(d.leaves);
    json_decref(d.origins);
    json_decref(d.names);
    buf_end(&d.warnings);
    if (rc == 0)
        *out = d.config;
    else
        config_free(d.config);
    return rc;
}

int config_load(const struct config_source *source, struct config **out, struct why *why)
{
    return load(source, NULL, out, why);
}

int config_from_tree(json_t *tree, struct config **out, struct why *why)
{
    static const struct config_source none = {0};
    return load(&none, tree, out, why);
}

const struct config_server *config_find_server(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (strcmp(c->servers[i].name, name) == 0)
            return &c->servers[i];
    return NULL;
}

json_t *config_origins(const struct config *c)
{
    return json_deep_copy(c->origins);
}

json_t *config_public_tree(const struct config *c)
{
    json_t *copy = json_deep_copy(c->tree), *server, *value;
    const char *unused, *name;
    json_object_foreach (json_object_get(copy, "servers"), unused, server) {
        json_object_foreach (json_object_get(server, "env"), name, value) {
            json_string_set(value, "");
        }
    }
    return copy;
}
