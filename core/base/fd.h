#pragma once
/* fd -- descriptors: always O_CLOEXEC, -1 is none. */
#include <stdbool.h>
#include <stddef.h>

void fd_close(int *fd); /* closes and sets to -1; fine on -1 */
void fd_closep(int *fd);
#define _cleanup_fd_ __attribute__((cleanup(fd_closep)))
static inline int fd_take(int *fd) /* gives it away: the place holds none afterwards */
{
    int taken = *fd;
    *fd = -1;
    return taken;
}
int fd_set_nonblocking(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
/* A connected pair, both O_CLOEXEC. `type` is SOCK_STREAM or SOCK_SEQPACKET; nonblocking on both ends if
 * asked. */
int fd_pair(int type, bool nonblocking, int out[2]);
/* One message with up to 8 descriptors over a SOCK_SEQPACKET socket. Returns 0, or -errno (-EAGAIN included).
 */
int fd_send(int sock, const void *p, size_t n, const int *fds, size_t fd_count);
/* *n: in room, out length (0 = end of file). Received fds are O_CLOEXEC; unused places are -1. Truncation is
 * -EMSGSIZE, and what came with it is closed. */
int fd_receive(int sock, void *p, size_t *n, int *fds, size_t fd_room);
