#include "servers/workspace/resources.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/watcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LISTED_MOST = 200, RESOURCE_MOST = 8 << 20 };

/* The bytes RFC 6570 {+path} leaves as they are, among them the slash. */
static void add_path(struct buf *out, const char *path)
{
    for (; *path; path++) {
        bool is_plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
                        (*path >= '0' && *path <= '9') || strchr("-._~/", *path);
        if (is_plain)
            buf_add_char(out, *path);
        else
            buf_addf(out, "%%%02X", (unsigned char)*path);
    }
}

void resource_add_uri(struct buf *out, const struct root *root, const char *path)
{
    buf_add_text(out, "workspace://");
    percent_add(out, bytes_of(root->id));
    buf_add_text(out, "/files/");
    add_path(out, path);
}

/* workspace://ID/files/PATH -> root and decoded path (malloc'd); NULL: no resource of ours. */
static char *split(struct workspace *w, struct bytes uri, struct root **root)
{
    static const char scheme[] = "workspace://";
    struct buf path = {0};
    if (!bytes_begin(uri, scheme))
        return NULL;
    struct bytes rest = {uri.p + sizeof(scheme) - 1, uri.n - (sizeof(scheme) - 1)};
    size_t n = bytes_find(rest, '/');
    struct buf id = {0};
    struct bytes tail = {rest.p + n, rest.n - n};
    *root = percent_read((struct bytes){rest.p, n}, &id) == 0 && id.n ? workspace_root(w, id.p) : NULL;
    buf_end(&id);
    if (!*root || !bytes_begin(tail, "/files/") || tail.n == 7 ||
        percent_read((struct bytes){tail.p + 7, tail.n - 7}, &path) < 0 || memchr(path.p, 0, path.n)) {
        buf_end(&path);
        return NULL;
    }
    return buf_take(&path);
}

static int is_listed(const struct dirent *e)
{
    return e->d_name[0] != '.' && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
}

static void list_root(const struct root *root, struct buf *out)
{
    struct dirent **names = NULL;
    int n = scandirat(root->fd, ".", &names, is_listed, alphasort);
    for (int i = 0; i < n; i++) {
        struct stat st;
        if (i < LISTED_MOST && fstatat(root->fd, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && utf8_is_valid(bytes_of(names[i]->d_name))) {
            buf_add_text(out, out->n ? ",{\"uri\":\"" : "{\"uri\":\"");
            resource_add_uri(out, root, names[i]->d_name);
            buf_add_text(out, "\",\"name\":");
            buf_add_json_text(out, names[i]->d_name);
            buf_addf(out, ",\"size\":%lld}", (long long)st.st_size);
        }
        free(names[i]);
    }
    free(names);
}

void resources_list(struct order *o)
{
    struct workspace *w = order_server(o);
    struct buf list = {0}, out = {0};
    for (size_t i = 0; i < w->root_count; i++)
        list_root(&w->roots[i], &list);
    buf_add_text(&out, "\"resources\":[");
    buf_add_bytes(&out, buf_bytes(&list));
    buf_add_char(&out, ']');
    order_answer_members(o, buf_bytes(&out));
    buf_end(&list);
    buf_end(&out);
}

static void answer_file(struct order *o, struct bytes uri, int fd)
{
    struct buf whole = {0}, out = {0};
    char piece[65536];
    ssize_t n;
    while ((n = read(fd, piece, sizeof(piece))) > 0 && whole.n <= RESOURCE_MOST)
        buf_add(&whole, piece, (size_t)n);
    struct bytes all = buf_bytes(&whole);
    bool is_text = all.n == 0 || (!memchr(all.p, 0, all.n) && utf8_is_valid(all));
    buf_add_text(&out, "\"contents\":[{\"uri\":");
    buf_add_json(&out, uri);
    if (is_text) {
        buf_add_text(&out, ",\"mimeType\":\"text/plain\",\"text\":");
        buf_add_json(&out, all);
    } else {
        buf_add_text(&out, ",\"mimeType\":\"application/octet-stream\",\"blob\":\"");
        base64_add(&out, all);
        buf_add_char(&out, '"');
    }
    buf_add_text(&out, "}]");
    if (n < 0)
        order_refuse(o, FAULT_INTERNAL, "the file could not be read");
    else
        order_answer_members(o, buf_bytes(&out));
    buf_end(&whole);
    buf_end(&out);
}

void resource_read(struct order *o, struct bytes uri)
{
    struct root *root = NULL;
    struct stat st;
    _cleanup_free_ char *path = split(order_server(o), uri, &root);
    _cleanup_fd_ int fd = -1;
    if (!path || root_open(root, path, 0, &fd, NULL) != 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        order_refuse(o, FAULT_RESOURCE_NOT_FOUND, "there is no file '%.*s'", (int)(uri.n < 150 ? uri.n : 150),
                     uri.p);
        return;
    }
    if (st.st_size > RESOURCE_MOST)
        order_refuse(o, FAULT_TOO_LARGE, "the file has %lld bytes, at most %d are read",
                     (long long)st.st_size, RESOURCE_MOST);
    else
        answer_file(o, uri, fd);
}

int resource_subscribe(void *server, struct bytes uri, struct why *why)
{
    struct workspace *w = server;
    struct root *root = NULL;
    _cleanup_free_ char *path = split(w, uri, &root);
    if (!path)
        return why_set(why, 1, "there is no such file");
    return watcher_add(w->watcher, root, path, uri, why);
}

void resource_unsubscribe(void *server, struct bytes uri)
{
    struct workspace *w = server;
    watcher_drop(w->watcher, uri);
}
