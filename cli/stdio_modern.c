/*
 * 2026-07-28: each request stands for itself. Over HTTP it says in headers what its body says, so that is
 * read from the body. Mcp-Param headers need the tool's definition as well: they are added when the hub asks
 * for one, and from then on for that tool.
 */
#include "cli/rest.h"
#include "cli/stdio_parts.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define META "io.modelcontextprotocol/"

enum { PAGES_MOST = 1000, PLACES_MOST = 256, NAME_MOST = 64, LOOK_MS = 5000 };

/* --- header values --- */

static bool is_visible(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.n > 0;
}

/* May it stand in a header as it is? A value that looks wrapped may not: it would be unwrapped. */
static bool is_plain(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return s.n > 0 && s.p[0] != ' ' && s.p[s.n - 1] != ' ' && !bytes_begin(s, "=?base64?");
}

static void add_header(struct buf *out, const char *name, struct bytes value)
{
    buf_addf(out, "%s: ", name);
    if (is_plain(value)) {
        buf_add_bytes(out, value);
    } else {
        buf_add_text(out, "=?base64?");
        base64_add(out, value);
        buf_add_text(out, "?=");
    }
    buf_add_text(out, "\r\n");
}

static const struct {
    const char *method, *member;
} named[] = {
    {"tools/call",     "name"  },
    {"prompts/get",    "name"  },
    {"resources/read", "uri"   },
    {"tasks/get",      "taskId"},
    {"tasks/update",   "taskId"},
    {"tasks/cancel",   "taskId"},
};

/* The decoded text of a member, or BYTES_NONE. `room` holds it. */
static struct bytes text_of(const struct member *m, struct buf *room)
{
    if (!m || m->type != JSON_T_STRING)
        return BYTES_NONE;
    buf_clear(room);
    buf_reserve(room, 1);
    return member_decode(m, room) == 0 ? buf_bytes(room) : BYTES_NONE;
}

static void add_name(struct buf *out, const struct envelope *e)
{
    struct buf room = {0};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (!bytes_say(e->method, named[i].method))
            continue;
        struct bytes name = text_of(members_find(&e->inside, named[i].member), &room);
        if (name.p)
            add_header(out, "Mcp-Name", name);
    }
    buf_end(&room);
}

/* --- Mcp-Param: which arguments of a tool are said in headers --- */

/* One table of properties still to be looked into, and the object that holds their arguments. */
struct place {
    struct bytes properties, arguments;
};

static void add_param(struct buf *out, struct bytes name, const struct member *argument)
{
    char header[NAME_MOST + 16];
    struct buf room = {0};
    struct bytes text = argument->type == JSON_T_STRING ? text_of(argument, &room) : argument->value;
    bool is_simple =
        argument->type == JSON_T_STRING || argument->type == JSON_T_BOOL || argument->type == JSON_T_NUMBER;
    if (is_simple && is_visible(name) && name.n <= NAME_MOST && text.p) {
        snprintf(header, sizeof(header), "Mcp-Param-%.*s", (int)name.n, name.p);
        add_header(out, header, text);
    }
    buf_end(&room);
}

static const struct member *argument_of(const struct members *arguments, const struct member *property)
{
    for (size_t i = 0; i < arguments->n; i++)
        if (bytes_are(arguments->p[i].key, property->key))
            return &arguments->p[i];
    return NULL;
}

/* Appends the headers of one table; deeper tables are put behind `places`. */
static void add_place(struct buf *out, struct place at, struct place *places, size_t *n)
{
    struct members properties = {0}, arguments = {0}, schema = {0};
    bool is_read =
        members_read(&properties, at.properties) == 0 && members_read(&arguments, at.arguments) == 0;
    for (size_t i = 0; is_read && i < properties.n; i++) {
        const struct member *argument = argument_of(&arguments, &properties.p[i]), *m;
        if (!argument || members_read(&schema, properties.p[i].value) < 0)
            continue;
        if ((m = members_find(&schema, "x-mcp-header")) && m->type == JSON_T_STRING)
            add_param(out, member_plain(m), argument);
        if ((m = members_find(&schema, "properties")) && argument->type == JSON_T_OBJECT && *n < PLACES_MOST)
            places[(*n)++] = (struct place){m->value, argument->value};
    }
    members_end(&properties);
    members_end(&arguments);
    members_end(&schema);
}

static void add_params(struct buf *out, struct bytes definition, struct bytes arguments)
{
    struct members tool = {0}, schema = {0};
    struct place places[PLACES_MOST];
    size_t n = 0;
    const struct member *m;
    if (members_read(&tool, definition) == 0 && (m = members_find(&tool, "inputSchema")) &&
        members_read(&schema, m->value) == 0 && (m = members_find(&schema, "properties")))
        places[n++] = (struct place){m->value, arguments};
    for (size_t at = 0; at < n; at++)
        add_place(out, places[at], places, &n);
    members_end(&tool);
    members_end(&schema);
}

/* --- asking for the definition --- */

static json_t *ask_page(struct front *f, const char *cursor)
{
    char room[256];
    struct buf body = {0}, answer = {0}, headers = {0};
    buf_add_text(&body,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{\"" META
                 "protocolVersion\":");
    buf_add_json(&body, buf_bytes(&f->version));
    buf_add_text(&body, ",\"" META "clientCapabilities\":{}}");
    if (cursor) {
        buf_add_text(&body, ",\"cursor\":");
        buf_add_json_text(&body, cursor);
    }
    buf_add_text(&body, "}}");
    buf_addf(&headers,
             "Content-Type: application/json\r\nAccept: application/json\r\nMCP-Protocol-Version: %s\r\n"
             "Mcp-Method: tools/list\r\n",
             f->version.p);
    struct http_spec spec = {.method = "POST",
                             .path = f->path.p,
                             .headers = headers.p,
                             .body = buf_bytes(&body),
                             .timeout_ms = LOOK_MS};
    int status = http_fetch(rest_base(f->cli, room, sizeof(room)), &spec, &answer, NULL);
    json_t *tree = status == 200 ? json_read(buf_bytes(&answer), NULL) : NULL;
    buf_end(&body);
    buf_end(&answer);
    buf_end(&headers);
    return tree;
}

static char *find_tool(const json_t *page, const char *name)
{
    size_t i;
    json_t *tool;
    json_array_foreach (json_object_get(json_object_get(page, "result"), "tools"), i, tool) {
        const char *this = json_str(tool, "name");
        if (this && strcmp(this, name) == 0)
            return json_text(tool);
    }
    return NULL;
}

/* Waits for the hub, and lets everything else wait: tools with such headers are rare, and each is asked for
 * once. */
static char *fetch_definition(struct front *f, const char *name)
{
    char *found = NULL, *cursor = NULL;
    for (int page = 0; page < PAGES_MOST && !found; page++) {
        _cleanup_json_ json_t *answer = ask_page(f, cursor);
        found = find_tool(answer, name);
        free(cursor);
        cursor = mem_text(json_str(json_object_get(answer, "result"), "nextCursor"));
        if (!cursor)
            break;
    }
    free(cursor);
    return found;
}

static void add_params_of(struct post *p, const struct envelope *e, const char *name)
{
    const struct member *arguments = members_find(&e->inside, "arguments");
    const char *definition = table_get_text(&p->front->definitions, name);
    if (definition && arguments && arguments->type == JSON_T_OBJECT)
        add_params(&p->headers, bytes_of(definition), arguments->value);
}

bool modern_add_params(struct post *p)
{
    struct front *f = p->front;
    struct envelope *e = f->answered;
    struct buf room = {0};
    p->is_headed = true;
    envelope_begin(e);
    if (envelope_scan(e, buf_bytes(&p->body), true, NULL) == 0 && bytes_say(e->method, "tools/call") &&
        text_of(members_find(&e->inside, "name"), &room).p) {
        char *definition = fetch_definition(f, room.p);
        if (definition)
            free(table_put(&f->definitions, buf_bytes(&room), definition));
        /* What an old definition gave may be wrong by now. */
        p->headers.n = p->plain_headers;
        add_params_of(p, e, room.p);
    }
    buf_end(&room);
    return p->headers.n > p->plain_headers;
}

/* --- messages --- */

static void add_headers(struct post *p, const struct envelope *e)
{
    struct front *f = p->front;
    struct buf room = {0};
    add_header(&p->headers, "MCP-Protocol-Version", buf_bytes(&f->version));
    add_header(&p->headers, "Mcp-Method", e->method);
    add_name(&p->headers, e);
    p->plain_headers = p->headers.n;
    if (f->definitions.count && bytes_say(e->method, "tools/call") &&
        text_of(members_find(&e->inside, "name"), &room).p)
        add_params_of(p, e, room.p);
    buf_end(&room);
}

void modern_take(struct front *f, const struct envelope *e, struct bytes line, struct bytes version)
{
    if (version.p && !is_visible(version)) {
        front_refuse(f, FAULT_INVALID_PARAMS, e->id.value, "'" META "protocolVersion' is no version");
        return;
    }
    if (version.p) {
        buf_clear(&f->version);
        buf_add_bytes(&f->version, version);
    }
    struct post *p = post_new(f, POST_MESSAGE, line);
    if (e->kind == ENVELOPE_REQUEST)
        post_add_id(p, e->id.value);
    p->is_repeatable = !bytes_say(e->method, "tools/call") && !bytes_begin(e->method, "tasks/");
    add_headers(p, e);
    post_send(p);
}

/* Over HTTP a request is cancelled by closing its connection. */
void modern_cancel(struct front *f, const struct envelope *e)
{
    const struct member *id = members_find(&e->inside, "requestId");
    struct post *p = id ? posts_find(f, id->value) : NULL;
    if (p)
        post_drop(p);
}

void modern_end(struct front *f)
{
    size_t at = 0;
    struct bytes key;
    void *definition;
    while (table_next(&f->definitions, &at, &key, &definition))
        free(definition);
    table_end(&f->definitions);
}
