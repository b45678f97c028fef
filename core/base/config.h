#pragma once
/*
 * config -- the configuration: one table of keys; files, environment, defaults and schema come from it.
 *
 * Files are JSON with comments. Every value knows its origin (file:line:column, environment, default). An
 * unknown key is an error that offers the nearest known one. Loading is all or nothing. Order: flag >
 * TRUNKLINE_<KEY__PATH> > user file > conf.d > main > embedded default. `mcpServers` is read as `servers`.
 */
#include "core/base/arena.h"
#include "core/base/json.h"

enum config_profile { PROFILE_STANDARD, PROFILE_STRICT, PROFILE_DEV };
enum config_kind { SERVER_BUILTIN, SERVER_COMMAND, SERVER_URL, SERVER_OPENAPI };

struct config_listen {
    const char *address; /* "127.0.0.1:8080", "[::1]:8080", "unix:/path" */
    unsigned mode;       /* Unix socket, default 0660 */
    struct strings_view {
        const char **p;
        size_t n;
    } hosts,
        origins;     /* p is NULL-ended, NULL when there is none: the gate's own (loopback names) hold then */
    bool is_default; /* came from the default: a family the kernel lacks is skipped; a taken port moves on */
};

struct config_env {
    const char *name, *value;
};

struct config_server {
    const char *name, *title, *prefix;
    enum config_kind kind;
    const char *builtin, *command, *cwd, *url;
    struct strings_view args;
    struct config_env *env;
    size_t env_count;
    json_t *settings; /* borrowed from the config; NULL when absent */
    bool enabled, read_only, uses_env_secrets;
    const char *era, *interactive, *probe;
    struct strings_view tools, exclude;
    struct {
        int64_t call, progress, start, ready, question; /* ms */
    } timeout;
    int64_t result_bytes;
    struct {
        int64_t max, window_ms;
    } restart;
    char digest[65]; /* hex SHA-256 of the effective definition but for values in `env` (they may be secrets)
                      */
};

struct config {
    struct arena *arena;
    json_t *tree; /* effective values, references resolved: values in `env` may be secrets */
    json_t *origins;
    struct strings_view warnings; /* "file:3:7: ...": for the log */
    const char *name, *state;
    const char *public_url; /* NULL: from the first listener, once it is bound */
    enum config_profile profile;
    struct config_listen *listens;
    size_t listen_count;
    struct config_server *servers; /* configuration order */
    size_t server_count;
    bool loopback_is_open;
    int64_t drain_ms, deadline_ms, deadline_max_ms, keep_ms, keep_bytes;
    int64_t name_max, session_idle_ms, sse_after_ms;
    struct {
        int64_t uri, headers, header_ms, body_ms, idle_ms, connections, per_ip;
    } http;
    struct {
        int64_t request, depth, values, keys;
    } json;
    struct {
        int64_t queue, ring, ring_bytes, per_principal;
    } stream;
    const char *log_level, *log_format;
    bool metrics;
};

struct config_source {
    const char *const *builtins; /* names of the built-in servers there are, NULL-ended; NULL: not checked */
    const char *main_file;       /* NULL: /etc/trunkline/trunkline.json if there, else the embedded default */
    const char *state;           /* flag --state, or NULL */
    const char *workspace;       /* value of ${workspaceFolder}; NULL: current folder */
    struct bytes embedded;       /* the embedded default */
};

/* 0, or -1 with `why` "file:line:column: ...". */
int config_load(const struct config_source *source, struct config **out, struct why *why);
void config_free(struct config *c);
const struct config_server *config_find_server(const struct config *c, const char *name);
/* JSON Schema of the whole configuration. */
void config_add_schema(struct buf *out);
/* docs/reference/configuration.md, from the same table. */
void config_add_reference(struct buf *out);
/* {"key.path": {"value":…, "origin":"file:3:7"}} for `config show --origin`; values in `env` are "(hidden)".
 * Yours to decref. */
json_t *config_origins(const struct config *c);
/* A copy of config->tree for people and for roles that start nothing: values in `env` are "". Yours to
 * decref. */
json_t *config_public_tree(const struct config *c);
/* Read back by another role from what the supervisor wrote for it (either tree); `tree` is lent for the call.
 */
int config_from_tree(json_t *tree, struct config **out, struct why *why);
