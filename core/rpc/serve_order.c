#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/rpc/serve_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/*
 * One request from its arrival to its answer. An order that was answered stays until the end of the turn, so
 * that the handler that has just answered may still look at it. One that was cancelled, or whose deadline has
 * passed, stays until its handler is done with it, because a worker thread may hold its arena; what the
 * handler answers then is heard by nobody.
 */

static void expire(void *ctx);

/* --- begin --- */

static void read_call_meta(struct order *o, const struct envelope *e)
{
    const struct member *call = members_find(&e->meta, "dev.trunkline/call");
    struct members inside = {0};
    int64_t left;

    if (call && members_read(&inside, call->value) == 0 &&
        member_int(members_find(&inside, "deadlineMs"), &left) == 0) {
        int64_t most = INT64_C(1) << 40;
        o->deadline_ms = loop_now_ms(o->serve->loop) + (left < 0 ? 0 : left < most ? left : most);
        timer_start(&o->timer, o->deadline_ms - loop_now_ms(o->serve->loop));
    }
    members_end(&inside);
}

static struct order *order_new(struct serve *s, const struct asked *a, enum order_kind kind)
{
    const struct member *token = members_find(&a->e->meta, "progressToken");

    if (s->in_flight >= SERVE_IN_FLIGHT) {
        fault_tell(a->fault, FAULT_QUEUE_FULL, "at most %d requests may be in flight", (int)SERVE_IN_FLIGHT);
        return NULL;
    }
    struct order *o = NEW(struct order);
    *o = (struct order){.serve = s,
                        .arena = arena_new(),
                        .kind = kind,
                        .era = a->era,
                        .deadline_ms = INT64_MAX,
                        .told_progress = -1};
    o->id = arena_copy(o->arena, a->e->id.value);
    if (token)
        o->token = arena_copy(o->arena, token->value);
    timer_init(&o->timer, s->loop, expire, o);
    read_call_meta(o, a->e);
    list_add(&s->orders, &o->link);
    s->in_flight++;
    return o;
}

/* --- end --- */

/* The order is answered now. False when nobody is to hear of it. */
static bool is_heard(struct order *o)
{
    struct serve *s = o->serve;

    assert(!o->is_over);
    o->is_over = true;
    timer_stop(&o->timer);
    list_drop(&o->link);
    list_add(&s->done, &o->link);
    s->in_flight--;
    serve_wake(s);
    return !o->is_told;
}

void orders_sweep(struct serve *s)
{
    list_each (l, &s->done) {
        struct order *o = list_entry(l, struct order, link);
        list_drop(&o->link);
        arena_free(o->arena);
        free(o);
    }
}

static void begin_result(struct order *o)
{
    struct buf *out = &o->serve->out;

    message_begin(o->serve);
    buf_add_text(out, "\"id\":");
    buf_add_bytes(out, o->id);
    buf_add_text(out, ",\"result\":");
    result_begin(out, o->era, o->kind == ORDER_RESOURCES || o->kind == ORDER_READ);
}

static void end_result(struct order *o, struct bytes meta)
{
    result_end(o->serve, o->era, meta);
    message_end(o->serve);
}

/* Who reads the words of outsiders must be told so. */
static struct bytes origin_of(const struct order *o)
{
    if (o->tool && o->tool->traits & TOOL_UNTRUSTED)
        return BYTES("\"dev.trunkline/origin\":\"untrusted\"");
    return BYTES_NONE;
}

void order_answer_text(struct order *o, struct bytes text)
{
    if (!is_heard(o))
        return;
    begin_result(o);
    buf_add_text(&o->serve->out, "\"content\":[{\"type\":\"text\",\"text\":");
    buf_add_json(&o->serve->out, text);
    buf_add_text(&o->serve->out, "}]");
    end_result(o, origin_of(o));
}

void order_answer_content(struct order *o, struct bytes content)
{
    if (!is_heard(o))
        return;
    begin_result(o);
    buf_add_text(&o->serve->out, "\"content\":");
    envelope_add_line(&o->serve->out, content);
    end_result(o, origin_of(o));
}

void order_answer_members(struct order *o, struct bytes members)
{
    if (!is_heard(o))
        return;
    begin_result(o);
    envelope_add_line(&o->serve->out, members);
    end_result(o, origin_of(o));
}

static void write_refusal(struct order *o, struct fault_told *told)
{
    if (told->fault == FAULT_RESOURCE_NOT_FOUND && o->uri.n) {
        struct buf uri = {0};
        buf_add_json(&uri, o->uri);
        fault_data(told, "\"uri\":%s", uri.p);
        buf_end(&uri);
    }
    serve_answer_fault(o->serve, told, o->era, o->id);
}

void order_refuse(struct order *o, enum fault fault, const char *format, ...)
{
    char text[sizeof(((struct fault_told *)0)->text)];
    struct fault_told told;
    va_list args;

    if (!is_heard(o))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fault_tell(&told, fault, "%s", text);
    write_refusal(o, &told);
}

/* Only tools can fail in words for a model; the rest has JSON-RPC errors. */
static void refuse_as(struct order *o, const char *name, const char *text)
{
    struct fault_told told;
    enum fault fault = FAULT_INTERNAL;

    if (strcmp(name, "not_found") == 0)
        fault = FAULT_RESOURCE_NOT_FOUND;
    else if (strcmp(name, "invalid") == 0)
        fault = FAULT_INVALID_PARAMS;
    else if (strcmp(name, "deadline") == 0)
        fault = FAULT_DEADLINE;
    else if (strcmp(name, "too_large") == 0)
        fault = FAULT_TOO_LARGE;
    fault_tell(&told, fault, "%s", text);
    write_refusal(o, &told);
}

/* `fields`: a JSON array for the fault, or empty. */
static void write_failure(struct order *o, const char *name, const char *text, struct bytes fields)
{
    struct buf *out = &o->serve->out, meta = {0};
    char *line = text_format("%s: %s", name, text);

    if (o->kind != ORDER_TOOL) {
        refuse_as(o, name, text);
        free(line);
        return;
    }
    buf_addf(&meta, "\"dev.trunkline/fault\":{\"name\":\"%s\"", name);
    if (fields.n) {
        buf_add_text(&meta, ",\"fields\":");
        buf_add_bytes(&meta, fields);
    }
    buf_add_char(&meta, '}');
    begin_result(o);
    buf_add_text(out, "\"content\":[{\"type\":\"text\",\"text\":");
    buf_add_json_text(out, line);
    buf_add_text(out, "}],\"isError\":true");
    end_result(o, buf_bytes(&meta));
    buf_end(&meta);
    free(line);
}

void order_fail(struct order *o, const char *name, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (!is_heard(o))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_failure(o, name, text, BYTES_NONE);
}

/* --- while it runs --- */

struct arena *order_arena(struct order *o)
{
    return o->arena;
}

void *order_server(struct order *o)
{
    return o->serve->object;
}

struct serve *order_serve(struct order *o)
{
    return o->serve;
}

void order_wait(struct order *o, void (*on_cancel)(struct order *o, void *ctx), void *ctx)
{
    assert(!o->is_over);
    o->is_waiting = true;
    o->on_cancel = on_cancel;
    o->cancel_ctx = ctx;
}

bool order_is_cancelled(const struct order *o)
{
    return o->is_cancelled;
}

int64_t order_deadline_ms(const struct order *o)
{
    return o->deadline_ms;
}

/* MCP: the values of progress rise. */
void order_progress(struct order *o, int64_t done, int64_t total, const char *message)
{
    struct buf *out = &o->serve->out;

    if (o->token.n == 0 || o->is_told || o->is_over || done <= o->told_progress)
        return;
    o->told_progress = done;
    message_begin(o->serve);
    buf_add_text(out, "\"method\":\"notifications/progress\",\"params\":{\"progressToken\":");
    buf_add_bytes(out, o->token);
    buf_addf(out, ",\"progress\":%lld", (long long)done);
    if (total > 0)
        buf_addf(out, ",\"total\":%lld", (long long)total);
    if (message) {
        buf_add_text(out, ",\"message\":");
        buf_add_json_text(out, message);
    }
    buf_add_char(out, '}');
    message_end(o->serve);
}

/* Nobody waits for it any more; its handler is told once and finishes in its own time. */
static void cancel(struct order *o)
{
    if (o->is_cancelled || o->is_over)
        return;
    o->is_cancelled = o->is_told = true;
    timer_stop(&o->timer);
    if (o->on_cancel)
        o->on_cancel(o, o->cancel_ctx);
}

static void expire(void *ctx)
{
    struct order *o = ctx;

    write_failure(o, "deadline", "out of time", BYTES_NONE);
    cancel(o);
}

static struct order *order_find(const struct serve *s, struct bytes id)
{
    list_each (l, &s->orders) {
        struct order *o = list_entry(l, struct order, link);
        if (bytes_are(o->id, id))
            return o;
    }
    return NULL;
}

bool order_is_in_flight(const struct serve *s, struct bytes id)
{
    const struct order *o = order_find(s, id);

    return o && !o->is_told; /* the id of a cancelled one may be used again */
}

void orders_cancel(struct serve *s, struct bytes id)
{
    list_each (l, &s->orders) {
        struct order *o = list_entry(l, struct order, link);
        if (!o->is_told && bytes_are(o->id, id)) {
            cancel(o);
            return;
        }
    }
}

void orders_cancel_all(struct serve *s)
{
    struct order *next;

    /* from the start again each time: a handler that is told may finish others, too */
    do {
        next = NULL;
        list_each (l, &s->orders) {
            struct order *o = list_entry(l, struct order, link);
            if (!o->is_cancelled && !next)
                next = o;
        }
        if (next)
            cancel(next);
    } while (next);
}

/* A handler has returned: it has answered, or it waits, or it has forgotten to do either. */
static void handler_returned(struct order *o)
{
    o->is_running = false;
    if (!o->is_over && !o->is_waiting)
        order_refuse(o, FAULT_INTERNAL, "the server gave no answer");
}

/* --- tools --- */

static const struct tool *tool_find(const struct server *row, struct bytes name)
{
    for (const struct tool *t = row->tools; t && t->name; t++)
        if (bytes_say(name, t->name))
            return t;
    return NULL;
}

static const struct tool *tool_of(struct serve *s, const struct asked *a)
{
    const struct member *m = members_find(&a->e->inside, "name");
    const char *names[128] = {0};
    struct buf name = {0};
    size_t n = 0;

    if (member_decode(m, &name) < 0) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'name' must be a string");
        return NULL;
    }
    const struct tool *tool = tool_find(s->row, buf_bytes(&name));
    if (!tool) {
        for (const struct tool *t = s->row->tools; t && t->name && n < 127; t++)
            names[n++] = t->name;
        const char *nearest = name.n ? text_nearest(name.p, names) : NULL;
        fault_tell(a->fault, FAULT_INVALID_PARAMS,
                   nearest ? "unknown tool '%s'; did you mean '%s'?" : "unknown tool '%s'",
                   name.p ? name.p : "", nearest);
    }
    buf_end(&name);
    return tool;
}

static void fail_arguments(struct order *o, const struct shape_faults *faults)
{
    struct buf text = {0}, fields = {0};

    for (size_t i = 0; i < faults->n; i++) {
        buf_add_text(&text, i ? "; " : "");
        buf_add_text(&text, faults->at[i].text);
        buf_add_text(&fields, i ? ",{\"pointer\":" : "[{\"pointer\":");
        buf_add_json_text(&fields, faults->at[i].pointer);
        buf_add_text(&fields, ",\"text\":");
        buf_add_json_text(&fields, faults->at[i].text);
        buf_add_char(&fields, '}');
    }
    buf_add_char(&fields, ']');
    if (is_heard(o))
        write_failure(o, "invalid", text.p ? text.p : "", buf_bytes(&fields));
    buf_end(&text);
    buf_end(&fields);
}

static void drop_tree(void *tree)
{
    json_decref(tree);
}

static void run_tool(struct order *o, struct bytes arguments)
{
    static const struct shape nothing[] = {{0}};
    struct shape_faults faults = {0};
    json_t *tree = NULL;

    if (arguments.n) {
        struct why why = {0};
        tree = json_read(arguments, &why);
        if (!tree) {
            order_fail(o, "invalid", "the arguments cannot be read: %s", why.text);
            return;
        }
        arena_at_close(o->arena, drop_tree, tree);
    }
    void *args = arena_take(o->arena, o->tool->args_size ? o->tool->args_size : 1);
    if (shape_read(o->tool->shape ? o->tool->shape : nothing, tree, o->arena, args, &faults) != 0) {
        fail_arguments(o, &faults);
        return;
    }
    o->is_running = true;
    o->tool->run(o, args);
    handler_returned(o);
}

bool serve_tool_call(struct serve *s, const struct asked *a)
{
    const struct tool *tool = tool_of(s, a);
    const struct member *arguments = members_find(&a->e->inside, "arguments");

    if (!tool)
        return false;
    if (arguments && arguments->type != JSON_T_OBJECT) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'arguments' is no object");
        return false;
    }
    struct order *o = order_new(s, a, ORDER_TOOL);
    if (!o)
        return false;
    o->tool = tool;
    run_tool(o, arguments ? arguments->value : BYTES_NONE);
    return true;
}

/* --- resources and completion --- */

bool serve_resources_list(struct serve *s, const struct asked *a)
{
    if (members_find(&a->e->inside, "cursor")) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "unknown cursor");
        return false;
    }
    struct order *o = order_new(s, a, ORDER_RESOURCES);
    if (!o)
        return false;
    if (s->row->list_resources) {
        s->row->list_resources(o);
        handler_returned(o);
        return true;
    }
    struct buf list = {0};
    serve_add_fixed_resources(&list, s->row);
    order_answer_members(o, buf_bytes(&list));
    buf_end(&list);
    return true;
}

/* A string of the parameters, decoded; p NULL when it is absent or none. */
static struct bytes text_param(struct arena *a, const struct members *m, const char *key)
{
    struct buf text = {0};
    struct bytes out = BYTES_NONE;

    if (member_decode(members_find(m, key), &text) == 0)
        out = arena_copy(a, (struct bytes){text.p ? text.p : "", text.n});
    buf_end(&text);
    return out;
}

bool serve_read(struct serve *s, const struct asked *a)
{
    const struct member *uri = members_find(&a->e->inside, "uri");

    if (!uri || uri->type != JSON_T_STRING || uri->value.n > 4096 + 2) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'uri' must be a string of at most 4096 bytes");
        return false;
    }
    struct order *o = order_new(s, a, ORDER_READ);
    if (!o)
        return false;
    o->uri = text_param(o->arena, &a->e->inside, "uri");
    if (!s->row->read || !o->uri.p)
        order_refuse(o, FAULT_RESOURCE_NOT_FOUND, "there is no such resource");
    else
        s->row->read(o, o->uri);
    handler_returned(o);
    return true;
}

bool serve_complete(struct serve *s, const struct asked *a)
{
    const struct member *ref = members_find(&a->e->inside, "ref");
    const struct member *argument = members_find(&a->e->inside, "argument");
    struct members in_ref = {0}, in_argument = {0};
    struct order *o = NULL;

    if (!ref || !argument || members_read(&in_ref, ref->value) < 0 ||
        members_read(&in_argument, argument->value) < 0) {
        fault_tell(a->fault, FAULT_INVALID_PARAMS, "'ref' and 'argument' must be objects");
    } else if (bytes_say(member_plain(members_find(&in_ref, "type")), "ref/resource")) {
        o = order_new(s, a, ORDER_COMPLETE);
    } else {
        fault_tell(a->fault, FAULT_INVALID_PARAMS,
                   "'ref' must be of type 'ref/resource': there are no prompts");
    }
    if (o) {
        struct bytes uri = text_param(o->arena, &in_ref, "uri");
        struct bytes name = text_param(o->arena, &in_argument, "name");
        struct bytes value = text_param(o->arena, &in_argument, "value");
        if (uri.p && name.p && value.p)
            s->row->complete(o, uri, name, value);
        else
            order_refuse(o, FAULT_INVALID_PARAMS,
                         "'ref.uri', 'argument.name' and 'argument.value' must be strings");
        handler_returned(o);
    }
    members_end(&in_ref);
    members_end(&in_argument);
    return o != NULL;
}
