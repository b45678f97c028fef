#include "core/proc/listeners.h"

#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { LAST_PORT = 8099 };

struct binding { /* what the steps below share */
    const struct config *config;
    const struct up_options *options;
    const char *state;
    struct listeners *out;
    struct why *why;
};

static bool is_unix(const char *address)
{
    return strncmp(address, "unix:", 5) == 0;
}

static int bind_one(struct binding *b, size_t from, const char *address)
{
    struct listeners *l = b->out;
    if (l->n == LISTENERS_MOST)
        return why_set(b->why, -E2BIG, "more than %d sockets to listen on", LISTENERS_MOST);
    int fd = b->options->bind(address, b->config->listens[from].mode, b->why);
    if (fd < 0)
        return fd;
    struct listener *one = &l->at[l->n];
    if (b->options->bound_name(fd, one->name, sizeof one->name) < 0)
        snprintf(one->name, sizeof one->name, "%s", address);
    one->fd = fd;
    one->from = from;
    l->n++;
    return 0;
}

static void close_from(struct listeners *l, size_t first)
{
    while (l->n > first) {
        struct listener *one = &l->at[--l->n];
        if (is_unix(one->name))
            unlink(one->name + 5);
        fd_close(&one->fd);
    }
}

static bool is_missing_family(int rc)
{
    return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

/* "127.0.0.1:8080" -> 8080; the text before the port has `head` letters, the colon included. */
static int port_of(const char *address, size_t *head)
{
    const char *colon = strrchr(address, ':');
    int64_t port = -1;
    if (!colon || number_read(bytes_of(colon + 1), &port) < 0)
        return -1;
    *head = (size_t)(colon + 1 - address);
    return (int)port;
}

/* All default TCP addresses with `more` added to their port: 0, or the reason of the first refusal. */
static int try_defaults(struct binding *b, int more)
{
    for (size_t i = 0; i < b->config->listen_count; i++) {
        const struct config_listen *wanted = &b->config->listens[i];
        size_t head;
        int port = wanted->is_default && !is_unix(wanted->address) ? port_of(wanted->address, &head) : -1;
        if (port < 0)
            continue;
        char address[LISTENER_NAME];
        snprintf(address, sizeof address, "%.*s%d", (int)head, wanted->address, port ? port + more : 0);
        int rc = bind_one(b, i, address);
        if (is_missing_family(rc)) {
            log_info("listen.skipped", "address", address, "why", b->why->text);
            continue;
        }
        if (rc < 0)
            return rc;
        if (more)
            snprintf(b->out->moved, sizeof b->out->moved, "port %d is taken, so it is %d", port, port + more);
    }
    return 0;
}

static int bind_defaults(struct binding *b)
{
    int first = 0;
    for (size_t i = 0; i < b->config->listen_count; i++) {
        size_t head;
        if (b->config->listens[i].is_default && !is_unix(b->config->listens[i].address))
            first = port_of(b->config->listens[i].address, &head);
    }
    size_t before = b->out->n;
    int rc = try_defaults(b, 0);
    for (int more = 1; rc == -EADDRINUSE && first > 0 && first + more <= LAST_PORT; more++) {
        close_from(b->out, before); /* both families get the same port, or `localhost` would be two things */
        rc = try_defaults(b, more);
    }
    return rc;
}

static int bind_default_unix(struct binding *b, size_t from)
{
    const char *address = b->config->listens[from].address;
    _cleanup_free_ char *folder = mem_text(address + 5);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = 0;
        folder_make(folder, 0755, NULL); /* where it may not be made, binding says so */
    }
    int rc = bind_one(b, from, address);
    if (rc == 0)
        return 0;
    _cleanup_free_ char *own = text_format("unix:%s/run/api.sock", b->state);
    log_info("listen.moved", "address", address, "to", own, "why", b->why->text);
    rc = bind_one(b, from, own);
    if (rc < 0) /* a path too long for a socket, a file system without: HTTP on loopback has to do */
        log_warn("listen.skipped", "address", own, "why", b->why->text);
    return 0;
}

static int bind_all(struct binding *b)
{
    int rc = bind_defaults(b);
    for (size_t i = 0; rc == 0 && i < b->config->listen_count; i++) {
        const struct config_listen *wanted = &b->config->listens[i];
        if (!wanted->is_default)
            rc = bind_one(b, i, wanted->address);
        else if (is_unix(wanted->address))
            rc = bind_default_unix(b, i);
    }
    if (rc == 0 && b->out->n == 0)
        rc = why_set(b->why, -EADDRNOTAVAIL, "there is nothing to listen on");
    return rc;
}

int listeners_open(const struct config *c, const struct up_options *o, const char *state,
                   struct listeners *out, struct why *why)
{
    struct why own;
    struct binding b = {c, o, state, out, why ? why : &own};
    *out = (struct listeners){0};
    int rc = bind_all(&b);
    if (rc < 0)
        close_from(out, 0);
    return rc;
}

void listeners_close(struct listeners *l)
{
    close_from(l, 0);
}

json_t *listeners_endpoints(const struct listeners *l)
{
    json_t *all = json_pack("{s:[]}", "http");
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->at[i].name;
        if (is_unix(name)) {
            json_object_set_new(all, "unix", json_string(name + 5));
        } else {
            _cleanup_free_ char *url = text_format("http://%s", name);
            json_array_append_new(json_object_get(all, "http"), json_string(url));
        }
    }
    return all;
}
