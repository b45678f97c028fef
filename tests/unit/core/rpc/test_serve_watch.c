#include "tests/unit/core/rpc/serve_bed.h"

static void resources_are_listed_and_read(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resources\":[{\"uri\":\"bed://"
                "a\",\"name\":\"a\",\"description\":"
                "\"The a\",\"mimeType\":\"text/plain\"}]}}");
    assert_says(
        &b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/templates/list\",\"params\":{" META "}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":"
        "\"private\","
        "\"resourceTemplates\":[{\"uriTemplate\":\"bed://{+path}\",\"name\":\"file\"}]," INFO "}}}");
    assert_says(&b,
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed:\\/\\/"
                "a\"," META "}}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"ttlMs\":0,"
                "\"cacheScope\":\"private\","
                "\"contents\":[{\"uri\":\"bed://a\",\"text\":\"A\"}]," INFO "}}}");
    assert_says(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed://b\"," META
        "}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"no 'bed://b' here\",\"data\":"
        "{\"uri\":\"bed://b\"}}}");
    close_bed(&b);
    open_bed(&b);
    assert_error(
        &b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"bed://b\"}}",
        -32002);
    assert_error(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{}}", -32602);
    assert_says(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":"
        "\"ref/resource\",\"uri\":\"bed://{+path}\"},\"argument\":{\"name\":\"path\",\"value\":\"x\"}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"completion\":{\"values\":[\"bed://"
        "{+path}\",\"path\",\"x\"]}}}");
    assert_error(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":"
        "\"ref/prompt\",\"name\":\"p\"},\"argument\":{\"name\":\"path\",\"value\":\"x\"}}}",
        -32602);
    close_bed(&b);
}

static void legacy_subscriber_hears_of_its_resource_only(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-"
            "11-25\"}}");

    serve_resources_changed(b.serve);
    assert_string_equal(say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), "");
    for (int i = 0; i < 2; i++)
        assert_says(&b,
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/"
                    "subscribe\",\"params\":{\"uri\":\"bed://a\"}}",
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    assert_int_equal(b.subscribed, 1);
    assert_error(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":{\"uri\":\"x://a\"}}",
        -32002);
    serve_resource_updated(b.serve, BYTES("bed://a"));
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                "updated\",\"params\":{\"uri\":\"bed://a\"}}");
    serve_resources_changed(b.serve);
    assert_says(&b, NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\"}");
    say(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/unsubscribe\",\"params\":{\"uri\":\"bed://"
            "a\"}}");
    assert_int_equal(b.unsubscribed, 1);
    serve_resource_updated(b.serve, BYTES("bed://a"));
    assert_string_equal(say(&b, NULL), "");
    close_bed(&b);
}

static void stream_hears_what_it_asked_for(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);

    assert_says(
        &b,
        LISTEN("\"L\"", "{\"toolsListChanged\":true,\"resourcesListChanged\":true,\"resourceSubscriptions\":"
                        "[\"bed://a\",\"x://nothing\"]}"),
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":"
        "{\"io.modelcontextprotocol/subscriptionId\":\"L\"},\"notifications\":{\"resourcesListChanged\":true,"
        "\"resourceSubscriptions\":[\"bed://a\"]}}}");
    say(&b, LISTEN("2", "{\"resourceSubscriptions\":[\"bed://a\",\"bed://b\"]}"));
    assert_int_equal(b.subscribed, 2);
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"_meta\":"
                "{\"io.modelcontextprotocol/subscriptionId\":2},\"uri\":\"bed://b\"}}");
    serve_resources_changed(b.serve);
    assert_says(
        &b, NULL,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\",\"params\":{\"_meta\":"
        "{\"io.modelcontextprotocol/subscriptionId\":\"L\"}}}");
    assert_error(&b, LISTEN("2", "{}"), -32600);
    say(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":2}}");
    assert_int_equal(b.unsubscribed, 1); /* the other stream still wants bed://a */
    serve_resource_updated(b.serve, BYTES("bed://b"));
    assert_string_equal(say(&b, NULL), "");
    assert_error(&b, LISTEN("3", "7"), -32602);
    assert_error(&b, LISTEN("3", "{\"resourceSubscriptions\":[7]}"), -32602);
    assert_error(&b, LISTEN("3", "{\"toolsListChanged\":1}"), -32602);
    shutdown(b.client, SHUT_WR);
    assert_says(&b, NULL,
                "{\"jsonrpc\":\"2.0\",\"id\":\"L\",\"result\":{\"resultType\":\"complete\"," INFO
                ",\"io.modelcontextprotocol/subscriptionId\":\"L\"}}}");
    assert_int_equal(b.unsubscribed, 2);
    close_bed(&b);
}

KIT_MAIN(cmocka_unit_test(resources_are_listed_and_read),
         cmocka_unit_test(legacy_subscriber_hears_of_its_resource_only),
         cmocka_unit_test(stream_hears_what_it_asked_for))
