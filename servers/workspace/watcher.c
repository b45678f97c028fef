#include "servers/workspace/watcher.h"

#include "core/base/fd.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "servers/workspace/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { WATCHED_MOST = 1000, GATHER_MS = 50 };

struct watched {
    struct link link;
    char *uri, *name; /* the file's name in its folder */
    int descriptor;   /* inotify's, of the folder */
    bool has_changed;
};

struct watcher {
    struct serve *serve;
    int fd;
    struct watch *watch;
    struct timer gather;
    struct link all;
    size_t count;
};

static void gathered(void *ctx)
{
    struct watcher *w = ctx;
    list_each (l, &w->all) {
        struct watched *f = list_entry(l, struct watched, link);
        if (!f->has_changed)
            continue;
        f->has_changed = false;
        serve_resource_updated(w->serve, bytes_of(f->uri));
    }
}

static void note(struct watcher *w, const struct inotify_event *e)
{
    bool is_overflow = (e->mask & IN_Q_OVERFLOW) != 0; /* events were lost: every file may have changed */
    list_each (l, &w->all) {
        struct watched *f = list_entry(l, struct watched, link);
        bool is_it = f->descriptor == e->wd && e->len > 0 && strcmp(f->name, e->name) == 0;
        if (!is_it && !is_overflow)
            continue;
        f->has_changed = true;
        if (!timer_is_started(&w->gather))
            timer_start(&w->gather, GATHER_MS);
    }
}

static void ready(int events, void *ctx)
{
    struct watcher *w = ctx;
    (void)events;
    _Alignas(struct inotify_event) char room[16384];
    ssize_t n = read(w->fd, room, sizeof(room));
    for (char *p = room; n > 0 && p < room + n;) {
        const struct inotify_event *e = (const struct inotify_event *)p;
        note(w, e);
        p += sizeof(*e) + e->len;
    }
}

struct watcher *watcher_new(struct serve *serve)
{
    struct watcher *w = NEW(struct watcher);
    w->serve = serve;
    list_init(&w->all);
    timer_init(&w->gather, serve_loop(serve), gathered, w);
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd >= 0)
        w->watch = watch_new(serve_loop(serve), w->fd, WATCH_READ, ready, w);
    return w;
}

static void drop(struct watcher *w, struct watched *f)
{
    bool is_shared = false;
    list_drop(&f->link);
    w->count--;
    list_each (l, &w->all)
        is_shared = is_shared || list_entry(l, struct watched, link)->descriptor == f->descriptor;
    if (!is_shared)
        inotify_rm_watch(w->fd, f->descriptor);
    free(f->uri);
    free(f->name);
    free(f);
}

void watcher_free(struct watcher *w)
{
    if (!w)
        return;
    timer_stop(&w->gather);
    for (struct link *l; (l = list_take(&w->all));)
        drop(w, list_entry(l, struct watched, link));
    watch_free(w->watch);
    fd_close(&w->fd);
    free(w);
}

int watcher_add(struct watcher *w, struct root *root, const char *path, struct bytes uri, struct why *why)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = bytes_copy((struct bytes){path, slash ? (size_t)(slash - path) : 0});
    _cleanup_fd_ int file = -1, at = -1;
    char name[40];
    if (w->count >= WATCHED_MOST)
        return why_set(why, 1, "at most %d files can be watched", WATCHED_MOST);
    if (root_open(root, path, O_PATH, &file, why) != 0 ||
        root_open(root, folder, O_PATH | O_DIRECTORY, &at, why) != 0)
        return 1;
    /* By its descriptor, not its name: what was resolved beneath the root is what is watched. */
    snprintf(name, sizeof(name), "/proc/self/fd/%d", at);
    int descriptor = inotify_add_watch(w->fd, name,
                                       IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                           IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK);
    if (descriptor < 0) {
        why_errno(why, errno, "cannot watch '%s'", path);
        return 1;
    }
    struct watched *f = NEW(struct watched);
    *f = (struct watched){
        .uri = bytes_copy(uri), .name = mem_text(slash ? slash + 1 : path), .descriptor = descriptor};
    list_add(&w->all, &f->link);
    w->count++;
    return 0;
}

void watcher_drop(struct watcher *w, struct bytes uri)
{
    list_each (l, &w->all) {
        struct watched *f = list_entry(l, struct watched, link);
        if (bytes_say(uri, f->uri)) {
            drop(w, f);
            return;
        }
    }
}
