#include "core/net/unix.h"

#include "core/base/bytes.h"
#include "core/base/fd.h"
#include "core/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

/* An address in words into `a`; its length, or 0. */
static socklen_t parse(const char *text, union address *a)
{
    char host[64];
    int64_t port;
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    memset(a, 0, sizeof(*a));
    if (strncmp(text, "unix:", 5) == 0) {
        size_t path_n = strlen(text + 5);
        if (path_n == 0 || path_n >= sizeof(a->un.sun_path))
            return 0;
        a->un.sun_family = AF_UNIX;
        memcpy(a->un.sun_path, text + 5, path_n + 1);
        return sizeof(a->un);
    }
    if (n == 0 || n >= sizeof(host) || number_read(bytes_of(colon + 1), &port) < 0 || port > 65535)
        return 0;
    memcpy(host, text, n);
    host[n] = 0;
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host + 1, &a->v6.sin6_addr) == 1 ? sizeof(a->v6) : 0;
    }
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &a->v4.sin_addr) == 1 ? sizeof(a->v4) : 0;
}

/* 0: nobody is there (any more), and its file is gone; else -errno. */
static int clear_old(const union address *a, socklen_t n)
{
    struct stat st;
    if (lstat(a->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, &a->any, n) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(a->un.sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_and_listen(int fd, const union address *a, socklen_t n, unsigned mode)
{
    int on = 1, rc;
    if (a->any.sa_family == AF_UNIX) {
        rc = clear_old(a, n);
        if (rc < 0)
            return rc;
        if (fchmod(fd, mode) < 0) /* so that it never stands there with more rights */
            return -errno;
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (a->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, &a->any, n) < 0)
        return -errno;
    if (a->any.sa_family == AF_UNIX && chmod(a->un.sun_path, mode) < 0) /* what the umask took away */
        return -errno;
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

int listen_open(const char *address, unsigned mode, struct why *why)
{
    union address a;
    socklen_t n = parse(address, &a);
    if (n == 0)
        return why_set(why, -EINVAL, "cannot listen on '%s': not an address", address);
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return why_errno(why, errno, "cannot listen on '%s'", address);
    int rc = bind_and_listen(fd, &a, n, mode);
    if (rc < 0) {
        close(fd);
        return why_errno(why, -rc, "cannot listen on '%s'", address);
    }
    return fd;
}

int listen_name(int fd, char *out, unsigned room)
{
    union address a;
    socklen_t n = sizeof(a);
    char host[INET6_ADDRSTRLEN];
    if (getsockname(fd, &a.any, &n) < 0)
        return -errno;
    switch (a.any.sa_family) {
    case AF_UNIX:
        snprintf(out, room, "unix:%.*s", (int)sizeof(a.un.sun_path), a.un.sun_path);
        return 0;
    case AF_INET:
        inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof(host));
        snprintf(out, room, "%s:%u", host, ntohs(a.v4.sin_port));
        return 0;
    case AF_INET6:
        inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof(host));
        snprintf(out, room, "[%s]:%u", host, ntohs(a.v6.sin6_port));
        return 0;
    default:
        return -EAFNOSUPPORT;
    }
}

int unix_peer_uid(int fd, int64_t *uid)
{
    struct ucred who;
    socklen_t n = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
        return -errno;
    *uid = who.uid;
    return 0;
}
