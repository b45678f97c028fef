/* Where the hub listens. This release has no identity, so only what the machine itself can reach is allowed.
 */
#include "core/base/config_parts.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTENS_MOST = 32, SOCKET_MODE = 0660 };

static const char path[] = "listen";

static int check_unix(struct config_draft *d, const char *address)
{
    struct sockaddr_un room;
    const char *file = address + strlen("unix:");
    if (file[0] != '/')
        return config_refuse(d, path, "'%s' needs an absolute path", address);
    if (strlen(file) >= sizeof room.sun_path)
        return config_refuse(d, path, "socket path '%.60s…' is longer than %zu bytes", file,
                             sizeof room.sun_path - 1);
    return 0;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0;
}

static int check_address(struct config_draft *d, const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        return check_unix(d, address);
    const char *colon = strrchr(address, ':');
    int64_t port;
    if (!colon || number_read(bytes_of(colon + 1), &port) < 0 || port > 65535)
        return config_refuse(d, path, "'%.64s' is no address like 127.0.0.1:8080, [::1]:8080, unix:/path",
                             address);
    _cleanup_free_ char *host = bytes_copy((struct bytes){address, (size_t)(colon - address)});
    struct in6_addr unused;
    bool is_number = inet_pton(AF_INET, host, &unused) == 1 || host[0] == '[';
    if (!is_number)
        return config_refuse(d, path, "'%.64s' must be a number, as 127.0.0.1 or [::1]", host);
    if (!is_loopback(host))
        return config_refuse(d, path,
                             "'%.64s': listening beyond loopback needs identity, which this release does "
                             "not have",
                             address);
    return 0;
}

static int read_mode(struct config_draft *d, const json_t *value, unsigned *out)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    unsigned long mode = text && *text ? strtoul(text, &end, 8) : 01000;
    if (mode > 0777 || *end || text[0] == '-' || text[0] == '+')
        return config_refuse(d, path, "'mode' must be like \"0660\"");
    *out = (unsigned)mode;
    return 0;
}

static int read_member(struct config_draft *d, const char *name, json_t *value, struct config_listen *out)
{
    static const char *const names[] = {"address", "mode", "hosts", "origins", "optional", NULL};
    static const char *const later[] = {"group", "proxies", "plain_ok", "serve", NULL};
    if (strcmp(name, "address") == 0) {
        if (!json_is_string(value))
            return config_refuse(d, path, "'address' must be a string");
        out->address = arena_text(d->config->arena, bytes_of(json_string_value(value)));
        return 0;
    }
    if (strcmp(name, "mode") == 0)
        return read_mode(d, value, &out->mode);
    if (strcmp(name, "hosts") == 0)
        return config_read_strings(d, path, value, &out->hosts);
    if (strcmp(name, "origins") == 0)
        return config_read_strings(d, path, value, &out->origins);
    if (strcmp(name, "optional") == 0) {
        out->is_default = json_is_true(value);
        return json_is_boolean(value) ? 0 : config_refuse(d, path, "'optional' must be true or false");
    }
    for (size_t i = 0; later[i]; i++)
        if (strcmp(name, later[i]) == 0)
            return config_refuse(d, path, "'listen[].%s' is not supported by this release", name);
    const char *nearest = text_nearest(name, names);
    return config_refuse(d, path, "'listen[].%.40s' is not known%s%s%s", name,
                         nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int read_item(struct config_draft *d, json_t *item, struct config_listen *out)
{
    struct config_listen listen = {.mode = SOCKET_MODE};
    const char *name;
    json_t *value;
    if (json_is_string(item))
        listen.address = arena_text(d->config->arena, bytes_of(json_string_value(item)));
    else if (!json_is_object(item))
        return config_refuse(d, path, "'listen' must be a list of addresses or objects");
    json_object_foreach (item, name, value) {
        if (read_member(d, name, value, &listen) < 0)
            return -1;
    }
    if (!listen.address)
        return config_refuse(d, path, "'listen[].address' is missing");
    if (check_address(d, listen.address) < 0)
        return -1;
    *out = listen;
    return 0;
}

static bool is_writable_folder(const char *folder)
{
    struct stat st;
    return stat(folder, &st) == 0 && S_ISDIR(st.st_mode) && access(folder, W_OK) == 0;
}

/* A state folder somebody named has the socket inside, so that two hubs never meet. */
static const char *default_socket(struct config_draft *d)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool is_named = json_object_get(d->origins, "hub.state") != NULL;
    if (!is_named && runtime && runtime[0] == '/')
        return arena_printf(d->config->arena, "unix:%s/trunkline/api.sock", runtime);
    if (!is_named && is_writable_folder("/run/trunkline"))
        return "unix:/run/trunkline/api.sock";
    return arena_printf(d->config->arena, "unix:%s/run/api.sock", d->config->state);
}

static bool has_socket(const struct config *c)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (strncmp(c->listens[i].address, "unix:", 5) == 0)
            return true;
    return false;
}

static void add_default(struct config *c, const char *address)
{
    c->listens[c->listen_count++] =
        (struct config_listen){.address = address, .mode = SOCKET_MODE, .is_default = true};
}

static json_t *strings_value(const struct strings_view *view)
{
    json_t *list = json_array();
    for (size_t i = 0; i < view->n; i++)
        json_array_append_new(list, json_string(view->p[i]));
    return list;
}

static void emit(struct config_draft *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->config->listen_count; i++) {
        const struct config_listen *l = &d->config->listens[i];
        char mode[16];
        snprintf(mode, sizeof mode, "%04o", l->mode);
        json_t *item =
            json_pack("{s:s, s:s, s:b}", "address", l->address, "mode", mode, "optional", l->is_default);
        if (l->hosts.n)
            json_object_set_new(item, "hosts", strings_value(&l->hosts));
        if (l->origins.n)
            json_object_set_new(item, "origins", strings_value(&l->origins));
        json_array_append_new(list, item);
    }
    config_emit(d, path, list, NULL);
}

int config_fill_listens(struct config_draft *d)
{
    struct config *c = d->config;
    json_t *list = json_object_get(d->leaves, path);
    size_t n = json_array_size(list);
    if (list && (!json_is_array(list) || n == 0 || n > LISTENS_MOST))
        return config_refuse(d, path, "'listen' must be a list of 1 to %d addresses", LISTENS_MOST);
    c->listens = arena_take(c->arena, (n + 3) * sizeof *c->listens);
    for (size_t i = 0; i < n; i++)
        if (read_item(d, json_array_get(list, i), &c->listens[c->listen_count++]) < 0)
            return -1;
    if (!list) {
        add_default(c, "127.0.0.1:8080");
        add_default(c, "[::1]:8080");
    }
    if (!has_socket(c)) {
        const char *address = default_socket(d);
        if (check_unix(d, address) < 0)
            return -1;
        add_default(c, address);
    }
    emit(d);
    return 0;
}
