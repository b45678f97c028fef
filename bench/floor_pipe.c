// floor_pipe -- a bare proxy between HTTP and the pipes of one child: the body of each request becomes a
// line, each line of the child answers the oldest open request. No JSON is looked at, so it works only with a
// child that answers in order (bench/echo does). One write to the child per turn.
//
//   floor_pipe COMMAND [ARGUMENT...]     prints its URL; ends on SIGTERM, the child before it, or with its
//   parent
#include "floor.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

// Open requests, oldest first, in a ring that grows. A caller that left stays as an entry until its line
// came.
struct turns {
    struct caller **ring;
    size_t from, n, cap;
};

struct proxy {
    int epoll, listener, to, from, signals;
    pid_t child;
    struct turns turns;
    char *out; // for the child
    size_t out_n, out_at, out_cap;
    bool wants_out;
    char *in; // from the child
    size_t in_n, in_cap;
};

static void turns_put(struct turns *t, struct caller *c)
{
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 1024 : t->cap * 2;
        struct caller **ring = room(NULL, cap * sizeof *ring);
        for (size_t i = 0; i < t->n; i++)
            ring[i] = t->ring[(t->from + i) % t->cap];
        free(t->ring);
        *t = (struct turns){.ring = ring, .n = t->n, .cap = cap};
    }
    t->ring[(t->from + t->n++) % t->cap] = c;
}

static struct caller *turns_take(struct turns *t)
{
    if (t->n == 0)
        return NULL;
    struct caller *c = t->ring[t->from];
    t->from = (t->from + 1) % t->cap;
    t->n--;
    return c;
}

static void start_child(struct proxy *p, char **command)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("pipe");
    p->child = fork();
    if (p->child == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execvp(command[0], command);
        die(command[0]);
    }
    close(to[0]);
    close(from[1]);
    p->to = to[1];
    p->from = from[0];
    fcntl(p->to, F_SETFL, O_NONBLOCK);
    fcntl(p->from, F_SETFL, O_NONBLOCK);
}

// SIGTERM comes as an event: the child is to be gone, and reaped, before we are.
static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        die("sigprocmask");
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void stop(struct proxy *p)
{
    close(p->to);
    close(p->from);
    waitpid(p->child, NULL, 0);
    exit(0);
}

static void send_to_child(struct proxy *p)
{
    while (p->out_at < p->out_n) {
        ssize_t n = write(p->to, p->out + p->out_at, p->out_n - p->out_at);
        if (n < 0 && errno != EAGAIN)
            die("the child is gone");
        if (n < 0)
            break;
        p->out_at += (size_t)n;
    }
    if (p->out_at == p->out_n)
        p->out_at = p->out_n = 0;
    if (p->wants_out != (p->out_n > 0)) {
        p->wants_out = p->out_n > 0;
        floor_watch(p->epoll, p->to, p->wants_out ? EPOLLOUT : 0u, &p->to, EPOLL_CTL_MOD);
    }
}

static void line_for_child(struct proxy *p, const char *body, size_t n)
{
    if (p->out_cap - p->out_n < n + 1) {
        p->out_cap = (p->out_n + n + 1) * 2;
        p->out = room(p->out, p->out_cap);
    }
    assert(p->out != NULL);
    memcpy(p->out + p->out_n, body, n);
    p->out[p->out_n + n] = '\n';
    p->out_n += n + 1;
}

static void answer(struct proxy *p, const char *line, size_t n)
{
    char head[128];
    struct caller *c = turns_take(&p->turns);
    if (c == NULL)
        return;
    c->waiting--;
    if (c->fd < 0) { // left meanwhile
        if (c->waiting == 0)
            floor_close(c);
        return;
    }
    int head_n =
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);
    floor_add(c, head, (size_t)head_n);
    floor_add(c, line, n);
    // A caller that is gone is noticed, and freed, on its own event.
    floor_write(p->epoll, c);
}

static void got_lines(struct proxy *p)
{
    if (p->in_cap - p->in_n < 65536) {
        p->in_cap = p->in_cap == 0 ? 262144 : p->in_cap * 2;
        p->in = room(p->in, p->in_cap);
    }
    ssize_t n = read(p->from, p->in + p->in_n, p->in_cap - p->in_n);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the child is gone");
    size_t at = 0, seen = p->in_n; // what came before holds no newline
    p->in_n += (size_t)n;
    char *end;
    while ((end = memchr(p->in + seen, '\n', p->in_n - seen)) != NULL) {
        answer(p, p->in + at, (size_t)(end - p->in) - at);
        seen = at = (size_t)(end - p->in) + 1;
    }
    p->in_n -= at;
    memmove(p->in, p->in + at, p->in_n);
}

static void got_request(struct proxy *p, struct caller *c)
{
    char *body = NULL;
    size_t body_n = 0, used;

    if (!floor_read(c)) {
        if (c->waiting == 0) {
            floor_close(c);
        } else {
            close(c->fd);
            c->fd = -1;
        }
        return;
    }
    while ((used = floor_request(c->in, c->in_n, &body, &body_n)) > 0) {
        line_for_child(p, body, body_n);
        turns_put(&p->turns, c);
        c->waiting++;
        floor_drop(c, used);
    }
}

int main(int argc, char **argv)
{
    struct proxy p = {0};
    struct epoll_event events[256];

    if (argc < 2) {
        fputs("usage: floor_pipe COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    end_with_parent();
    start_child(&p, argv + 1);
    p.signals = watch_signals();
    p.epoll = epoll_create1(EPOLL_CLOEXEC);
    p.listener = floor_listen();
    floor_watch(p.epoll, p.listener, EPOLLIN, &p.listener, EPOLL_CTL_ADD);
    floor_watch(p.epoll, p.from, EPOLLIN, &p.from, EPOLL_CTL_ADD);
    floor_watch(p.epoll, p.to, 0, &p.to, EPOLL_CTL_ADD);
    floor_watch(p.epoll, p.signals, EPOLLIN, &p.signals, EPOLL_CTL_ADD);
    for (;;) {
        int ready = epoll_wait(p.epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            void *who = events[i].data.ptr;
            if (who == &p.listener)
                floor_accept(p.epoll, p.listener);
            else if (who == &p.signals)
                stop(&p);
            else if (who == &p.from)
                got_lines(&p);
            else if (who != &p.to && (events[i].events & EPOLLOUT))
                floor_write(p.epoll, who);
            else if (who != &p.to)
                got_request(&p, who);
        }
        send_to_child(&p);
    }
}
