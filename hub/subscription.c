/*
 * resources/updated. Subscriptions are counted per URI; a legacy server gets one resources/subscribe per URI,
 * a modern one a single subscriptions/listen that holds the union (and the list_changed notices), opened anew
 * before the old one closes. They are made again whenever the shared line comes up.
 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "hub/hub.h"
#include "hub/upstream_parts.h"

enum { SUBSCRIBE_MS = 30000, LISTEN_GATHER_MS = 20, LISTEN_AGAIN_MS = 1000 };
static const int64_t FOR_EVER_MS = (int64_t)3650 * 24 * 3600 * 1000;

struct subscription {
    int count;
};

struct waiter {
    void (*done)(void *ctx, const struct fault_told *fault);
    void *ctx;
};

static void open_listen(struct upstream *u);

static void subscribe_answered(void *ctx, const struct line_answer *answer)
{
    struct waiter *w = ctx;
    struct fault_told fault;
    if (answer->outcome == LINE_ERROR)
        fault_tell(&fault, FAULT_UPSTREAM_ERROR, "the server refused the subscription: %.*s",
                   (int)answer->envelope->error_message.n, answer->envelope->error_message.p);
    else if (answer->outcome != LINE_RESULT)
        fault = answer->fault;
    if (w->done)
        w->done(w->ctx, answer->outcome == LINE_RESULT ? NULL : &fault);
    free(w);
}

static const struct pending_ops subscribe_pending = {subscribe_answered, NULL};

static void send_uri(struct upstream *u, const char *method, struct bytes uri, const struct waiter *waiter)
{
    struct buf params = {0};
    buf_add_text(&params, "{\"uri\":");
    buf_add_json(&params, uri);
    buf_add_char(&params, '}');
    struct waiter *w = NEW(struct waiter);
    *w = *waiter;
    struct request_spec spec = {.method = method,
                                .params = buf_bytes(&params),
                                .deadline_ms = SUBSCRIBE_MS,
                                .ops = &subscribe_pending,
                                .ctx = w};
    if (!line_request(u->lane.line, &spec, NULL)) {
        struct fault_told fault;
        lane_tell_fault(u, &fault);
        if (w->done)
            w->done(w->ctx, &fault);
        free(w);
    }
    buf_end(&params);
}

/* --- modern: one listen --- */

static void listen_ended(void *ctx, const struct line_answer *answer)
{
    struct upstream *u = ctx;
    u->listen = NULL;
    if (answer->outcome == LINE_ERROR)
        log_info("upstream.listen_refused", "server", u->config->name, "code",
                 log_int(answer->envelope->error_code));
    else if (answer->outcome !=
             LINE_LOST) /* it was ended in good order: what is followed is asked for again */
        timer_start(&u->listen_again, LISTEN_AGAIN_MS);
}

static const struct pending_ops listen_pending = {listen_ended, NULL};

static void add_filter(struct buf *out, struct upstream *u)
{
    buf_add_text(out, "\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,"
                      "\"resourcesListChanged\":true,\"resourceSubscriptions\":[");
    size_t at = 0, n = 0;
    struct bytes uri;
    void *value;
    while (table_next(&u->subscriptions, &at, &uri, &value)) {
        if (n++)
            buf_add_char(out, ',');
        buf_add_json(out, uri);
    }
    buf_add_text(out, "]}");
}

static void open_listen(struct upstream *u)
{
    struct pending *old = take_ptr(&u->listen);
    struct buf params = {0};
    buf_add_text(&params, "{\"_meta\":{");
    handshake_add_meta(&params, BYTES_NONE);
    buf_add_text(&params, "},");
    add_filter(&params, u);
    buf_add_char(&params, '}');
    struct request_spec spec = {.method = "subscriptions/listen",
                                .params = buf_bytes(&params),
                                .deadline_ms = FOR_EVER_MS,
                                .ops = &listen_pending,
                                .ctx = u};
    u->listen = line_request(u->lane.line, &spec, NULL);
    buf_end(&params);
    if (old)
        pending_cancel(old, "replaced");
}

static void listen_gathered(void *ctx)
{
    struct upstream *u = ctx;
    if (u->lane.line)
        open_listen(u);
}

/* --- the log level of legacy servers --- */

static void send_level(struct upstream *u)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
    int level = u->wanted_level;
    const struct facts *facts = catalogue_facts(u->hub->catalogue, u->config->name);
    if (level < 0 || level > 7 || !u->lane.line || u->lane.era != ERA_LEGACY)
        return;
    struct members capabilities = {0};
    members_read(&capabilities, facts->capabilities);
    bool has_logging = members_find(&capabilities, "logging") != NULL;
    members_end(&capabilities);
    if (!has_logging)
        return;
    struct buf params = {0};
    buf_addf(&params, "{\"level\":\"%s\"}", levels[level]);
    struct waiter *w = NEW(struct waiter);
    struct request_spec spec = {.method = "logging/setLevel",
                                .params = buf_bytes(&params),
                                .deadline_ms = SUBSCRIBE_MS,
                                .ops = &subscribe_pending,
                                .ctx = w};
    if (!line_request(u->lane.line, &spec, NULL))
        free(w);
    buf_end(&params);
}

/* --- both --- */

void subscriptions_up(struct upstream *u, const struct facts *facts)
{
    if (!u->listen_again.fn)
        timer_init(&u->listen_again, u->hub->loop, listen_gathered, u);
    if (facts->era == ERA_MODERN) {
        open_listen(u);
        return;
    }
    size_t at = 0;
    struct bytes uri;
    void *value;
    struct waiter nobody = {0};
    while (table_next(&u->subscriptions, &at, &uri, &value))
        send_uri(u, "resources/subscribe", uri, &nobody);
    send_level(u);
}

void subscriptions_down(struct upstream *u)
{
    if (u->listen_again.fn)
        timer_stop(&u->listen_again);
    if (u->listen)
        pending_cancel(take_ptr(&u->listen), "the line ends");
}

void subscriptions_end(struct upstream *u)
{
    size_t at = 0;
    struct bytes uri;
    void *value;
    while (table_next(&u->subscriptions, &at, &uri, &value))
        free(value);
    table_end(&u->subscriptions);
}

void upstream_subscribe(struct upstream *u, struct bytes uri,
                        void (*done)(void *ctx, const struct fault_told *fault), void *ctx)
{
    struct subscription *s = table_get(&u->subscriptions, uri);
    bool is_new = !s;
    if (!s) {
        s = NEW(struct subscription);
        table_put(&u->subscriptions, uri, s);
    }
    s->count++;
    /* While the server is away it is remembered, and made when the line is up. */
    if (is_new && u->lane.line && u->lane.era == ERA_LEGACY) {
        struct waiter w = {done, ctx};
        send_uri(u, "resources/subscribe", uri, &w);
        return;
    }
    if (is_new && u->lane.line)
        open_listen(u);
    done(ctx, NULL);
}

void upstream_unsubscribe(struct upstream *u, struct bytes uri)
{
    struct subscription *s = table_get(&u->subscriptions, uri);
    if (!s || --s->count > 0)
        return;
    struct waiter nobody = {0};
    if (u->lane.line && u->lane.era == ERA_LEGACY)
        send_uri(u, "resources/unsubscribe", uri, &nobody);
    free(table_drop(&u->subscriptions, uri));
    if (u->lane.line && u->lane.era == ERA_MODERN && u->listen_again.fn)
        timer_start(&u->listen_again, LISTEN_GATHER_MS);
}

void upstream_want_log(struct upstream *u, int level)
{
    if (level == u->wanted_level)
        return;
    u->wanted_level = level;
    send_level(u);
}

int upstream_wanted_log(const struct upstream *u)
{
    return u->wanted_level;
}
