#pragma once
/*
 * workspace -- configured folders, read only: list_files, read_file, search_text, show_log, show_diff.
 *
 * Settings: {"path": "/folder"} or {"folders": [{"id": "main", "path": "/folder"}, …]}. Nothing outside a
 * folder is ever opened: paths are resolved beneath it and symbolic links are not followed. `.git` is never
 * shown. Scans run on a worker thread, so the loop stays awake.
 */
#include "core/rpc/serve.h"

extern const struct server workspace_server;

struct git;
struct root {
    const char *id, *path;
    int fd;                /* the folder */
    const struct git *git; /* the workspace's */
    const char *hidden;    /* the hub's state, where it lies in this folder: relative; NULL: elsewhere */
};

struct workspace {
    struct arena *arena;
    struct root *roots;
    size_t root_count;
    struct watcher *watcher;
    struct git *git;
    const char *state; /* the hub's state folder, lent by the settings */
};
/* The folder named `id`, the only one when `id` is NULL; NULL: none, or not clear which. */
struct root *workspace_root(struct workspace *w, const char *id);
/* beneath_open, but for what is the hub's own: its keys are nobody's to read, whatever folder they lie in. */
int root_open(const struct root *root, const char *path, int flags, int *fd, struct why *why);
bool root_hides(const struct root *root, const char *path);
