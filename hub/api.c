/*
 * From the head of a request to its handler: path, method, who asks, what the browser says of where it comes
 * from, query. Handlers answer by api_answer.c.
 *
 * The web ends after us when the hub stops, so at our end all visits are let go: what it still tells about
 * them then finds nobody.
 */
#include "hub/api.h"

#include "core/base/clock.h"
#include "core/base/id.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "hub/api_parts.h"
#include "hub/errand.h"
#include "hub/events.h"
#include "hub/face_parts.h"
#include "hub/policy.h"

#include <strings.h>

enum { PAIRS_MOST = 16, BEAT_MS = 500 };

/* Calls by MCP end here too, as long as events are made of them (events.h). */
static void tapped(void *ctx, const char *topic, const char *type, struct bytes data)
{
    struct api *a = ctx;
    (void)topic;
    if (strcmp(type, "call.finished") == 0)
        activity_take(a->activity, data);
}

struct api *api_new(struct hub *hub)
{
    const struct config *c = hub->config;
    const struct envelope_limits limits = {.depth = (size_t)c->json.depth,
                                           .values = (size_t)c->json.values,
                                           .keys = (size_t)c->json.keys,
                                           .refuse_duplicates = true};
    struct api *a = NEW(struct api);
    a->hub = hub;
    a->envelope = envelope_new(&limits);
    a->activity = activity_new(hub);
    list_init(&a->visits);
    list_init(&a->errands);
    list_init(&a->tabs);
    random_fill(a->cursor_key, sizeof(a->cursor_key));
    timer_init(&a->beat, hub->loop, health_beat, a);
    a->beat_at = clock_ms();
    timer_start(&a->beat, BEAT_MS);
    events_tap(hub->events, tapped, a);
    return a;
}

static void end_visit(struct visit *v)
{
    if (v->on_end)
        v->on_end(v);
    list_drop(&v->link);
    request_set_ctx(v->request, NULL);
    request_on_gone(v->request, NULL, NULL);
    request_on_drained(v->request, NULL);
    arena_free(v->arena); /* the visit itself is in it */
}

void api_free(struct api *a)
{
    if (!a)
        return;
    events_tap(a->hub->events, NULL, NULL);
    while (!list_is_empty(&a->visits))
        end_visit(list_entry(a->visits.next, struct visit, link));
    errands_end(a);
    while (!list_is_empty(&a->tabs))
        list_drop(a->tabs.next);
    activity_free(a->activity);
    envelope_free(a->envelope);
    timer_stop(&a->beat);
    free(a);
}

void api_drain(struct api *a)
{
    stream_drain(a);
    list_each (l, &a->visits) {
        events_drain(list_entry(l, struct visit, link));
    }
}

void health_beat(void *ctx)
{
    struct api *a = ctx;
    a->beat_at = clock_ms();
    timer_start(&a->beat, BEAT_MS);
}

/* --- routes --- */

static struct bytes next_segment(struct bytes *path)
{
    struct bytes rest = {path->p + 1, path->n - 1}; /* behind the slash */
    struct bytes segment = {rest.p, bytes_find(rest, '/')};
    *path = (struct bytes){rest.p + segment.n, rest.n - segment.n};
    return segment;
}

/* Does the path fit the pattern? Fills in what stands for {…}, still encoded. */
static bool fits(const char *pattern, struct bytes path, struct bytes subjects[SUBJECTS])
{
    struct bytes rest = bytes_of(pattern);
    size_t n = 0;
    while (rest.n && path.n && path.p[0] == '/') {
        struct bytes wanted = next_segment(&rest), given = next_segment(&path);
        if (wanted.n && wanted.p[0] == '{') {
            if (given.n == 0 || n == SUBJECTS)
                return false;
            subjects[n++] = given;
        } else if (!bytes_are(wanted, given)) {
            return false;
        }
    }
    return rest.n == 0 && path.n == 0;
}

static enum method method_of(const struct request *r)
{
    enum method m = request_method(r);
    return m == METHOD_HEAD ? METHOD_GET : m;
}

/* The route, or NULL with the methods that this path has. */
static const struct route *find(struct bytes path, enum method method, struct bytes subjects[SUBJECTS],
                                unsigned *allowed)
{
    *allowed = 0;
    for (const struct route *r = api_routes; r->path; r++) {
        struct bytes found[SUBJECTS] = {0};
        if (!fits(r->path, path, found))
            continue;
        if (r->method == method) {
            memcpy(subjects, found, sizeof(found));
            return r;
        }
        *allowed |= METHOD_BIT(r->method) | (r->method == METHOD_GET ? METHOD_BIT(METHOD_HEAD) : 0);
    }
    return NULL;
}

static bool decode_subjects(struct visit *v)
{
    for (size_t i = 0; i < SUBJECTS && v->subjects[i].p; i++) {
        struct buf text = {0};
        int rc = percent_read(v->subjects[i], &text);
        if (rc == 0)
            v->subjects[i] = arena_copy(v->arena, buf_bytes(&text));
        buf_end(&text);
        if (rc < 0 || !utf8_is_valid(v->subjects[i])) {
            visit_fault(v, FAULT_INVALID_REQUEST, "the path has a bad escape");
            return false;
        }
    }
    return true;
}

struct bytes visit_subject(const struct visit *v, size_t i)
{
    return v->subjects[i];
}

/* --- who asks --- */

/* 00-<32 hex>-<16 hex>-<2 hex>, lower case: W3C Trace Context §3.2. */
static struct bytes trace_of(struct bytes header)
{
    static const char form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    if (header.n != sizeof(form) - 1)
        return BYTES_NONE;
    for (size_t i = 0; i < header.n; i++) {
        char c = header.p[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (form[i] == 'h' ? !is_hex : c != form[i])
            return BYTES_NONE;
    }
    return (struct bytes){header.p + 3, 32};
}

/* Pages of other origins, other ports of this machine too, must change nothing. Browsers that do not say
 * where a request comes from still name the origin; programs do neither. */
static bool is_from_elsewhere(const struct request *r)
{
    struct bytes site = request_header(r, "Sec-Fetch-Site"), origin = request_header(r, "Origin");
    if (site.p)
        return !bytes_say_nocase(site, "same-origin") && !bytes_say_nocase(site, "none");
    if (!origin.p)
        return false;
    struct bytes host = request_header(r, "Host");
    return !bytes_begin(origin, "http://") || !bytes_are((struct bytes){origin.p + 7, origin.n - 7}, host);
}

static bool may_enter(struct visit *v, enum method method)
{
    struct policy_ask ask = {.principal = v->principal, .action = v->route->may};
    if (method != METHOD_GET && is_from_elsewhere(v->request)) {
        visit_fault(v, FAULT_ORIGIN, "a page of another origin may not do this");
        return false;
    }
    if (v->route->may && !policy_permits(v->api->hub, &ask)) {
        visit_fault(v, FAULT_DENIED, "'%s' may not do this", v->principal);
        return false;
    }
    if (method != METHOD_GET && v->api->hub->is_draining) {
        visit_fault(v, FAULT_DRAINING, "the hub is about to stop");
        return false;
    }
    return true;
}

/* --- queries --- */

static char *decode_part(struct visit *v, struct bytes raw, bool plus_is_blank)
{
    struct buf text = {0};
    char *out = NULL;
    char *copy = arena_text(v->arena, raw);
    for (char *c = copy; plus_is_blank && *c; c++)
        if (*c == '+')
            *c = ' ';
    if (percent_read(bytes_of(copy), &text) == 0 && utf8_is_valid(buf_bytes(&text)))
        out = arena_text(v->arena, buf_bytes(&text));
    buf_end(&text);
    return out;
}

static const struct shape *row_of(const struct shape *shape, const char *name)
{
    for (; shape && shape->name; shape++)
        if (strcmp(shape->name, name) == 0)
            return shape;
    return NULL;
}

/* One name=value into the object; NULL, or what is wrong with it. A plus is a blank, as forms have it, but
 * not in a uri, where blanks do not occur and a plus may. */
static const char *add_pair(struct visit *v, struct bytes pair, json_t *object)
{
    size_t n = bytes_find(pair, '=');
    struct bytes raw = {pair.p + n + 1, n < pair.n ? pair.n - n - 1 : 0};
    const char *name = decode_part(v, (struct bytes){pair.p, n}, true);
    int64_t number;
    if (!name || n == pair.n)
        return "the query must be name=value&…";
    const struct shape *row = row_of(v->route->query, name);
    const char *value = decode_part(v, n < pair.n ? raw : BYTES_NONE, strcmp(name, "uri") != 0);
    if (!row)
        return arena_printf(v->arena, "there is no query parameter '%.60s' here", name);
    if (!value)
        return arena_printf(v->arena, "query parameter '%s' has a bad escape", name);
    if (json_object_get(object, name))
        return arena_printf(v->arena, "query parameter '%s' is given twice", name);
    bool is_number = row->kind == SHAPE_INT && number_read(bytes_of(value), &number) == 0;
    json_object_set_new(object, name, is_number ? json_integer(number) : json_string(value));
    return NULL;
}

static const char *read_pairs(struct visit *v, struct bytes query, json_t *object)
{
    while (query.n) {
        size_t n = bytes_find(query, '&');
        const char *wrong = n ? add_pair(v, (struct bytes){query.p, n}, object) : NULL;
        if (wrong)
            return wrong;
        if (json_object_size(object) > PAIRS_MOST)
            return "the query has too many parameters";
        size_t gone = n < query.n ? n + 1 : n;
        query = (struct bytes){query.p + gone, query.n - gone};
    }
    return NULL;
}

static bool read_query(struct visit *v)
{
    static const struct shape none[] = {{0}};
    struct shape_faults faults = {0};
    json_t *object = json_object();
    arena_at_close(v->arena, (void (*)(void *))json_decref, object);
    const char *wrong = read_pairs(v, request_query(v->request), object);
    v->query = arena_take(v->arena, v->route->query_size + 1);
    if (!wrong &&
        shape_read(v->route->query ? v->route->query : none, object, v->arena, v->query, &faults) > 0)
        wrong = faults.at[0].text;
    if (!wrong)
        return true;
    visit_fault(v, FAULT_INVALID_REQUEST, "%s", wrong);
    return false;
}

/* --- bodies --- */

static void tell_faults(struct visit *v, const struct shape_faults *faults)
{
    struct fault_told told;
    fault_tell(&told, FAULT_VALIDATION, "%s", faults->at[0].text);
    struct buf list = {0};
    for (size_t i = 0; i < faults->n; i++) {
        buf_addf(&list, "%s{\"field\":", i ? "," : "");
        buf_add_json_text(&list, faults->at[i].pointer);
        buf_add_text(&list, ",\"message\":");
        buf_add_json_text(&list, faults->at[i].text);
        buf_add_char(&list, '}');
    }
    fault_data(&told, "\"errors\":[%s]", list.p ? list.p : "");
    buf_end(&list);
    visit_fault_told(v, &told, faults->at[0].pointer);
}

static void tell_not_json(struct visit *v, const struct why *why)
{
    struct fault_told told;
    char *end = NULL;
    long line = strtol(why->text, &end, 10), column = *end == ':' ? strtol(end + 1, NULL, 10) : 0;
    fault_tell(&told, FAULT_PARSE, "the body is not JSON: %s", why->text);
    if (line > 0)
        fault_data(&told, "\"line\":%ld,\"column\":%ld", line, column);
    visit_fault_told(v, &told, NULL);
}

bool visit_read(struct visit *v, struct bytes body, const struct shape *shape, void *out)
{
    struct why why = {0};
    struct shape_faults faults = {0};
    json_t *tree = bytes_trim(body).n ? json_read(body, &why) : json_object();
    if (!tree) {
        tell_not_json(v, &why);
        return false;
    }
    arena_at_close(v->arena, (void (*)(void *))json_decref, tree);
    if (!json_is_object(tree)) {
        visit_fault(v, FAULT_VALIDATION, "the body must be an object");
        return false;
    }
    if (shape_read(shape, tree, v->arena, out, &faults) > 0) {
        tell_faults(v, &faults);
        return false;
    }
    return true;
}

/* --- from the web --- */

static struct visit *visit_new(struct api *a, struct request *r, const struct route *route)
{
    struct arena *arena = arena_new();
    struct visit *v = ARENA_NEW(arena, struct visit);
    v->arena = arena;
    v->api = a;
    v->request = r;
    v->route = route;
    v->principal = face_principal(a->hub->face, r);
    v->trace = trace_of(request_header(r, "traceparent"));
    list_add(&a->visits, &v->link);
    request_set_ctx(r, v);
    return v;
}

static void refuse_path(struct visit *v, unsigned allowed)
{
    struct bytes path = request_path(v->request);
    struct buf list = {0};
    if (!allowed) {
        visit_fault(v, FAULT_NOT_FOUND, "there is nothing at '%.*s'", (int)(path.n < 120 ? path.n : 120),
                    path.p);
        return;
    }
    method_list(allowed, &list);
    request_add_header(v->request, "Allow", list.p);
    visit_fault(v, FAULT_METHOD_NOT_ALLOWED, "this path takes %s", list.p);
    buf_end(&list);
}

int api_on_head(struct api *a, struct request *r)
{
    struct bytes subjects[SUBJECTS] = {0};
    unsigned allowed;
    enum method method = method_of(r);
    const struct route *route = find(request_path(r), method, subjects, &allowed);
    struct visit *v = visit_new(a, r, route);
    memcpy(v->subjects, subjects, sizeof(subjects));
    if (!route)
        refuse_path(v, allowed);
    else if (may_enter(v, method) && decode_subjects(v) && read_query(v))
        return 0;
    return 1;
}

void api_on_body(struct api *a, struct request *r, struct bytes body)
{
    struct visit *v = request_ctx(r);
    (void)a;
    v->route->handle(v, body);
}

void api_on_end(struct api *a, struct request *r)
{
    struct visit *v = request_ctx(r);
    (void)a;
    if (v)
        end_visit(v);
}

void api_refusal(const struct gate_verdict *verdict, struct buf *out)
{
    struct fault_told told;
    enum fault fault = fault_by_name(verdict->name);
    fault_tell(&told, fault == FAULT_NONE ? FAULT_INVALID_REQUEST : fault, "%s", verdict->text);
    fault_add_rest(out, &told, NULL, BYTES_NONE);
}

const char *visit_base(const struct visit *v)
{
    const struct hub *hub = v->api->hub;
    const struct web_listener *from = request_listener(v->request);
    if (hub->config->public_url)
        return hub->config->public_url;
    for (size_t i = 0; from->is_unix && i < hub->listener_count; i++)
        if (!hub->listeners[i].is_unix)
            from = &hub->listeners[i];
    return arena_printf(v->arena, "http://%s", from->is_unix ? "127.0.0.1:8080" : from->name);
}

bool has_text(struct bytes s, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= s.n; i++)
        if (strncasecmp(s.p + i, part, n) == 0)
            return true;
    return n == 0;
}
