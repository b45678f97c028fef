#pragma once
/*
 * fault -- outcomes by name, and what they are called on each wire.
 *
 * The only place with JSON-RPC codes, HTTP statuses and the REST code names. A row: {name, rpc code, http
 * status, REST code, text, hint}. The same fault means the same thing on MCP, A2A, REST and the command line.
 * MCP: JSON-RPC codes of 2026-07-28; ours lie outside the reserved range.
 */
#include "core/base/arena.h"

enum era { ERA_LEGACY, ERA_MODERN };

enum fault {
    FAULT_NONE,
    /* JSON-RPC's and MCP's own */
    FAULT_PARSE,              /* -32700 */
    FAULT_INVALID_REQUEST,    /* -32600 */
    FAULT_METHOD_NOT_FOUND,   /* -32601; modern HTTP 404 */
    FAULT_INVALID_PARAMS,     /* -32602 */
    FAULT_INTERNAL,           /* -32603 */
    FAULT_RESOURCE_NOT_FOUND, /* -32002 legacy, -32602 modern; data.uri */
    FAULT_HEADER_MISMATCH,    /* -32020 */
    FAULT_MISSING_CAPABILITY, /* -32021 */
    FAULT_VERSION,            /* -32022 */
    /* ours */
    FAULT_DENIED,          /* -31403 policy_denied */
    FAULT_QUARANTINED,     /* -31422 definition_changed */
    FAULT_TOO_LARGE,       /* -31413 too_large */
    FAULT_RATE_LIMITED,    /* -31429 rate_limited */
    FAULT_QUEUE_FULL,      /* -31429 queue_full */
    FAULT_HELD,            /* -31423 */
    FAULT_LOOP,            /* -31508 */
    FAULT_UPSTREAM_AUTH,   /* -31502 upstream_auth_failed */
    FAULT_SERVER_DOWN,     /* -31503 server_down */
    FAULT_DEADLINE,        /* -31504 deadline_exceeded */
    FAULT_OUTCOME_UNKNOWN, /* -31599 outcome_unknown: the server was lost mid-call */
    FAULT_LEDGER,          /* -31900 audit_unavailable */
    FAULT_CANCELLED,       /* the caller or an operator cancelled: REST 'cancelled', CLI exit 130 */
    FAULT_UPSTREAM_ERROR,  /* REST upstream_error: an upstream's own JSON-RPC error, passed on */
    /* REST and the gate only */
    FAULT_NOT_FOUND,
    FAULT_METHOD_NOT_ALLOWED,
    FAULT_UNSUPPORTED_MEDIA,
    FAULT_NOT_ACCEPTABLE,
    FAULT_ORIGIN,
    FAULT_VALIDATION,
    FAULT_WRONG_STATE,
    FAULT_STALE,
    FAULT_IF_MATCH,
    FAULT_URI_TOO_LONG,
    FAULT_HEADERS_TOO_LARGE,
    FAULT_LENGTH_REQUIRED,
    FAULT_TIMEOUT,
    FAULT_NOT_IMPLEMENTED,
    FAULT_HTTP_VERSION,
    FAULT_UPGRADE_REQUIRED,
    FAULT_OVERLOADED,
    FAULT_DRAINING,
    FAULT_SESSION_NOT_FOUND,
    FAULT_OWNED_BY_FILE,
    FAULT_COUNT
};

struct fault_row {
    const char *name;   /* REST code and _meta fault name: "server_down" */
    int legacy, modern; /* JSON-RPC codes; 0: has none */
    int http_rest;      /* HTTP status on REST */
    int http_modern;    /* HTTP status on a modern MCP request; legacy MCP is 200 unless the gate refuses */
    int http_legacy;
    const char *text; /* default sentence */
    const char *hint; /* what to do next, or NULL */
    int exit;         /* exit status of the command line */
};
const struct fault_row *fault_row(enum fault fault);
enum fault fault_by_name(const char *name);

/* One fault as told to a caller: which, the sentence, and JSON for `data` (without braces:
 * `"limit":"x","max":1`). */
struct fault_told {
    enum fault fault;
    char text[240];
    char data[320];         /* members of the data object, or "" */
    int64_t retry_after_ms; /* 0: none */
};
void fault_tell(struct fault_told *f, enum fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fault_data(struct fault_told *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* {"code":…,"message":…,"data":{…}} */
void fault_add_error(struct buf *out, const struct fault_told *f, enum era era);
/* A whole JSON-RPC response. `id` raw bytes; empty: the member is left out. */
void fault_add_response(struct buf *out, const struct fault_told *f, enum era era, struct bytes id);
/* The value of `result` for tools/call: isError, text, _meta["dev.trunkline/fault"]; modern adds resultType.
 */
void fault_add_tool_result(struct buf *out, const struct fault_told *f, enum era era);
/* {"error":{…}} of the REST interface; trace may be empty, field NULL. */
void fault_add_rest(struct buf *out, const struct fault_told *f, const char *field, struct bytes trace);
