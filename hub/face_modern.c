/* 2026-07-28: each request stands for itself. Steps 6 and 8 of the ladder (20-mcp §4.1). */
#include "hub/face_parts.h"
#include "hub/mcp_headers.h"

#define META "io.modelcontextprotocol/"

static const char version_served[] = "2026-07-28";

/* Names what `_meta` lacks; true when it lacks nothing. */
static bool meta_is_complete(struct exchange *x, const struct envelope *e)
{
    const struct member *claim = members_find(&e->meta, META "protocolVersion");
    const struct member *capabilities = members_find(&e->meta, META "clientCapabilities");
    const struct member *info = members_find(&e->meta, META "clientInfo");
    struct bytes id = quotable_id(e);

    if (!claim || !capabilities)
        refuse_text(x, 400, FAULT_INVALID_PARAMS, id, "'_meta' lacks %s%s%s",
                    claim ? "" : "'" META "protocolVersion'", claim || capabilities ? "" : " and ",
                    capabilities ? "" : "'" META "clientCapabilities'");
    else if (capabilities->type != JSON_T_OBJECT)
        refuse_text(x, 400, FAULT_INVALID_PARAMS, id, "'" META "clientCapabilities' is no object");
    else if (info && info->type != JSON_T_OBJECT)
        refuse_text(x, 400, FAULT_INVALID_PARAMS, id, "'" META "clientInfo' is no object");
    else
        return true;
    return false;
}

static void refuse_version(struct exchange *x, const struct envelope *e, struct bytes claim)
{
    struct fault_told fault;
    struct buf quoted = {0};

    buf_add_json(&quoted, claim);
    fault_tell(&fault, FAULT_VERSION, "this protocol version is not served here");
    fault_data(&fault, "\"supported\":[\"%s\"]", version_served);
    fault_data(&fault, "\"requested\":%s", quoted.p);
    buf_end(&quoted);
    exchange_refuse(x, 400, &fault, quotable_id(e));
}

void modern_refuse_version(struct exchange *x, const struct envelope *e, struct bytes claim)
{
    x->era = ERA_MODERN;
    refuse_version(x, e, claim);
}

static void refuse_header(struct exchange *x, const struct envelope *e, const char *name)
{
    bool is_there = request_header(x->request, name).p != NULL;

    refuse_text(x, 400, FAULT_HEADER_MISMATCH, quotable_id(e), "header '%s' %s", name,
                is_there ? "does not say what the body says" : "is missing");
}

/* The member that Mcp-Name repeats. Without one in the body there is nothing to compare: the handler refuses
 * that. */
static bool name_is_confirmed(struct exchange *x, const struct envelope *e, const struct method_row *row)
{
    struct buf room = {0};
    struct bytes name =
        row->name_member ? decoded(x->face, members_find(&e->inside, row->name_member)) : BYTES_NONE;
    bool fine = !name.p || mcp_header_confirms(x->request, "Mcp-Name", name, &room);

    buf_end(&room);
    return fine;
}

/* -2: there is one, but it is unknown. */
static int wanted_log_level(struct face *f, const struct envelope *e)
{
    const struct member *m = members_find(&e->meta, META "logLevel");
    struct bytes name = m ? decoded(f, m) : BYTES_NONE;
    int level = name.p ? log_level_read(name) : -1;

    return m && level < 0 ? -2 : level;
}

static void fill_caller(struct exchange *x, const struct envelope *e, int log_level)
{
    const struct member *info = members_find(&e->meta, META "clientInfo");
    struct bytes capabilities = members_find(&e->meta, META "clientCapabilities")->value;

    x->caller = (struct caller){
        .via = VIA_MCP,
        .era = ERA_MODERN,
        .revision = REVISION_2026_07_28,
        .principal = x->principal,
        .can = caller_can(capabilities, REVISION_2026_07_28),
        .capabilities = capabilities,
        .client_info = info ? info->value : BYTES_NONE,
        .log_level = log_level,
        .wants_frames = x->accepts_stream,
    };
}

static void serve_row(struct exchange *x, const struct envelope *e, const struct method_row *row)
{
    int log_level = wanted_log_level(x->face, e);

    if (!row || !(row->eras & SERVES_MODERN)) {
        refuse_text(x, fault_row(FAULT_METHOD_NOT_FOUND)->http_modern, FAULT_METHOD_NOT_FOUND, quotable_id(e),
                    "there is no method '%.*s'", (int)e->method.n, e->method.p);
    } else if (!name_is_confirmed(x, e, row)) {
        refuse_header(x, e, "Mcp-Name");
    } else if (log_level == -2) {
        refuse_text(x, 200, FAULT_INVALID_PARAMS, quotable_id(e), "'" META "logLevel' is no known level");
    } else {
        fill_caller(x, e, log_level);
        if (log_level >= 0)
            face_want_log(x->face, x->server, log_level, true);
        exchange_open(x, 1, false);
        face_dispatch(exchange_ask(x, 0, e, row), e);
        exchange_dispatched(x);
    }
}

void modern_serve(struct exchange *x, const struct envelope *e)
{
    x->era = ERA_MODERN;
    if (!meta_is_complete(x, e))
        return;
    struct bytes claim = decoded(x->face, members_find(&e->meta, META "protocolVersion"));
    struct bytes version = request_header(x->request, "MCP-Protocol-Version");
    struct bytes method = request_header(x->request, "Mcp-Method");
    if (!version.p || !bytes_are(version, claim))
        refuse_header(x, e, "MCP-Protocol-Version");
    else if (!method.p || !bytes_are(method, e->method))
        refuse_header(x, e, "Mcp-Method");
    else if (!bytes_say(claim, version_served))
        refuse_version(x, e, claim);
    else
        serve_row(x, e, method_find(e->method));
}
