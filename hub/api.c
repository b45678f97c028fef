#include "hub/api.h"

#include "hub/hub.h"
#include "hub/upstream.h"

struct api *api_new(struct hub *hub)
{
    return (struct api *)hub;
}

void api_free(struct api *a)
{
    (void)a;
}

int api_on_head(struct api *a, struct request *r)
{
    struct hub *hub = (struct hub *)a;
    struct bytes path = request_path(r);
    if (bytes_say(path, "/readyz")) {
        request_answer(r, hub->is_ready ? 200 : 503, "text/plain", BYTES("ok\n"));
    } else if (bytes_begin(path, "/api/v1/servers/")) {
        char *name = bytes_copy((struct bytes){path.p + 16, path.n - 16});
        struct upstream *u = hub_find_upstream(hub, name);
        struct buf out = {0};
        buf_addf(&out, "{\"name\":\"%s\",\"state\":\"%s\"}", name, u ? upstream_state_name(upstream_state(u)) : "");
        request_answer(r, u ? 200 : 404, "application/json", buf_bytes(&out));
        buf_end(&out);
        free(name);
    } else {
        request_answer(r, 404, "text/plain", BYTES("not found\n"));
    }
    return 1;
}

void api_on_body(struct api *a, struct request *r, struct bytes body)
{
    (void)a, (void)r, (void)body;
}

void api_on_end(struct api *a, struct request *r)
{
    (void)a, (void)r;
}

static void on_open(struct socket *s, struct bytes path, struct bytes query, void *ctx)
{
    (void)path, (void)query, (void)ctx;
    socket_close(s, 1001, "not here yet");
}

static void on_text(struct socket *s, struct bytes text, void *ctx)
{
    (void)s, (void)text, (void)ctx;
}

static void on_close(struct socket *s, void *ctx)
{
    (void)s, (void)ctx;
}

const struct ws_ops api_stream_ops = {on_open, on_text, on_close};
