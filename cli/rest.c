#include "cli/rest.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/net/client.h"
#include "core/rpc/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGES_MOST = 1000 };

static bool is_socket(const char *path)
{
    return access(path, R_OK | W_OK) == 0;
}

/* A hub started here by `./bootstrap run`. A file of somebody else's must not choose whom we talk to. */
static bool find_local(char *room, size_t n)
{
    struct buf text = {0};
    const char *path = NULL;
    struct stat st;
    if (stat("var/run/endpoints.json", &st) < 0 || st.st_uid != geteuid())
        return false;
    if (file_read("var/run/endpoints.json", 65536, &text, NULL) < 0) {
        buf_end(&text);
        return false;
    }
    _cleanup_json_ json_t *tree = json_read(buf_bytes(&text), NULL);
    buf_end(&text);
    path = json_str(tree, "unix");
    if (!path || !is_socket(path))
        return false;
    snprintf(room, n, "unix:%s", path);
    return true;
}

const char *rest_base(const struct cli *c, char *room, size_t n)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *given = c->hub ? c->hub : getenv("TRUNKLINE_HUB");
    if (given && *given) {
        snprintf(room, n, "%s", given);
        return room;
    }
    if (find_local(room, n))
        return room;
    if (runtime) {
        snprintf(room, n, "unix:%s/trunkline/api.sock", runtime);
        if (is_socket(room + 5))
            return room;
    }
    if (is_socket("/run/trunkline/api.sock"))
        return "unix:/run/trunkline/api.sock";
    return "http://127.0.0.1:8080";
}

void rest_path(struct buf *out, const char *before, const char *piece, const char *after)
{
    buf_add_text(out, before);
    percent_add(out, bytes_of(piece));
    buf_add_text(out, after);
}

static int status_of(int http, const char *code)
{
    enum fault fault = code ? fault_by_name(code) : FAULT_NONE;
    int exit = fault != FAULT_NONE ? fault_row(fault)->exit : 0;
    if (exit)
        return exit;
    switch (http) {
    case 401:
        return EXIT_AUTH;
    case 403:
        return EXIT_DENIED;
    case 504:
        return EXIT_TIMEOUT;
    default:
        return EXIT_FAILED;
    }
}

int rest_refused(const struct cli *c, int http, struct bytes body)
{
    _cleanup_json_ json_t *tree = json_read(body, NULL);
    json_t *error = json_object_get(tree, "error");
    const char *code = json_str(error, "code"), *message = json_str(error, "message"),
               *hint = json_str(error, "hint");
    if (c->output != OUTPUT_TABLE && error) {
        fprintf(stderr, "%.*s\n", (int)body.n, body.p);
    } else {
        struct buf shown = {0};
        text_show(&shown, bytes_of(message ? message : "the hub refused"));
        fprintf(stderr, "trunkline: %s", shown.p);
        if (!message)
            fprintf(stderr, " (HTTP %d)", http);
        fprintf(stderr, hint ? "\n  %s\n" : "\n", hint ? hint : "");
        buf_end(&shown);
    }
    return status_of(http, code);
}

int rest_fetch(const struct cli *c, const char *method, const char *path, struct bytes body, struct buf *out)
{
    char room[256];
    struct why why = {0};
    const char *base = rest_base(c, room, sizeof(room));
    struct http_spec spec = {.method = method,
                             .path = path,
                             .headers = body.n
                                            ? "Accept: application/json\r\nContent-Type: application/json\r\n"
                                            : "Accept: application/json\r\n",
                             .body = body,
                             .timeout_ms = c->timeout_ms};
    int status = http_fetch(base, &spec, out, &why);
    if (status < 0) {
        bool is_slow = strstr(why.text, "timed out") != NULL;
        return cli_fail(c, is_slow ? EXIT_TIMEOUT : EXIT_UNREACHABLE,
                        "no hub answers at %s: %s (start one with 'trunkline up')", base, why.text);
    }
    return status >= 200 && status < 300 ? EXIT_DONE : rest_refused(c, status, buf_bytes(out));
}

json_t *rest_json(struct bytes text, struct why *why)
{
    json_t *tree = json_read(text, why);
    return tree ? tree : json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

int rest_call(const struct cli *c, const char *method, const char *path, struct bytes body, json_t **out)
{
    struct buf text = {0};
    struct why why = {0};
    int status = rest_fetch(c, method, path, body, &text);
    if (status == EXIT_DONE && out) {
        *out = text.n ? rest_json(buf_bytes(&text), &why) : NULL;
        if (text.n && !*out)
            status = cli_fail(c, EXIT_FAILED, "the hub's answer is no JSON: %s", why.text);
    }
    buf_end(&text);
    return status;
}

static void add_next(struct buf *out, const char *path, const char *cursor)
{
    buf_addf(out, "%s%ccursor=", path, strchr(path, '?') ? '&' : '?');
    percent_add(out, bytes_of(cursor));
}

int rest_list(const struct cli *c, const char *path, json_t **out)
{
    _cleanup_json_ json_t *all = NULL;
    struct buf next = {0};
    int status = EXIT_DONE;
    for (int page = 0; page < PAGES_MOST && status == EXIT_DONE; page++) {
        _cleanup_json_ json_t *answer = NULL;
        status = rest_call(c, "GET", page ? next.p : path, BYTES_NONE, &answer);
        if (status != EXIT_DONE)
            break;
        const char *cursor = json_str(answer, "next_cursor");
        buf_clear(&next);
        if (cursor)
            add_next(&next, path, cursor);
        if (!all)
            all = json_incref(answer);
        else if (json_object_set_new(all, "next_cursor", json_null()) == 0)
            json_array_extend(json_object_get(all, "items"), json_object_get(answer, "items"));
        if (!next.n)
            break;
    }
    buf_end(&next);
    if (status == EXIT_DONE)
        *out = json_incref(all);
    return status;
}
