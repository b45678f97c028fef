// floor -- the least an HTTP/1.1 server can do: accept, find the end of a request, write bytes back. What
// both floor programs share. Nothing is checked: this is what the hub is measured against, not an example to
// follow.
#pragma once
#include "measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct caller {
    int fd;
    bool wants_out;
    char *in;
    size_t in_n, in_cap;
    char *out;
    size_t out_n, out_cap, out_at;
    int waiting; // answers it still waits for
};

// Listens on an ephemeral port of 127.0.0.1 and prints the URL, so that the script knows it is ready.
static inline int floor_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        die("cannot listen");
    printf("http://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static inline void floor_watch(int epoll, int fd, uint32_t events, void *ptr, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    if (epoll_ctl(epoll, how, fd, &event) != 0)
        die("epoll_ctl");
}

static inline void floor_accept(int epoll, int listener)
{
    int fd, one = 1;
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the epoll keeps the caller; the analyzer cannot see that
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct caller *c = room(NULL, sizeof *c);
        *c = (struct caller){.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        floor_watch(epoll, fd, EPOLLIN, c, EPOLL_CTL_ADD);
    }
}

// More bytes from the caller; false when it is gone.
static inline bool floor_read(struct caller *c)
{
    if (c->in_cap - c->in_n < 4096) {
        c->in_cap = c->in_cap == 0 ? 8192 : c->in_cap * 2;
        c->in = room(c->in, c->in_cap);
    }
    ssize_t n = recv(c->fd, c->in + c->in_n, c->in_cap - c->in_n - 1, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in_n += (size_t)n;
    return true;
}

// The first whole request in p, n: its length, and where its body is; 0 when it is not whole yet.
static inline size_t floor_request(char *p, size_t n, char **body, size_t *body_n)
{
    char *end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - p) + 4;
    *body = p + head;
    *body_n = 0;
    *end = '\0';
    char *length = strcasestr(p, "\ncontent-length:");
    *end = '\r';
    if (length != NULL)
        *body_n = strtoull(length + 16, NULL, 10);
    return n - head < *body_n ? 0 : head + *body_n;
}

static inline void floor_drop(struct caller *c, size_t n)
{
    c->in_n -= n;
    memmove(c->in, c->in + n, c->in_n);
}

static inline void floor_add(struct caller *c, const char *p, size_t n)
{
    if (c->out_cap - c->out_n < n) {
        c->out_cap = (c->out_n + n) * 2;
        c->out = room(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_n, p, n);
    c->out_n += n;
}

// Writes what there is; false when the caller is gone.
static inline bool floor_write(int epoll, struct caller *c)
{
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return false;
        c->out_at += (size_t)n;
    }
    if (c->out_at == c->out_n)
        c->out_at = c->out_n = 0;
    if (c->wants_out != (c->out_n > 0)) {
        c->wants_out = c->out_n > 0;
        floor_watch(epoll, c->fd, EPOLLIN | (c->wants_out ? EPOLLOUT : 0u), c, EPOLL_CTL_MOD);
    }
    return true;
}

static inline void floor_close(struct caller *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}
