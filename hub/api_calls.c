/* What is asked of servers by REST (the errands), and the record of calls. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "hub/api_parts.h"
#include "hub/errand.h"
#include "hub/events.h"

#include <stdlib.h>

enum { WAIT_MS = 30000, WAIT_MOST_MS = 60000, DEADLINE_MOST_MS = 3600000 };

/* --- bodies with a member that goes on as it came --- */

/* The body with `{}` in the place of the object `raw_name`, so that its shape can be read without a tree of
 * what only passes. `raw` is that object's bytes, or empty. */
static bool split(struct bytes body, const char *raw_name, struct buf *rest, struct bytes *raw)
{
    struct members m = {0};
    *raw = BYTES_NONE;
    if (!json_is_valid(body) || members_read(&m, body) < 0) {
        buf_add_bytes(rest, body); /* visit_read says what is wrong with it */
        members_end(&m);
        return false;
    }
    buf_add_char(rest, '{');
    for (size_t i = 0; i < m.n; i++) {
        bool is_raw = bytes_say(m.p[i].key, raw_name) && m.p[i].type == JSON_T_OBJECT;
        buf_addf(rest, "%s\"", i ? "," : "");
        buf_add_bytes(rest, m.p[i].key);
        buf_add_text(rest, "\":");
        buf_add_bytes(rest, is_raw ? BYTES("{}") : m.p[i].value);
        if (is_raw)
            *raw = m.p[i].value;
    }
    buf_add_char(rest, '}');
    members_end(&m);
    return true;
}

/* Reads a body whose `raw_name` goes on as bytes. false: it was answered. */
static bool read_split(struct visit *v, struct bytes body, const char *raw_name, const struct shape *shape,
                       void *out, struct bytes *raw)
{
    struct buf rest = {0};
    bool is_split = split(body, raw_name, &rest, raw);
    bool is_read = visit_read(v, buf_bytes(&rest), shape, out);
    buf_end(&rest);
    if (is_read && !is_split && bytes_trim(body).n) {
        visit_fault(v, FAULT_TOO_LARGE, "the body is nested too deeply or has too many values");
        return false;
    }
    return is_read;
}

/* RFC 7240: respond-async, wait=SECONDS. */
static int64_t wait_of(const struct visit *v)
{
    struct bytes header = request_header(v->request, "Prefer");
    int64_t wait = WAIT_MS;
    while (header.n) {
        size_t n = bytes_find(header, ',');
        struct bytes one = bytes_trim((struct bytes){header.p, n});
        int64_t seconds;
        if (bytes_say_nocase(one, "respond-async"))
            return 0;
        if (bytes_begin(one, "wait=") && number_read((struct bytes){one.p + 5, one.n - 5}, &seconds) == 0)
            wait = seconds < WAIT_MOST_MS / 1000 ? seconds * 1000 : WAIT_MOST_MS;
        if (n == header.n)
            break;
        header = (struct bytes){header.p + n + 1, header.n - n - 1};
    }
    return wait;
}

struct make {
    const char *tool;
    json_t *arguments;
    int64_t deadline_ms;
};
static const struct shape make_shape[] = {
    STRING(struct make, tool, REQUIRED, "The tool's name, as the list has it", .max = 256),
    JSON(struct make, arguments, OPTIONAL, "Its arguments, an object"),
    INT(struct make, deadline_ms, 1, DEADLINE_MOST_MS, 0, "How long it may take"),
    {0}};

static bool is_object_or_absent(struct visit *v, const json_t *arguments)
{
    if (!arguments || json_is_object(arguments))
        return true;
    struct fault_told told;
    fault_tell(&told, FAULT_VALIDATION, "'arguments' must be an object");
    visit_fault_told(v, &told, "/arguments");
    return false;
}

void api_call_make(struct visit *v, struct bytes body)
{
    struct make make;
    struct bytes arguments;
    if (!read_split(v, body, "arguments", make_shape, &make, &arguments) ||
        !is_object_or_absent(v, make.arguments))
        return;
    const struct item *item = catalogue_find(v->api->hub->catalogue, ITEM_TOOL, NULL, bytes_of(make.tool));
    if (!item) {
        visit_fault(v, FAULT_NOT_FOUND, "there is no tool '%.100s'", make.tool);
        return;
    }
    struct buf params = {0};
    buf_add_text(&params, "\"name\":");
    buf_add_json_text(&params, make.tool);
    buf_add_text(&params, ",\"arguments\":");
    buf_add_bytes(&params, arguments.n ? arguments : BYTES("{}"));
    const struct errand_spec spec = {.kind = CALL_TOOL,
                                     .method = "tools/call",
                                     .params = buf_bytes(&params),
                                     .name = make.tool,
                                     .server = item->server,
                                     .deadline_ms = make.deadline_ms,
                                     .wait_ms = wait_of(v)};
    errand_start(v, &spec);
    buf_end(&params);
}

struct ask_prompt {
    json_t *arguments;
};
static const struct shape prompt_shape[] = {
    JSON(struct ask_prompt, arguments, OPTIONAL, "Its arguments, an object of strings"), {0}};

void api_prompt_get(struct visit *v, struct bytes body)
{
    struct ask_prompt ask;
    struct bytes arguments, name = visit_subject(v, 0);
    if (!read_split(v, body, "arguments", prompt_shape, &ask, &arguments) ||
        !is_object_or_absent(v, ask.arguments))
        return;
    if (!catalogue_find(v->api->hub->catalogue, ITEM_PROMPT, NULL, name)) {
        visit_fault(v, FAULT_NOT_FOUND, "there is no prompt '%.*s'", (int)(name.n < 100 ? name.n : 100),
                    name.p);
        return;
    }
    struct buf params = {0};
    buf_add_text(&params, "\"name\":");
    buf_add_json(&params, name);
    buf_add_text(&params, ",\"arguments\":");
    buf_add_bytes(&params, arguments.n ? arguments : BYTES("{}"));
    const struct errand_spec spec = {.kind = CALL_PROMPT,
                                     .method = "prompts/get",
                                     .params = buf_bytes(&params),
                                     .name = arena_text(v->arena, name)};
    errand_start(v, &spec);
    buf_end(&params);
}

void api_content(struct visit *v, struct bytes body)
{
    const struct query_content *query = v->query;
    struct buf params = {0};
    (void)body;
    buf_add_text(&params, "\"uri\":");
    buf_add_json_text(&params, query->uri);
    const struct errand_spec spec = {.kind = CALL_READ,
                                     .method = "resources/read",
                                     .params = buf_bytes(&params),
                                     .name = query->uri,
                                     .deadline_ms = query->deadline_ms};
    errand_start(v, &spec);
    buf_end(&params);
}

struct complete {
    json_t *ref, *argument, *context;
};
static const struct shape complete_shape[] = {
    JSON(struct complete, ref, REQUIRED, "What is completed: as completion/complete of MCP has it"),
    JSON(struct complete, argument, REQUIRED, "{name, value}"),
    JSON(struct complete, context, OPTIONAL, "{arguments}"),
    {0}};

void api_complete(struct visit *v, struct bytes body)
{
    struct complete ask;
    struct bytes ref, all = bytes_trim(body);
    if (!read_split(v, body, "ref", complete_shape, &ask, &ref))
        return;
    while (all.n && all.p[0] != '{')
        all = (struct bytes){all.p + 1, all.n - 1};
    while (all.n && all.p[all.n - 1] != '}')
        all.n--;
    const struct errand_spec spec = {
        .kind = CALL_COMPLETE, .method = "completion/complete", .params = {all.p + 1, all.n - 2},
                .name = ""
    };
    errand_start(v, &spec);
}

/* --- the record --- */

struct calls_list {
    struct list list;
    const struct query_calls *query;
    struct members room;
    int64_t before; /* only entries with a smaller number; 0: all */
};

static bool says(const struct members *m, const char *name, const char *wanted)
{
    const struct member *found = members_find(m, name);
    return !wanted || (found && bytes_say(member_plain(found), wanted));
}

static bool is_wanted(struct calls_list *l, struct bytes json)
{
    const struct query_calls *q = l->query;
    if (members_read(&l->room, json) < 0)
        return false;
    const struct member *tool = members_find(&l->room, "tool");
    return says(&l->room, "server", q->server) && says(&l->room, "state", q->state) &&
           says(&l->room, "outcome", q->outcome) && (!q->q || has_text(json, q->q)) &&
           (!q->tool || (tool && text_matches(member_plain(tool), q->tool)));
}

static void add_running(const struct call_view *view, struct buf *out)
{
    char text[25];
    stamp_text((struct stamp){view->started_ms}, text);
    buf_add_text(out, "{\"id\":");
    buf_add_json_text(out, view->id);
    buf_add_text(out, ",\"server\":");
    buf_add_json_text(out, view->server);
    buf_add_text(out, ",\"tool\":");
    buf_add_json(out, view->tool);
    buf_add_text(out, ",\"actor\":");
    buf_add_json_text(out, view->principal);
    buf_addf(out, ",\"method\":\"%s\",\"state\":\"%s\",\"started_at\":\"%s\"}", view->method, view->state,
             text);
}

static void list_running(const struct call_view *view, void *ctx)
{
    struct calls_list *l = ctx;
    struct buf json = {0};
    add_running(view, &json);
    if (is_wanted(l, buf_bytes(&json)) && list_row(&l->list))
        buf_add_bytes(&l->list.out, buf_bytes(&json));
    buf_end(&json);
}

static void list_finished(const struct activity_entry *e, void *ctx)
{
    struct calls_list *l = ctx;
    if ((l->before && e->number >= l->before) || !is_wanted(l, e->json))
        return;
    if (list_row(&l->list)) {
        activity_add(e, &l->list.out);
        l->list.next = e->number;
    }
}

void api_calls(struct visit *v, struct bytes body)
{
    const struct query_calls *q = v->query;
    struct calls_list l = {.query = q};
    (void)body;
    if (!list_begin(&l.list, v, q->limit, q->cursor))
        return;
    l.before = l.list.from;
    l.list.from = 0;
    if (!l.before && v->api->hub->calls)
        call_each(v->api->hub, list_running, &l);
    activity_each(v->api->activity, list_finished, &l);
    if (l.list.total <= l.list.given)
        l.list.next = 0;
    members_end(&l.room);
    list_end(&l.list, !events_counts(v->api->hub->events).has_skipped_calls);
}

struct look {
    struct bytes id;
    struct buf json;
};

static void look_at(const struct call_view *view, void *ctx)
{
    struct look *look = ctx;
    if (bytes_say(look->id, view->id))
        add_running(view, &look->json);
}

/* A call still in flight, or nothing. */
static struct buf running(struct visit *v)
{
    struct look look = {.id = visit_subject(v, 0)};
    if (v->api->hub->calls)
        call_each(v->api->hub, look_at, &look);
    return look.json;
}

static void tell_unknown(struct visit *v)
{
    struct bytes id = visit_subject(v, 0);
    visit_fault(v, FAULT_NOT_FOUND, "there is no call '%.*s', or it ended too long ago",
                (int)(id.n < 60 ? id.n : 60), id.p);
}

void api_call(struct visit *v, struct bytes body)
{
    struct buf json = running(v);
    const struct activity_entry *e = json.n ? NULL : activity_find(v->api->activity, visit_subject(v, 0));
    (void)body;
    if (e)
        activity_add(e, &json);
    if (json.n)
        visit_thing(v, &json);
    else
        tell_unknown(v);
}

void api_call_result(struct visit *v, struct bytes body)
{
    struct buf json = running(v);
    const struct activity_entry *e = activity_find(v->api->activity, visit_subject(v, 0));
    (void)body;
    if (json.n) {
        visit_fault(v, FAULT_WRONG_STATE, "the call is still running");
    } else if (!e) {
        tell_unknown(v);
    } else if (!e->result.p) {
        visit_fault(v, FAULT_NOT_FOUND, "the result of this call was not kept: it was not made by REST");
    } else {
        struct buf copy = {0};
        buf_add_bytes(&copy, e->result);
        visit_json(v, e->status, &copy);
    }
    buf_end(&json);
}

struct cancel {
    const char *reason;
};
static const struct shape cancel_shape[] = {
    STRING(struct cancel, reason, OPTIONAL, "Why, for the record", .max = 500), {0}};

void api_call_cancel(struct visit *v, struct bytes body)
{
    struct cancel cancel;
    struct bytes id = visit_subject(v, 0);
    struct buf json = {0};
    if (!visit_read(v, body, cancel_shape, &cancel))
        return;
    const char *by =
        cancel.reason ? arena_printf(v->arena, "%s: %s", v->principal, cancel.reason) : v->principal;
    if (v->api->hub->calls && call_stop(v->api->hub, arena_text(v->arena, id), by) == 0) {
        buf_add_text(&json, "{\"id\":");
        buf_add_json(&json, id);
        buf_add_text(&json, ",\"state\":\"finished\",\"outcome\":\"cancelled\"}");
        visit_json(v, 200, &json);
    } else if (activity_find(v->api->activity, id)) {
        visit_fault(v, FAULT_WRONG_STATE, "the call has ended already");
    } else {
        tell_unknown(v);
    }
}
