#pragma once
/* unix -- binding sockets: done by the supervisor, accepted by the hub. */
#include "core/base/why.h"

#include <stdint.h>

/* "127.0.0.1:8080", "[::1]:0", "unix:/path". Bound and listening, O_CLOEXEC, nonblocking. IPv6 sockets are
 * v6-only. Returns the fd, or -errno (-EADDRINUSE, -EAFNOSUPPORT ... matter to callers). An old Unix socket
 * file that nobody listens on is replaced; one that answers is -EADDRINUSE. `mode` for Unix sockets. */
int listen_open(const char *address, unsigned mode, struct why *why);
/* "127.0.0.1:43211" with the number the kernel chose, or "unix:/path". */
int listen_name(int fd, char *out, unsigned room);
int unix_peer_uid(int fd, int64_t *uid);
