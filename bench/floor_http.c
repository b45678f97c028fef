// floor_http -- a bare epoll HTTP server that answers everything with the same bytes: the floor of
// 90-performance.
//
//   floor_http [--bytes N]     body size of the answer (default 200); prints its URL; ends when its parent
//   does
#include "floor.h"

// As long a head as a real answer has.
static char *make_answer(size_t bytes, size_t *n)
{
    char *p = room(NULL, bytes + 512);
    int head = snprintf(p, 512,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        bytes);
    memset(p + head, 'x', bytes);
    *n = (size_t)head + bytes;
    return p;
}

static bool serve(int epoll, struct caller *c, const char *answer, size_t n)
{
    char *body = NULL;
    size_t body_n = 0, used;

    if (!floor_read(c))
        return false;
    while ((used = floor_request(c->in, c->in_n, &body, &body_n)) > 0) {
        floor_add(c, answer, n);
        floor_drop(c, used);
    }
    return floor_write(epoll, c);
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    size_t n = 0;

    end_with_parent();
    size_t bytes = argc == 3 && strcmp(argv[1], "--bytes") == 0 ? strtoull(argv[2], NULL, 10) : 200;
    char *answer = make_answer(bytes, &n);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = floor_listen();
    floor_watch(epoll, listener, EPOLLIN, NULL, EPOLL_CTL_ADD);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct caller *c = events[i].data.ptr;
            bool lives = true;
            if (c == NULL)
                floor_accept(epoll, listener);
            else if (events[i].events & EPOLLOUT)
                lives = floor_write(epoll, c);
            else
                lives = serve(epoll, c, answer, n);
            if (!lives)
                floor_close(c);
        }
    }
}
