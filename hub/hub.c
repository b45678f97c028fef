/*
 * The hub role: takes its configuration and its listening sockets from the supervisor, opens state.db, loads
 * the catalogue, listens, and only then starts the servers: lists answer before any of them is up.
 */
#include "hub/hub.h"

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/door.h"
#include "core/proc/role.h"
#include "hub/api.h"
#include "hub/calls.h"
#include "hub/catalogue.h"
#include "hub/events.h"
#include "hub/face_mcp.h"
#include "hub/metrics.h"
#include "hub/ticket.h"
#include "hub/upstream.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { DRAIN_CHECK_MS = 20 };

struct run {
    struct hub hub;
    int *listen_fds;
    size_t listens_come;
    int64_t last_line;
    int64_t drain_until;
    struct timer drain_timer;
    int status;
};

struct upstream *hub_find_upstream(const struct hub *hub, const char *name)
{
    for (size_t i = 0; i < hub->upstream_count; i++)
        if (strcmp(upstream_config(hub->upstreams[i])->name, name) == 0)
            return hub->upstreams[i];
    return NULL;
}

int64_t hub_next_line(struct hub *hub)
{
    struct run *run = (struct run *)hub;
    return ++run->last_line;
}

/* --- HTTP: MCP paths to the face, everything else to the api --- */

static int on_head(struct request *r, void *ctx)
{
    struct hub *hub = ctx;
    return face_owns(request_path(r)) ? face_on_head(hub->face, r) : api_on_head(hub->api, r);
}

static void on_body(struct request *r, struct bytes body, void *ctx)
{
    struct hub *hub = ctx;
    if (face_owns(request_path(r)))
        face_on_body(hub->face, r, body);
    else
        api_on_body(hub->api, r, body);
}

static void on_end(struct request *r, void *ctx)
{
    struct hub *hub = ctx;
    if (face_owns(request_path(r)))
        face_on_end(hub->face, r);
    else
        api_on_end(hub->api, r);
}

static void on_refusal(struct request *r, const struct gate_verdict *verdict, struct buf *out, void *ctx)
{
    (void)ctx;
    if (r && face_owns(request_path(r)))
        face_refusal(verdict, out);
    else
        api_refusal(verdict, out);
}

static const struct gate_route gate_routes[] = {FACE_ROUTES, API_ROUTES, {0}};
static const struct web_ops web_ops = {.on_head = on_head,
                                       .on_body = on_body,
                                       .on_end = on_end,
                                       .on_refusal = on_refusal,
                                       .routes = gate_routes};

static void list_changed(enum item_kind kind, const char *server, void *ctx)
{
    struct hub *hub = ctx;
    if (hub->face)
        face_list_changed(hub->face, kind, server);
    if (hub->events && events_wanted(hub->events, "catalogue")) {
        static const char *const types[ITEM_KINDS] = {"tools.changed", "prompts.changed", "resources.changed",
                                                      "resources.changed"};
        struct buf data = {0};
        buf_add_text(&data, "{\"server\":");
        buf_add_json_text(&data, server);
        buf_add_char(&data, '}');
        events_publish(hub->events, "catalogue", types[kind], buf_bytes(&data));
        buf_end(&data);
    }
}

static const struct catalogue_ops catalogue_ops = {list_changed};

/* --- starting --- */

/* The host and the origin of hub.public_url: a proxy in front passes them on. */
struct public_names {
    const char *hosts[5], *origins[2];
};

static struct public_names *public_names(const struct config *config)
{
    const char *url = config->public_url, *rest = url ? strstr(url, "://") : NULL;
    if (!rest)
        return NULL;
    struct public_names *names = ARENA_NEW(config->arena, struct public_names);
    size_t authority = strcspn(rest + 3, "/?#");
    size_t host = rest[3] == '[' ? strcspn(rest + 3, "]") + 1 : strcspn(rest + 3, ":/?#");
    names->hosts[0] = arena_text(config->arena, (struct bytes){rest + 3, host});
    names->hosts[1] = "localhost";
    names->hosts[2] = "127.0.0.1";
    names->hosts[3] = "[::1]";
    names->origins[0] = arena_text(config->arena, (struct bytes){url, (size_t)(rest + 3 - url) + authority});
    return names;
}

static void listener_of(struct web_listener *l, const struct config_listen *config,
                        const struct public_names *names)
{
    l->is_unix = strncmp(l->name, "unix:", 5) == 0;
    l->is_loopback = !l->is_unix; /* the supervisor binds nothing else in this release */
    l->hosts = config && config->hosts.n ? config->hosts.p : names ? names->hosts : NULL;
    l->origins = config && config->origins.n ? config->origins.p : names ? names->origins : NULL;
}

static int open_modules(struct hub *hub, struct why *why)
{
    _cleanup_free_ char *db = text_format("%s/state.db", hub->config->state);
    _cleanup_free_ char *key = text_format("%s/run/hub.key", hub->config->state);
    hub->store = store_open(db, why);
    if (!hub->store)
        return -1;
    hub->tickets = tickets_new(hub->store, key, why);
    if (!hub->tickets)
        return -1;
    hub->metrics = metrics_new(hub);
    hub->events = events_new(hub);
    hub->calls = calls_new(hub);
    hub->catalogue = catalogue_new(hub->loop, hub->store, hub->config, &catalogue_ops, hub, why);
    if (!hub->catalogue)
        return -1;
    hub->upstreams = mem_array(hub->config->server_count + 1, sizeof(hub->upstreams[0]));
    for (size_t i = 0; i < hub->config->server_count; i++)
        hub->upstreams[hub->upstream_count++] = upstream_new(hub, &hub->config->servers[i]);
    hub->face = face_new(hub);
    hub->api = api_new(hub);
    return 0;
}

static int open_network(struct hub *hub, const int *fds, struct why *why)
{
    const struct config *c = hub->config;
    struct web_limits limits = {.uri = (size_t)c->http.uri,
                                .headers = (size_t)c->http.headers,
                                .header_count = 100,
                                .body = (size_t)c->json.request,
                                .head_ms = c->http.header_ms,
                                .body_ms = c->http.body_ms,
                                .idle_ms = c->http.idle_ms,
                                .connections = (size_t)c->http.connections,
                                .per_address = (size_t)c->http.per_ip};
    static const char *const websocket_paths[] = {"/api/v1/stream", NULL};
    static const struct door_paths paths = {websocket_paths};
    hub->web = web_new(hub->loop, &limits, &web_ops, hub);
    hub->ws = ws_new(hub->loop, "trunkline.stream.v1", (size_t)16 * 1024, &api_stream_ops, hub);
    if (!hub->web || !hub->ws)
        return why_set(why, -1, "cannot start the web server");
    hub->door = door_new(hub->loop, hub->web, hub->ws, &paths);
    for (size_t i = 0; i < hub->listener_count; i++)
        if (door_listen(hub->door, fds[i], &hub->listeners[i]) < 0)
            return why_set(why, -1, "cannot listen on '%s'", hub->listeners[i].name);
    return 0;
}

static void start(struct run *run)
{
    struct hub *hub = &run->hub;
    struct why why = {0};
    if (open_modules(hub, &why) < 0 || open_network(hub, run->listen_fds, &why) < 0) {
        log_error("hub.start_failed", "why", why.text);
        run->status = 1;
        loop_stop(hub->loop);
        return;
    }
    hub->is_ready = true;
    control_send(hub->control, json_pack("{s:s}", "op", "ready"), NULL, 0);
    log_info("hub.ready", "tools", log_int((int64_t)catalogue_count(hub->catalogue, ITEM_TOOL, NULL)));
    for (size_t i = 0; i < hub->upstream_count; i++)
        if (upstream_config(hub->upstreams[i])->enabled)
            upstream_start(hub->upstreams[i]);
}

static int read_config(struct run *run, json_t *message, int fd, struct why *why)
{
    struct hub *hub = &run->hub;
    struct buf text = {0};
    char piece[16384];
    ssize_t n;
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return why_set(why, -1, "the configuration did not come");
    while ((n = read(fd, piece, sizeof(piece))) > 0)
        buf_add(&text, piece, (size_t)n);
    _cleanup_json_ json_t *whole = json_read(buf_bytes(&text), why);
    buf_end(&text);
    json_t *tree = json_object_get(whole, "config"), *listens = json_object_get(whole, "listens");
    (void)message;
    if (!tree || config_from_tree(tree, &hub->config, why) < 0)
        return -1;
    log_begin_by("hub", hub->config->log_level, hub->config->log_format);
    hub->listener_count = json_array_size(listens);
    hub->listeners = mem_array(hub->listener_count + 1, sizeof(hub->listeners[0]));
    run->listen_fds = mem_array(hub->listener_count + 1, sizeof(int));
    const struct public_names *names = public_names(hub->config);
    for (size_t i = 0; i < hub->listener_count; i++) {
        const json_t *row = json_array_get(listens, i);
        const char *name = json_str(row, "name");
        size_t from = (size_t)json_int(row, "from", 0);
        hub->listeners[i].name = arena_text(hub->config->arena, bytes_of(name ? name : ""));
        listener_of(&hub->listeners[i], from < hub->config->listen_count ? &hub->config->listens[from] : NULL,
                    names);
    }
    return 0;
}

/* --- ending --- */

static void stop(struct run *run)
{
    loop_stop(run->hub.loop);
}

static void drain_check(void *ctx)
{
    struct run *run = ctx;
    struct hub *hub = &run->hub;
    bool is_idle = calls_count(hub->calls) == 0;
    for (size_t i = 0; i < hub->upstream_count; i++)
        is_idle = is_idle && upstream_state(hub->upstreams[i]) == UPSTREAM_OFF;
    if (is_idle || clock_ms() >= run->drain_until)
        stop(run);
    else
        timer_start(&run->drain_timer, DRAIN_CHECK_MS);
}

static void drain(struct run *run, int64_t ms)
{
    struct hub *hub = &run->hub;
    if (hub->is_draining)
        return;
    hub->is_draining = true;
    hub->is_ready = false;
    run->drain_until = clock_ms() + ms;
    log_info("hub.draining", "calls", log_int(hub->calls ? (int64_t)calls_count(hub->calls) : 0));
    if (!hub->face) {
        stop(run);
        return;
    }
    door_stop(hub->door);
    face_drain(hub->face);
    api_drain(hub->api);
    for (size_t i = 0; i < hub->upstream_count; i++)
        upstream_drain(hub->upstreams[i]);
    timer_start(&run->drain_timer, 0);
}

static void end_modules(struct hub *hub)
{
    if (hub->door)
        door_free(hub->door);
    /* The only one that turns the loop to end itself: timers and sockets of all others fire in it, so they
     * must live. */
    if (hub->ws)
        ws_free(hub->ws);
    /* Then calls: their callbacks reach into everything else. Then from the outside in. */
    calls_free(hub->calls);
    hub->calls = NULL;
    if (hub->face)
        face_free(hub->face);
    if (hub->api)
        api_free(hub->api);
    if (hub->web)
        web_free(hub->web);
    for (size_t i = 0; i < hub->upstream_count; i++)
        upstream_free(hub->upstreams[i]);
    free(hub->upstreams);
    if (hub->catalogue)
        catalogue_free(hub->catalogue);
    if (hub->events)
        events_free(hub->events);
    if (hub->metrics)
        metrics_free(hub->metrics);
    tickets_free(hub->tickets);
    if (hub->store)
        store_close(hub->store);
    control_free(hub->control);
    free(hub->listeners);
    if (hub->config)
        config_free(hub->config);
}

/* --- the supervisor's words --- */

static void on_message(json_t *message, int fds[8], void *ctx)
{
    struct run *run = ctx;
    struct hub *hub = &run->hub;
    const char *op = json_str(message, "op");
    struct why why = {0};
    if (!op)
        return;
    if (strcmp(op, "config") == 0) {
        if (read_config(run, message, fds[0], &why) < 0) {
            log_error("hub.start_failed", "why", why.text);
            run->status = 1;
            stop(run);
        } else if (hub->listener_count == 0) {
            start(run);
        }
    } else if (strcmp(op, "listen") == 0) {
        size_t at = (size_t)json_int(message, "at", 0);
        for (int i = 0; i < 8 && fds[i] >= 0 && at + (size_t)i < hub->listener_count; i++) {
            run->listen_fds[at + (size_t)i] = fds[i];
            fds[i] = -1;
            run->listens_come++;
        }
        if (run->listens_come == hub->listener_count && !hub->is_ready)
            start(run);
    } else if (strcmp(op, "drain") == 0) {
        drain(run, json_int(message, "ms", 10000));
    } else {
        for (size_t i = 0; i < hub->upstream_count; i++)
            if (upstream_on_control(hub->upstreams[i], message, fds))
                break;
    }
    for (int i = 0; i < 8; i++)
        fd_close(&fds[i]);
}

static void on_lost(void *ctx)
{
    struct run *run = ctx;
    log_error("hub.supervisor_lost");
    run->status = 1;
    stop(run);
}

static const struct control_ops control_ops = {on_message, on_lost};

int hub_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct why why = {0};
    log_begin("hub", LOG_INFO, -1);
    if (role_begin("hub", 1, &why) < 0) {
        log_error("hub.start_failed", "why", why.text);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    struct run run = {0};
    run.hub.started_at = stamp_now().ms;
    run.hub.loop = loop_new();
    timer_init(&run.drain_timer, run.hub.loop, drain_check, &run);
    run.hub.control = control_new(run.hub.loop, ROLE_FD, &control_ops, &run);
    loop_run(run.hub.loop);
    timer_stop(&run.drain_timer);
    end_modules(&run.hub);
    free(run.listen_fds);
    loop_free(run.hub.loop);
    return run.status;
}
