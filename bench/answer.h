// answer -- reads one HTTP/1.1 answer at a time from bytes as they come: plain, chunked or until the end of
// the connection; JSON or an SSE stream. Grows with the answer and keeps its room for the next one.
//
// The body is `body`, `body_n` once answer_feed says DONE, and lives until answer_next.
#pragma once
#include "measure.h"

#include <ctype.h>
#include <strings.h>

enum answer_state {
    ANSWER_HEAD,
    ANSWER_LENGTH,
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK,
    ANSWER_CHUNK_END,
    ANSWER_TRAILER,
    ANSWER_UNTIL_END,
    ANSWER_DONE
};

struct answer {
    enum answer_state state;
    int status;
    bool sse, closing;
    char session[128]; // Mcp-Session-Id, "" when there was none
    char *raw;         // as received; [at, n) is not yet looked at
    size_t n, cap, at;
    size_t left;  // of the body or of the current chunk
    char *joined; // chunks put together
    size_t joined_cap;
    char *body;
    size_t body_n;
};

static inline void answer_end(struct answer *a)
{
    free(a->raw);
    free(a->joined);
    memset(a, 0, sizeof *a);
}

// Ready for the next answer; bytes that came after the last one would be an answer nobody asked for.
static inline int answer_next(struct answer *a)
{
    int extra = a->n > a->at ? -1 : 0;
    a->state = ANSWER_HEAD;
    a->n = a->at = a->left = a->body_n = 0;
    a->body = NULL;
    return extra;
}

// Where the next bytes may be read to; *n is how many.
static inline char *answer_room(struct answer *a, size_t *n)
{
    if (a->at == a->n && a->state >= ANSWER_CHUNK_SIZE && a->state < ANSWER_UNTIL_END)
        a->at = a->n = 0;
    if (a->cap - a->n < 4096) {
        a->cap = a->cap == 0 ? 16384 : a->cap * 2;
        a->raw = room(a->raw, a->cap);
    }
    *n = a->cap - a->n;
    return a->raw + a->n;
}

static inline void answer_join(struct answer *a, const char *p, size_t n)
{
    if (a->joined_cap - a->body_n < n) {
        a->joined_cap = (a->body_n + n) * 2;
        a->joined = room(a->joined, a->joined_cap);
    }
    memcpy(a->joined + a->body_n, p, n);
    a->body_n += n;
    a->body = a->joined;
}

static inline bool answer_header(const char *line, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    *value = line + n + 1 + strspn(line + n + 1, " \t");
    return true;
}

// `line` is NUL-ended. Sets what the header says about the body.
static inline void answer_line(struct answer *a, const char *line, bool *chunked, int64_t *length)
{
    const char *v;
    if (answer_header(line, "content-length", &v))
        *length = strtoll(v, NULL, 10);
    else if (answer_header(line, "transfer-encoding", &v))
        *chunked = strcasestr(v, "chunked") != NULL;
    else if (answer_header(line, "content-type", &v))
        a->sse = strncasecmp(v, "text/event-stream", 17) == 0;
    else if (answer_header(line, "connection", &v))
        a->closing = strncasecmp(v, "close", 5) == 0;
    else if (answer_header(line, "mcp-session-id", &v))
        snprintf(a->session, sizeof a->session, "%s", v);
}

// 1 head read, 0 more is needed, -1 this is no HTTP.
static inline int answer_head(struct answer *a)
{
    char *end = a->n < 4 ? NULL : memmem(a->raw, a->n, "\r\n\r\n", 4);
    bool chunked = false;
    int64_t length = -1;

    if (end == NULL)
        return a->n > 65536 ? -1 : 0;
    if (memcmp(a->raw, "HTTP/1.1 ", 9) != 0)
        return -1;
    a->status = (int)strtol(a->raw + 9, NULL, 10);
    a->sse = a->closing = false;
    a->session[0] = '\0';
    end[2] = '\0';
    for (char *line = strstr(a->raw, "\r\n"); line != NULL && line[2] != '\0';) {
        char *next = strstr(line + 2, "\r\n");
        if (next != NULL)
            *next = '\0';
        answer_line(a, line + 2, &chunked, &length);
        if (next != NULL)
            *next = '\r';
        line = next;
    }
    a->at = (size_t)(end - a->raw) + 4;
    if (chunked) {
        a->state = ANSWER_CHUNK_SIZE;
    } else if (length >= 0 || a->status == 204) {
        a->state = ANSWER_LENGTH;
        a->left = length > 0 ? (size_t)length : 0;
    } else {
        a->state = ANSWER_UNTIL_END;
    }
    return 1;
}

// Takes one line that ends in CRLF: 1 done, 0 not here yet.
static inline int answer_crlf(struct answer *a, char **line)
{
    char *end = memmem(a->raw + a->at, a->n - a->at, "\r\n", 2);
    if (end == NULL)
        return 0;
    *line = a->raw + a->at;
    a->at = (size_t)(end - a->raw) + 2;
    return 1;
}

static inline int answer_chunk_size(struct answer *a)
{
    char *line;
    if (!answer_crlf(a, &line))
        return 0;
    if (!isxdigit((unsigned char)line[0]))
        return -1;
    a->left = strtoull(line, NULL, 16);
    a->state = a->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILER;
    return 1;
}

static inline int answer_chunk(struct answer *a)
{
    size_t n = a->n - a->at < a->left ? a->n - a->at : a->left;
    if (n == 0)
        return 0;
    answer_join(a, a->raw + a->at, n);
    a->at += n;
    a->left -= n;
    if (a->left == 0)
        a->state = ANSWER_CHUNK_END;
    return 1;
}

static inline int answer_blank(struct answer *a)
{
    char *line;
    if (!answer_crlf(a, &line))
        return 0;
    bool blank = line[0] == '\r';
    if (a->state == ANSWER_CHUNK_END && !blank)
        return -1;
    if (a->state == ANSWER_CHUNK_END)
        a->state = ANSWER_CHUNK_SIZE;
    else if (blank)
        a->state = ANSWER_DONE;
    return 1;
}

static inline int answer_step(struct answer *a)
{
    switch (a->state) {
    case ANSWER_HEAD:
        return answer_head(a);
    case ANSWER_LENGTH:
        if (a->n - a->at < a->left)
            return 0;
        a->body = a->raw + a->at;
        a->body_n = a->left;
        a->at += a->left;
        a->state = ANSWER_DONE;
        return 1;
    case ANSWER_CHUNK_SIZE:
        return answer_chunk_size(a);
    case ANSWER_CHUNK:
        return answer_chunk(a);
    case ANSWER_CHUNK_END:
    case ANSWER_TRAILER:
        return answer_blank(a);
    case ANSWER_UNTIL_END:
        return 0;
    case ANSWER_DONE:
        break;
    }
    return 0;
}

// `got` bytes have been read into the room. 1 the answer is whole, 0 more is needed, -1 broken.
static inline int answer_feed(struct answer *a, size_t got)
{
    int rc = 1;
    a->n += got;
    while (rc > 0 && a->state != ANSWER_DONE)
        rc = answer_step(a);
    return a->state == ANSWER_DONE ? 1 : rc;
}

// The peer has closed. 1 that ended the answer, -1 it is cut off.
static inline int answer_closed(struct answer *a)
{
    if (a->state != ANSWER_UNTIL_END)
        return -1;
    a->body = a->raw + a->at;
    a->body_n = a->n - a->at;
    a->at = a->n;
    a->closing = true;
    a->state = ANSWER_DONE;
    return 1;
}

// Walks the messages of a whole answer: the body itself, or each `data:` of its events. *at starts at 0.
static inline bool answer_message(const struct answer *a, size_t *at, const char **p, size_t *n)
{
    if (!a->sse) {
        bool first = *at == 0 && a->body_n > 0;
        *p = a->body;
        *n = a->body_n;
        *at = 1;
        return first;
    }
    while (*at < a->body_n) {
        const char *line = a->body + *at;
        const char *end = memchr(line, '\n', a->body_n - *at);
        size_t len = end != NULL ? (size_t)(end - line) : a->body_n - *at;
        *at += len + 1;
        while (len > 0 && line[len - 1] == '\r')
            len--;
        if (len < 7 || memcmp(line, "data:", 5) != 0)
            continue;
        *p = line + 5;
        *n = len - 5;
        return true;
    }
    return false;
}
