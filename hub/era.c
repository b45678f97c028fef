#include "hub/era.h"

#include "core/base/id.h"
#include "core/base/json.h"
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

typedef bool keep_fn(const struct era_spec *spec, const struct member *m);

/* Emits `{` + head + the members that `keep` keeps, in runs as they stand in the message, + `}`. Runs beyond
 * the room for parts are copied. */
static void add_members(const struct era_spec *spec, const struct members *all, keep_fn *keep,
                        struct bytes head, struct call_done *done)
{
    add_part(done, BYTES("{"));
    add_part(done, head);
    bool needs_comma = head.n > 0;
    for (size_t i = 0; i < all->n;) {
        if (!keep(spec, &all->p[i])) {
            i++;
            continue;
        }
        struct bytes run = member_raw(&all->p[i++]);
        while (i < all->n && keep(spec, &all->p[i])) {
            struct bytes next = member_raw(&all->p[i++]);
            run.n = (size_t)(next.p + next.n - run.p);
        }
        if (needs_comma)
            add_part(done, BYTES(","));
        add_part(done, run);
        needs_comma = true;
    }
    add_part(done, BYTES("}"));
}

/* --- _meta --- */

static bool meta_passes(const struct era_spec *spec, struct bytes key)
{
    if (bytes_begin(key, "dev.trunkline/"))
        return spec->is_builtin;
    if (bytes_begin(key, "io.modelcontextprotocol/"))
        return spec->caller->era == ERA_LEGACY && bytes_say(key, "io.modelcontextprotocol/related-task");
    return true;
}

static bool has_own_meta(const struct era_spec *spec, const struct members *meta)
{
    for (size_t i = 0; i < meta->n; i++)
        if (!meta_passes(spec, meta->p[i].key))
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
        bool is_theirs = spec->caller->era == ERA_MODERN && bytes_say(m->key, SERVER_INFO_KEY);
        if (!is_theirs && !meta_passes(spec, m->key))
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

static bool is_cache_key(struct bytes key)
{
    return bytes_say(key, "ttlMs") || bytes_say(key, "cacheScope");
}

static bool must_wrap(const struct era_spec *spec, const struct member *m)
{
    return spec->kind == CALL_TOOL && spec->caller->era == ERA_LEGACY && m->type != JSON_T_OBJECT &&
           bytes_say(m->key, "structuredContent");
}

static bool keep_for_legacy(const struct era_spec *spec, const struct member *m)
{
    return !bytes_say(m->key, "resultType") && !is_cache_key(m->key) && !bytes_say(m->key, "_meta") &&
           !must_wrap(spec, m);
}

static bool keep_for_modern(const struct era_spec *spec, const struct member *m)
{
    (void)spec;
    return !bytes_say(m->key, "resultType") && !bytes_say(m->key, "_meta");
}

/* Can the caller have the very bytes that came? */
static bool passes_whole(const struct era_spec *spec, const struct envelope *e)
{
    if (spec->caller->era != ERA_LEGACY)
        return false;
    for (size_t i = 0; i < e->inside.n; i++) {
        const struct member *m = &e->inside.p[i];
        if (!keep_for_legacy(spec, m) && !(bytes_say(m->key, "_meta") && !has_own_meta(spec, &e->meta)))
            return false;
    }
    return true;
}

static void head_for_legacy(const struct era_spec *spec, const struct envelope *e, struct buf *head)
{
    bool has_meta = false;
    for (size_t i = 0; i < e->meta.n; i++)
        has_meta = has_meta || meta_passes(spec, e->meta.p[i].key);
    if (has_meta)
        add_meta(head, spec, &e->meta);
    for (size_t i = 0; i < e->inside.n; i++) {
        if (!must_wrap(spec, &e->inside.p[i]))
            continue;
        if (head->n)
            buf_add_char(head, ',');
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

/* --- content kinds older revisions do not know: the only place where a result becomes a tree --- */

static const char *unknown_kind(const struct caller *caller)
{
    if (caller->era == ERA_MODERN || caller->revision >= REVISION_2025_06_18)
        return NULL;
    return caller->revision >= REVISION_2025_03_26 ? "\"resource_link\"" : "\"audio\"";
}

static void block_to_text(json_t *block)
{
    const char *type = json_str(block, "type");
    char *text = NULL;
    if (type && strcmp(type, "resource_link") == 0)
        text = text_format("[resource %s]", json_str(block, "uri") ? json_str(block, "uri") : "");
    else if (type && strcmp(type, "audio") == 0)
        text = text_format("[audio %s]", json_str(block, "mimeType") ? json_str(block, "mimeType") : "");
    if (!text)
        return;
    json_object_clear(block);
    json_object_set_new(block, "type", json_string("text"));
    json_object_set_new(block, "text", json_string(text));
    free(text);
}

static bool down_to_text(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
                         struct buf *scratch)
{
    const char *kind = unknown_kind(spec->caller);
    if (!kind || (spec->kind != CALL_TOOL && spec->kind != CALL_PROMPT))
        return false;
    struct bytes value = e->result.value;
    bool has_link = memmem(value.p, value.n, "\"resource_link\"", 15) != NULL;
    bool has_audio =
        spec->caller->revision < REVISION_2025_03_26 && memmem(value.p, value.n, "\"audio\"", 7) != NULL;
    if (!has_link && !has_audio)
        return false;
    _cleanup_json_ json_t *tree = json_read(value, NULL);
    json_t *blocks = json_object_get(tree, spec->kind == CALL_TOOL ? "content" : "messages");
    size_t i;
    json_t *block;
    json_array_foreach(blocks, i, block)
    {
        json_t *inner = spec->kind == CALL_TOOL ? block : json_object_get(block, "content");
        const char *type = json_str(inner, "type");
        if (type && (strcmp(type, "resource_link") == 0 || (has_audio && strcmp(type, "audio") == 0)))
            block_to_text(inner);
    }
    if (!tree)
        return false;
    json_object_del(tree, "resultType");
    json_add(scratch, tree);
    add_part(done, buf_bytes(scratch));
    return true;
}

/* --- a resource whose URI collides shows its own form in what is read --- */

static bool rewrite_contents(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
                             struct buf *scratch)
{
    const struct member *contents = members_find(&e->inside, "contents");
    if (spec->kind != CALL_READ || spec->endpoint || !contents)
        return false;
    struct members elements = {0}, fields = {0};
    struct buf uri = {0}, shown = {0}, list = {0};
    bool differs = false;
    elements_read(&elements, contents->value);
    for (size_t i = 0; i < elements.n; i++) {
        buf_add_text(&list, i ? "," : "[");
        const struct member *at = NULL;
        if (members_read(&fields, elements.p[i].value) == 0)
            at = members_find(&fields, "uri");
        buf_clear(&uri);
        buf_clear(&shown);
        if (!at || member_decode(at, &uri) < 0) {
            buf_add_bytes(&list, elements.p[i].value);
            continue;
        }
        catalogue_add_exposed_uri(spec->catalogue, NULL, spec->server, buf_bytes(&uri), &shown);
        differs = differs || !bytes_are(buf_bytes(&uri), buf_bytes(&shown));
        struct bytes whole = elements.p[i].value;
        buf_add(&list, whole.p, (size_t)(at->value.p - whole.p));
        buf_add_json(&list, buf_bytes(&shown));
        const char *rest = at->value.p + at->value.n;
        buf_add(&list, rest, (size_t)(whole.p + whole.n - rest));
    }
    if (differs) {
        if (spec->caller->era == ERA_MODERN) {
            head_for_modern(spec, e, scratch);
            buf_add_char(scratch, ',');
        }
        buf_add_text(scratch, "\"contents\":");
        buf_add_bytes(scratch, buf_bytes(&list));
        buf_add_char(scratch, ']');
        add_part(done, BYTES("{"));
        add_part(done, buf_bytes(scratch));
        add_part(done, BYTES("}"));
    }
    members_end(&elements);
    members_end(&fields);
    buf_end(&uri);
    buf_end(&shown);
    buf_end(&list);
    return differs;
}

void era_result(const struct era_spec *spec, const struct envelope *e, struct call_done *done,
                struct buf *scratch)
{
    const struct member *is_error = members_find(&e->inside, "isError");
    done->outcome = CALL_RESULT;
    done->part_count = 0;
    done->is_error = is_error && member_is_true(is_error);
    buf_clear(scratch);
    if (passes_whole(spec, e) && !unknown_kind(spec->caller) && (spec->kind != CALL_READ || spec->endpoint)) {
        add_part(done, e->result.value);
        return;
    }
    if (down_to_text(spec, e, done, scratch) || rewrite_contents(spec, e, done, scratch))
        return;
    if (spec->caller->era == ERA_MODERN) {
        head_for_modern(spec, e, scratch);
        add_members(spec, &e->inside, keep_for_modern, buf_bytes(scratch), done);
    } else {
        head_for_legacy(spec, e, scratch);
        add_members(spec, &e->inside, keep_for_legacy, buf_bytes(scratch), done);
    }
}

static bool keep_for_input(const struct era_spec *spec, const struct member *m)
{
    (void)spec;
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
    add_members(NULL, &e->inside, keep_for_input, buf_bytes(scratch), done);
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

static void resource_missing(const struct era_spec *spec, const struct envelope *e, struct call_done *done)
{
    struct members data = {0};
    done->outcome = CALL_FAULT;
    done->is_protocol = true;
    fault_tell(&done->fault, FAULT_RESOURCE_NOT_FOUND, "server '%s' has no such resource", spec->server);
    if (members_read(&data, e->error_data) == 0) {
        const struct member *uri = members_find(&data, "uri");
        if (uri && uri->value.n < 300)
            fault_data(&done->fault, "\"uri\":%.*s", (int)uri->value.n, uri->value.p);
    }
    members_end(&data);
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
        resource_missing(spec, e, done);
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
    for (size_t i = 0; i < m.n; i++) {
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
