#include "servers/workspace/history.h"

#include "core/base/mem.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/git.h"
#include "servers/workspace/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIFF_MOST = 32 << 20, DIFF_FILE_MOST = 8 << 20 };

static void fail_git(struct scan *s, const char *what, const char *subject)
{
    const struct git *git = s->root->git;
    const git_error *e = git->error_last();
    scan_fail(s, "not_found", "%s '%s': %s", what, subject, e && e->message ? e->message : "unknown fault");
}

static git_repository *open_repository(struct scan *s)
{
    const struct git *git = s->root->git;
    git_repository *repo = NULL;
    if (git->repository_open_ext(&repo, s->root->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0)
        scan_fail(s, "refused", "folder '%s' is not a git checkout, so it has no history", s->root->id);
    return repo;
}

static git_object *find(struct scan *s, git_repository *repo, const char *ref, git_object_t type)
{
    const struct git *git = s->root->git;
    git_object *named = NULL, *object = NULL;
    if (git->revparse_single(&named, repo, ref) < 0 || git->object_peel(&object, named, type) < 0)
        fail_git(s, "cannot find", ref);
    git->object_free(named);
    return object;
}

/* --- show_log --- */

struct log_run {
    struct scan *scan;
    git_repository *repo;
    const struct show_log *args;
    char *path;
    struct rows rows;
};

static git_tree *tree_of(const struct git *git, const git_commit *commit)
{
    git_tree *tree = NULL;
    if (commit)
        git->commit_tree(&tree, commit);
    return tree;
}

/* Does the entry at `path` differ between a commit and its first parent? */
static bool touches(const struct git *git, const git_commit *commit, const char *path)
{
    git_commit *parent = NULL;
    git_tree_entry *now = NULL, *before = NULL;
    if (git->commit_parentcount(commit) > 0)
        git->commit_parent(&parent, commit, 0);
    git_tree *new_tree = tree_of(git, commit), *old_tree = tree_of(git, parent);
    if (new_tree)
        git->tree_entry_bypath(&now, new_tree, path);
    if (old_tree)
        git->tree_entry_bypath(&before, old_tree, path);
    bool differs = (now != NULL) != (before != NULL) ||
                   (now && before && !git->oid_equal(git->tree_entry_id(now), git->tree_entry_id(before)));
    git->tree_entry_free(now);
    git->tree_entry_free(before);
    git->tree_free(new_tree);
    git->tree_free(old_tree);
    git->commit_free(parent);
    return differs;
}

static void add_commit(struct log_run *run, const git_commit *commit)
{
    const struct git *git = run->scan->root->git;
    static const bool is_number[] = {false, false, false, false};
    char sha[GIT_OID_HEXSZ + 1], when[24];
    const git_signature *author = git->commit_author(commit);
    time_t seconds = (time_t)git->commit_time(commit);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%MZ", &tm);
    git->oid_tostr(sha, sizeof(sha), git->commit_id(commit));
    const char *summary = git->commit_summary((git_commit *)commit);
    struct bytes cells[] = {bytes_of(sha), bytes_of(when), bytes_of(author ? author->name : ""),
                            bytes_of(summary ? summary : "")};
    rows_add(&run->rows, cells, is_number);
}

static void walk_log(struct log_run *run, const git_oid *start)
{
    const struct git *git = run->scan->root->git;
    git_revwalk *walk = NULL;
    git_oid id;
    if (git->revwalk_new(&walk, run->repo) < 0 || git->revwalk_push(walk, start) < 0) {
        fail_git(run->scan, "cannot walk from", run->args->ref);
    } else {
        git->revwalk_sorting(walk, GIT_SORT_TIME | GIT_SORT_TOPOLOGICAL);
        for (size_t n = 0; !run->rows.is_full && git->revwalk_next(&id, walk) == 0; n++) {
            git_commit *commit = NULL;
            if ((n & 31) == 0 && scan_must_stop(run->scan))
                break;
            if (git->commit_lookup(&commit, run->repo, &id) < 0)
                continue;
            if ((!*run->path || touches(git, commit, run->path)) && rows_want(&run->rows))
                add_commit(run, commit);
            git->commit_free(commit);
        }
    }
    git->revwalk_free(walk);
}

static uint64_t log_hash(const struct show_log *a)
{
    const char *const texts[] = {a->folder, a->path, a->ref, a->format};
    return arguments_hash(texts, 4, a->limit);
}

static void log_run(struct scan *s)
{
    const struct git *git = s->root->git;
    static const char *const columns[] = {"sha", "time", "author", "subject", NULL};
    const struct show_log *a = s->args;
    struct log_run run = {.scan = s, .args = a};
    int64_t from = 0;
    if (cursor_read(a->cursor, log_hash(a), &from) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    run.repo = open_repository(s);
    run.path = path_tidy(a->path);
    git_object *start = run.repo ? find(s, run.repo, a->ref, GIT_OBJECT_COMMIT) : NULL;
    rows_begin(&run.rows, columns, from, a->limit, a->format);
    if (start)
        walk_log(&run, git->object_id(start));
    rows_tell(&run.rows, s, -1, run.rows.is_full, log_hash(a));
    free(run.path);
    git->object_free(start);
    git->repository_free(run.repo);
}

static struct root *root_for(struct order *o, const char *id, const char *path)
{
    struct root *root = workspace_root(order_server(o), id);
    if (!root)
        order_fail(o, id ? "not_found" : "invalid", id ? "there is no folder '%s'" : "'folder' is needed%s",
                   id ? id : "");
    else if (path && !beneath_is_plain(path))
        order_fail(o, "refused", "'%s' is not a path inside the folder", path);
    else
        return root;
    return NULL;
}

void show_log(struct order *o, const void *args)
{
    const struct show_log *a = args;
    struct root *root = root_for(o, a->folder, a->path);
    if (root)
        scan_start(o, root, log_run, args);
}

/* --- show_diff --- */

struct diff_run {
    struct scan *scan;
    struct buf text;
    size_t lines;
};

static int add_line(const git_diff_delta *delta, const git_diff_hunk *hunk, const git_diff_line *line,
                    void *payload)
{
    struct diff_run *run = payload;
    (void)delta;
    (void)hunk;
    if ((++run->lines & 255) == 0 && scan_must_stop(run->scan))
        return -1;
    if (run->text.n > DIFF_MOST) {
        scan_fail(run->scan, "too_large", "the diff has more than %d MiB; narrow it with 'path'",
                  DIFF_MOST >> 20);
        return -1;
    }
    if (line->origin == '+' || line->origin == '-' || line->origin == ' ')
        buf_add_char(&run->text, line->origin);
    buf_add(&run->text, line->content, line->content_len);
    return 0;
}

/* 1 leaves the file out of the difference. */
static int leave_out(const git_diff *so_far, const git_diff_delta *delta, const char *pathspec, void *payload)
{
    (void)so_far;
    (void)pathspec;
    return root_hides(payload, delta->new_file.path) ? 1 : 0;
}

static git_diff *make_diff(struct scan *s, git_repository *repo, const struct show_diff *a)
{
    const struct git *git = s->root->git;
    git_diff_options options;
    _cleanup_free_ char *path = path_tidy(a->path);
    char *paths[] = {path};
    git_diff *diff = NULL;
    int fault;
    git->diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags = GIT_DIFF_DISABLE_PATHSPEC_MATCH | GIT_DIFF_INCLUDE_UNTRACKED |
                    GIT_DIFF_SHOW_UNTRACKED_CONTENT | GIT_DIFF_RECURSE_UNTRACKED_DIRS;
    options.notify_cb = leave_out;
    options.payload = s->root;
    options.max_size = DIFF_FILE_MOST; /* larger ones count as binary: they are not read whole for a diff */
    if (*path)
        options.pathspec = (git_strarray){paths, 1};
    git_object *from = find(s, repo, a->from, GIT_OBJECT_TREE);
    git_object *to = from && a->to && *a->to ? find(s, repo, a->to, GIT_OBJECT_TREE) : NULL;
    if (s->fault[0])
        fault = -1;
    else if (to)
        fault = git->diff_tree_to_tree(&diff, repo, (git_tree *)from, (git_tree *)to, &options);
    else
        fault = git->diff_tree_to_workdir_with_index(&diff, repo, (git_tree *)from, &options);
    if (fault < 0)
        fail_git(s, "cannot compare with", a->from);
    git->object_free(from);
    git->object_free(to);
    return diff;
}

static void diff_run(struct scan *s)
{
    const struct git *git = s->root->git;
    const struct show_diff *a = s->args;
    const char *const texts[] = {a->folder, a->from, a->to, a->path};
    uint64_t hash = arguments_hash(texts, 4, 0);
    int64_t from = 0;
    if (cursor_read(a->cursor, hash, &from) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    struct diff_run run = {.scan = s};
    git_repository *repo = open_repository(s);
    git_diff *diff = repo ? make_diff(s, repo, a) : NULL;
    if (diff && git->diff_print(diff, GIT_DIFF_FORMAT_PATCH, add_line, &run) < 0)
        fail_git(s, "cannot show the difference to", a->from);
    struct bytes all = buf_bytes(&run.text);
    if (!s->fault[0] && (size_t)from >= all.n)
        buf_add_text(&s->text, from ? "# nothing more" : "# no differences");
    else if (!s->fault[0])
        page_tell(s, (struct bytes){all.p + from, all.n - (size_t)from}, from, a->max_bytes, hash);
    buf_end(&run.text);
    git->diff_free(diff);
    git->repository_free(repo);
}

void show_diff(struct order *o, const void *args)
{
    const struct show_diff *a = args;
    struct root *root = root_for(o, a->folder, a->path);
    if (root)
        scan_start(o, root, diff_run, args);
}
