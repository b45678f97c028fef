/* The configuration in force, its schema, snippets for clients, and the description of this interface. */
#include "embedded.h"
#include "hub/api_parts.h"
#include "hub/clients.h"

void api_config(struct visit *v, struct bytes body)
{
    struct buf json = {0};
    (void)body;
    _cleanup_json_ json_t *tree = config_public_tree(v->api->hub->config);
    _cleanup_json_ json_t *origins = config_origins(v->api->hub->config);
    buf_add_text(&json, "{\"config\":");
    json_add(&json, tree);
    buf_add_text(&json, ",\"origins\":");
    json_add(&json, origins);
    buf_add_char(&json, '}');
    visit_thing(v, &json);
}

void api_config_schema(struct visit *v, struct bytes body)
{
    struct buf json = {0};
    (void)body;
    config_add_schema(&json);
    visit_thing(v, &json);
}

static void begin_client(const struct client *c, struct buf *out)
{
    buf_addf(out, "{\"name\":\"%s\",\"title\":", c->name);
    buf_add_json_text(out, c->title);
    buf_add_text(out, ",\"file\":");
    buf_add_json_text(out, c->file);
    buf_addf(out, ",\"format\":\"%s\"", c->format);
}

void api_clients(struct visit *v, struct bytes body)
{
    struct list l;
    (void)body;
    if (!list_begin(&l, v, 200, NULL))
        return;
    for (const struct client *c = clients; c->name; c++) {
        if (!list_row(&l))
            continue;
        begin_client(c, &l.out);
        buf_add_char(&l.out, '}');
    }
    list_end(&l, true);
}

void api_client_snippet(struct visit *v, struct bytes body)
{
    const struct query_snippet *q = v->query;
    struct bytes name = visit_subject(v, 0);
    const struct client *c = client_find(name);
    struct buf json = {0}, text = {0};
    (void)body;
    if (!c) {
        visit_fault(v, FAULT_NOT_FOUND, "there is no snippet for '%.*s'", (int)(name.n < 60 ? name.n : 60),
                    name.p);
        return;
    }
    if (q->server && !catalogue_has_server(v->api->hub->catalogue, q->server)) {
        visit_fault(v, FAULT_NOT_FOUND, "there is no server '%s'", q->server);
        return;
    }
    const char *url =
        arena_printf(v->arena, "%s/mcp%s%s", visit_base(v), q->server ? "/" : "", q->server ? q->server : "");
    client_add_snippet(c, q->server ? q->server : "trunkline", url, &text);
    begin_client(c, &json);
    buf_add_text(&json, ",\"url\":");
    buf_add_json_text(&json, url);
    buf_add_text(&json, ",\"text\":");
    buf_add_json(&json, buf_bytes(&text));
    buf_add_char(&json, '}');
    buf_end(&text);
    visit_thing(v, &json);
}

void api_openapi(struct visit *v, struct bytes body)
{
    (void)body;
    for (size_t i = 0; i < embedded_count; i++) {
        const struct embedded *file = &embedded_files[i];
        if (strcmp(file->name, "docs/api/openapi.yaml") == 0) {
            visit_text(v, 200, "application/yaml", (struct bytes){(const char *)file->p, file->n});
            return;
        }
    }
    visit_fault(v, FAULT_NOT_FOUND, "this build has no description of the interface");
}
