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
};

struct workspace {
    struct arena *arena;
    struct root *roots;
    size_t root_count;
    struct watcher *watcher;
    struct git *git;
};
/* The folder named `id`, the only one when `id` is NULL; NULL: none, or not clear which. */
struct root *workspace_root(struct workspace *w, const char *id);
