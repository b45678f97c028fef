#include "core/rpc/envelope.h"
#include "core/rpc/fault.h"
#include "tests/kit/kit.h"

/* The numbers are promises to every client; they are written down here a second time on purpose. */
static const struct {
    enum fault fault;
    const char *name;
    int legacy, modern, rest, http_modern, http_legacy, exit;
} golden[] = {
    {FAULT_PARSE,              "invalid_json",           -32700, -32700, 400, 400, 400, 1  },
    {FAULT_INVALID_REQUEST,    "invalid_request",        -32600, -32600, 400, 400, 400, 1  },
    {FAULT_METHOD_NOT_FOUND,   "method_not_found",       -32601, -32601, 404, 404, 200, 1  },
    {FAULT_INVALID_PARAMS,     "invalid_params",         -32602, -32602, 422, 200, 200, 1  },
    {FAULT_INTERNAL,           "internal",               -32603, -32603, 500, 200, 200, 1  },
    {FAULT_RESOURCE_NOT_FOUND, "resource_not_found",     -32002, -32602, 404, 200, 200, 1  },
    {FAULT_HEADER_MISMATCH,    "header_mismatch",        -32020, -32020, 400, 400, 400, 1  },
    {FAULT_MISSING_CAPABILITY, "missing_capability",     -32021, -32021, 400, 400, 200, 1  },
    {FAULT_VERSION,            "unsupported_version",    -32022, -32022, 400, 400, 400, 1  },
    {FAULT_DENIED,             "policy_denied",          -31403, -31403, 403, 200, 200, 7  },
    {FAULT_QUARANTINED,        "definition_changed",     -31422, -31422, 409, 200, 200, 7  },
    {FAULT_TOO_LARGE,          "too_large",              -31413, -31413, 413, 200, 200, 1  },
    {FAULT_RATE_LIMITED,       "rate_limited",           -31429, -31429, 429, 200, 200, 1  },
    {FAULT_QUEUE_FULL,         "queue_full",             -31429, -31429, 429, 200, 200, 1  },
    {FAULT_HELD,               "held",                   -31423, -31423, 409, 200, 200, 7  },
    {FAULT_LOOP,               "loop",                   -31508, -31508, 508, 200, 200, 1  },
    {FAULT_UPSTREAM_AUTH,      "upstream_auth_failed",   -31502, -31502, 502, 200, 200, 4  },
    {FAULT_SERVER_DOWN,        "server_down",            -31503, -31503, 503, 200, 200, 1  },
    {FAULT_DEADLINE,           "deadline_exceeded",      -31504, -31504, 504, 200, 200, 5  },
    {FAULT_OUTCOME_UNKNOWN,    "outcome_unknown",        -31599, -31599, 502, 200, 200, 1  },
    {FAULT_LEDGER,             "audit_unavailable",      -31900, -31900, 503, 200, 200, 1  },
    {FAULT_CANCELLED,          "cancelled",              -31499, -31499, 409, 200, 200, 130},
    {FAULT_UPSTREAM_ERROR,     "upstream_error",         -32603, -32603, 502, 200, 200, 1  },
    {FAULT_NOT_FOUND,          "not_found",              0,      0,      404, 404, 404, 1  },
    {FAULT_METHOD_NOT_ALLOWED, "method_not_allowed",     0,      0,      405, 405, 405, 1  },
    {FAULT_UNSUPPORTED_MEDIA,  "unsupported_media_type", 0,      0,      415, 415, 415, 1  },
    {FAULT_NOT_ACCEPTABLE,     "not_acceptable",         0,      0,      406, 406, 406, 1  },
    {FAULT_ORIGIN,             "origin_refused",         0,      0,      403, 403, 403, 7  },
    {FAULT_VALIDATION,         "validation_failed",      0,      0,      422, 422, 422, 2  },
    {FAULT_WRONG_STATE,        "wrong_state",            0,      0,      409, 409, 409, 1  },
    {FAULT_STALE,              "stale",                  0,      0,      412, 412, 412, 1  },
    {FAULT_IF_MATCH,           "if_match_required",      0,      0,      428, 428, 428, 1  },
    {FAULT_URI_TOO_LONG,       "uri_too_long",           0,      0,      414, 414, 414, 1  },
    {FAULT_HEADERS_TOO_LARGE,  "headers_too_large",      0,      0,      431, 431, 431, 1  },
    {FAULT_LENGTH_REQUIRED,    "length_required",        0,      0,      411, 411, 411, 1  },
    {FAULT_TIMEOUT,            "request_timeout",        0,      0,      408, 408, 408, 5  },
    {FAULT_NOT_IMPLEMENTED,    "not_implemented",        0,      0,      501, 501, 501, 1  },
    {FAULT_HTTP_VERSION,       "http_version",           0,      0,      505, 505, 505, 1  },
    {FAULT_UPGRADE_REQUIRED,   "upgrade_required",       0,      0,      426, 426, 426, 1  },
    {FAULT_OVERLOADED,         "overloaded",             0,      0,      503, 503, 503, 1  },
    {FAULT_DRAINING,           "draining",               -31503, -31503, 503, 503, 503, 3  },
    {FAULT_SESSION_NOT_FOUND,  "session_not_found",      -32600, -32600, 404, 404, 404, 1  },
    {FAULT_OWNED_BY_FILE,      "owned_by_file",          0,      0,      409, 409, 409, 1  },
};

static void numbers_are_the_promised_ones(void **state)
{
    (void)state;
    assert_int_equal(sizeof(golden) / sizeof(golden[0]), FAULT_COUNT - 1);
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        const struct fault_row *row = fault_row(golden[i].fault);
        assert_string_equal(row->name, golden[i].name);
        assert_int_equal(row->legacy, golden[i].legacy);
        assert_int_equal(row->modern, golden[i].modern);
        assert_int_equal(row->http_rest, golden[i].rest);
        assert_int_equal(row->http_modern, golden[i].http_modern);
        assert_int_equal(row->http_legacy, golden[i].http_legacy);
        assert_int_equal(row->exit, golden[i].exit);
        assert_true(row->text && row->text[0]);
        assert_int_equal(fault_by_name(golden[i].name), golden[i].fault);
    }
    assert_int_equal(fault_by_name("nonsense"), FAULT_NONE);
    assert_int_equal(fault_by_name(NULL), FAULT_NONE);
}

static void modern_wire_has_no_reserved_legacy_code(void **state)
{
    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        int code = fault_row((enum fault)i)->modern;
        assert_false(code == -32002 || code == -32042 || (code <= -32000 && code >= -32019));
    }
}

static void assert_text(struct buf *out, const char *wanted)
{
    assert_true(json_is_valid(buf_bytes(out)));
    assert_string_equal(out->p, wanted);
    buf_clear(out);
}

static void one_fault_reads_right_on_each_wire(void **state)
{
    (void)state;
    struct fault_told f;
    struct buf out = {0};

    fault_tell(&f, FAULT_TOO_LARGE, "the result of \"%s\" is too large", "t");
    fault_data(&f, "\"limit\":\"%s\"", "result_bytes");
    fault_data(&f, "\"max\":%d,\"seen\":%d", 10, 11);
    fault_add_response(&out, &f, ERA_MODERN, BYTES("\"a\""));
    assert_text(
        &out,
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-31413,\"message\":\"the result of \\\"t\\\" "
        "is "
        "too large\",\"data\":{\"name\":\"too_large\",\"limit\":\"result_bytes\",\"max\":10,\"seen\":11}}}");
    fault_add_tool_result(&out, &f, ERA_MODERN);
    assert_text(&out,
                "{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"the result of "
                "\\\"t\\\" is too "
                "large\"}],\"isError\":true,\"_meta\":{\"dev.trunkline/fault\":{\"code\":-31413,\"name\":"
                "\"too_large\",\"limit\":\"result_bytes\",\"max\":10,\"seen\":11}}}");
    fault_add_rest(&out, &f, "/name", BYTES("4bf9"));
    assert_text(
        &out,
        "{\"error\":{\"code\":\"too_large\",\"rpc_code\":-31413,\"message\":\"the result of \\\"t\\\" is too "
        "large\",\"hint\":\"the limit named in the data can be raised in the configuration\",\"field\":"
        "\"/name\",\"details\":{\"limit\":\"result_bytes\",\"max\":10,\"seen\":11},\"trace_id\":\"4bf9\"}}");

    fault_tell(&f, FAULT_RESOURCE_NOT_FOUND, NULL);
    fault_data(&f, "\"uri\":\"a:b\"");
    fault_add_error(&out, &f, ERA_LEGACY);
    assert_text(&out,
                "{\"code\":-32002,\"message\":\"there is no such resource\",\"data\":{\"uri\":\"a:b\"}}");
    fault_add_error(&out, &f, ERA_MODERN);
    assert_text(&out,
                "{\"code\":-32602,\"message\":\"there is no such resource\",\"data\":{\"uri\":\"a:b\"}}");

    fault_tell(&f, FAULT_PARSE, NULL);
    fault_add_response(&out, &f, ERA_LEGACY, BYTES_NONE);
    assert_text(&out,
                "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"the message is not JSON\"}}");

    fault_tell(&f, FAULT_RATE_LIMITED, NULL);
    f.retry_after_ms = 1500;
    fault_add_tool_result(&out, &f, ERA_LEGACY);
    assert_text(
        &out, "{\"content\":[{\"type\":\"text\",\"text\":\"too many calls\"}],\"isError\":true,\"_meta\":"
              "{\"dev.trunkline/fault\":{\"code\":-31429,\"name\":\"rate_limited\",\"retryAfterMs\":1500}}}");

    fault_tell(&f, FAULT_NOT_FOUND, NULL);
    fault_add_rest(&out, &f, NULL, BYTES_NONE);
    assert_text(
        &out,
        "{\"error\":{\"code\":\"not_found\",\"rpc_code\":null,\"message\":\"there is no such thing here\","
        "\"hint\":null,\"field\":null,\"details\":{},\"trace_id\":null}}");
    buf_end(&out);
}

static void what_does_not_fit_leaves_valid_json(void **state)
{
    (void)state;
    struct fault_told f;
    struct buf out = {0};
    char text[401], data[400];

    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 3);

    memset(data, 'x', sizeof(data));
    data[sizeof(data) - 1] = '\0';
    fault_tell(&f, FAULT_DEADLINE, "%s%s", "a", text);
    assert_int_equal(strlen(f.text), 239);
    fault_tell(&f, FAULT_DEADLINE, "%s", text);
    assert_int_equal(strlen(f.text), 238);
    fault_data(&f, "\"which\":\"idle\"");
    fault_data(&f, "\"long\":\"%s\"", data);
    fault_add_response(&out, &f, ERA_LEGACY, BYTES("1"));
    assert_true(json_is_valid(buf_bytes(&out)));
    assert_null(strstr(out.p, "long"));
    assert_non_null(strstr(out.p, "\"which\":\"idle\"}"));
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(numbers_are_the_promised_ones),
         cmocka_unit_test(modern_wire_has_no_reserved_legacy_code),
         cmocka_unit_test(one_fault_reads_right_on_each_wire),
         cmocka_unit_test(what_does_not_fit_leaves_valid_json))
