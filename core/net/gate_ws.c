/* The gate's own reading of a head, for sockets that go to libwebsockets: it must never see a request of
 * which we are not sure that it reads it as we do (request smuggling; CVE-2025-11677 in its own header code).
 */
#include "core/base/text.h"
#include "core/net/gate.h"

#include <stdio.h>

static int refuse(struct gate_verdict *v, int status, const char *name, const char *text)
{
    v->status = status;
    v->name = name;
    v->allow = 0;
    snprintf(v->text, sizeof(v->text), "%s", text);
    return 1;
}

static int malformed(struct gate_verdict *v, const char *text)
{
    return refuse(v, 400, "invalid_request", text);
}

/* Takes one line that ends with CRLF off `rest`; false when there is none, or a CR or LF stands alone in it.
 */
static bool next_line(struct bytes *rest, struct bytes *line)
{
    size_t n = bytes_find(*rest, '\r');
    if (n + 1 >= rest->n || rest->p[n + 1] != '\n' || memchr(rest->p, '\n', n))
        return false;
    *line = (struct bytes){rest->p, n};
    rest->p += n + 2;
    rest->n -= n + 2;
    return true;
}

static int read_request_line(struct bytes line, struct gate_head *h, struct gate_verdict *v)
{
    size_t n = bytes_find(line, ' ');
    if (n == 0 || n == line.n)
        return malformed(v, "malformed request line");
    h->method = (struct bytes){line.p, n};
    struct bytes rest = {line.p + n + 1, line.n - n - 1};
    n = bytes_find(rest, ' ');
    h->target = (struct bytes){rest.p, n};
    if (n == 0 || n == rest.n)
        return malformed(v, "malformed request line");
    rest = (struct bytes){rest.p + n + 1, rest.n - n - 1};
    h->is_http10 = bytes_say(rest, "HTTP/1.0");
    if (!h->is_http10 && !bytes_say(rest, "HTTP/1.1"))
        return refuse(v, 505, "http_version", "only HTTP/1.1 is spoken here");
    return 0;
}

int gate_read(struct bytes raw, struct gate_head *h, struct gate_verdict *v)
{
    struct bytes rest = raw, line;
    v->status = 0;
    h->count = 0;
    h->bytes = raw.n;
    if (!next_line(&rest, &line))
        return malformed(v, "malformed request line");
    if (read_request_line(line, h, v))
        return 1;
    while (next_line(&rest, &line)) {
        if (line.n == 0)
            return rest.n == 0 ? 0 : malformed(v, "bytes after the request head");
        size_t n = bytes_find(line, ':');
        if (n == line.n || n == 0 || line.p[0] == ' ' || line.p[0] == '\t')
            return malformed(v, "malformed header line");
        if (h->count == GATE_HEADERS)
            return refuse(v, 431, "headers_too_large", "more than 100 headers");
        h->headers[h->count++] = (struct gate_header){
            .name = {line.p,         n             },
              .value = bytes_trim((struct bytes){line.p + n + 1, line.n - n - 1}
              )
        };
    }
    return malformed(v, "malformed header line");
}

static bool names_upgrade(struct bytes list)
{
    while (list.n) {
        size_t n = bytes_find(list, ',');
        if (bytes_say_nocase(bytes_trim((struct bytes){list.p, n}), "upgrade"))
            return true;
        if (n == list.n)
            break;
        list.p += n + 1;
        list.n -= n + 1;
    }
    return false;
}

static bool key_is_right(struct bytes key)
{
    struct buf nonce = {0};
    bool is_right = key.n == 24 && base64_read(key, &nonce) == 0 && nonce.n == 16;
    buf_end(&nonce);
    return is_right;
}

int gate_check_websocket(struct bytes raw, const struct gate_rules *rules, struct gate_verdict *v)
{
    struct gate_rules mine = *rules;
    struct gate_head h;
    struct gate_pass pass;
    mine.is_websocket = true;
    if (gate_read(raw, &h, v) || gate_check(&h, &mine, &pass, v))
        return 1;
    if (pass.method != METHOD_GET)
        return refuse(v, 405, "method_not_allowed", "a WebSocket is opened by GET"), v->allow = 1, 1;
    if (h.is_http10 || gate_header(&h, "Content-Length").p || gate_header(&h, "Transfer-Encoding").p)
        return malformed(v, "a WebSocket is opened by HTTP/1.1 without a body");
    if (!bytes_say_nocase(gate_header(&h, "Upgrade"), "websocket") ||
        !names_upgrade(gate_header(&h, "Connection")))
        return refuse(v, 426, "upgrade_required", "this path speaks WebSocket only");
    if (!bytes_say(gate_header(&h, "Sec-WebSocket-Version"), "13"))
        return refuse(v, 426, "upgrade_required", "only version 13 of WebSocket is spoken here");
    if (!key_is_right(gate_header(&h, "Sec-WebSocket-Key")))
        return malformed(v, "bad Sec-WebSocket-Key");
    return 0;
}
