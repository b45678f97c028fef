#include "servers/workspace/workspace.h"

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/files.h"
#include "servers/workspace/git.h"
#include "servers/workspace/history.h"
#include "servers/workspace/resources.h"
#include "servers/workspace/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOTS_MOST = 32 };

static const char *const formats[] = {"csv", "json", NULL};

#define FOLDER(type) STRING(type, folder, OPTIONAL, "Folder id, where there are several", .max = 64)

static const struct shape list_files_shape[] = {
    FOLDER(struct list_files),
    STRING(struct list_files, path, OPTIONAL, "Where to begin; default: the folder", .max = 4096),
    STRING(struct list_files, glob, OPTIONAL, "Name pattern, like *.c or src/*", .max = 256),
    INT(struct list_files, limit, 1, 1000, 200, "Rows a page"),
    ENUM(struct list_files, format, formats, "csv", "Shape of the answer"),
    STRING(struct list_files, cursor, OPTIONAL, "From next_cursor", .max = 256),
    {0},
};
static const struct shape read_file_shape[] = {
    FOLDER(struct read_file),
    STRING(struct read_file, path, REQUIRED, "File, relative to the folder", .min = 1, .max = 4096),
    INT(struct read_file, start, 1, 1000000000, 1, "First line"),
    INT(struct read_file, lines, 1, 100000, 2000, "How many lines"),
    STRING(struct read_file, cursor, OPTIONAL, "From next_cursor", .max = 256),
    INT(struct read_file, max_bytes, 1024, 49152, 40960, "Most of one answer"),
    {0},
};
static const struct shape search_text_shape[] = {
    FOLDER(struct search_text),
    STRING(struct search_text, find, REQUIRED, "Literal text to look for", .min = 1, .max = 1024),
    STRING(struct search_text, path, OPTIONAL, "Where to begin; default: the folder", .max = 4096),
    STRING(struct search_text, glob, OPTIONAL, "Name pattern, like *.c or src/*", .max = 256),
    BOOL(struct search_text, match_case, false, "Tell upper from lower case"),
    INT(struct search_text, limit, 1, 1000, 100, "Rows a page"),
    ENUM(struct search_text, format, formats, "csv", "Shape of the answer"),
    STRING(struct search_text, cursor, OPTIONAL, "From next_cursor", .max = 256),
    {0},
};
static const struct shape show_log_shape[] = {
    FOLDER(struct show_log),
    STRING(struct show_log, path, OPTIONAL, "Only commits that change this path", .max = 4096),
    STRING(struct show_log, ref, OPTIONAL, "Branch, tag or commit", .max = 256, .text_otherwise = "HEAD"),
    INT(struct show_log, limit, 1, 200, 20, "Rows a page"),
    ENUM(struct show_log, format, formats, "csv", "Shape of the answer"),
    STRING(struct show_log, cursor, OPTIONAL, "From next_cursor", .max = 256),
    {0},
};
static const struct shape show_diff_shape[] = {
    FOLDER(struct show_diff),
    STRING(struct show_diff, from, OPTIONAL, "Older side", .max = 256, .text_otherwise = "HEAD"),
    STRING(struct show_diff, to, OPTIONAL, "Newer side; default: the files as they are", .max = 256),
    STRING(struct show_diff, path, OPTIONAL, "Only this file or folder", .max = 4096),
    STRING(struct show_diff, cursor, OPTIONAL, "From next_cursor", .max = 256),
    INT(struct show_diff, max_bytes, 1024, 49152, 40960, "Most of one answer"),
    {0},
};

#define READS (TOOL_READS | TOOL_AT_HOME | TOOL_UNTRUSTED)

static const struct tool tools[] = {
    TOOL("list_files", list_files, struct list_files, list_files_shape, READS, "default",
         "List files and folders, without what git ignores"),
    TOOL("read_file", read_file, struct read_file, read_file_shape, READS, "default",
         "Read a text file, or lines of it"),
    TOOL("search_text", search_text, struct search_text, search_text_shape, READS, "default",
         "Find lines that contain a text"),
    TOOL("show_log", show_log, struct show_log, show_log_shape, READS, "default",
         "List commits, newest first"),
    TOOL("show_diff", show_diff, struct show_diff, show_diff_shape, READS, "default",
         "Show what differs between commits, or since one"),
    {0},
};

static const struct resource_row resource_rows[] = {
    {.uri = "workspace://{id}/files/{+path}",
     .name = "file",
     .help = "A file of the folder",
     .mime = NULL,
     .is_template = true},
    {0         },
};

struct root *workspace_root(struct workspace *w, const char *id)
{
    if (!id)
        return w->root_count == 1 ? &w->roots[0] : NULL;
    for (size_t i = 0; i < w->root_count; i++)
        if (strcmp(w->roots[i].id, id) == 0)
            return &w->roots[i];
    return NULL;
}

/* The name of the next component at *p, past slashes and ".". */
static size_t next_component(const char **p)
{
    for (;;) {
        *p += strspn(*p, "/");
        size_t n = strcspn(*p, "/");
        if (n != 1 || **p != '.')
            return n;
        *p += 1;
    }
}

bool root_hides(const struct root *root, const char *path)
{
    const char *hidden = root->hidden;
    while (hidden) {
        size_t want = next_component(&hidden), n = next_component(&path);
        if (want == 0)
            return true;
        if (n != want || memcmp(path, hidden, n) != 0)
            return false;
        path += n;
        hidden += n;
    }
    return false;
}

int root_open(const struct root *root, const char *path, int flags, int *fd, struct why *why)
{
    if (path && root_hides(root, path))
        return why_set(why, BENEATH_E_REFUSED, "'%s' is the hub's own", path);
    return beneath_open(root->fd, path, flags, fd, why);
}

/* Where `state` lies in `folder`, both as the file system has them; NULL: not in it. */
static const char *place_in(struct arena *a, const char *folder, const char *state)
{
    _cleanup_free_ char *outer = realpath(folder, NULL), *inner = state ? realpath(state, NULL) : NULL;
    size_t n = outer ? strlen(outer) : 0;
    if (!outer || !inner || strncmp(inner, outer, n) != 0 || (inner[n] != '/' && strcmp(outer, "/") != 0))
        return NULL;
    return arena_text(a, bytes_of(inner + n));
}

static int add_root(struct workspace *w, const char *id, const char *path, struct why *why)
{
    if (!path || path[0] != '/')
        return why_set(why, -1, "setting 'path' must be an absolute path");
    if (!id || !*id || strlen(id) > 64 || strpbrk(id, "/?#%\"\\"))
        return why_set(why, -1, "setting 'id' must be a name of 1 to 64 characters without / ? # %% \" \\");
    if (workspace_root(w, id))
        return why_set(why, -1, "two folders are called '%s'", id);
    struct root *root = &w->roots[w->root_count];
    root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return why_errno(why, errno, "cannot open folder '%s'", path);
    root->id = arena_text(w->arena, bytes_of(id));
    root->path = arena_text(w->arena, bytes_of(path));
    root->git = w->git;
    root->hidden = place_in(w->arena, path, w->state);
    w->root_count++;
    return 0;
}

/* A folder of the list: {"id","path"}, or a path whose last name is its id ("main" when it is the only one).
 */
static int add_folder(struct workspace *w, const json_t *folder, bool is_only, struct why *why)
{
    const char *path = json_string_value(folder);
    if (!path)
        return add_root(w, json_str(folder, "id"), json_str(folder, "path"), why);
    const char *slash = strrchr(path, '/');
    return add_root(w, is_only ? "main" : slash ? slash + 1 : path, path, why);
}

static int add_roots(struct workspace *w, const json_t *settings, struct why *why)
{
    json_t *folders = json_object_get(settings, "folders"), *folder;
    size_t i;
    if (!folders)
        return add_root(w, "main", json_str(settings, "path"), why);
    if (!json_is_array(folders) || json_array_size(folders) < 1 || json_array_size(folders) > ROOTS_MOST)
        return why_set(why, -1, "setting 'folders' must be a list of 1 to %d folders", ROOTS_MOST);
    json_array_foreach (folders, i, folder) {
        if (add_folder(w, folder, json_array_size(folders) == 1, why) < 0)
            return -1;
    }
    return 0;
}

static void close_workspace(void *server)
{
    struct workspace *w = server;
    watcher_free(w->watcher);
    for (size_t i = 0; i < w->root_count; i++)
        fd_close(&w->roots[i].fd);
    git_close(w->git);
    arena_free(w->arena);
    free(w);
}

static int open_workspace(struct serve *s, const json_t *settings, void **out, struct why *why)
{
    struct workspace *w = NEW(struct workspace);
    w->arena = arena_new();
    w->roots = arena_take(w->arena, ROOTS_MOST * sizeof(w->roots[0]));
    w->state = json_str(settings, "state");
    w->git = git_open(why);
    if (!w->git || add_roots(w, settings, why) < 0) {
        close_workspace(w);
        return -1;
    }
    w->watcher = watcher_new(s);
    *out = w;
    return 0;
}

const struct server workspace_server = {
    .name = "workspace",
    .title = "Workspace",
    .version = TRUNKLINE_VERSION,
    .instructions =
        "Read-only view of a folder: list_files and search_text find things, read_file shows them, "
        "show_log and show_diff tell their history.",
    .tools = tools,
    .resources = resource_rows,
    .open = open_workspace,
    .close = close_workspace,
    .list_resources = resources_list,
    .read = resource_read,
    .subscribe = resource_subscribe,
    .unsubscribe = resource_unsubscribe,
};
