// ask -- the requests of one connection, written once as a template and only patched for each call: nine
// digits of id and, for an echo, twenty digits that make the arguments distinct. So writing a request costs
// next to nothing, and every request of a run has the same size.
//
// Ids count up on each connection by itself, from the same number: different clients do use the same ids, and
// a hub that mixes them up is found by the echoed text, which is never the same twice.
#pragma once
#include "measure.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>

enum era { ERA_MODERN, ERA_LEGACY };
enum op { OP_ECHO, OP_LIST, OP_BIG, OP_CALL, OP_GET };

#define MODERN "2026-07-28"
#define LEGACY "2025-11-25"
#define ASK_META                                                                     \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" MODERN "\","         \
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}," \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define ID_FIRST 100000000ull
#define ID_DIGITS 9
#define TEXT_DIGITS 20

struct ask_kind {
    enum era era;
    enum op op;
    const char *host, *path;
    const char *tool;      // name as exposed
    const char *arguments; // OP_CALL: JSON; NULL: {}
    size_t bytes;          // OP_BIG: of the result
    size_t body;           // OP_ECHO: wished size of the request body
};

struct ask {
    char *p;
    size_t n;
    size_t body_at;
    size_t id_at;
    size_t text_at, text_n; // `"text":"…"` as it must come back; text_n 0: no echo
    size_t session_at;      // 0: none
};

// http://127.0.0.1:PORT/path, nothing else: a load never leaves the machine. `host` has room for 64; the
// path, or NULL.
static inline const char *url_path(const char *url, struct sockaddr_in *address, char *host)
{
    static const char before[] = "http://127.0.0.1:";
    char *end = NULL;
    if (strncmp(url, before, sizeof before - 1) != 0)
        return NULL;
    unsigned long port = strtoul(url + sizeof before - 1, &end, 10);
    if (port == 0 || port > 65535)
        return NULL;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(host, 64, "127.0.0.1:%lu", port);
    return *end == '/' ? end : "/";
}

// Appends to a growing string.
struct pen {
    char *p;
    size_t n, cap;
};

static inline void pen_add(struct pen *s, const char *p, size_t n)
{
    if (s->cap - s->n < n + 1) {
        s->cap = (s->n + n + 1) * 2;
        s->p = room(s->p, s->cap);
    }
    assert(s->p != NULL);
    memcpy(s->p + s->n, p, n);
    s->n += n;
    s->p[s->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static inline void pen_print(struct pen *s, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        die("out of memory");
    pen_add(s, text, (size_t)n);
    free(text);
}

static inline void digits_put(char *p, int n, uint64_t v)
{
    while (n-- > 0) {
        p[n] = (char)('0' + v % 10);
        v /= 10;
    }
}

static inline const char *ask_method(enum op op)
{
    return op == OP_LIST ? "tools/list" : "tools/call";
}

// The echoed text: digits, then filler up to the wished size of the body.
static inline void ask_echo(struct ask *a, struct pen *body, size_t wished, size_t rest)
{
    size_t fixed = body->n + sizeof "\"text\":\"\"" - 1 + rest;
    size_t n = wished > fixed + TEXT_DIGITS ? wished - fixed : TEXT_DIGITS;

    a->text_at = body->n;
    pen_print(body, "\"text\":\"%020d", 0);
    for (size_t i = TEXT_DIGITS; i < n; i++)
        pen_add(body, &"abcdefghijklmnopqrstuvwxyz "[i % 27], 1);
    pen_add(body, "\"", 1);
    a->text_n = body->n - a->text_at;
}

static inline void ask_params(struct ask *a, struct pen *body, const struct ask_kind *kind)
{
    const char *meta = kind->era == ERA_MODERN ? ASK_META : "";
    const char *comma = kind->era == ERA_MODERN ? "," : "";

    if (kind->op == OP_LIST) {
        pen_print(body, "{%s}", meta);
        return;
    }
    pen_print(body, "{\"name\":\"%s\",\"arguments\":", kind->tool);
    if (kind->op == OP_ECHO) {
        pen_print(body, "{");
        ask_echo(a, body, kind->body, strlen(meta) + strlen(comma) + sizeof "}}}" - 1);
        pen_print(body, "}");
    } else if (kind->op == OP_BIG) {
        pen_print(body, "{\"bytes\":%zu}", kind->bytes);
    } else {
        pen_print(body, "%s", kind->arguments != NULL ? kind->arguments : "{}");
    }
    pen_print(body, "%s%s}", comma, meta);
}

static inline void ask_headers(struct ask *a, struct pen *head, const struct ask_kind *kind,
                               const char *session)
{
    pen_print(head,
              "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
              "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: %s\r\n",
              kind->path, kind->host, kind->era == ERA_MODERN ? MODERN : LEGACY);
    if (kind->era == ERA_MODERN)
        pen_print(head, "Mcp-Method: %s\r\n", ask_method(kind->op));
    if (kind->era == ERA_MODERN && kind->op != OP_LIST)
        pen_print(head, "Mcp-Name: %s\r\n", kind->tool);
    if (session != NULL && session[0] != '\0') {
        pen_print(head, "Mcp-Session-Id: ");
        a->session_at = head->n;
        pen_print(head, "%s\r\n", session);
    }
}

// Only the JSON, for a bare pipe: one line.
static inline void ask_line(struct ask *a, const struct ask_kind *kind)
{
    struct pen body = {0};
    memset(a, 0, sizeof *a);
    pen_print(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
    a->id_at = body.n;
    pen_print(&body, "%" PRIu64 ",\"method\":\"%s\",\"params\":", (uint64_t)ID_FIRST, ask_method(kind->op));
    ask_params(a, &body, kind);
    pen_print(&body, "}");
    a->p = body.p;
    a->n = body.n;
}

// `session`: one of the ids of this run (all have the same length), or NULL.
static inline void ask_open(struct ask *a, const struct ask_kind *kind, const char *session)
{
    struct pen head = {0};
    struct ask line = {0};

    memset(a, 0, sizeof *a);
    if (kind->op == OP_GET) {
        pen_print(&head, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", kind->path, kind->host);
        *a = (struct ask){.p = head.p, .n = head.n, .body_at = head.n};
        return;
    }
    ask_line(&line, kind);
    ask_headers(a, &head, kind, session);
    pen_print(&head, "Content-Length: %zu\r\n\r\n", line.n);
    a->body_at = head.n;
    a->id_at = head.n + line.id_at;
    a->text_at = head.n + line.text_at;
    a->text_n = line.text_n;
    pen_add(&head, line.p, line.n);
    free(line.p);
    a->p = head.p;
    a->n = head.n;
}

static inline void ask_end(struct ask *a)
{
    free(a->p);
    a->p = NULL;
}

static inline void ask_patch(struct ask *a, uint64_t id, uint64_t distinct)
{
    if (a->id_at > 0)
        digits_put(a->p + a->id_at, ID_DIGITS, id);
    if (a->text_n > 0)
        digits_put(a->p + a->text_at + sizeof "\"text\":\"" - 1, TEXT_DIGITS, distinct);
}

// -- what an answer must hold --

// True when the message carries this id: digits alone, as nobody else's text holds `"id":`.
static inline bool has_id(const char *p, size_t n, uint64_t id)
{
    char want[40];
    int len = snprintf(want, sizeof want, "\"id\":%" PRIu64, id);
    const char *at = memmem(p, n, want, (size_t)len);
    return at != NULL && (at + len == p + n || strchr(",} \r\n", at[len]) != NULL);
}

static inline size_t count_of(const char *p, size_t n, const char *what)
{
    size_t len = strlen(what), found = 0;
    const char *end = p + n;
    for (const char *at = p; (at = memmem(at, (size_t)(end - at), what, len)) != NULL; at += len)
        found++;
    return found;
}

// A big text is the same 64 bytes again and again, so comparing it with itself 64 bytes on proves every byte.
#define BIG_BLOCK "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

static inline bool has_big_text(const char *p, size_t n, size_t bytes)
{
    static const char before[] = "\"text\":\"";
    const char *at = memmem(p, n, before, sizeof before - 1);
    if (at == NULL)
        return false;
    at += sizeof before - 1;
    size_t left = n - (size_t)(at - p);
    size_t first = bytes < 64 ? bytes : 64;
    return left > bytes && at[bytes] == '"' && memcmp(at, BIG_BLOCK, first) == 0 &&
           (bytes <= 64 || memcmp(at, at + 64, bytes - 64) == 0);
}
