#include "servers/workspace/walk.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/git.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* The paths still to be looked at, the next one on top. A folder, when taken, puts its sorted entries on top
 * of the pile, so the order is that of a sorted tree walk. */
struct pile {
    char **paths;
    size_t n, cap, seen;
};

static void push(struct pile *pile, char *path)
{
    if (pile->n == pile->cap) {
        pile->cap = pile->cap ? 2 * pile->cap : 256;
        pile->paths = mem_grow(pile->paths, pile->cap, sizeof(char *));
    }
    pile->paths[pile->n++] = path;
}

/* Looked up beneath the folder each time: a path may lead elsewhere by now. A link is itself. */
static int look_at(const struct scan *s, const char *path, struct stat *st)
{
    int fd = -1;
    if (root_open(s->root, path, O_PATH | O_NOFOLLOW, &fd, NULL) != 0)
        return -1;
    int outcome = fstat(fd, st);
    fd_close(&fd);
    return outcome;
}

static int later_first(const void *a, const void *b)
{
    return -strcmp(*(char *const *)a, *(char *const *)b);
}

static void push_entries(struct scan *s, struct pile *pile, const char *folder)
{
    int fd = -1;
    if (root_open(s->root, folder, O_DIRECTORY, &fd, NULL) != 0)
        return; /* it went away, or became a link, while we walked */
    DIR *dir = fdopendir(fd);
    size_t from = pile->n;
    for (struct dirent *e; dir && (e = readdir(dir)) && pile->n <= WALK_MOST;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcasecmp(e->d_name, ".git") == 0)
            continue;
        push(pile, *folder ? text_format("%s/%s", folder, e->d_name) : mem_text(e->d_name));
    }
    if (pile->n > from)
        qsort(pile->paths + from, pile->n - from, sizeof(char *), later_first);
    if (dir)
        closedir(dir);
    else
        fd_close(&fd);
}

static bool is_ignored(const struct git *git, git_repository *repo, const char *path, bool is_folder)
{
    int ignored = 0;
    if (!repo)
        return false;
    if (!is_folder)
        return git->ignore_path_is_ignored(&ignored, repo, path) == 0 && ignored;
    _cleanup_free_ char *as_folder = text_format("%s/", path);
    return git->ignore_path_is_ignored(&ignored, repo, as_folder) == 0 && ignored;
}

void walk(struct scan *s, const char *from, bool (*fn)(const char *path, const struct stat *st, void *ctx),
          void *ctx)
{
    const struct git *git = s->root->git;
    git_repository *repo = NULL;
    struct pile pile = {0};
    bool goes_on = true;
    struct stat begin;
    char *first = path_tidy(from);
    git->repository_open_ext(&repo, s->root->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (look_at(s, first, &begin) == 0 && S_ISREG(begin.st_mode)) {
        push(&pile, first);
    } else {
        push_entries(s, &pile, first);
        free(first);
    }
    while (pile.n && goes_on) {
        _cleanup_free_ char *path = pile.paths[--pile.n];
        struct stat st;
        if ((++pile.seen & 63) == 0 && scan_must_stop(s))
            break;
        if (pile.seen + pile.n > WALK_MOST) {
            scan_fail(s, "too_large", "the folder has more than %d entries; narrow it with 'path'",
                      WALK_MOST);
            break;
        }
        if (look_at(s, path, &st) < 0 || is_ignored(git, repo, path, S_ISDIR(st.st_mode)))
            continue;
        goes_on = fn(path, &st, ctx);
        if (goes_on && S_ISDIR(st.st_mode))
            push_entries(s, &pile, path);
    }
    while (pile.n)
        free(pile.paths[--pile.n]);
    free(pile.paths);
    git->repository_free(repo);
}
