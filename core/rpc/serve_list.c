#include "core/rpc/serve_parts.h"

/* What the server says about itself: who it is, what it can do, its tools and templates. Said from the rows.
 */

static void add_member(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_text(out, text);
}

static void add_annotations(struct buf *out, unsigned traits)
{
    if (traits & TOOL_READS)
        buf_add_text(out, "\"readOnlyHint\":true");
    else if (traits & TOOL_WRITES)
        buf_add_text(out, "\"readOnlyHint\":false,\"destructiveHint\":false,\"idempotentHint\":false");
    else if (traits & TOOL_SETS)
        buf_add_text(out, "\"readOnlyHint\":false,\"destructiveHint\":false,\"idempotentHint\":true");
    else
        buf_add_text(out, "\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true");
    if (traits & TOOL_AT_HOME)
        buf_add_text(out, ",\"openWorldHint\":false");
}

static void add_tool(struct buf *out, const struct tool *tool)
{
    buf_add_text(out, "{\"name\":");
    buf_add_json_text(out, tool->name);
    add_member(out, "description", tool->help);
    buf_add_text(out, ",\"inputSchema\":");
    if (tool->shape)
        shape_add_schema(out, tool->shape);
    else
        buf_add_text(out, "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    buf_add_text(out, ",\"annotations\":{");
    add_annotations(out, tool->traits);
    buf_add_text(out, "}}");
}

static void prepare_capabilities(struct serve *s)
{
    const struct server *row = s->row;
    struct buf *out = &s->capabilities;

    buf_add_text(out, "{\"tools\":{}");
    if (row->resources || row->list_resources || row->read)
        buf_addf(out, ",\"resources\":{\"listChanged\":true%s}", row->subscribe ? ",\"subscribe\":true" : "");
    if (row->complete)
        buf_add_text(out, ",\"completions\":{}");
    buf_add_char(out, '}');
}

void serve_prepare_lists(struct serve *s)
{
    buf_add_text(&s->server_info, "{\"name\":");
    buf_add_json_text(&s->server_info, s->row->name);
    add_member(&s->server_info, "title", s->row->title);
    add_member(&s->server_info, "version", s->row->version ? s->row->version : "0");
    buf_add_char(&s->server_info, '}');
    prepare_capabilities(s);
    buf_add_char(&s->tools, '[');
    for (const struct tool *tool = s->row->tools; tool && tool->name; tool++) {
        if (s->tools.n > 1)
            buf_add_char(&s->tools, ',');
        add_tool(&s->tools, tool);
    }
    buf_add_char(&s->tools, ']');
}

void serve_end_lists(struct serve *s)
{
    buf_end(&s->tools);
    buf_end(&s->server_info);
    buf_end(&s->capabilities);
}

/* --- results --- */

/* MCP 2026-07-28: every result has a resultType, cacheable ones how long they may be kept. We never know
 * that. */
void result_begin(struct buf *out, enum era era, bool is_cacheable)
{
    buf_add_char(out, '{');
    if (era == ERA_MODERN)
        buf_add_text(out, is_cacheable ? "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","
                                       : "\"resultType\":\"complete\",");
}

/* `more_meta`: members for _meta, or empty. */
void result_end(struct serve *s, enum era era, struct bytes more_meta)
{
    struct buf *out = &s->out;

    if (era == ERA_MODERN || more_meta.n) {
        buf_add_text(out, ",\"_meta\":{");
        buf_add_bytes(out, more_meta);
        if (era == ERA_MODERN) {
            buf_add_text(out,
                         more_meta.n ? ",\"" META_PREFIX "serverInfo\":" : "\"" META_PREFIX "serverInfo\":");
            buf_add_bytes(out, buf_bytes(&s->server_info));
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

static void begin_answer(struct serve *s, const struct asked *a, bool is_cacheable)
{
    message_begin(s);
    buf_add_text(&s->out, "\"id\":");
    buf_add_bytes(&s->out, a->e->id.value);
    buf_add_text(&s->out, ",\"result\":");
    result_begin(&s->out, a->era, is_cacheable);
}

static bool end_answer(struct serve *s, const struct asked *a)
{
    result_end(s, a->era, BYTES_NONE);
    message_end(s);
    return true;
}

/* --- methods --- */

bool serve_initialize(struct serve *s, const struct asked *a)
{
    static const char *const known[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"};
    struct bytes wanted = member_plain(members_find(&a->e->inside, "protocolVersion"));

    s->version = known[0];
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (bytes_say(wanted, known[i]))
            s->version = known[i];
    begin_answer(s, a, false);
    buf_addf(&s->out, "\"protocolVersion\":\"%s\",\"capabilities\":", s->version);
    buf_add_bytes(&s->out, buf_bytes(&s->capabilities));
    buf_add_text(&s->out, ",\"serverInfo\":");
    buf_add_bytes(&s->out, buf_bytes(&s->server_info));
    add_member(&s->out, "instructions", s->row->instructions);
    return end_answer(s, a);
}

bool serve_discover(struct serve *s, const struct asked *a)
{
    begin_answer(s, a, true);
    buf_add_text(&s->out, "\"supportedVersions\":[\"" MCP_MODERN "\"],\"capabilities\":");
    buf_add_bytes(&s->out, buf_bytes(&s->capabilities));
    add_member(&s->out, "instructions", s->row->instructions);
    return end_answer(s, a);
}

/* Lists come whole, so there is no cursor that we could have given. */
static bool has_no_cursor(const struct asked *a)
{
    if (!members_find(&a->e->inside, "cursor"))
        return true;
    fault_tell(a->fault, FAULT_INVALID_PARAMS, "unknown cursor");
    return false;
}

bool serve_tools_list(struct serve *s, const struct asked *a)
{
    if (!has_no_cursor(a))
        return false;
    begin_answer(s, a, true);
    buf_add_text(&s->out, "\"tools\":");
    buf_add_bytes(&s->out, buf_bytes(&s->tools));
    return end_answer(s, a);
}

static void add_resource(struct buf *out, const struct resource_row *row)
{
    buf_add_text(out, row->is_template ? "{\"uriTemplate\":" : "{\"uri\":");
    buf_add_json_text(out, row->uri);
    add_member(out, "name", row->name);
    add_member(out, "description", row->help);
    add_member(out, "mimeType", row->mime);
    buf_add_char(out, '}');
}

static void add_resources(struct buf *out, const struct server *row, bool templates)
{
    bool is_first = true;

    buf_add_char(out, '[');
    for (const struct resource_row *r = row->resources; r && r->uri; r++) {
        if (r->is_template != templates)
            continue;
        if (!is_first)
            buf_add_char(out, ',');
        is_first = false;
        add_resource(out, r);
    }
    buf_add_char(out, ']');
}

void serve_add_fixed_resources(struct buf *out, const struct server *row)
{
    buf_add_text(out, "\"resources\":");
    add_resources(out, row, false);
}

bool serve_templates_list(struct serve *s, const struct asked *a)
{
    if (!has_no_cursor(a))
        return false;
    begin_answer(s, a, true);
    buf_add_text(&s->out, "\"resourceTemplates\":");
    add_resources(&s->out, s->row, true);
    return end_answer(s, a);
}
