/* Results and errors of a server in the words of the caller's revision: 20-mcp §10, row by row. */
#include "hub/era.h"
#include "tests/kit/kit.h"

#include <stdlib.h>

/* The catalogue is not asked for more than this. */
void catalogue_add_exposed_uri(const struct catalogue *c, const char *endpoint, const char *server,
                               struct bytes uri, struct buf *out)
{
    (void)c;
    assert_null(endpoint);
    if (bytes_begin(uri, "both://"))
        buf_addf(out, "tl.%s+", server);
    buf_add_bytes(out, uri);
}

struct passed {
    struct buf text;
    struct call_done done;
};

static struct caller who(enum revision revision)
{
    return (struct caller){.era = revision == REVISION_2026_07_28 ? ERA_MODERN : ERA_LEGACY,
                           .revision = revision,
                           .principal = "loopback"};
}

static void translate(struct passed *p, const struct era_spec *spec, const char *member, struct bytes value)
{
    struct envelope *e = envelope_new(&(struct envelope_limits){.keys = 100000});
    struct buf message = {0}, scratch = {0};
    buf_addf(&message, "{\"jsonrpc\":\"2.0\",\"id\":1,\"%s\":", member);
    buf_add_bytes(&message, value);
    buf_add_char(&message, '}');
    assert_int_equal(envelope_scan(e, buf_bytes(&message), true, kit_why()), 0);
    *p = (struct passed){0};
    if (e->kind == ENVELOPE_RESULT)
        era_result(spec, e, &p->done, &scratch);
    else
        era_error(spec, e, &p->done, &scratch);
    for (size_t i = 0; i < p->done.part_count; i++)
        buf_add_bytes(&p->text, p->done.parts[i]);
    assert_true(p->done.outcome == CALL_FAULT || json_is_valid(buf_bytes(&p->text)));
    buf_end(&message);
    buf_end(&scratch);
    envelope_free(e);
}

static void becomes(const struct era_spec *spec, const char *result, const char *wanted)
{
    struct passed p;
    translate(&p, spec, "result", bytes_of(result));
    assert_int_equal(p.done.outcome, CALL_RESULT);
    kit_bytes_eq(buf_bytes(&p.text), wanted);
    buf_end(&p.text);
}

static struct era_spec spec_for(const struct caller *caller, enum call_kind kind)
{
    return (struct era_spec){
        .caller = caller, .kind = kind, .server = "one", .upstream_era = ERA_MODERN, .endpoint = "one"};
}

#define OURS                                                                                             \
    "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"trunkline\",\"title\":\"Trunkline\"," \
    "\"version\":\"" TRUNKLINE_VERSION "\"}"

static void what_modern_servers_add_is_taken_from_legacy_clients(void **state)
{
    struct caller c = who(REVISION_2025_11_25);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    becomes(&s, "{\"content\":[],\"x\":1.0}", "{\"content\":[],\"x\":1.0}");
    becomes(
        &s,
        "{\"resultType\":\"complete\",\"content\":[1e400],\"ttlMs\":5,\"k\":-0,\"cacheScope\":\"private\"}",
        "{\"content\":[1e400],\"k\":-0}");
    becomes(&s,
            "{\"content\":[],\"_meta\":{\"a\":1,\"io.modelcontextprotocol/serverInfo\":{},"
            "\"io.modelcontextprotocol/related-task\":{\"t\":1},\"dev.trunkline/receipt\":2}}",
            "{\"_meta\":{\"a\":1,\"io.modelcontextprotocol/related-task\":{\"t\":1}},\"content\":[]}");
    becomes(&s, "{\"content\":[],\"_meta\":{\"a\":1}}", "{\"content\":[],\"_meta\":{\"a\":1}}");
    s.is_builtin = true;
    becomes(&s, "{\"content\":[],\"_meta\":{\"dev.trunkline/receipt\":2}}",
            "{\"content\":[],\"_meta\":{\"dev.trunkline/receipt\":2}}");
}

static void nobody_speaks_for_us_by_writing_a_key_otherwise(void **state)
{
    struct caller c = who(REVISION_2025_11_25);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    becomes(&s, "{\"content\":[],\"_meta\":{\"dev.trunkline\\/fault\":{},\"\\u0064ev.trunkline/receipt\":1}}",
            "{\"content\":[]}");
    becomes(&s, "{\"content\":[],\"_met\\u0061\":{\"dev.trunkline/receipt\":1}}", "{\"content\":[]}");
    becomes(&s, "{\"result\\u0054ype\":\"complete\",\"content\":[]}", "{\"content\":[]}");
}

static void modern_clients_get_what_their_revision_wants(void **state)
{
    struct caller c = who(REVISION_2026_07_28);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    becomes(&s, "{\"content\":[],\"structuredContent\":[1.0]}",
            "{\"resultType\":\"complete\"," OURS "},\"content\":[],\"structuredContent\":[1.0]}");
    becomes(&s,
            "{\"_meta\":{\"io.modelcontextprotocol\\/serverInfo\":{\"name\":\"s\"},\"k\":1},\"resultType\":"
            "\"complete\"}",
            "{\"resultType\":\"complete\"," OURS ",\"dev.trunkline/upstream\":{\"name\":\"s\"},\"k\":1}}");
    s.kind = CALL_READ;
    becomes(&s, "{\"contents\":[]}",
            "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\"," OURS "},\"contents\":[]}");
    becomes(&s, "{\"contents\":[],\"ttlMs\":9,\"cacheScope\":\"public\"}",
            "{\"resultType\":\"complete\"," OURS "},\"contents\":[],\"ttlMs\":9,\"cacheScope\":\"public\"}");
}

static void structured_content_is_an_object_for_legacy_clients(void **state)
{
    struct caller c = who(REVISION_2025_06_18);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    becomes(&s, "{\"content\":[],\"structuredContent\":[1.0,2]}",
            "{\"structuredContent\":{\"result\":[1.0,2]},\"content\":[]}");
    becomes(&s, "{\"content\":[],\"structuredContent\":{\"a\":1}}",
            "{\"content\":[],\"structuredContent\":{\"a\":1}}");
    /* Its schema was shown wrapped: so is every value. */
    s.wraps_structured = true;
    becomes(&s, "{\"content\":[],\"structuredContent\":{\"a\":1}}",
            "{\"structuredContent\":{\"result\":{\"a\":1}},\"content\":[]}");
}

#define LINK "{\"type\":\"resource_link\",\"uri\":\"x:\\/\\/\\\"1\\\"\",\"name\":\"n\"}"
#define LINK_TEXT "{\"type\":\"text\",\"text\":\"[resource x://\\\"1\\\"]\"}"
#define SOUND "{\"type\":\"audio\",\"data\":\"AA==\",\"mimeType\":\"audio/wav\"}"

static void content_kinds_of_later_revisions_become_text(void **state)
{
    struct caller c = who(REVISION_2025_03_26);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    /* Everything else stays byte for byte, and what modern servers add goes as ever. */
    becomes(&s,
            "{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"\\u00e9\"}," LINK
            "," SOUND "],\"n\":12345678901234567890,\"_meta\":{\"dev.trunkline/receipt\":1}}",
            "{\"content\":[{\"type\":\"text\",\"text\":\"\\u00e9\"}," LINK_TEXT "," SOUND
            "],\"n\":12345678901234567890}");
    c.revision = REVISION_2024_11_05;
    becomes(&s, "{\"content\":[" SOUND "],\"structuredContent\":[1]}",
            "{\"structuredContent\":{\"result\":[1]},\"content\":[{\"type\":\"text\",\"text\":\"[audio "
            "audio/wav]\"}]}");
    s.kind = CALL_PROMPT;
    becomes(&s, "{\"messages\":[{\"role\":\"user\",\"content\":" LINK ",\"k\":1.0}]}",
            "{\"messages\":[{\"role\":\"user\",\"content\":" LINK_TEXT ",\"k\":1.0}]}");
    s.kind = CALL_TOOL;
    becomes(&s, "{\"content\":[{\"type\":\"text\",\"text\":\"\\\"audio\\\" \\\"resource_link\\\"\"}]}",
            "{\"content\":[{\"type\":\"text\",\"text\":\"\\\"audio\\\" \\\"resource_link\\\"\"}]}");
    c.revision = REVISION_2025_06_18;
    becomes(&s, "{\"content\":[" LINK "," SOUND "]}", "{\"content\":[" LINK "," SOUND "]}");
}

static void a_uri_that_collides_is_read_under_its_exposed_form(void **state)
{
    struct caller c = who(REVISION_2025_11_25);
    struct era_spec s = spec_for(&c, CALL_READ);
    s.endpoint = NULL;
    becomes(&s,
            "{\"contents\":[{\"uri\":\"both:\\/\\/a\",\"text\":\"t\"},{\"uri\":\"own://"
            "b\",\"text\":\"u\"}],\"k\":1.0}",
            "{\"contents\":[{\"uri\":\"tl.one+both://a\",\"text\":\"t\"},{\"uri\":\"own://"
            "b\",\"text\":\"u\"}],\"k\":1.0}");
    becomes(&s, "{\"contents\":[{\"uri\":\"own://b\"}]}", "{\"contents\":[{\"uri\":\"own://b\"}]}");
    s.endpoint = "one";
    becomes(&s, "{\"contents\":[{\"uri\":\"both://a\"}]}", "{\"contents\":[{\"uri\":\"both://a\"}]}");
}

static void a_result_in_many_pieces_is_no_trap(void **state)
{
    struct caller c = who(REVISION_2025_11_25);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    for (int runs = 1; runs < 40; runs++) {
        struct buf sent = {0}, wanted = {0};
        buf_add_text(&sent, "{\"_meta\":{\"k\":1,\"dev.trunkline/x\":1}");
        buf_add_text(&wanted, "{\"_meta\":{\"k\":1}");
        for (int i = 0; i < runs; i++) {
            buf_addf(&sent, ",\"ttlMs\":1,\"k%d\":[1.0]", i);
            buf_addf(&wanted, ",\"k%d\":[1.0]", i);
        }
        buf_add_char(&sent, '}');
        buf_add_char(&wanted, '}');
        becomes(&s, sent.p, wanted.p);
        buf_end(&sent);
        buf_end(&wanted);
    }
}

static void isError_is_seen(void **state)
{
    struct caller c = who(REVISION_2025_11_25);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    struct passed p;
    translate(&p, &s, "result", BYTES("{\"content\":[],\"isError\":true}"));
    assert_true(p.done.is_error);
    buf_end(&p.text);
    translate(&p, &s, "result", BYTES("{\"content\":[],\"isError\":false}"));
    assert_false(p.done.is_error);
    buf_end(&p.text);
}

/* --- errors --- */

static void errors_pass_with_their_own_words(void **state)
{
    struct caller c = who(REVISION_2025_11_25), m = who(REVISION_2026_07_28);
    struct era_spec s = spec_for(&c, CALL_TOOL);
    struct passed p;
    struct bytes error = BYTES("{\"code\":-32042,\"message\":\"\\u00e9\",\"data\":{\"n\":1.0}}");
    translate(&p, &s, "error", error);
    assert_int_equal(p.done.outcome, CALL_ERROR);
    kit_bytes_eq(buf_bytes(&p.text), "{\"code\":-32042,\"message\":\"\\u00e9\",\"data\":{\"n\":1.0}}");
    buf_end(&p.text);
    /* Codes the modern wire must not carry. */
    s.caller = &m;
    for (int code = -32042; code <= -32000; code++) {
        bool is_barred = code == -32042 || code >= -32019;
        struct buf text = {0}, wanted = {0};
        if (code >= -32022 && code <= -32020)
            continue;
        buf_addf(&text, "{\"code\":%d,\"message\":\"m\"}", code);
        buf_addf(&wanted, "{\"code\":%d,\"message\":\"m\"}", is_barred ? -32603 : code);
        translate(&p, &s, "error", buf_bytes(&text));
        kit_bytes_eq(buf_bytes(&p.text), wanted.p);
        buf_end(&p.text);
        buf_end(&text);
        buf_end(&wanted);
    }
}

static void what_is_between_us_and_the_server_is_not_told_as_the_callers_fault(void **state)
{
    struct caller m = who(REVISION_2026_07_28);
    struct era_spec s = spec_for(&m, CALL_TOOL);
    struct passed p;
    translate(&p, &s, "error", BYTES("{\"code\":-32022,\"message\":\"m\",\"data\":{\"supported\":[]}}"));
    assert_int_equal(p.done.fault.fault, FAULT_UPSTREAM_ERROR);
    translate(&p, &s, "error", BYTES("{\"code\":-32020,\"message\":\"m\"}"));
    assert_int_equal(p.done.fault.fault, FAULT_UPSTREAM_ERROR);
}

static void a_lacking_capability_is_named(void **state)
{
    struct caller c = who(REVISION_2025_11_25), m = who(REVISION_2026_07_28);
    struct era_spec s = spec_for(&m, CALL_TOOL);
    struct bytes error =
        BYTES("{\"code\":-32021,\"message\":\"m\",\"data\":{\"requiredCapabilities\":{\"sampling\":{}}}}");
    struct passed p;
    translate(&p, &s, "error", error);
    assert_int_equal(p.done.fault.fault, FAULT_MISSING_CAPABILITY);
    assert_true(p.done.is_protocol);
    assert_string_equal(p.done.fault.data, "\"requiredCapabilities\":{\"sampling\":{}}");
    s.caller = &c;
    translate(&p, &s, "error", error);
    assert_false(p.done.is_protocol); /* a result with isError for those who know no such error */
    assert_non_null(strstr(p.done.fault.text, "sampling"));
}

static void a_missing_resource_is_one_fault_in_both_eras(void **state)
{
    struct caller m = who(REVISION_2026_07_28);
    struct era_spec s = spec_for(&m, CALL_READ);
    struct passed p;
    s.upstream_era = ERA_LEGACY;
    s.uri = BYTES("tl.one+x://1"); /* as the caller knows it, not as the server does */
    translate(&p, &s, "error", BYTES("{\"code\":-32002,\"message\":\"m\",\"data\":{\"uri\":\"x://1\"}}"));
    assert_int_equal(p.done.fault.fault, FAULT_RESOURCE_NOT_FOUND);
    assert_string_equal(p.done.fault.data, "\"uri\":\"tl.one+x://1\"");
    translate(&p, &s, "error", BYTES("{\"code\":-32002,\"message\":\"m\"}"));
    assert_string_equal(p.done.fault.data, "\"uri\":\"tl.one+x://1\"");
    s.upstream_era = ERA_MODERN;
    translate(&p, &s, "error", BYTES("{\"code\":-32602,\"message\":\"m\",\"data\":{\"uri\":\"x://1\"}}"));
    assert_int_equal(p.done.fault.fault, FAULT_RESOURCE_NOT_FOUND);
    s.kind = CALL_TOOL;
    translate(&p, &s, "error", BYTES("{\"code\":-32602,\"message\":\"m\"}"));
    assert_int_equal(p.done.outcome, CALL_ERROR);
    buf_end(&p.text);
}

/* --- questions --- */

static void a_question_needs_what_it_asks(void **state)
{
    assert_int_equal(era_question_needs(BYTES("roots/list"), BYTES_NONE), CAN_ROOTS);
    assert_int_equal(era_question_needs(BYTES("sampling/createMessage"), BYTES("{\"messages\":[]}")),
                     CAN_SAMPLE);
    assert_int_equal(era_question_needs(BYTES("sampling/createMessage"), BYTES("{\"tools\":[]}")),
                     CAN_SAMPLE | CAN_SAMPLE_TOOLS);
    assert_int_equal(era_question_needs(BYTES("elicitation/create"), BYTES("{}")), CAN_ELICIT_FORM);
    assert_int_equal(era_question_needs(BYTES("elicitation/create"), BYTES("{\"mode\":\"url\"}")),
                     CAN_ELICIT_URL);
    assert_int_equal(era_question_needs(BYTES("tools/call"), BYTES("{}")), 0);
}

static void a_question_is_put_in_the_clients_words(void **state)
{
    struct caller c = who(REVISION_2025_06_18);
    struct bytes params =
        BYTES("{\"mode\":\"form\",\"message\":\"\\\"Who?\",\"requestedSchema\":{\"x\":1.0}}");
    struct buf out = {0};
    era_add_question(&out, &c, "elicitation/create", params, "one", true);
    kit_bytes_eq(buf_bytes(&out), "{\"message\":\"[one] \\\"Who?\",\"requestedSchema\":{\"x\":1.0}}");
    c.revision = REVISION_2025_11_25;
    buf_clear(&out);
    era_add_question(&out, &c, "elicitation/create", params, NULL, true);
    kit_bytes_eq(buf_bytes(&out), params.p);
    /* An id for url mode is made where the server gave none. */
    buf_clear(&out);
    era_add_question(&out, &c, "elicitation/create", BYTES("{\"mode\":\"url\",\"message\":\"m\"}"), NULL,
                     true);
    json_t *made = kit_json(out.p);
    assert_int_equal(strlen(json_str(made, "elicitationId")), 36);
    json_decref(made);
    buf_clear(&out);
    era_add_question(&out, &c, "elicitation/create", BYTES("{\"mode\":\"url\",\"elicitationId\":\"e\"}"),
                     NULL, true);
    kit_bytes_eq(buf_bytes(&out), "{\"mode\":\"url\",\"elicitationId\":\"e\"}");
    buf_clear(&out);
    era_add_question(&out, &c, "roots/list", BYTES_NONE, "one", false);
    kit_bytes_eq(buf_bytes(&out), "{}");
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(what_modern_servers_add_is_taken_from_legacy_clients),
         cmocka_unit_test(nobody_speaks_for_us_by_writing_a_key_otherwise),
         cmocka_unit_test(modern_clients_get_what_their_revision_wants),
         cmocka_unit_test(structured_content_is_an_object_for_legacy_clients),
         cmocka_unit_test(content_kinds_of_later_revisions_become_text),
         cmocka_unit_test(a_uri_that_collides_is_read_under_its_exposed_form),
         cmocka_unit_test(a_result_in_many_pieces_is_no_trap), cmocka_unit_test(isError_is_seen),
         cmocka_unit_test(errors_pass_with_their_own_words),
         cmocka_unit_test(what_is_between_us_and_the_server_is_not_told_as_the_callers_fault),
         cmocka_unit_test(a_lacking_capability_is_named),
         cmocka_unit_test(a_missing_resource_is_one_fault_in_both_eras),
         cmocka_unit_test(a_question_needs_what_it_asks),
         cmocka_unit_test(a_question_is_put_in_the_clients_words))
