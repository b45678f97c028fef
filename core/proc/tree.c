#include "core/proc/tree.h"

#include "core/base/fd.h"
#include "core/base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    char state;
    unsigned long long started; /* clock ticks since boot: with the pid, this names a process for ever */
    bool is_ours;
};

struct table_of {
    struct process *p;
    size_t n, cap;
};

int tree_open(void)
{
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The fields of /proc/<pid>/stat behind the name, which may itself hold spaces and parentheses. */
static bool parse(char *line, struct process *out)
{
    char *rest = strrchr(line, ')');
    if (!rest || rest[1] != ' ')
        return false;
    out->state = rest[2];
    char *at = rest + 3;
    out->parent = (pid_t)strtol(at, &at, 10);
    for (int field = 5; field <= 21; field++)
        strtoll(at, &at, 10);
    out->started = strtoull(at, &at, 10);
    return true;
}

static bool look_at(int proc, const char *pid, struct process *out)
{
    char path[32], line[1024];
    snprintf(path, sizeof path, "%.10s/stat", pid);
    _cleanup_fd_ int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, line, sizeof line - 1);
    if (n <= 0)
        return false;
    line[n] = 0;
    out->pid = (pid_t)strtol(pid, NULL, 10);
    return parse(line, out);
}

static int read_all(int proc, struct table_of *out)
{
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int error = errno;
        fd_close(&fd);
        return -error;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct process one = {0};
        if (!isdigit((unsigned char)entry->d_name[0]) || !look_at(proc, entry->d_name, &one))
            continue;
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 256;
            out->p = mem_grow(out->p, out->cap, sizeof *out->p);
        }
        out->p[out->n++] = one;
    }
    closedir(folder);
    return 0;
}

static bool is_ours(const struct table_of *all, pid_t parent)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->p[i].pid == parent)
            return all->p[i].is_ours;
    }
    return false;
}

/* Numbers wrap around, so a child may stand before its parent: pass until nothing is added. */
static void mark(struct table_of *all, pid_t root)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < all->n; i++) {
            struct process *p = &all->p[i];
            if (p->is_ours || p->pid == root || (p->parent != root && !is_ours(all, p->parent)))
                continue;
            p->is_ours = more = true;
        }
    }
}

static bool is_alive(const struct process *p)
{
    return p->state != 'Z' && p->state != 'X';
}

static void signal_one(int proc, const struct process *p, int signo)
{
    _cleanup_fd_ int handle = pidfd_open(p->pid, 0);
    if (handle < 0) {
        if (errno == ENOSYS)
            kill(p->pid, signo);
        return;
    }
    char pid[16];
    struct process now = {0};
    snprintf(pid, sizeof pid, "%d", (int)p->pid);
    if (look_at(proc, pid, &now) && now.started == p->started)
        pidfd_send_signal(handle, signo, NULL, 0);
}

int tree_signal(int proc, pid_t root, int signo, pid_t spared)
{
    struct table_of all = {0};
    int rc = read_all(proc, &all);
    int count = 0;
    if (rc == 0)
        mark(&all, root);
    for (size_t i = 0; i < all.n; i++) {
        const struct process *p = &all.p[i];
        if (!p->is_ours || !is_alive(p) || p->pid == spared)
            continue;
        count++;
        if (signo)
            signal_one(proc, p, signo);
    }
    free(all.p);
    return rc < 0 ? rc : count;
}

int tree_children(int proc, pid_t parent, pid_t *out, size_t room)
{
    struct table_of all = {0};
    int rc = read_all(proc, &all);
    size_t count = 0;
    for (size_t i = 0; i < all.n && count < room; i++) {
        if (all.p[i].parent == parent && is_alive(&all.p[i]))
            out[count++] = all.p[i].pid;
    }
    free(all.p);
    return rc < 0 ? rc : (int)count;
}
