#include "core/base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_FDS = 8 };

union control {
    char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
    struct cmsghdr align;
};

void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd); /* Linux frees the number even on EINTR: never again */
    *fd = -1;
}

void fd_closep(int *fd)
{
    int saved = errno;
    fd_close(fd);
    errno = saved;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
    int flags = fcntl(fd, get);
    if (flags < 0)
        return -errno;
    int wanted = on ? flags | flag : flags & ~flag;
    if (wanted != flags && fcntl(fd, set, wanted) < 0)
        return -errno;
    return 0;
}

int fd_set_nonblocking(int fd, bool on)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_pair(int type, bool nonblocking, int out[2])
{
    int flags = SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    int pair[2];
    if (socketpair(AF_UNIX, type | flags, 0, pair) < 0)
        return -errno;
    out[0] = pair[0];
    out[1] = pair[1];
    return 0;
}

int fd_send(int sock, const void *p, size_t n, const int *fds, size_t fd_count)
{
    assert(fd_count <= MOST_FDS);
    struct iovec part = {(void *)p, n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    if (fd_count) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Moves the descriptors of a message into `fds`; what has no place there is closed, and that is -EMSGSIZE. */
static int take_fds(struct msghdr *message, int *fds, size_t room)
{
    size_t got = 0;
    int rc = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (got < room) {
                fds[got++] = fd;
            } else {
                close(fd);
                rc = -EMSGSIZE;
            }
        }
    }
    return rc;
}

int fd_receive(int sock, void *p, size_t *n, int *fds, size_t fd_room)
{
    struct iovec part = {p, *n};
    union control control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
    for (size_t i = 0; i < fd_room; i++)
        fds[i] = -1;
    ssize_t got;
    do
        got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    int rc = take_fds(&message, fds, fd_room);
    if (rc < 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (size_t i = 0; i < fd_room; i++)
            fd_close(&fds[i]);
        return -EMSGSIZE;
    }
    *n = (size_t)got;
    return 0;
}
