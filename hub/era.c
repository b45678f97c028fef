#include "hub/era.h"

#include "core/base/id.h"
#include "hub/version.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVER_INFO_KEY "io.modelcontextprotocol/serverInfo"

/* --- pieces --- */

static void add_part(struct call_done *done, struct bytes part)
{
    assert(done->part_count < CALL_PARTS);
    if (part.n)
        done->parts[done->part_count++] = part;
}

/* From the opening quote of the key to the end of the value. */
static struct bytes member_raw(const struct member *m)
{
    const char *from = m->key.p - 1;
    return (struct bytes){from, (size_t)(m->value.p + m->value.n - from)};
}

/* Is the key this word? Slashes and letters may be written as escapes: nobody hides a key from us that way.
 */
static bool key_decodes(const struct member *m, struct buf *out)
{
    struct member text = {
        .value = {m->key.p - 1, m->key.n + 2},
          .type = JSON_T_STRING
    };
    return member_decode(&text, out) == 0;
}

static bool key_says(const struct member *m, const char *word)
{
    if (!m->key_has_escapes)
        return bytes_say(m->key, word);
    struct buf text = {0};
    bool yes = key_decodes(m, &text) && bytes_say(buf_bytes(&text), word);
    buf_end(&text);
    return yes;
}

static bool key_begins(const struct member *m, const char *prefix)
{
    if (!m->key_has_escapes)
        return bytes_begin(m->key, prefix);
    struct buf text = {0};
    bool yes = key_decodes(m, &text) && bytes_begin(buf_bytes(&text), prefix);
    buf_end(&text);
    return yes;
}

/* A result on its way: for whom, and the member that was written anew ("content", …) or NULL. */
struct passage {
    const struct era_spec *spec;
    const char *replaced;
};

typedef bool keep_fn(const struct passage *way, const struct member *m);

static struct bytes next_run(const struct passage *way, const struct members *all, keep_fn *keep, size_t *at)
{
    while (*at < all->n && !keep(way, &all->p[*at]))
        ++*at;
    if (!all->p || *at == all->n)
        return BYTES_NONE;
    struct bytes run = member_raw(&all->p[(*at)++]);
    while (*at < all->n && keep(way, &all->p[*at])) {
        struct bytes next = member_raw(&all->p[(*at)++]);
        run.n = (size_t)(next.p + next.n - run.p);
    }
    return run;
}

/* Emits `{` + head + the members that `keep` keeps, in runs as they stand in the message, + `}`. `head` is
 * what `scratch` holds. More runs than there is room for parts, which no honest server sends, are copied. */
static void add_members(const struct passage *way, const struct members *all, keep_fn *keep,
                        struct call_done *done, struct buf *scratch)
{
    size_t runs = 0, at = 0, head = scratch->n, begin = 0;
    struct bytes run;
    while (next_run(way, all, keep, &at).n)
        runs++;
    bool is_copied = 2 * runs + 3 > CALL_PARTS;
    if (is_copied) {
        begin = scratch->n;
        buf_reserve(scratch, head + 2); /* it must not move while it is copied from */
        buf_add_char(scratch, '{');
        buf_add(scratch, scratch->p, head);
    } else {
        add_part(done, BYTES("{"));
        add_part(done, buf_bytes(scratch));
    }
    at = 0;
    for (size_t n = head; (run = next_run(way, all, keep, &at)).n; n++) {
        if (is_copied && n)
            buf_add_char(scratch, ',');
        else if (n)
            add_part(done, BYTES(","));
        if (is_copied)
            buf_add_bytes(scratch, run);
        else
            add_part(done, run);
    }
    if (is_copied)
        buf_add_char(scratch, '}');
    add_part(done, is_copied ? (struct bytes){scratch->p + begin, scratch->n - begin} : BYTES("}"));
}

/* --- _meta --- */

static bool meta_passes(const struct era_spec *spec, const struct member *m)
{
    if (key_begins(m, "dev.trunkline/"))
        return spec->is_builtin;
    if (key_begins(m, "io.modelcontextprotocol/"))
        return spec->caller->era == ERA_LEGACY && key_says(m, "io.modelcontextprotocol/related-task");
    return true;
}

static bool has_own_meta(const struct era_spec *spec, const struct members *meta)
{
    for (size_t i = 0; i < meta->n; i++)
        if (!meta_passes(spec, &meta->p[i]))
            return true;
    return false;
}

static void add_meta(struct buf *out, const struct era_spec *spec, const struct members *meta)
{
    size_t n = 0;
    buf_add_text(out, "\"_meta\":{");
    if (spec->caller->era == ERA_MODERN) {
        buf_add_text(out, "\"" SERVER_INFO_KEY "\":" TRUNKLINE_INFO);
        n++;
    }
    for (size_t i = 0; i < meta->n; i++) {
        const struct member *m = &meta->p[i];
        bool is_theirs = spec->caller->era == ERA_MODERN && key_says(m, SERVER_INFO_KEY);
        if (!is_theirs && !meta_passes(spec, m))
            continue;
        if (n++)
            buf_add_char(out, ',');
        if (is_theirs) {
            buf_add_text(out, "\"dev.trunkline/upstream\":");
            buf_add_bytes(out, m->value);
        } else {
            buf_add_bytes(out, member_raw(m));
        }
    }
    buf_add_char(out, '}');
}

/* --- results --- */

static bool is_cache_key(const struct member *m)
{
    return key_says(m, "ttlMs") || key_says(m, "cacheScope");
}

static bool must_wrap(const struct era_spec *spec, const struct member *m)
{
    return spec->kind == CALL_TOOL && spec->caller->era == ERA_LEGACY && key_says(m, "structuredContent") &&
           (m->type != JSON_T_OBJECT || spec->wraps_structured);
}

static bool is_replaced(const struct passage *way, const struct member *m)
{
    return way->replaced && key_says(m, way->replaced);
}

static bool keep_for_legacy(const struct passage *way, const struct member *m)
{
    return !key_says(m, "resultType") && !is_cache_key(m) && !key_says(m, "_meta") && !is_replaced(way, m) &&
           !must_wrap(way->spec, m);
}

static bool keep_for_modern(const struct passage *way, const struct member *m)
{
    return !key_says(m, "resultType") && !key_says(m, "_meta") && !is_replaced(way, m);
}

/* Can the caller have the very bytes that came? */
static bool passes_whole(const struct passage *way, const struct envelope *e)
{
    const struct era_spec *spec = way->spec;
    if (spec->caller->era != ERA_LEGACY || way->replaced)
        return false;
    for (size_t i = 0; i < e->inside.n; i++) {
        const struct member *m = &e->inside.p[i];
        bool is_plain_meta = bytes_say(m->key, "_meta") && !has_own_meta(spec, &e->meta);
        if (!keep_for_legacy(way, m) && !is_plain_meta)
            return false;
    }
    return true;
}

static void begin_member(struct buf *head)
{
    if (head->n)
        buf_add_char(head, ',');
}

static void head_for_legacy(const struct era_spec *spec, const struct envelope *e, struct buf *head)
{
    bool has_meta = false;
    for (size_t i = 0; i < e->meta.n; i++)
        has_meta = has_meta || meta_passes(spec, &e->meta.p[i]);
    if (has_meta)
        add_meta(head, spec, &e->meta);
    for (size_t i = 0; i < e->inside.n; i++) {
        if (!must_wrap(spec, &e->inside.p[i]))
            continue;
        begin_member(head);
        buf_add_text(head, "\"structuredContent\":{\"result\":");
        buf_add_bytes(head, e->inside.p[i].value);
        buf_add_char(head, '}');
    }
}

static void head_for_modern(const struct era_spec *spec, const struct envelope *e, struct buf *head)
{
    buf_add_text(head, "\"resultType\":\"complete\",");
    if (spec->kind == CALL_READ && !members_find(&e->inside, "ttlMs"))
        buf_add_text(head, "\"ttlMs\":0,");
    if (spec->kind == CALL_READ && !members_find(&e->inside, "cacheScope"))
        buf_add_text(head, "\"cacheScope\":\"private\",");
    add_meta(head, spec, &e->meta);
}

/* --- lists inside a result that are written anew: content kinds older revisions do not know, and URIs that
 * collide --- */

/* Appends an element as the caller must see it; false: as it is. */
typedef bool change_fn(const struct era_spec *spec, struct bytes element, struct buf *out);

/* `list` is filled only when an element differs. */
static void change_list(const struct era_spec *spec, struct bytes array, change_fn *change, struct buf *list)
{
    struct members elements = {0};
    bool differs = false;
    elements_read(&elements, array);
    for (size_t i = 0; i < elements.n; i++) {
        buf_add_char(list, i ? ',' : '[');
        if (change(spec, elements.p[i].value, list))
            differs = true;
        else
            buf_add_bytes(list, elements.p[i].value);
    }
    buf_add_char(list, ']');
    if (!differs)
        buf_clear(list);
    members_end(&elements);
}

static void add_text_block(struct buf *out, const char *kind, const struct member *what)
{
    struct buf said = {0}, text = {0};
    if (what)
        member_decode(what, &said);
    buf_addf(&text, "[%s ", kind);
    buf_add_bytes(&text, buf_bytes(&said));
    buf_add_char(&text, ']');
    buf_add_text(out, "{\"type\":\"text\",\"text\":");
    buf_add_json(out, buf_bytes(&text));
    buf_add_char(out, '}');
    buf_end(&said);
    buf_end(&text);
}

static bool block_to_text(const struct era_spec *spec, struct bytes block, struct buf *out)
{
    struct members fields = {0};
    bool is_new = false;
    members_read(&fields, block);
    const struct member *type = members_find(&fields, "type");
    struct bytes kind = type ? member_plain(type) : BYTES_NONE;
    if (bytes_say(kind, "resource_link")) {
        add_text_block(out, "resource", members_find(&fields, "uri"));
        is_new = true;
    } else if (bytes_say(kind, "audio") && spec->caller->revision < REVISION_2025_03_26) {
        add_text_block(out, "audio", members_find(&fields, "mimeType"));
        is_new = true;
    }
    members_end(&fields);
    return is_new;
}

/* Appends `whole` with the value of one of its members put in the place of what stands there. */
static void add_with(struct buf *out, struct bytes whole, const struct member *at, struct bytes value)
{
    const char *rest = at->value.p + at->value.n;
    buf_add(out, whole.p, (size_t)(at->value.p - whole.p));
    buf_add_bytes(out, value);
    buf_add(out, rest, (size_t)(whole.p + whole.n - rest));
}

static bool message_to_text(const struct era_spec *spec, struct bytes message, struct buf *out)
{
    struct members fields = {0};
    struct buf block = {0};
    members_read(&fields, message);
    const struct member *content = members_find(&fields, "content");
    bool is_new = content && block_to_text(spec, content->value, &block);
    if (is_new)
        add_with(out, message, content, buf_bytes(&block));
    members_end(&fields);
    buf_end(&block);
    return is_new;
}

/* A resource whose URI collides shows its own form in what is read. */
static bool expose_uri(const struct era_spec *spec, struct bytes element, struct buf *out)
{
    struct members fields = {0};
    struct buf uri = {0}, shown = {0}, quoted = {0};
    members_read(&fields, element);
    const struct member *at = members_find(&fields, "uri");
    bool differs = false;
    if (at && member_decode(at, &uri) == 0) {
        catalogue_add_exposed_uri(spec->catalogue, NULL, spec->server, buf_bytes(&uri), &shown);
        differs = !bytes_are(buf_bytes(&uri), buf_bytes(&shown));
    }
    if (differs) {
        buf_add_json(&quoted, buf_bytes(&shown));
        add_with(out, element, at, buf_bytes(&quoted));
    }
    members_end(&fields);
    buf_end(&uri);
    buf_end(&shown);
    buf_end(&quoted);
    return differs;
}

/* The list of this result that may have to be written anew, and how; NULL: none. */
static const char *list_to_change(const struct era_spec *spec, struct bytes value, change_fn **change)
{
    bool is_old = spec->caller->era == ERA_LEGACY && spec->caller->revision < REVISION_2025_06_18;
    if (spec->kind == CALL_READ) {
        *change = expose_uri;
        return spec->endpoint ? NULL : "contents";
    }
    if (!is_old ||
        (!memmem(value.p, value.n, "\"resource_link\"", 15) && !memmem(value.p, value.n, "\"audio\"", 7)))
        return NULL;
    *change = spec->kind == CALL_TOOL ? block_to_text : message_to_text;
    return spec->kind == CALL_TOOL ? "content" : spec->kind == CALL_PROMPT ? "messages" : NULL;
}

void era_result(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
                struct buf *scratch)
{
    const struct member *is_error = members_find(&e->inside, "isError");
    struct passage way = {.spec = spec};
    struct buf list = {0};
    change_fn *change;
    const char *name = list_to_change(spec, e->result.value, &change);
    const struct member *at = name ? members_find(&e->inside, name) : NULL;
    done->outcome = CALL_RESULT;
    done->part_count = 0;
    done->is_error = is_error && member_is_true(is_error);
    buf_clear(scratch);
    if (at)
        change_list(spec, at->value, change, &list);
    way.replaced = list.n ? name : NULL;
    if (passes_whole(&way, e)) {
        add_part(done, e->result.value);
        buf_end(&list);
        return;
    }
    bool is_modern = spec->caller->era == ERA_MODERN;
    if (is_modern)
        head_for_modern(spec, e, scratch);
    else
        head_for_legacy(spec, e, scratch);
    if (way.replaced) {
        begin_member(scratch);
        buf_addf(scratch, "\"%s\":", name);
        buf_add_bytes(scratch, buf_bytes(&list));
    }
    add_members(&way, &e->inside, is_modern ? keep_for_modern : keep_for_legacy, done, scratch);
    buf_end(&list);
}

static bool keep_for_input(const struct passage *way, const struct member *m)
{
    (void)way;
    return bytes_say(m->key, "resultType") || bytes_say(m->key, "inputRequests");
}

void era_input_required(const struct envelope *e, struct bytes ticket, struct call_done *done,
                        struct buf *scratch)
{
    done->outcome = CALL_RESULT;
    done->part_count = 0;
    buf_clear(scratch);
    buf_add_text(scratch, "\"_meta\":{\"" SERVER_INFO_KEY "\":" TRUNKLINE_INFO "}");
    if (ticket.n) {
        buf_add_text(scratch, ",\"requestState\":");
        buf_add_json(scratch, ticket);
    }
    struct passage way = {0};
    add_members(&way, &e->inside, keep_for_input, done, scratch);
}

/* --- errors --- */

static void missing_capability(const struct era_spec *spec, const struct envelope *e, struct call_done *done)
{
    struct members data = {0};
    members_read(&data, e->error_data);
    const struct member *required = members_find(&data, "requiredCapabilities");
    done->outcome = CALL_FAULT;
    done->is_protocol = spec->caller->era == ERA_MODERN;
    fault_tell(&done->fault, FAULT_MISSING_CAPABILITY,
               "server '%s' needs a capability this client did not declare: %.*s", spec->server,
               required ? (int)(required->value.n < 120 ? required->value.n : 120) : 0,
               required ? required->value.p : "");
    if (required && required->type == JSON_T_OBJECT && required->value.n < 280)
        fault_data(&done->fault, "\"requiredCapabilities\":%.*s", (int)required->value.n, required->value.p);
    members_end(&data);
}

/* The caller's own uri, whatever the server says or leaves out: many old ones send no data, and on the
 * aggregated endpoint theirs may be another. */
static void resource_missing(const struct era_spec *spec, struct call_done *done)
{
    struct buf uri = {0};
    done->outcome = CALL_FAULT;
    done->is_protocol = true;
    fault_tell(&done->fault, FAULT_RESOURCE_NOT_FOUND, "server '%s' has no such resource", spec->server);
    buf_add_json(&uri, spec->uri);
    if (uri.n < 300)
        fault_data(&done->fault, "\"uri\":%s", uri.p);
    buf_end(&uri);
}

void era_error(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
               struct buf *scratch)
{
    int64_t code = e->error_code;
    done->part_count = 0;
    if (code == -32021) {
        missing_capability(spec, e, done);
        return;
    }
    if (spec->kind == CALL_READ && (code == -32002 || (code == -32602 && spec->upstream_era == ERA_MODERN))) {
        resource_missing(spec, done);
        return;
    }
    if (code == -32020 || code == -32022) {
        /* A matter of the hop between us and the server: never told as the caller's own fault. */
        done->outcome = CALL_FAULT;
        fault_tell(&done->fault, FAULT_UPSTREAM_ERROR,
                   "server '%s' and the hub disagree about the protocol (%d)", spec->server, (int)code);
        return;
    }
    /* Codes the modern wire must not carry. */
    if (spec->caller->era == ERA_MODERN && (code == -32042 || (code <= -32000 && code >= -32019)))
        code = -32603;
    done->outcome = CALL_ERROR;
    buf_clear(scratch);
    buf_addf(scratch, "{\"code\":%lld,\"message\":", (long long)code);
    buf_add_bytes(scratch, e->error_message.n ? e->error_message : BYTES("\"\""));
    if (e->error_data.n) {
        buf_add_text(scratch, ",\"data\":");
        buf_add_bytes(scratch, e->error_data);
    }
    buf_add_char(scratch, '}');
    add_part(done, buf_bytes(scratch));
}

/* --- questions --- */

unsigned era_question_needs(struct bytes method, struct bytes params)
{
    if (bytes_say(method, "roots/list"))
        return CAN_ROOTS;
    struct members m = {0};
    unsigned needs = 0;
    members_read(&m, params);
    if (bytes_say(method, "sampling/createMessage")) {
        needs = CAN_SAMPLE;
        if (members_find(&m, "tools") || members_find(&m, "toolChoice"))
            needs |= CAN_SAMPLE_TOOLS;
    } else if (bytes_say(method, "elicitation/create")) {
        const struct member *mode = members_find(&m, "mode");
        needs = mode && bytes_say(member_plain(mode), "url") ? CAN_ELICIT_URL : CAN_ELICIT_FORM;
    }
    members_end(&m);
    return needs;
}

static void add_uuid(struct buf *out)
{
    unsigned char b[16];
    random_fill(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++)
        buf_addf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
}

void era_add_question(struct buf *out, const struct caller *caller, const char *method, struct bytes params,
                      const char *prefix, bool from_modern)
{
    struct members m = {0};
    bool is_elicitation = strcmp(method, "elicitation/create") == 0;
    if (!is_elicitation || members_read(&m, params) < 0) {
        envelope_add_line(out, params.n ? params : BYTES("{}"));
        return;
    }
    const struct member *mode = members_find(&m, "mode");
    bool is_url = mode && bytes_say(member_plain(mode), "url");
    size_t n = 0;
    buf_add_char(out, '{');
    for (size_t i = 0; m.p && i < m.n; i++) {
        if (&m.p[i] == mode && !is_url && caller->revision < REVISION_2025_11_25)
            continue;
        if (n++)
            buf_add_char(out, ',');
        bool is_message = prefix && m.p[i].type == JSON_T_STRING && bytes_say(m.p[i].key, "message");
        if (is_message) {
            /* People see who asks: on the aggregated endpoint many servers speak through one connection. */
            buf_addf(out, "\"message\":\"[%s] ", prefix);
            buf_add(out, m.p[i].value.p + 1, m.p[i].value.n - 1);
        } else {
            envelope_add_line(out, member_raw(&m.p[i]));
        }
    }
    if (is_url && from_modern && !members_find(&m, "elicitationId")) {
        buf_add_text(out, ",\"elicitationId\":\"");
        add_uuid(out);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
    members_end(&m);
}
