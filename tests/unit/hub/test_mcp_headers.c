#include "hub/mcp_headers.h"
#include "tests/kit/kit.h"

static void only_the_exact_wrapper_is_decoded(void **state)
{
    static const struct {
        const char *value, *wanted; /* NULL: refused */
    } rows[] = {
        {"plain",                  "plain"              },
        {"=?base64?SGVsbG8=?=",    "Hello"              },
        {"=?base64?"
         "?=",            ""                   },
        {"=?base64?SGVsbG8?=",     NULL                 },
        {"=?base64?SGVs!!!bG8=?=", NULL                 },
        {"=?base64?/w==?=",        NULL                 }, /* no UTF-8 */
        {"=?base64?SGVsbG9=?=",    NULL                 }, /* not canonical */
        {"=?BASE64?SGVsbG8=?=",    "=?BASE64?SGVsbG8=?="},
        {"=?base64?SGVsbG8=",      "=?base64?SGVsbG8="  },
        {"=?base64?=",             "=?base64?="         },
    };
    struct buf room = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes text;
        bool fine = mcp_header_decode(bytes_of(rows[i].value), &room, &text);
        assert_int_equal(fine, rows[i].wanted != NULL);
        if (fine)
            kit_bytes_eq(text, rows[i].wanted);
    }
    buf_end(&room);
}

static const char definition[] = "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                                 "\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"},"
                                 "\"count\":{\"type\":\"integer\",\"x-mcp-header\":\"Count\"},"
                                 "\"dry\":{\"type\":\"boolean\",\"x-mcp-header\":\"Dry\"},"
                                 "\"deep\":{\"type\":\"object\",\"properties\":{\"zone\":{\"type\":"
                                 "\"string\",\"x-mcp-header\":\"Zone\"}}},"
                                 "\"plain\":{\"type\":\"string\"}}}}";

/* One header at a time: name, value. */
static struct bytes one_header(const void *from, const char *name)
{
    const char *const *pair = from;
    return pair[0] && strcasecmp(pair[0], name) == 0 ? bytes_of(pair[1]) : BYTES_NONE;
}

static void headers_must_say_what_arguments_say(void **state)
{
    static const struct {
        const char *header[2], *arguments;
        bool fine;
    } rows[] = {
        {{"Mcp-Param-Region", "eu"},               "{\"region\":\"eu\"}",               true },
        {{"Mcp-Param-Region", "eu"},               "{\"region\":\"\\u0065u\"}",         true },
        {{"Mcp-Param-Region", "EU"},               "{\"region\":\"eu\"}",               false},
        {{NULL, NULL},                             "{\"region\":\"eu\"}",               false},
        {{NULL, NULL},                             "{\"region\":null,\"plain\":\"x\"}", true },
        {{NULL, NULL},                             "{}",                                true },
        {{"Mcp-Param-Count", "42"},                "{\"count\":42}",                    true },
        {{"Mcp-Param-Count", "42"},                "{\"count\":42.0}",                  true },
        {{"Mcp-Param-Count", "42.0"},              "{\"count\":42}",                    true },
        {{"Mcp-Param-Count", "42.5"},              "{\"count\":42.5}",                  false},
        {{"Mcp-Param-Count", "0x2a"},              "{\"count\":42}",                    false},
        {{"Mcp-Param-Count", " 42"},               "{\"count\":42}",                    false},
        {{"Mcp-Param-Count", "-9007199254740991"}, "{\"count\":-9007199254740991}",     true },
        {{"Mcp-Param-Count", "-9007199254740993"}, "{\"count\":-9007199254740993}",     false},
        {{"Mcp-Param-Count", "9007199254740993"},  "{\"count\":9007199254740993}",      false},
        {{"Mcp-Param-Dry", "true"},                "{\"dry\":true}",                    true },
        {{"Mcp-Param-Dry", "True"},                "{\"dry\":true}",                    false},
        {{"Mcp-Param-Zone", "a"},                  "{\"deep\":{\"zone\":\"a\"}}",       true },
        {{"Mcp-Param-Zone", "b"},                  "{\"deep\":{\"zone\":\"a\"}}",       false},
        {{NULL, NULL},                             "{\"deep\":{\"zone\":\"a\"}}",       false},
        {{"Mcp-Param-Region", "eu"},               "{\"region\":[\"eu\"]}",             false},
    };
    (void)state;
    assert_true(mcp_params_wanted(bytes_of(definition)));
    assert_false(mcp_params_wanted(BYTES("{\"name\":\"t\"}")));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault_told fault = {0};
        bool fine = mcp_params_confirmed_by(one_header, rows[i].header, bytes_of(definition),
                                            bytes_of(rows[i].arguments), &fault);
        if (fine != rows[i].fine)
            fail_msg("row %zu: %s", i, fault.text);
        assert_int_equal(fault.fault, rows[i].fine ? FAULT_NONE : FAULT_HEADER_MISMATCH);
    }
}

KIT_MAIN(cmocka_unit_test(only_the_exact_wrapper_is_decoded),
         cmocka_unit_test(headers_must_say_what_arguments_say))
