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
static const struct fault_row rows[FAULT_COUNT] = {
    [FAULT_NONE] = {"none",                   0,      0,      200, 200, 200, "no fault",                                   NULL,                                             0  },

    [FAULT_PARSE] = {"invalid_json",           -32700, -32700, 400, 400, 400, "the message is not JSON",                    NULL,                                             1  },
    [FAULT_INVALID_REQUEST] = {"invalid_request",        -32600, -32600, 400, 400, 400, "this is no valid request",
                    NULL,                                                                                                                                                    1  },
    [FAULT_METHOD_NOT_FOUND] = {"method_not_found",       -32601, -32601, 404, 404, 200, "there is no such method",
                    NULL,                                                                                                                                                    1  },
    [FAULT_INVALID_PARAMS] = {"invalid_params",         -32602, -32602, 422, 200, 200, "the parameters are not valid",
                    NULL,                                                                                                                                                    1  },
    [FAULT_INTERNAL] = {"internal",               -32603, -32603, 500, 200, 200, "something went wrong inside the hub",
                    "the hub's log has the details",                                                                                                                         1  },
    [FAULT_RESOURCE_NOT_FOUND] = {"resource_not_found",     -32002, -32602, 404, 200, 200,
                    "there is no such resource",                                                                           NULL,                                             1  },
    [FAULT_HEADER_MISMATCH] = {"header_mismatch",        -32020, -32020, 400, 400, 400,
                    "a header does not say what the body says",                                                            NULL,                                             1  },
    [FAULT_MISSING_CAPABILITY] = {"missing_capability",     -32021, -32021, 400, 400, 200,
                    "the client lacks a capability that this needs",                                                       NULL,                                             1  },
    [FAULT_VERSION] = {"unsupported_version",    -32022, -32022, 400, 400, 400,
                    "this protocol version is not served",                                                                 NULL,                                             1  },

    [FAULT_DENIED] = {"policy_denied",          -31403, -31403, 403, 200, 200, "this is not allowed",
                    "ask whoever runs the hub",                                                                                                                              7  },
    [FAULT_QUARANTINED] = {"definition_changed",     -31422, -31422, 409, 200, 200,
                    "the definition of this tool has changed and waits for a review",                                      "someone has to accept the new definition first", 7  },
    [FAULT_TOO_LARGE] = {"too_large",              -31413, -31413, 413, 200, 200, "a limit is exceeded",
                    "the limit named in the data can be raised in the configuration",                                                                                        1  },
    [FAULT_RATE_LIMITED] = {"rate_limited",           -31429, -31429, 429, 200, 200, "too many calls",
                    "try again later",                                                                                                                                       1  },
    [FAULT_QUEUE_FULL] = {"queue_full",             -31429, -31429, 429, 200, 200, "too many calls are waiting already",
                    "try again later",                                                                                                                                       1  },
    [FAULT_HELD] = {"held",                   -31423, -31423, 409, 200, 200, "an operator holds this call",                NULL,                                             7  },
    [FAULT_LOOP] = {"loop",                   -31508, -31508, 508, 200, 200, "calls lead back to themselves",              NULL,                                             1  },
    [FAULT_UPSTREAM_AUTH] = {"upstream_auth_failed",   -31502, -31502, 502, 200, 200,
                    "the server refuses our credential",                                                                   "connect it again",                               4  },
    [FAULT_SERVER_DOWN] = {"server_down",            -31503, -31503, 503, 200, 200, "the server is not available",
                    "'trunkline server show NAME' tells why",                                                                                                                1  },
    [FAULT_DEADLINE] = {"deadline_exceeded",      -31504, -31504, 504, 200, 200, "the deadline has passed",                    NULL,
                    5                                                                                                                                                           },
    [FAULT_OUTCOME_UNKNOWN] = {"outcome_unknown",        -31599, -31599, 502, 200, 200,
                    "the server was lost during the call: whether it was done is unknown",                                 "look at the state before trying again",          1  },
    [FAULT_LEDGER] = {"audit_unavailable",      -31900, -31900, 503, 200, 200, "the ledger cannot be written",
                    NULL,                                                                                                                                                    1  },
    [FAULT_CANCELLED] = {"cancelled",              -31499, -31499, 409, 200, 200, "the call was cancelled",                     NULL,                                             130},
    [FAULT_UPSTREAM_ERROR] = {"upstream_error",         -32603, -32603, 502, 200, 200,
                    "the server answered with an error",                                                                   NULL,                                             1  },

    [FAULT_NOT_FOUND] = {"not_found",              0,      0,      404, 404, 404, "there is no such thing here",                NULL,                                             1  },
    [FAULT_METHOD_NOT_ALLOWED] = {"method_not_allowed",     0,      0,      405, 405, 405,
                    "this path does not take that method",                                                                 NULL,                                             1  },
    [FAULT_UNSUPPORTED_MEDIA] = {"unsupported_media_type", 0,      0,      415, 415, 415,
                    "the body must be application/json",                                                                   NULL,                                             1  },
    [FAULT_NOT_ACCEPTABLE] = {"not_acceptable",         0,      0,      406, 406, 406,
                    "no type that is offered here is accepted",                                                            NULL,                                             1  },
    [FAULT_ORIGIN] = {"origin_refused",         0,      0,      403, 403, 403, "this host or origin is not allowed",
                    "see listen.hosts and listen.origins in the configuration",                                                                                              7  },
    [FAULT_VALIDATION] = {"validation_failed",      0,      0,      422, 422, 422, "the body is not what this path takes",
                    NULL,                                                                                                                                                    2  },
    [FAULT_WRONG_STATE] = {"wrong_state",            0,      0,      409, 409, 409, "this is not possible in its present state",
                    NULL,                                                                                                                                                    1  },
    [FAULT_STALE] = {"stale",                  0,      0,      412, 412, 412, "it has changed since it was read",           "read it again",                                  1  },
    [FAULT_IF_MATCH] = {"if_match_required",      0,      0,      428, 428, 428, "an If-Match header is needed",               NULL,                                             1  },
    [FAULT_URI_TOO_LONG] = {"uri_too_long",           0,      0,      414, 414, 414, "the address is too long",                    NULL,                                             1  },
    [FAULT_HEADERS_TOO_LARGE] = {"headers_too_large",      0,      0,      431, 431, 431, "the headers are too large",                  NULL,
                    1                                                                                                                                                           },
    [FAULT_LENGTH_REQUIRED] = {"length_required",        0,      0,      411, 411, 411, "the length of the body must be told",
                    NULL,                                                                                                                                                    1  },
    [FAULT_TIMEOUT] = {"request_timeout",        0,      0,      408, 408, 408, "the request took too long to arrive",        NULL,
                    5                                                                                                                                                           },
    [FAULT_NOT_IMPLEMENTED] = {"not_implemented",        0,      0,      501, 501, 501,
                    "this transfer coding is not understood",                                                              NULL,                                             1  },
    [FAULT_HTTP_VERSION] = {"http_version",           0,      0,      505, 505, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here",
                    NULL,                                                                                                                                                    1  },
    [FAULT_UPGRADE_REQUIRED] = {"upgrade_required",       0,      0,      426, 426, 426, "this path speaks WebSocket only",
                    NULL,                                                                                                                                                    1  },
    [FAULT_OVERLOADED] = {"overloaded",             0,      0,      503, 503, 503, "too many connections or sessions",
                    "try again later",                                                                                                                                       1  },
    [FAULT_DRAINING] = {"draining",               -31503, -31503, 503, 503, 503, "the hub is about to stop",
                    "try again in a moment",                                                                                                                                 3  },
    [FAULT_SESSION_NOT_FOUND] = {"session_not_found",      -32600, -32600, 404, 404, 404,
                    "there is no such session",                                                                            "initialize again",                               1  },
    [FAULT_OWNED_BY_FILE] = {"owned_by_file",          0,      0,      409, 409, 409,
                    "it is defined in a file and can only be changed there",                                               NULL,                                             1  },
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
    snprintf(f->data + n, sizeof(f->data) - n, "%s%s", n ? "," : "", more);
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
