// idle -- opens many connections, makes each do its opening exchange, then holds them without a word until
// its own stdin ends. Prints {"open":N} once all are open.
//
//   idle --url http://127.0.0.1:PORT/PATH --kind keepalive|listen|events|websocket --count N
//
// keepalive: one GET, answered whole, connection kept. listen: a modern subscriptions/listen, until its first
// frame. events: a GET that is answered by an SSE stream. websocket: an upgrade, until 101.
#include "ask.h"
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <sys/socket.h>

#define BATCH 128

struct idle {
    const char *kind, *path;
    char host[64];
    struct sockaddr_in address;
    int count;
    int *all;
};

static struct pen opening(const struct idle *d)
{
    static const char body[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{"
        "\"notifications\":{\"toolsListChanged\":true}," ASK_META "}}";
    struct pen s = {0};
    if (strcmp(d->kind, "listen") == 0)
        pen_print(&s,
                  "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                  "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: " MODERN "\r\n"
                  "Mcp-Method: subscriptions/listen\r\nContent-Length: %zu\r\n\r\n%s",
                  d->path, d->host, sizeof body - 1, body);
    else if (strcmp(d->kind, "websocket") == 0)
        pen_print(&s,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Origin: http://%s\r\n\r\n",
                  d->path, d->host, d->host);
    else
        pen_print(&s, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", d->path, d->host,
                  strcmp(d->kind, "events") == 0 ? "text/event-stream" : "*/*");
    return s;
}

// What a peer must have sent before the connection counts as open and idle: 1 it has, 0 not yet, -1 it
// refuses.
static int opened(const struct idle *d, const char *p)
{
    const char *wanted = strcmp(d->kind, "websocket") == 0 ? "HTTP/1.1 101" : "HTTP/1.1 200";
    const char *end = strstr(p, "\r\n\r\n");
    if (end == NULL)
        return 0;
    if (strncmp(p, wanted, strlen(wanted)) != 0)
        return -1;
    if (strcmp(d->kind, "listen") == 0)
        return strstr(end, "subscriptions/acknowledged") != NULL ? 1
               : strstr(end, "\"error\"") != NULL                ? -1
                                                                 : 0;
    if (strcmp(d->kind, "keepalive") != 0)
        return 1;
    const char *length = strcasestr(p, "\ncontent-length:");
    return length == NULL ? -1 : strlen(end + 4) >= strtoull(length + 16, NULL, 10);
}

static void await_opening(const struct idle *d, int fd)
{
    char in[16384];
    size_t n = 0;
    int is_open;
    in[0] = '\0';
    while ((is_open = opened(d, in)) == 0) {
        ssize_t got = n < sizeof in - 1 ? recv(fd, in + n, sizeof in - 1 - n, 0) : 0;
        if (got <= 0)
            break;
        n += (size_t)got;
        in[n] = '\0';
    }
    if (is_open <= 0) {
        fprintf(stderr, "not opened: %.*s\n", (int)(n > 300 ? 300 : n), in);
        exit(1);
    }
}

static void open_all(struct idle *d)
{
    struct pen ask = opening(d);
    struct timeval patience = {.tv_sec = 10};
    for (int from = 0; from < d->count; from += BATCH) {
        int to = from + BATCH < d->count ? from + BATCH : d->count;
        for (int i = from; i < to; i++) {
            d->all[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (d->all[i] < 0 || connect(d->all[i], (struct sockaddr *)&d->address, sizeof d->address) != 0)
                die("cannot connect");
            setsockopt(d->all[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            if (send(d->all[i], ask.p, ask.n, MSG_NOSIGNAL) != (ssize_t)ask.n)
                die("cannot send");
        }
        for (int i = from; i < to; i++)
            await_opening(d, d->all[i]);
    }
    free(ask.p);
}

// A connection that was opened and closed again weighs nothing and would look cheap. What the peer has said
// is read and dropped; its end, or a closing frame of a WebSocket (0x88) in the first place, counts.
static bool is_closed(int fd, bool frames)
{
    unsigned char in[4096];
    bool first = true;
    ssize_t n;
    while ((n = recv(fd, in, sizeof in, MSG_DONTWAIT)) > 0) {
        if (first && frames && in[0] == 0x88)
            return true;
        first = false;
    }
    return n == 0 || errno != EAGAIN;
}

static int count_closed(const struct idle *d)
{
    int closed = 0;
    for (int i = 0; i < d->count; i++)
        closed += is_closed(d->all[i], strcmp(d->kind, "websocket") == 0);
    return closed;
}

static int usage(void)
{
    fputs("usage: idle --url http://127.0.0.1:PORT/PATH --kind keepalive|listen|events|websocket --count N\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"url", 1, NULL, 'u'},
        {"kind", 1, NULL, 'k'},
        {"count",     1, NULL, 'c'},
        {0   }
    };
    struct idle d = {.kind = "keepalive", .count = 1};
    const char *url = "";
    int letter;
    char byte;

    end_with_parent();
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (letter == 'u')
            url = optarg;
        else if (letter == 'k')
            d.kind = optarg;
        else if (letter == 'c')
            d.count = (int)strtol(optarg, NULL, 10);
        else
            return usage();
    }
    d.path = url_path(url, &d.address, d.host);
    if (d.path == NULL || d.count < 1)
        return usage();
    d.all = room(NULL, (size_t)d.count * sizeof *d.all);
    open_all(&d);
    printf("{\"open\":%d}\n", d.count);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    int closed = count_closed(&d);
    if (closed > 0)
        fprintf(stderr, "%d of %d were closed by the peer\n", closed, d.count);
    for (int i = 0; i < d.count; i++)
        close(d.all[i]);
    free(d.all);
    return closed > 0;
}
