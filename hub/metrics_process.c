/*
 * What our processes use, from /proc: the hub, its parent the supervisor, and each server with all its
 * descendants. Read when somebody asks; a process that ends meanwhile counts as nothing.
 */
#include "core/base/fd.h"
#include "hub/hub.h"
#include "hub/metrics_parts.h"
#include "hub/upstream.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TREE_MOST = 256 };

static size_t read_proc(int pid, const char *name, char *out, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static double cpu_of(int pid)
{
    char text[1024];
    if (!read_proc(pid, "stat", text, sizeof(text)))
        return 0;
    /* The name may hold blanks and parentheses: fields are counted from the last one. User and system time
     * are the 14th and 15th field, the state is the 3rd. */
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return 0;
    char *next = NULL;
    unsigned long long user = strtoull(at, &next, 10), system = strtoull(next, NULL, 10);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int64_t resident_of(int pid)
{
    char text[256];
    if (!read_proc(pid, "statm", text, sizeof(text)))
        return 0;
    char *next = NULL;
    strtoll(text, &next, 10);
    return strtoll(next, NULL, 10) * sysconf(_SC_PAGESIZE);
}

/* -1: not ours to see. */
static int64_t fds_of(int pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int64_t n = 0;
    for (struct dirent *e; (e = readdir(folder));)
        n += e->d_name[0] != '.';
    closedir(folder);
    return n;
}

static void add_process(struct process_use *use, int pid)
{
    use->resident += resident_of(pid);
    use->cpu_s += cpu_of(pid);
    int64_t fds = fds_of(pid);
    use->fds = fds < 0 || use->fds < 0 ? -1 : use->fds + fds;
}

/* Appends the children of `pid`; a kernel without the list has a tree of one. */
static size_t add_children(int pid, int *pids, size_t n)
{
    char name[48], text[2048];
    snprintf(name, sizeof(name), "task/%d/children", pid);
    if (!read_proc(pid, name, text, sizeof(text)))
        return n;
    for (char *at = text, *next; n < TREE_MOST; at = next) {
        long child = strtol(at, &next, 10);
        if (next == at || child <= 0)
            break;
        pids[n++] = (int)child;
    }
    return n;
}

static void add_tree(struct process_use *use, int pid)
{
    int pids[TREE_MOST] = {pid};
    size_t n = 1;
    for (size_t i = 0; i < n; i++) {
        add_process(use, pids[i]);
        n = add_children(pids[i], pids, n);
    }
}

void metrics_each_process(const struct metrics *m,
                          void (*fn)(const char *role, const struct process_use *use, void *ctx), void *ctx)
{
    struct process_use use = {0};
    add_process(&use, getpid());
    fn("hub", &use, ctx);
    use = (struct process_use){0};
    add_process(&use, getppid());
    fn("supervisor", &use, ctx);
    for (size_t i = 0; i < m->hub->upstream_count; i++) {
        const struct upstream *u = m->hub->upstreams[i];
        char role[80];
        if (upstream_pid(u) <= 0)
            continue;
        snprintf(role, sizeof(role), "server@%s", upstream_config(u)->name);
        use = (struct process_use){0};
        add_tree(&use, upstream_pid(u));
        fn(role, &use, ctx);
    }
}
