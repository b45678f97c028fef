#include "core/rpc/fault.h"

#include "core/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/*
 * One row a fault. Columns: name, JSON-RPC code for legacy and modern clients, HTTP status on REST, on a
 * modern MCP request and on a legacy one, sentence, hint, exit status of the command line. Only the statuses
 * that differ from 200 on MCP mean that a refusal leaves HTTP 200, and only while no byte of a stream was
 * sent. MCP 2026-07-28 basic (-32020 to -32022), transports; JSON-RPC 2.0 §5.1. Our own codes lie outside
 * -32768 to -32000.
 */
#define ROW(name_, legacy_, modern_, rest_, http_modern_, http_legacy_, exit_, text_, hint_)    \
    {                                                                                           \
        .name = name_, .legacy = legacy_, .modern = modern_, .http_rest = rest_,                \
        .http_modern = http_modern_, .http_legacy = http_legacy_, .exit = exit_, .text = text_, \
        .hint = hint_                                                                           \
    }

static const struct fault_row rows[FAULT_COUNT] = {
    [FAULT_NONE] = ROW("none", 0, 0, 200, 200, 200, 0, "no fault", NULL),

    [FAULT_PARSE] = ROW("invalid_json", -32700, -32700, 400, 400, 400, 1, "the message is not JSON", NULL),
    [FAULT_INVALID_REQUEST] =
        ROW("invalid_request", -32600, -32600, 400, 400, 400, 1, "this is no valid request", NULL),
    [FAULT_METHOD_NOT_FOUND] =
        ROW("method_not_found", -32601, -32601, 404, 404, 200, 1, "there is no such method", NULL),
    [FAULT_INVALID_PARAMS] =
        ROW("invalid_params", -32602, -32602, 422, 200, 200, 1, "the parameters are not valid", NULL),
    [FAULT_INTERNAL] = ROW("internal", -32603, -32603, 500, 200, 200, 1,
                           "something went wrong inside the hub", "the hub's log has the details"),
    [FAULT_RESOURCE_NOT_FOUND] =
        ROW("resource_not_found", -32002, -32602, 404, 200, 200, 1, "there is no such resource", NULL),
    [FAULT_HEADER_MISMATCH] = ROW("header_mismatch", -32020, -32020, 400, 400, 400, 1,
                                  "a header does not say what the body says", NULL),
    [FAULT_MISSING_CAPABILITY] = ROW("missing_capability", -32021, -32021, 400, 400, 200, 1,
                                     "the client lacks a capability that this needs", NULL),
    [FAULT_VERSION] = ROW("unsupported_version", -32022, -32022, 400, 400, 400, 1,
                          "this protocol version is not served", NULL),

    [FAULT_DENIED] = ROW("policy_denied", -31403, -31403, 403, 200, 200, 7, "this is not allowed",
                         "ask whoever runs the hub"),
    [FAULT_QUARANTINED] = ROW("definition_changed", -31422, -31422, 409, 200, 200, 7,
                              "the definition of this tool has changed and waits for a review",
                              "someone has to accept the new definition first"),
    [FAULT_TOO_LARGE] = ROW("too_large", -31413, -31413, 413, 200, 200, 1, "a limit is exceeded",
                            "the limit named in the data can be raised in the configuration"),
    [FAULT_RATE_LIMITED] =
        ROW("rate_limited", -31429, -31429, 429, 200, 200, 1, "too many calls", "try again later"),
    [FAULT_QUEUE_FULL] = ROW("queue_full", -31429, -31429, 429, 200, 200, 1,
                             "too many calls are waiting already", "try again later"),
    [FAULT_HELD] = ROW("held", -31423, -31423, 409, 200, 200, 7, "an operator holds this call", NULL),
    [FAULT_LOOP] = ROW("loop", -31508, -31508, 508, 200, 200, 1, "calls lead back to themselves", NULL),
    [FAULT_UPSTREAM_AUTH] = ROW("upstream_auth_failed", -31502, -31502, 502, 200, 200, 4,
                                "the server refuses our credential", "connect it again"),
    [FAULT_SERVER_DOWN] = ROW("server_down", -31503, -31503, 503, 200, 200, 1, "the server is not available",
                              "'trunkline server show NAME' tells why"),
    [FAULT_DEADLINE] =
        ROW("deadline_exceeded", -31504, -31504, 504, 200, 200, 5, "the deadline has passed", NULL),
    [FAULT_OUTCOME_UNKNOWN] = ROW("outcome_unknown", -31599, -31599, 502, 200, 200, 1,
                                  "the server was lost during the call: whether it was done is unknown",
                                  "look at the state before trying again"),
    [FAULT_LEDGER] =
        ROW("audit_unavailable", -31900, -31900, 503, 200, 200, 1, "the ledger cannot be written", NULL),
    [FAULT_CANCELLED] = ROW("cancelled", -31499, -31499, 409, 200, 200, 130, "the call was cancelled", NULL),
    [FAULT_UPSTREAM_ERROR] =
        ROW("upstream_error", -32603, -32603, 502, 200, 200, 1, "the server answered with an error", NULL),

    [FAULT_NOT_FOUND] = ROW("not_found", 0, 0, 404, 404, 404, 1, "there is no such thing here", NULL),
    [FAULT_METHOD_NOT_ALLOWED] =
        ROW("method_not_allowed", 0, 0, 405, 405, 405, 1, "this path does not take that method", NULL),
    [FAULT_UNSUPPORTED_MEDIA] =
        ROW("unsupported_media_type", 0, 0, 415, 415, 415, 1, "the body must be application/json", NULL),
    [FAULT_NOT_ACCEPTABLE] =
        ROW("not_acceptable", 0, 0, 406, 406, 406, 1, "no type that is offered here is accepted", NULL),
    [FAULT_ORIGIN] = ROW("origin_refused", 0, 0, 403, 403, 403, 7, "this host or origin is not allowed",
                         "see listen.hosts and listen.origins in the configuration"),
    [FAULT_VALIDATION] =
        ROW("validation_failed", 0, 0, 422, 422, 422, 2, "the body is not what this path takes", NULL),
    [FAULT_WRONG_STATE] =
        ROW("wrong_state", 0, 0, 409, 409, 409, 1, "this is not possible in its present state", NULL),
    [FAULT_STALE] = ROW("stale", 0, 0, 412, 412, 412, 1, "it has changed since it was read", "read it again"),
    [FAULT_IF_MATCH] = ROW("if_match_required", 0, 0, 428, 428, 428, 1, "an If-Match header is needed", NULL),
    [FAULT_URI_TOO_LONG] = ROW("uri_too_long", 0, 0, 414, 414, 414, 1, "the address is too long", NULL),
    [FAULT_HEADERS_TOO_LARGE] =
        ROW("headers_too_large", 0, 0, 431, 431, 431, 1, "the headers are too large", NULL),
    [FAULT_LENGTH_REQUIRED] =
        ROW("length_required", 0, 0, 411, 411, 411, 1, "the length of the body must be told", NULL),
    [FAULT_TIMEOUT] =
        ROW("request_timeout", 0, 0, 408, 408, 408, 5, "the request took too long to arrive", NULL),
    [FAULT_NOT_IMPLEMENTED] =
        ROW("not_implemented", 0, 0, 501, 501, 501, 1, "this transfer coding is not understood", NULL),
    [FAULT_HTTP_VERSION] =
        ROW("http_version", 0, 0, 505, 505, 505, 1, "only HTTP/1.0 and HTTP/1.1 are spoken here", NULL),
    [FAULT_UPGRADE_REQUIRED] =
        ROW("upgrade_required", 0, 0, 426, 426, 426, 1, "this path speaks WebSocket only", NULL),
    [FAULT_OVERLOADED] =
        ROW("overloaded", 0, 0, 503, 503, 503, 1, "too many connections or sessions", "try again later"),
    [FAULT_DRAINING] = ROW("draining", -31503, -31503, 503, 503, 503, 3, "the hub is about to stop",
                           "try again in a moment"),
    [FAULT_SESSION_NOT_FOUND] = ROW("session_not_found", -32600, -32600, 404, 404, 404, 1,
                                    "there is no such session", "initialize again"),
    [FAULT_OWNED_BY_FILE] = ROW("owned_by_file", 0, 0, 409, 409, 409, 1,
                                "it is defined in a file and can only be changed there", NULL),
};

const struct fault_row *fault_row(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return &rows[fault];
}

enum fault fault_by_name(const char *name)
{
    for (int i = FAULT_NONE + 1; name && i < FAULT_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum fault)i;
    return FAULT_NONE;
}

/* printf into a fixed field; what does not fit is cut between characters. */
static void fill(char *out, size_t room, const char *format, va_list args)
{
    int n = vsnprintf(out, room, format, args);

    assert(n >= 0);
    if ((size_t)n >= room)
        out[utf8_cut((struct bytes){out, room - 1}, room - 1)] = '\0';
}

void fault_tell(struct fault_told *f, enum fault fault, const char *format, ...)
{
    *f = (struct fault_told){.fault = fault};
    if (!format) {
        snprintf(f->text, sizeof(f->text), "%s", fault_row(fault)->text);
        return;
    }
    va_list args;
    va_start(args, format);
    fill(f->text, sizeof(f->text), format, args);
    va_end(args);
}

void fault_data(struct fault_told *f, const char *format, ...)
{
    size_t n = strlen(f->data);
    char more[sizeof(f->data)];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(more, sizeof(more), format, args);
    va_end(args);
    /* Members that do not fit are left out whole: half a member is no JSON. */
    if (length <= 0 || n + (n > 0) + (size_t)length >= sizeof(f->data))
        return;
    if (n > 0)
        f->data[n++] = ',';
    memcpy(f->data + n, more, (size_t)length + 1);
}

static int code_of(const struct fault_told *f, enum era era)
{
    const struct fault_row *row = fault_row(f->fault);
    int code = era == ERA_MODERN ? row->modern : row->legacy;

    return code ? code : -32600; /* a refusal of the gate, told to a JSON-RPC peer */
}

/* The members of a data object; true when there was one. */
static bool add_data(struct buf *out, const struct fault_told *f)
{
    buf_add_text(out, f->data);
    if (f->retry_after_ms > 0)
        buf_addf(out, "%s\"retryAfterMs\":%lld", f->data[0] ? "," : "", (long long)f->retry_after_ms);
    return f->data[0] || f->retry_after_ms > 0;
}

static bool is_ours(int code)
{
    return code > -32000 && code < -31000;
}

void fault_add_error(struct buf *out, const struct fault_told *f, enum era era)
{
    int code = code_of(f, era);

    buf_addf(out, "{\"code\":%d,\"message\":", code);
    buf_add_json_text(out, f->text);
    if (f->data[0] || f->retry_after_ms > 0 || is_ours(code)) {
        buf_add_text(out, ",\"data\":{");
        if (is_ours(code))
            buf_addf(out, "\"name\":\"%s\"%s", fault_row(f->fault)->name,
                     f->data[0] || f->retry_after_ms > 0 ? "," : "");
        add_data(out, f);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

void fault_add_response(struct buf *out, const struct fault_told *f, enum era era, struct bytes id)
{
    buf_add_text(out, "{\"jsonrpc\":\"2.0\",");
    if (id.n) {
        buf_add_text(out, "\"id\":");
        buf_add_bytes(out, id);
        buf_add_char(out, ',');
    }
    buf_add_text(out, "\"error\":");
    fault_add_error(out, f, era);
    buf_add_char(out, '}');
}

void fault_add_tool_result(struct buf *out, const struct fault_told *f, enum era era)
{
    const struct fault_row *row = fault_row(f->fault);

    buf_add_char(out, '{');
    if (era == ERA_MODERN)
        buf_add_text(out, "\"resultType\":\"complete\",");
    buf_add_text(out, "\"content\":[{\"type\":\"text\",\"text\":");
    buf_add_json_text(out, f->text);
    buf_addf(out, "}],\"isError\":true,\"_meta\":{\"dev.trunkline/fault\":{\"code\":%d,\"name\":\"%s\"",
             code_of(f, era), row->name);
    if (f->data[0] || f->retry_after_ms > 0)
        buf_add_char(out, ',');
    add_data(out, f);
    buf_add_text(out, "}}}");
}

void fault_add_rest(struct buf *out, const struct fault_told *f, const char *field, struct bytes trace)
{
    const struct fault_row *row = fault_row(f->fault);

    buf_addf(out, "{\"error\":{\"code\":\"%s\",\"rpc_code\":", row->name);
    if (row->modern)
        buf_add_int(out, row->modern);
    else
        buf_add_text(out, "null");
    buf_add_text(out, ",\"message\":");
    buf_add_json_text(out, f->text);
    buf_add_text(out, ",\"hint\":");
    buf_add_json_text(out, row->hint);
    buf_add_text(out, ",\"field\":");
    buf_add_json_text(out, field);
    buf_add_text(out, ",\"details\":{");
    add_data(out, f);
    buf_add_text(out, "},\"trace_id\":");
    if (trace.n)
        buf_add_json(out, trace);
    else
        buf_add_text(out, "null");
    buf_add_text(out, "}}");
}
