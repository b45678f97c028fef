#pragma once
/*
 * git -- libgit2, opened when this server starts and not with every role.
 *
 * What libgit2 brings along (SSH, Kerberos, a second TLS) would cost each process a megabyte of memory and a
 * quarter of its start, and would put code beside the network parser that has no business there. So the
 * functions used are named here once and looked up by the dynamic linker on demand; calls read
 * `git->commit_free(…)`.
 */
#include "core/base/why.h"

#include <git2.h>

#define GIT_FUNCTIONS(X)               \
    X(commit_author)                   \
    X(commit_free)                     \
    X(commit_id)                       \
    X(commit_lookup)                   \
    X(commit_parent)                   \
    X(commit_parentcount)              \
    X(commit_summary)                  \
    X(commit_time)                     \
    X(commit_tree)                     \
    X(diff_free)                       \
    X(diff_options_init)               \
    X(diff_print)                      \
    X(diff_tree_to_tree)               \
    X(diff_tree_to_workdir_with_index) \
    X(error_last)                      \
    X(ignore_path_is_ignored)          \
    X(libgit2_init)                    \
    X(libgit2_opts)                    \
    X(object_free)                     \
    X(object_id)                       \
    X(object_peel)                     \
    X(oid_equal)                       \
    X(oid_tostr)                       \
    X(repository_free)                 \
    X(repository_open_ext)             \
    X(revparse_single)                 \
    X(revwalk_free)                    \
    X(revwalk_new)                     \
    X(revwalk_next)                    \
    X(revwalk_push)                    \
    X(revwalk_sorting)                 \
    X(tree_entry_bypath)               \
    X(tree_entry_free)                 \
    X(tree_entry_id)                   \
    X(tree_free)

struct git {
#define X(name) __typeof__(&git_##name) name;
    GIT_FUNCTIONS(X)
#undef X
    void *library;
};

/* Opens libgit2 and sets it to read nothing but a repository's own configuration. NULL with `why`. Must come
 * before a sandbox that forbids executable mappings; a second opening is cheap. */
struct git *git_open(struct why *why);
void git_close(struct git *git);
