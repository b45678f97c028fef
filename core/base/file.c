#include "core/base/file.h"

#include "core/base/fd.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t limit, struct buf *out, struct why *why)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return why_errno(why, errno, "cannot open '%s'", path);
    size_t before = out->n;
    for (;;) {
        buf_reserve(out, 4096);
        size_t room = out->cap - out->n - 1;
        ssize_t n = read(fd, out->p + out->n, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return why_errno(why, errno, "cannot read '%s'", path);
        if (n == 0)
            return 0;
        out->n += (size_t)n;
        out->p[out->n] = 0;
        if (out->n - before > limit) {
            out->n = before;
            out->p[before] = 0;
            return why_set(why, -EFBIG, "cannot read '%s': larger than %zu bytes", path, limit);
        }
    }
}

static int write_all(int fd, struct bytes content)
{
    for (size_t done = 0; done < content.n;) {
        ssize_t n = write(fd, content.p + done, content.n - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder =
        slash ? bytes_copy((struct bytes){path, slash == path ? 1 : (size_t)(slash - path)}) : mem_text(".");
    _cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_beside(const char *path, struct bytes content, unsigned mode)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, content);
    if (rc == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0)) /* fchmod: the umask has no say */
        rc = -errno;
    return rc;
}

int file_replace(const char *path, struct bytes content, unsigned mode, struct why *why)
{
    _cleanup_free_ char *beside = text_format("%s.new-%d", path, (int)getpid());
    unlink(beside); /* of a process with our number that was killed here */
    int rc = write_beside(beside, content, mode);
    if (rc == 0 && rename(beside, path) < 0)
        rc = -errno;
    if (rc < 0) {
        unlink(beside);
        return why_errno(why, -rc, "cannot write '%s'", path);
    }
    rc = sync_folder_of(path);
    return rc < 0 ? why_errno(why, -rc, "cannot sync the folder of '%s'", path) : 0;
}

int folder_make(const char *path, unsigned mode, struct why *why)
{
    _cleanup_free_ char *copy = mem_text(path);
    for (char *p = copy + 1; copy[0]; p++) {
        bool is_end = *p == 0;
        if (!is_end && *p != '/')
            continue;
        *p = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return why_errno(why, errno, "cannot make the folder '%s'", copy);
        if (is_end)
            break;
        *p = '/';
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return why_errno(why, errno, "cannot make the folder '%s'", path);
    return S_ISDIR(st.st_mode) ? 0 : why_errno(why, ENOTDIR, "cannot make the folder '%s'", path);
}
