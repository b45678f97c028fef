/* The catalogue: tools, prompts, resources and templates, with what hides them. */
#include "hub/api_parts.h"

struct items_list {
    struct list list;
    const struct query_list *query;
    struct members room;
};

/* A member of the definition as the server sent it; null when it is not of the type. */
static void add_member(struct buf *out, const struct members *m, const char *member, const char *name)
{
    const struct member *found = members_find(m, member);
    buf_addf(out, ",\"%s\":", name);
    buf_add_bytes(out, found && found->type != JSON_T_NONE ? found->value : BYTES("null"));
}

/* What has a uri is shown by it; its name is a title of sorts. */
static void add_uri_item(const struct item *i, const struct members *m, struct buf *out)
{
    buf_addf(out, "{\"%s\":", i->kind == ITEM_TEMPLATE ? "uri_template" : "uri");
    buf_add_json(out, i->exposed);
    add_member(out, m, "name", "name");
    add_member(out, m, "mimeType", "mime_type");
}

static void add_named_item(const struct item *i, const struct members *m, struct buf *out)
{
    buf_add_text(out, "{\"name\":");
    buf_add_json(out, i->exposed);
    if (i->kind == ITEM_PROMPT)
        add_member(out, m, "arguments", "arguments");
    else
        buf_addf(out, ",\"read_only\":%s,\"destructive\":%s,\"idempotent\":%s,\"open_world\":%s",
                 i->is_read_only ? "true" : "false", i->is_destructive ? "true" : "false",
                 i->is_idempotent ? "true" : "false", i->is_open_world ? "true" : "false");
}

/* Without the closing brace. */
static void begin_item(const struct item *i, struct members *room, struct buf *out)
{
    static const struct members empty = {0};
    const struct members *m = members_read(room, i->raw) == 0 ? room : &empty;
    if (i->kind == ITEM_TOOL || i->kind == ITEM_PROMPT)
        add_named_item(i, m, out);
    else
        add_uri_item(i, m, out);
    buf_add_text(out, ",\"server\":");
    buf_add_json_text(out, i->server);
    buf_add_text(out, ",\"own_name\":");
    buf_add_json(out, i->name);
    add_member(out, m, "title", "title");
    add_member(out, m, "description", "description");
    buf_add_text(out, ",\"hidden\":");
    buf_add_json_text(out, i->hidden);
}

static bool member_has_text(const struct members *m, const char *name, const char *part)
{
    const struct member *found = members_find(m, name);
    return found && has_text(found->value, part);
}

static bool is_wanted(struct items_list *l, const struct item *i)
{
    const struct query_list *q = l->query;
    if (q->server && strcmp(q->server, i->server) != 0)
        return false;
    if (!q->q || has_text(i->exposed, q->q) || has_text(bytes_of(i->server), q->q))
        return true;
    return members_read(&l->room, i->raw) == 0 &&
           (member_has_text(&l->room, "title", q->q) || member_has_text(&l->room, "description", q->q) ||
            member_has_text(&l->room, "name", q->q));
}

static void list_item(const struct item *i, void *ctx)
{
    struct items_list *l = ctx;
    if (!is_wanted(l, i) || !list_row(&l->list))
        return;
    begin_item(i, &l->room, &l->list.out);
    buf_add_char(&l->list.out, '}');
}

static void list_items(struct visit *v, enum item_kind kind)
{
    const struct query_list *q = v->query;
    struct items_list l = {.query = q};
    if (!list_begin(&l.list, v, q->limit, q->cursor))
        return;
    catalogue_each(v->api->hub->catalogue, kind, NULL, list_item, &l);
    members_end(&l.room);
    list_end(&l.list, true);
}

void api_tools(struct visit *v, struct bytes body)
{
    (void)body;
    list_items(v, ITEM_TOOL);
}

void api_prompts(struct visit *v, struct bytes body)
{
    (void)body;
    list_items(v, ITEM_PROMPT);
}

void api_resources(struct visit *v, struct bytes body)
{
    (void)body;
    list_items(v, ITEM_RESOURCE);
}

void api_templates(struct visit *v, struct bytes body)
{
    (void)body;
    list_items(v, ITEM_TEMPLATE);
}

struct look {
    struct bytes name;
    const struct item *found;
};

/* Hidden ones are found too: whoever runs the hub wants to see why. */
static void look_at(const struct item *i, void *ctx)
{
    struct look *look = ctx;
    if (!look->found && bytes_are(i->exposed, look->name))
        look->found = i;
}

void api_tool(struct visit *v, struct bytes body)
{
    struct look look = {.name = visit_subject(v, 0)};
    struct members room = {0};
    struct buf json = {0};
    (void)body;
    catalogue_each(v->api->hub->catalogue, ITEM_TOOL, NULL, look_at, &look);
    if (!look.found) {
        visit_fault(v, FAULT_NOT_FOUND, "there is no tool '%.*s'",
                    (int)(look.name.n < 100 ? look.name.n : 100), look.name.p);
        return;
    }
    begin_item(look.found, &room, &json);
    buf_add_text(&json, ",\"definition\":");
    buf_add_bytes(&json, look.found->raw);
    buf_add_char(&json, '}');
    members_end(&room);
    visit_thing(v, &json);
}
