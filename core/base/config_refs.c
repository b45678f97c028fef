#include "core/base/config_parts.h"
#include "core/base/file.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <unistd.h>

enum { FILE_MOST = 64 * 1024 };

static int add_env(struct config_draft *d, const char *path, const char *name, struct buf *out)
{
    const char *value = getenv(name);
    if (!value)
        return config_refuse(d, path, "'${env:%s}' names a variable that is not set", name);
    buf_add_text(out, value);
    return 0;
}

static int add_file(struct config_draft *d, const char *path, const char *name, struct buf *out)
{
    struct why why = {0};
    if (name[0] != '/')
        return config_refuse(d, path, "'${file:%s}' needs an absolute path", name);
    if (file_read(name, FILE_MOST, out, &why) < 0)
        return config_refuse(d, path, "%s", why.text);
    while (out->n && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
        out->n--;
    return 0;
}

static int add_state(struct config_draft *d, const char *path, const char *name, struct buf *out)
{
    (void)name;
    if (!d->config->state)
        return config_refuse(d, path, "'${state}' cannot be part of 'hub.state'");
    buf_add_text(out, d->config->state);
    return 0;
}

static int add_workspace(struct config_draft *d, const char *path, const char *name, struct buf *out)
{
    (void)name;
    if (d->source->workspace) {
        buf_add_text(out, d->source->workspace);
        return 0;
    }
    _cleanup_free_ char *folder = getcwd(NULL, 0);
    if (!folder)
        return config_refuse(d, path, "'${workspaceFolder}': the current folder is gone");
    buf_add_text(out, folder);
    return 0;
}

static int add_later(struct config_draft *d, const char *path, const char *name, struct buf *out)
{
    (void)name, (void)out;
    return config_refuse(d, path, "references to a vault or a credential are not supported by this release");
}

static const struct reference {
    const char *name; /* ends in ':' where a name follows */
    int (*add)(struct config_draft *d, const char *path, const char *name, struct buf *out);
} references[] = {
    {"env:",            add_env      },
    {"file:",           add_file     },
    {"state",           add_state    },
    {"workspaceFolder", add_workspace},
    {"vault:",          add_later    },
    {"credential:",     add_later    }
};

static int add_reference(struct config_draft *d, const char *path, const char *inside, struct buf *out)
{
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        const char *name = references[i].name;
        size_t n = strlen(name);
        if (strncmp(inside, name, n) == 0 && (name[n - 1] == ':') == (inside[n] != 0))
            return references[i].add(d, path, inside + n, out);
    }
    return config_refuse(d, path, "'${%.40s}' is no reference: env:NAME, file:/path, state, workspaceFolder",
                         inside);
}

static int resolve_text(struct config_draft *d, const char *path, const char *text, struct buf *out)
{
    while (*text) {
        size_t plain = strcspn(text, "$");
        buf_add(out, text, plain);
        text += plain;
        if (text[0] == '$' && text[1] == '$') {
            buf_add_char(out, '$');
            text += 2;
        } else if (text[0] == '$' && text[1] == '{') {
            const char *end = strchr(text, '}');
            if (!end)
                return config_refuse(d, path, "'${' without a '}'; a dollar is written '$$'");
            _cleanup_free_ char *inside = bytes_copy((struct bytes){text + 2, (size_t)(end - text) - 2});
            if (add_reference(d, path, inside, out) < 0)
                return -1;
            text = end + 1;
        } else if (text[0] == '$') {
            buf_add_char(out, *text++);
        }
    }
    return 0;
}

/* A new string for `value`, or NULL after a refusal. */
static json_t *resolve_string(struct config_draft *d, const char *path, const json_t *value)
{
    struct buf out = {0};
    buf_reserve(&out, 0);
    json_t *resolved = NULL;
    if (resolve_text(d, path, json_string_value(value), &out) == 0) {
        resolved = json_stringn(out.p, out.n);
        if (!resolved || memchr(out.p, 0, out.n)) {
            config_refuse(d, path, "a reference gave what is not UTF-8 text");
            json_decref(resolved);
            resolved = NULL;
        }
    }
    buf_end(&out);
    return resolved;
}

struct stack {
    json_t **p;
    size_t n, cap;
};

static void push(struct stack *s, json_t *value)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->p = mem_grow(s->p, s->cap, sizeof *s->p);
    }
    s->p[s->n++] = value;
}

/* Resolves the strings right in `container`, pushes the containers in it. */
static int resolve_members(struct config_draft *d, const char *path, json_t *container, struct stack *stack)
{
    void *at = json_object_iter(container);
    size_t count = json_is_array(container) ? json_array_size(container) : json_object_size(container);
    for (size_t i = 0; i < count; i++) {
        json_t *member = at ? json_object_iter_value(at) : json_array_get(container, i);
        if (json_is_object(member) || json_is_array(member))
            push(stack, member);
        if (json_is_string(member)) {
            json_t *resolved = resolve_string(d, path, member);
            if (!resolved)
                return -1;
            if (at)
                json_object_iter_set_new(container, at, resolved);
            else
                json_array_set_new(container, i, resolved);
        }
        at = at ? json_object_iter_next(container, at) : NULL;
    }
    return 0;
}

int config_resolve(struct config_draft *d, const char *path, json_t **value)
{
    if (d->is_tree)
        return 0;
    if (json_is_string(*value)) {
        json_t *resolved = resolve_string(d, path, *value);
        if (!resolved)
            return -1;
        json_decref(*value);
        *value = resolved;
        return 0;
    }
    struct stack stack = {0};
    int rc = 0;
    push(&stack, *value);
    while (rc == 0 && stack.n)
        rc = resolve_members(d, path, stack.p[--stack.n], &stack);
    free(stack.p);
    return rc;
}
