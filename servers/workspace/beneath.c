#include "servers/workspace/beneath.h"

#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

bool beneath_is_plain(const char *path)
{
    if (path[0] == '/')
        return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if ((n == 2 && strncmp(p, "..", 2) == 0) || (n == 4 && strncasecmp(p, ".git", 4) == 0))
            return false;
        p += n;
        p += *p == '/';
    }
    return true;
}

/* For kernels and sandboxes without openat2: one component after the other, none of them a link. */
static int open_stepwise(int root_fd, const char *path, int flags)
{
    int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    while (at >= 0 && *path) {
        char name[256];
        size_t n = strcspn(path, "/");
        bool is_last = path[n] == 0 || path[n + strspn(path + n, "/")] == 0;
        if (n >= sizeof(name)) {
            fd_close(&at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, n);
        name[n] = 0;
        path += n;
        path += strspn(path, "/");
        if (n == 0 || strcmp(name, ".") == 0)
            continue;
        int next = openat(at, name,
                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (is_last ? flags : O_DIRECTORY));
        int error = errno;
        fd_close(&at);
        errno = error;
        at = next;
    }
    return at;
}

static int open_beneath(int root_fd, const char *path, int flags)
{
    struct open_how how = {.flags =
                               (uint64_t)(O_RDONLY | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK) | flags),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 8; tries++) {
        long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno == ENOSYS || errno == EPERM)
            return open_stepwise(root_fd, path, flags);
        if (errno != EAGAIN) /* a rename raced with us: look again */
            return -1;
    }
    return -1;
}

int beneath_open(int root_fd, const char *path, int flags, int *fd, struct why *why)
{
    if (!path || !*path)
        path = ".";
    if (!beneath_is_plain(path))
        return why_set(why, BENEATH_E_REFUSED, "'%s' is not a path inside the folder", path);
    int got = open_beneath(root_fd, path, flags);
    if (got >= 0) {
        *fd = got;
        return 0;
    }
    switch (errno) {
    case ELOOP:
    case EXDEV:
        return why_set(why, BENEATH_E_REFUSED, "'%s' is a symbolic link or leads out of the folder", path);
    case ENOENT:
    case ENOTDIR:
        return why_set(why, BENEATH_E_NONE, "'%s' does not exist", path);
    default:
        why_errno(why, errno, "cannot open '%s'", path);
        return BENEATH_E_NONE;
    }
}
