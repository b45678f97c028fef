#pragma once
/*
 * watcher -- tells when a subscribed file changed, by inotify on its folder.
 *
 * Editors write beside and rename over, so the folder is watched and names are compared. Changes are gathered
 * for 50 ms. At most 1,000 files.
 */
#include "servers/workspace/workspace.h"

struct watcher;
struct watcher *watcher_new(struct serve *serve);
void watcher_free(struct watcher *w);
/* 0, or 1: there is no such file. `uri` is told back on change. */
int watcher_add(struct watcher *w, struct root *root, const char *path, struct bytes uri, struct why *why);
void watcher_drop(struct watcher *w, struct bytes uri);
