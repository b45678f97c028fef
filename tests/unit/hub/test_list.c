/* Lists as clients of each revision see them, pages and cursors; where URIs go. */
#include "core/base/clock.h"
#include "core/base/text.h"
#include "hub/sloppy.h"
#include "hub/version.h"
#include "tests/unit/hub/catalogue_bed.h"

#define MODERN_TAIL                                                                 \
    ",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{\"io.modelcontextprotocol/" \
    "serverInfo\":" TRUNKLINE_INFO "}}"

static void only_the_name_is_replaced(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL,
         "{ \"description\" : \"1.0\", \"name\" : \"re\\u0061d\" ,\"inputSchema\":{\"type\":\"object\", "
         "\"x\":1e2} }");
    kit_bytes_eq(list(b, ITEM_TOOL, NULL, &legacy),
                 "{\"tools\":[{ \"description\" : \"1.0\", \"name\" : \"files__read\" ,"
                 "\"inputSchema\":{\"type\":\"object\", \"x\":1e2} }]}");
    kit_bytes_eq(list(b, ITEM_TOOL, "files", &legacy),
                 "{\"tools\":[{ \"description\" : \"1.0\", \"name\" : \"re\\u0061d\" ,"
                 "\"inputSchema\":{\"type\":\"object\", \"x\":1e2} }]}");
    kit_bytes_eq(list(b, ITEM_TOOL, "extra", &legacy), "{\"tools\":[]}");
    kit_bytes_eq(list(b, ITEM_PROMPT, NULL, &modern),
                 "{\"resultType\":\"complete\",\"prompts\":[]" MODERN_TAIL);
    bed_free(b);
}

static void lists_are_ordered_by_server_then_as_the_server_had_them(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_PROMPT, "{\"name\":\"z\"}", "{\"name\":\"a\"}");
    TAKE(b, "extra", ITEM_PROMPT, "{\"name\":\"m\"}");
    kit_bytes_eq(list(b, ITEM_PROMPT, NULL, &modern),
                 "{\"resultType\":\"complete\",\"prompts\":[{\"name\":\"extra__m\"},{\"name\":\"files__z\"},"
                 "{\"name\":\"files__a\"}]" MODERN_TAIL);
    bed_free(b);
}

/* What each revision must not see, and what it must. */
static void definitions_are_put_into_the_words_of_the_revision(void **state)
{
    static const struct row {
        const char *sent, *old, *legacy, *modern;
    } rows[] = {
        {"{\"name\":\"t\"}",                                                                          "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",                                                                                                                                                                                                                              "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}"                              },
        {"{\"inputSchema\":{\"properties\":{}},\"name\":\"t\",\"title\":null,\"description\":\"d\"}",
         "{\"inputSchema\":{\"type\":\"object\",\"properties\":{}},\"name\":\"t\",\"description\":\"d\"}",                                                                                    "{\"inputSchema\":{\"type\":\"object\",\"properties\":{}},\"name\":\"t\",\"description\":\"d\"}",
         "{\"inputSchema\":{\"type\":\"object\",\"properties\":{}},\"name\":\"t\",\"description\":\"d\"}"                                                                                                                                                                                                                                                                             },
        {"{\"name\":\"t\",\"title\":null,\"inputSchema\":{\"type\":\"object\"}}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",                                                                                                                            "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}"                                                                                                                                                                                                                                                                                                                     },
        {"{\"name\":\"t\",\"inputSchema\":null,\"outputSchema\":null}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",                                                                                                                            "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}"                                                                                                                                                                                                                                                                                                                     },
        {"{\"name\":\"t\",\"execution\":{\"taskSupport\":\"optional\"},\"inputSchema\":{\"type\":\"object\"}"
         "}",                                                                                "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}",
         "{\"name\":\"t\",\"execution\":{\"taskSupport\":\"optional\"},\"inputSchema\":{\"type\":\"object\"}"
         "}",                                                                                                                                                                                                                                                                                   "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}}"                              },
        {"{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"_meta\":{\"a/b\":1,\"dev.trunkline/x\":2,"
         "\"dev\\u002etrunkline/y\":3,\"c\":4}}",                                            "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"_meta\":{\"a/b\":1,\"c\":4}}",
         "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"_meta\":{\"a/b\":1,\"c\":4}}",                                                                                                                                                                                                "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"_meta\":{\"a/b\":1,\"c\":4}}"},
        {"{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":\"array\","
         "\"$schema\":\"S\",\"items\":{\"$ref\" : "
         "\"#/$defs/a\"},\"x\":{\"$ref\":\"#\"},\"y\":{\"$ref\":\"#b\"},"
         "\"properties\":{\"$ref\":{}}}}",                                                   "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":\"object\","
         "\"$schema\":\"S\",\"properties\":{\"result\":{\"type\":\"array\",\"$schema\":\"S\","
         "\"items\":{\"$ref\" : \"#/properties/result/$defs/a\"},\"x\":{\"$ref\":\"#/properties/result\"},"
         "\"y\":{\"$ref\":\"#b\"},\"properties\":{\"$ref\":{}}}},\"required\":[\"result\"]}}",                                             "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":\"object\","
         "\"$schema\":\"S\",\"properties\":{\"result\":{\"type\":\"array\",\"$schema\":\"S\","
         "\"items\":{\"$ref\" : \"#/properties/result/$defs/a\"},\"x\":{\"$ref\":\"#/properties/result\"},"
         "\"y\":{\"$ref\":\"#b\"},\"properties\":{\"$ref\":{}}}},\"required\":[\"result\"]}}",                                                 "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":\"array\","
         "\"$schema\":\"S\",\"items\":{\"$ref\" : "
         "\"#/$defs/a\"},\"x\":{\"$ref\":\"#\"},\"y\":{\"$ref\":\"#b\"},"
         "\"properties\":{\"$ref\":{}}}}"                                                                                              },
    };
    struct bed *b = bed_new();
    facts(b, "files", ERA_MODERN, "{}");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        TAKE(b, "files", ITEM_TOOL, row->sent);
        _cleanup_free_ char *for_old = text_format("{\"tools\":[%s]}", row->old);
        _cleanup_free_ char *for_legacy = text_format("{\"tools\":[%s]}", row->legacy);
        _cleanup_free_ char *for_modern =
            text_format("{\"resultType\":\"complete\",\"tools\":[%s]%s", row->modern, MODERN_TAIL);
        kit_bytes_eq(list(b, ITEM_TOOL, "files", &old), for_old);
        kit_bytes_eq(list(b, ITEM_TOOL, "files", &legacy), for_legacy);
        kit_bytes_eq(list(b, ITEM_TOOL, "files", &modern), for_modern);
        assert_true(json_is_valid(list(b, ITEM_TOOL, NULL, &old)));
    }
    bed_free(b);
}

static void results_are_wrapped_where_the_schema_is(void **state)
{
    static const char untyped[] =
        "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{}}";
    struct bed *b = bed_new();
    facts(b, "files", ERA_LEGACY, "{}");
    facts(b, "extra", ERA_MODERN, "{}");
    TAKE(b, "files", ITEM_TOOL, untyped);
    TAKE(b, "extra", ITEM_TOOL, untyped);
    /* A legacy server's results are objects: its schema is one that forgot to say so. */
    assert_false(find(b, ITEM_TOOL, "files", "t")->wraps_structured);
    kit_bytes_eq(list(b, ITEM_TOOL, "files", &legacy),
                 "{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},"
                 "\"outputSchema\":{\"type\":\"object\"}}]}");
    assert_true(find(b, ITEM_TOOL, "extra", "t")->wraps_structured);
    kit_bytes_eq(list(b, ITEM_TOOL, "extra", &legacy),
                 "{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":"
                 "{\"type\":\"object\",\"properties\":{\"result\":{}},\"required\":[\"result\"]}}]}");
    /* The server learns the other era: the same bytes mean something else. */
    facts(b, "files", ERA_MODERN, "{}");
    TAKE(b, "files", ITEM_TOOL, untyped);
    assert_true(find(b, ITEM_TOOL, "files", "t")->wraps_structured);
    bed_free(b);
}

static void our_own_servers_may_say_what_others_may_not(void **state)
{
    static const char sent[] = "{\"name\":\"p\",\"_meta\":{\"dev.trunkline/x\":2}}";
    struct bed *b = bed_plan();
    b->servers[0].kind = SERVER_BUILTIN;
    bed_start(b, ":memory:");
    TAKE(b, "files", ITEM_PROMPT, sent);
    TAKE(b, "extra", ITEM_PROMPT, sent);
    kit_bytes_eq(list(b, ITEM_PROMPT, "files", &legacy),
                 "{\"prompts\":[{\"name\":\"p\",\"_meta\":{\"dev.trunkline/x\":2}}]}");
    kit_bytes_eq(list(b, ITEM_PROMPT, "extra", &legacy), "{\"prompts\":[{\"name\":\"p\",\"_meta\":{}}]}");
    bed_free(b);
}

/* --- sloppy definitions --- */

static void what_cannot_be_mended_is_hidden_with_a_reason(void **state)
{
    static const struct row {
        enum item_kind kind;
        const char *sent, *name, *reason;
    } rows[] = {
        {ITEM_TOOL,     "3",                                                         "",      "no object"                             },
        {ITEM_TOOL,     "[]",                                                        "",      "no object"                             },
        {ITEM_TOOL,     "{\"title\":\"x\"}",                                         "",      "'name' is missing"                     },
        {ITEM_TOOL,     "{\"name\":7}",                                              "",      "'name' is a number, not a string"      },
        {ITEM_TOOL,     "{\"name\":\"\"}",                                           "",      "0 bytes"                               },
        {ITEM_TOOL,     "{\"name\":\"\\ud800\"}",                                    "",      "not UTF-8"                             },
        {ITEM_TOOL,     "{\"name\":\"a\",\"inputSchema\":true}",                     "a",     "'inputSchema' is true or false"        },
        {ITEM_TOOL,     "{\"name\":\"a\",\"inputSchema\":{\"type\":\"string\"}}",    "a",     "not of type"                           },
        {ITEM_TOOL,     "{\"name\":\"a\",\"inputSchema\":{\"type\":[\"object\"]}}",  "a",     "not of type"                           },
        {ITEM_TOOL,     "{\"name\":\"a\",\"outputSchema\":[]}",                      "a",     "'outputSchema' is an array"            },
        {ITEM_TOOL,     "{\"name\":\"a\",\"description\":7}",                        "a",     "'description' is a number"             },
        {ITEM_TOOL,     "{\"name\":\"a\",\"_meta\":[]}",                             "a",     "'_meta' is an array"                   },
        {ITEM_TOOL,     "{\"name\":\"a\",\"name\":\"b\"}",                           "b",     "'name' is there twice"                 },
        {ITEM_TOOL,     "{\"name\":\"a\",\"n\\u0061me\":\"b\"}",                     "a",     "with escapes"                          },
        {ITEM_TOOL,     "{\"name\":\"a\",\"inputSchema\":{\"x-mcp-header\":\"X\"}}", "a",     "where no header"                       },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"type\":\"array\",\"x-mcp-header\":\"X\"}}"
         "}}",                                                                       "a",     "where no header"                       },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"type\":\"array\",\"items\":"
         "{\"type\":\"string\",\"x-mcp-header\":\"X\"}}}}}",                         "a",     "where no header"                       },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"allOf\":[{\"properties\":{\"p\":"
         "{\"type\":\"string\",\"x-mcp-header\":\"X\"}}}]}}",                        "a",     "where no header"                       },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"type\":\"string\",\"x-mcp-header\":\"a "
         "b\"}}}}",                                                                  "a",     "no token"                              },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"type\":\"string\",\"x-mcp-header\":"
         "\"Re\"},"
         "\"q\":{\"type\":\"string\",\"x-mcp-header\":\"rE\"}}}}",                   "a",     "twice"                                 },
        {ITEM_TOOL,
         "{\"name\":\"a\",\"outputSchema\":{\"type\":\"object\",\"properties\":{\"p\":"
         "{\"type\":\"string\",\"x-mcp-header\":\"X\"}}}}",                          "a",     "where no header"                       },
        {ITEM_PROMPT,   "{\"name\":\"a\",\"arguments\":{}}",                         "a",     "'arguments' is an object, not an array"},
        {ITEM_RESOURCE, "{\"uri\":\"x:1\"}",                                         "x:1",   "'name' is missing"                     },
        {ITEM_RESOURCE, "{\"name\":\"a\"}",                                          "",      "'uri' is missing"                      },
        {ITEM_TEMPLATE, "{\"uriTemplate\":\"x:{a}\",\"name\":null}",                 "x:{a}", "'name' is missing"                     },
    };
    struct bed *b = bed_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        TAKE(b, "files", rows[i].kind, rows[i].sent);
        const char *reason = hidden(b, rows[i].kind, "files", rows[i].name);
        if (!reason || !strstr(reason, rows[i].reason))
            fail_msg("%s is hidden because '%s', not '%s'", rows[i].sent, reason ? reason : "(it is not)",
                     rows[i].reason);
        assert_int_equal(catalogue_count(b->catalogue, rows[i].kind, "files"), 0);
        assert_true(json_is_valid(list(b, rows[i].kind, NULL, &modern)));
        assert_null(find(b, rows[i].kind, "files", rows[i].name));
    }
    bed_free(b);
}

static void legal_headers_are_shown(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL,
         "{\"name\":\"a\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"x-mcp-header\":{\"type\":"
         "\"array\"},"
         "\"p\":{\"type\":\"integer\",\"x-mcp-header\":\"Region\"},\"o\":{\"type\":\"object\",\"properties\":"
         "{\"q\":{\"type\":\"boolean\",\"x-mcp-header\":\"Dry-Run\"}}}}}}");
    assert_null(hidden(b, ITEM_TOOL, "files", "a"));
    bed_free(b);
}

static void the_second_of_a_name_is_hidden(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_PROMPT, "{\"name\":\"a\",\"title\":\"1\"}",
         "{\"name\":\"\\u0061\",\"title\":\"2\"}");
    kit_bytes_eq(list(b, ITEM_PROMPT, NULL, &legacy),
                 "{\"prompts\":[{\"name\":\"files__a\",\"title\":\"1\"}]}");
    assert_non_null(hidden(b, ITEM_PROMPT, "files", "a"));
    bed_free(b);
}

/* {"name":"t","inputSchema":{"type":"object",<middle>}} */
static void take_tool(struct bed *b, const struct buf *middle)
{
    struct buf text = {0};
    buf_add_text(&text, "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",");
    buf_add_bytes(&text, buf_bytes(middle));
    buf_add_text(&text, "}}");
    struct bytes item = buf_bytes(&text);
    catalogue_take(b->catalogue, "files", ITEM_TOOL, &item, 1);
    buf_end(&text);
}

static void add_properties(struct buf *out, int n)
{
    buf_add_text(out, "\"properties\":{");
    for (int i = 0; i < n; i++)
        buf_addf(out, "%s\"p%d\":{\"enum\":[{},{}]}", i ? "," : "", i);
    buf_add_char(out, '}');
}

static void add_levels(struct buf *out, int n)
{
    buf_add_text(out, "\"const\":");
    for (int i = 0; i < n; i++)
        buf_add_char(out, '[');
    buf_add_text(out, "\"]]]]]]{{{[[[\\\"[\"");
    for (int i = 0; i < n; i++)
        buf_add_char(out, ']');
}

static void definitions_may_be_large_but_not_without_end(void **state)
{
    struct bed *b = bed_new();
    struct buf text = {0};
    add_properties(&text, 1999); /* and the outermost one */
    take_tool(b, &text);
    assert_null(hidden(b, ITEM_TOOL, "files", "t"));
    buf_clear(&text);
    add_properties(&text, 2000);
    take_tool(b, &text);
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "files", "t"), "2000 subschemas"));

    buf_clear(&text);
    add_levels(&text, 62);
    take_tool(b, &text);
    assert_null(hidden(b, ITEM_TOOL, "files", "t"));
    buf_clear(&text);
    add_levels(&text, 63);
    take_tool(b, &text);
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "files", ""), "65 levels"));

    buf_clear(&text);
    buf_add_text(&text, "\"x\":\"");
    while (text.n < DEFINITION_BYTES)
        buf_add_char(&text, 'x');
    buf_add_char(&text, '"');
    take_tool(b, &text);
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "files", ""), "bytes"));

    char name[130] = "";
    memset(name, 'n', 129);
    for (size_t n = 128; n < 130; n++) {
        _cleanup_free_ char *item = text_format("{\"name\":\"%.*s\"}", (int)n, name);
        TAKE(b, "files", ITEM_PROMPT, item);
        assert_int_equal(catalogue_count(b->catalogue, ITEM_PROMPT, NULL), n == 128);
    }
    buf_end(&text);
    bed_free(b);
}

/* --- pages --- */

static void take_many(struct bed *b, const char *server, size_t n, size_t padding)
{
    struct bytes *items = mem_array(n, sizeof(*items));
    char *pad = mem_new(padding + 1);
    memset(pad, 'x', padding);
    for (size_t i = 0; i < n; i++)
        items[i] = bytes_of(text_format("{\"name\":\"p%zu\",\"title\":\"%s\"}", i, pad));
    catalogue_take(b->catalogue, server, ITEM_PROMPT, items, n);
    for (size_t i = 0; i < n; i++)
        free((char *)items[i].p);
    free(items);
    free(pad);
}

/* Reads one page; the cursor of the next, or NULL. */
static char *read_page(struct bed *b, const char *server, const char *cursor, size_t *items)
{
    buf_clear(&b->text);
    assert_int_equal(
        catalogue_add_list(b->catalogue, ITEM_PROMPT, server, &modern, bytes_of(cursor), &b->text), 0);
    json_t *j = kit_json(b->text.p);
    *items = json_array_size(json_object_get(j, "prompts"));
    const char *next = json_str(j, "nextCursor");
    char *copy = next ? mem_text(next) : NULL;
    json_decref(j);
    return copy;
}

static void long_lists_come_in_pages(void **state)
{
    struct bed *b = bed_new();
    size_t n;
    take_many(b, "extra", 700, 1);
    take_many(b, "files", 1500, 1);
    char *second = read_page(b, NULL, NULL, &n), *third;
    assert_int_equal(n, 1000);
    third = read_page(b, NULL, second, &n);
    assert_int_equal(n, 1000);
    assert_non_null(strstr(b->text.p, "\"files__p300\""));
    assert_null(strstr(b->text.p, "\"files__p299\""));
    assert_null(read_page(b, NULL, third, &n));
    assert_int_equal(n, 200);
    /* It names a place, so it holds when the list changes. */
    take_many(b, "extra", 10, 1);
    free(read_page(b, NULL, second, &n));
    assert_non_null(strstr(b->text.p, "\"files__p300\""));
    take_many(b, "files", 100, 1);
    assert_null(read_page(b, NULL, second, &n));
    assert_int_equal(n, 0);
    free(second);
    free(third);
    bed_free(b);
}

static void a_cursor_outlives_its_server(void **state)
{
    struct bed *b = bed_new();
    size_t n;
    take_many(b, "extra", 1100, 1);
    char *cursor = read_page(b, NULL, NULL, &n);
    bed_free(b);

    b = bed_plan();
    b->servers[1].name = b->servers[1].prefix = "fall";
    bed_start(b, ":memory:");
    take_many(b, "fall", 5, 1);
    take_many(b, "files", 5, 1);
    assert_null(read_page(b, NULL, cursor, &n));
    assert_int_equal(n, 10);
    free(cursor);
    bed_free(b);
}

static void heavy_lists_come_in_pages_too(void **state)
{
    struct bed *b = bed_new();
    size_t n, all = 0, pages = 0;
    take_many(b, "extra", 50, 102400);
    char *cursor = NULL;
    do {
        char *next = read_page(b, "extra", cursor, &n);
        free(cursor);
        cursor = next;
        assert_in_range(b->text.n, 1, (2 << 20) + 4096);
        all += n;
        pages++;
    } while (cursor);
    assert_int_equal(all, 50);
    assert_int_equal(pages, 3);
    bed_free(b);
}

static void a_cursor_of_others_is_refused(void **state)
{
    struct bed *b = bed_new();
    size_t n;
    take_many(b, "extra", 1001, 1);
    char *good = read_page(b, NULL, NULL, &n);
    struct buf out = {0};
    static const char *const bad[] = {"", "x", "!!!!", "AAAA", "MWV4dHJh", "MWV4dHJhAAAAAA"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(catalogue_add_list(b->catalogue, ITEM_PROMPT, NULL, &modern, bytes_of(bad[i]), &out),
                         1);
    assert_int_equal(catalogue_add_list(b->catalogue, ITEM_TOOL, NULL, &modern, bytes_of(good), &out), 1);
    assert_int_equal(catalogue_add_list(b->catalogue, ITEM_PROMPT, "files", &modern, bytes_of(good), &out),
                     1);
    assert_int_equal(out.n, 0);
    assert_int_equal(catalogue_add_list(b->catalogue, ITEM_PROMPT, "extra", &modern, bytes_of(good), &out),
                     0);
    free(good);
    buf_end(&out);
    bed_free(b);
}

static void a_kept_page_is_not_shown_after_a_change(void **state)
{
    struct bed *b = bed_new();
    const struct caller *callers[] = {&modern, &legacy, &old};
    static const char *const endpoints[] = {NULL, "files", "extra", "third"};
    static const char *const keys[] = {
        "\"tools\":", "\"prompts\":", "\"resources\":", "\"resourceTemplates\":"};
    for (int round = 0; round < 3; round++) {
        _cleanup_free_ char *item = text_format("{\"name\":\"t%d\"}", round),
                            *piece = text_format("t%d\"", round);
        TAKE(b, "files", ITEM_TOOL, item);
        TAKE(b, "files", ITEM_PROMPT, item);
        /* More lists than are kept. */
        for (size_t i = 0; i < 48; i++) {
            enum item_kind kind = (enum item_kind)(i / 4 % 4);
            const char *text = list(b, kind, endpoints[i % 4], callers[i / 16]).p;
            assert_int_equal(strstr(text, piece) != NULL, kind <= ITEM_PROMPT && i % 4 < 2);
            assert_non_null(strstr(text, keys[kind]));
            assert_int_equal(strstr(text, "resultType") != NULL, i < 16);
        }
    }
    bed_free(b);
}

/* --- URIs --- */

static void goes_to(struct bed *b, const char *endpoint, const char *uri, const char *server,
                    const char *there)
{
    const char *to = NULL;
    struct bytes it = BYTES_NONE;
    bool found = catalogue_route(b->catalogue, endpoint, bytes_of(uri), &to, &it);
    if (!server) {
        assert_false(found);
        return;
    }
    if (!found)
        fail_msg("'%s' goes nowhere", uri);
    assert_string_equal(to, server);
    kit_bytes_eq(it, there);
}

static void a_uri_that_two_have_is_the_first_ones(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "extra", ITEM_RESOURCE, RESOURCE("x://same"), RESOURCE("x://own"));
    kit_bytes_eq(list(b, ITEM_RESOURCE, NULL, &legacy),
                 "{\"resources\":[" RESOURCE("x://same") "," RESOURCE("x://own") "]}");
    TAKE(b, "files", ITEM_RESOURCE, RESOURCE("x://same"));
    kit_bytes_eq(list(b, ITEM_RESOURCE, NULL, &legacy),
                 "{\"resources\":[" RESOURCE("tl.extra+x://same") "," RESOURCE("x://own") "," RESOURCE(
                     "x://same") "]}");
    kit_bytes_eq(list(b, ITEM_RESOURCE, "extra", &legacy),
                 "{\"resources\":[" RESOURCE("x://same") "," RESOURCE("x://own") "]}");
    goes_to(b, NULL, "x://same", "files", "x://same");
    goes_to(b, NULL, "tl.extra+x://same", "extra", "x://same");
    goes_to(b, "extra", "x://same", "extra", "x://same");
    assert_string_equal(find(b, ITEM_RESOURCE, NULL, "tl.extra+x://same")->server, "extra");
    TAKE_NONE(b, "files", ITEM_RESOURCE);
    goes_to(b, NULL, "x://same", "extra", "x://same");
    bed_free(b);
}

static void uris_are_shown_as_they_can_be_read(void **state)
{
    static const struct row {
        const char *endpoint, *server, *uri, *shown;
    } rows[] = {
        {NULL,    "files", "x://same",           "x://same"                  },
        {NULL,    "extra", "x://same",           "tl.extra+x://same"         },
        {"extra", "extra", "x://same",           "x://same"                  },
        {NULL,    "extra", "y://unheard",        "y://unheard"               },
        {NULL,    "extra", "t://1",              "tl.extra+t://1"            },
        {NULL,    "files", "t://1",              "t://1"                     },
        {NULL,    "extra", "tl.files+x://same",  "tl.extra+tl.files+x://same"},
        {NULL,    "extra", "tl.nobody+x://same", "tl.nobody+x://same"        },
    };
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_RESOURCE, RESOURCE("x://same"));
    TAKE(b, "files", ITEM_TEMPLATE, TEMPLATE("t://{id}"));
    TAKE(b, "extra", ITEM_RESOURCE, RESOURCE("x://same"), RESOURCE("tl.files+x://same"));
    TAKE(b, "extra", ITEM_TEMPLATE, TEMPLATE("t://{id}"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&b->text);
        catalogue_add_exposed_uri(b->catalogue, rows[i].endpoint, rows[i].server, bytes_of(rows[i].uri),
                                  &b->text);
        kit_bytes_eq(buf_bytes(&b->text), rows[i].shown);
        if (!strstr(rows[i].uri, "unheard") && !strstr(rows[i].uri, "nobody"))
            goes_to(b, rows[i].endpoint, b->text.p, rows[i].server, rows[i].uri);
    }
    assert_string_equal(find(b, ITEM_RESOURCE, NULL, "tl.extra+tl.files+x://same")->server, "extra");
    kit_bytes_eq(list(b, ITEM_TEMPLATE, NULL, &legacy),
                 "{\"resourceTemplates\":[" TEMPLATE("tl.extra+t://{id}") "," TEMPLATE("t://{id}") "]}");
    bed_free(b);
}

static void a_tool_names_the_resource_that_draws_it_as_it_is_shown(void **state)
{
    static const char meant[] = "{\"_meta\":{\"ui\":{\"resourceUri\":\"ui://a\",\"x\":1}%s},\"name\":\"%s\","
                                "\"inputSchema\":{\"type\":\"object\"}}";
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_RESOURCE, RESOURCE("ui://a"));
    _cleanup_free_ char *plain = text_format(meant, "", "t");
    _cleanup_free_ char *reserved = text_format(meant, ",\"dev.trunkline/x\":{}", "t");
    TAKE(b, "files", ITEM_TOOL, plain);
    TAKE(b, "extra", ITEM_RESOURCE, RESOURCE("ui://a"));
    TAKE(b, "extra", ITEM_TOOL, plain, reserved);
    TAKE(b, "third", ITEM_TOOL, reserved);
    kit_bytes_eq(list(b, ITEM_TOOL, NULL, &legacy),
                 "{\"tools\":[{\"_meta\":{\"ui\":{\"resourceUri\":\"tl.extra+ui://a\",\"x\":1}},"
                 "\"name\":\"extra__t\",\"inputSchema\":{\"type\":\"object\"}},"
                 "{\"_meta\":{\"ui\":{\"resourceUri\":\"ui://a\",\"x\":1}},"
                 "\"name\":\"files__t\",\"inputSchema\":{\"type\":\"object\"}},"
                 "{\"_meta\":{\"ui\":{\"resourceUri\":\"tl.third+ui://a\",\"x\":1}},"
                 "\"name\":\"third__t\",\"inputSchema\":{\"type\":\"object\"}}]}");
    _cleanup_free_ char *own = text_format("{\"tools\":[%s]}", plain);
    kit_bytes_eq(list(b, ITEM_TOOL, "third", &legacy), own);
    bed_free(b);
}

static void a_uri_goes_where_it_is_known_best(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TEMPLATE, TEMPLATE("file:///{+path}"));
    TAKE(b, "extra", ITEM_RESOURCE, RESOURCE("file:///exact"), RESOURCE("only://1"), RESOURCE("both://1"));
    TAKE(b, "third", ITEM_RESOURCE, RESOURCE("both://2"));
    goes_to(b, NULL, "file:///exact", "extra", "file:///exact");
    goes_to(b, NULL, "file:///other", "files", "file:///other");
    goes_to(b, NULL, "ONLY://2", "extra", "ONLY://2");
    goes_to(b, NULL, "both://3", NULL, NULL);
    goes_to(b, NULL, "unheard://1", NULL, NULL);
    goes_to(b, NULL, "", NULL, NULL);
    goes_to(b, "third", "unheard://1", "third", "unheard://1");
    catalogue_remember_link(b->catalogue, "third", BYTES("both://3"));
    catalogue_remember_link(b->catalogue, "third", BYTES("only://9"));
    goes_to(b, NULL, "both://3", "third", "both://3");
    goes_to(b, NULL, "only://9", "third", "only://9");
    catalogue_remember_link(b->catalogue, "extra", BYTES("both://3"));
    goes_to(b, NULL, "both://3", "extra", "both://3");
    bed_free(b);
}

static void links_are_forgotten_in_the_order_they_came(void **state)
{
    struct bed *b = bed_new();
    for (int i = 0; i < 10001; i++) {
        _cleanup_free_ char *uri = text_format("l://%d", i);
        catalogue_remember_link(b->catalogue, "extra", bytes_of(uri));
    }
    goes_to(b, NULL, "l://0", NULL, NULL);
    goes_to(b, NULL, "l://1", "extra", "l://1");
    goes_to(b, NULL, "l://10000", "extra", "l://10000");
    bed_free(b);
}

KIT_MAIN(cmocka_unit_test(only_the_name_is_replaced),
         cmocka_unit_test(lists_are_ordered_by_server_then_as_the_server_had_them),
         cmocka_unit_test(definitions_are_put_into_the_words_of_the_revision),
         cmocka_unit_test(results_are_wrapped_where_the_schema_is),
         cmocka_unit_test(our_own_servers_may_say_what_others_may_not),
         cmocka_unit_test(what_cannot_be_mended_is_hidden_with_a_reason),
         cmocka_unit_test(legal_headers_are_shown), cmocka_unit_test(the_second_of_a_name_is_hidden),
         cmocka_unit_test(definitions_may_be_large_but_not_without_end),
         cmocka_unit_test(long_lists_come_in_pages), cmocka_unit_test(a_cursor_outlives_its_server),
         cmocka_unit_test(heavy_lists_come_in_pages_too), cmocka_unit_test(a_cursor_of_others_is_refused),
         cmocka_unit_test(a_kept_page_is_not_shown_after_a_change),
         cmocka_unit_test(a_uri_that_two_have_is_the_first_ones),
         cmocka_unit_test(uris_are_shown_as_they_can_be_read),
         cmocka_unit_test(a_tool_names_the_resource_that_draws_it_as_it_is_shown),
         cmocka_unit_test(a_uri_goes_where_it_is_known_best),
         cmocka_unit_test(links_are_forgotten_in_the_order_they_came))
