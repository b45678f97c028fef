/* What the catalogue takes, keeps, finds and says: names, facts, changes, restarts. */
#include "core/base/log.h"
#include "tests/unit/hub/catalogue_bed.h"

#include <unistd.h>

static void names_differ_by_endpoint(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL, TOOL("read"), TOOL("search all"));
    TAKE(b, "files", ITEM_PROMPT, "{\"name\":\"read\"}");
    const struct item *item = find(b, ITEM_TOOL, NULL, "files__read");
    assert_non_null(item);
    assert_string_equal(item->server, "files");
    kit_bytes_eq(item->name, "read");
    assert_ptr_equal(find(b, ITEM_TOOL, "files", "read"), item);
    assert_null(find(b, ITEM_TOOL, NULL, "read"));
    assert_null(find(b, ITEM_TOOL, "files", "files__read"));
    assert_null(find(b, ITEM_TOOL, "extra", "read"));
    assert_null(find(b, ITEM_TOOL, "unknown", "read"));
    kit_bytes_eq(find(b, ITEM_TOOL, "files", "search all")->name, "search all");
    /* A prompt of the same name is another thing. */
    assert_int_equal(find(b, ITEM_PROMPT, NULL, "files__read")->kind, ITEM_PROMPT);
    assert_int_equal(catalogue_count(b->catalogue, ITEM_TOOL, NULL), 2);
    bed_free(b);
}

static void a_configured_prefix_is_used(void **state)
{
    struct bed *b = bed_plan();
    b->servers[0].prefix = "f";
    bed_start(b, ":memory:");
    TAKE(b, "files", ITEM_TOOL, TOOL("read"));
    assert_non_null(find(b, ITEM_TOOL, NULL, "f__read"));
    bed_free(b);
}

static void items_stay_where_they_are_until_their_own_list_changes(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL, TOOL("read"));
    const struct item *item = find(b, ITEM_TOOL, NULL, "files__read");
    TAKE(b, "files", ITEM_TOOL, TOOL("read"));
    TAKE(b, "extra", ITEM_TOOL, TOOL("read"));
    TAKE(b, "files", ITEM_PROMPT, "{\"name\":\"read\"}");
    assert_ptr_equal(find(b, ITEM_TOOL, NULL, "files__read"), item);
    bed_free(b);
}

static void hints_have_the_defaults_of_the_specification(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL, TOOL("plain"),
         "{\"name\":\"hinted\",\"annotations\":{\"readOnlyHint\":true,\"idempotentHint\":true,"
         "\"openWorldHint\":false}}");
    const struct item *plain = find(b, ITEM_TOOL, "files", "plain"),
                      *hinted = find(b, ITEM_TOOL, "files", "hinted");
    assert_true(!plain->is_read_only && !plain->is_idempotent && plain->is_destructive &&
                plain->is_open_world);
    assert_true(hinted->is_read_only && hinted->is_idempotent && !hinted->is_destructive &&
                !hinted->is_open_world);
    bed_free(b);
}

static void the_configuration_hides_tools(void **state)
{
    struct bed *b = bed_plan();
    const char *only[] = {"read", "write", "drop", NULL}, *not [] = {"drop", NULL};
    b->servers[0].tools = (struct strings_view){only, 3};
    b->servers[0].exclude = (struct strings_view){not, 1};
    b->servers[1].read_only = true;
    bed_start(b, ":memory:");
    TAKE(b, "files", ITEM_TOOL, TOOL("read"), TOOL("drop"), TOOL("other"));
    TAKE(b, "extra", ITEM_TOOL, TOOL("write"), "{\"name\":\"look\",\"annotations\":{\"readOnlyHint\":true}}");
    TAKE(b, "extra", ITEM_PROMPT, "{\"name\":\"write\"}");
    assert_null(hidden(b, ITEM_TOOL, "files", "read"));
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "files", "drop"), "excludes"));
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "files", "other"), "'tools'"));
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "extra", "write"), "change nothing"));
    assert_null(hidden(b, ITEM_TOOL, "extra", "look"));
    assert_null(hidden(b, ITEM_PROMPT, "extra", "write"));
    assert_null(find(b, ITEM_TOOL, NULL, "files__drop"));
    assert_null(find(b, ITEM_TOOL, "files", "drop"));
    assert_int_equal(catalogue_count(b->catalogue, ITEM_TOOL, NULL), 2);
    bed_free(b);
}

/* --- changes --- */

static void a_change_is_told_once_and_only_when_it_is_one(void **state)
{
    struct bed *b = bed_new();
    uint64_t before = catalogue_generation(b->catalogue);
    int64_t begun = kit_real_ms();
    TAKE(b, "files", ITEM_TOOL, TOOL("a"));
    assert_true(catalogue_generation(b->catalogue) > before);
    assert_int_equal(b->told_count, 0);
    loop_turn(b->loop, 0);
    if (b->told_count) /* then this machine was that slow */
        assert_true(kit_real_ms() - begun >= 50);
    b->told_count = 0;
    TAKE(b, "files", ITEM_TOOL, TOOL("a"), TOOL("b"));
    TAKE(b, "extra", ITEM_PROMPT, "{\"name\":\"p\"}");
    kit_clock_move_ms(51);
    kit_loop_until(b->loop, 2000, b->told_count == 2);
    assert_int_equal(b->told[0].kind + b->told[1].kind, ITEM_TOOL + ITEM_PROMPT);

    before = catalogue_generation(b->catalogue);
    TAKE(b, "files", ITEM_TOOL, TOOL("a"), TOOL("b"));
    assert_true(catalogue_generation(b->catalogue) == before);
    TAKE_NONE(b, "third", ITEM_TOOL);
    /* Nobody sees what is hidden. */
    TAKE(b, "files", ITEM_TOOL, TOOL("a"), TOOL("b"), "{\"name\":\"\"}");
    kit_clock_move_ms(100);
    loop_turn(b->loop, 0);
    assert_int_equal(b->told_count, 2);

    TAKE(b, "files", ITEM_TOOL, TOOL("b"), TOOL("a"));
    kit_clock_move_ms(100);
    kit_loop_until(b->loop, 2000, b->told_count == 3);
    assert_string_equal(b->told[2].server, "files");
    bed_free(b);
}

/* --- restarts --- */

static char *fresh(const char *name)
{
    char *path = mem_text(kit_path(name)), *wal = text_format("%s-wal", path);
    unlink(path);
    unlink(wal);
    free(wal);
    return path;
}

static void lists_and_facts_are_there_after_a_restart(void **state)
{
    _cleanup_free_ char *db = fresh("again.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    struct facts f = {.known = true,
                      .era = ERA_MODERN,
                      .revision = REVISION_2026_07_28,
                      .capabilities = BYTES("{\"tools\":{}}"),
                      .server_info = BYTES("{\"name\":\"x\"}"),
                      .instructions = BYTES("\"do\""),
                      .probed_at = 12345};
    catalogue_set_facts(b->catalogue, "files", &f);
    TAKE(b, "files", ITEM_TOOL, TOOL("z"), TOOL("a"), TOOL("m"));
    TAKE(b, "files", ITEM_TOOL, TOOL("z"), TOOL("b"));
    TAKE(b, "files", ITEM_RESOURCE, RESOURCE("x://1"));
    char *before = bytes_copy(list(b, ITEM_TOOL, NULL, &legacy));
    bed_stop(b);

    bed_start(b, db);
    kit_bytes_eq(list(b, ITEM_TOOL, NULL, &legacy), before);
    assert_non_null(strstr(before, "files__z"));
    assert_non_null(find(b, ITEM_RESOURCE, NULL, "x://1"));
    const struct facts *known = catalogue_facts(b->catalogue, "files");
    assert_true(known->known && known->era == ERA_MODERN && known->revision == REVISION_2026_07_28);
    assert_int_equal(known->probed_at, 12345);
    kit_bytes_eq(known->capabilities, "{\"tools\":{}}");
    kit_bytes_eq(known->server_info, "{\"name\":\"x\"}");
    kit_bytes_eq(known->instructions, "\"do\"");
    /* What came from the file is no news when the server says it again. */
    TAKE(b, "files", ITEM_TOOL, TOOL("z"), TOOL("b"));
    kit_clock_move_ms(100);
    loop_turn(b->loop, 0);
    assert_int_equal(b->told_count, 0);
    free(before);
    bed_free(b);
}

static int64_t number(struct bed *b, const char *sql)
{
    struct row *r = store_query(b->store, kit_why(), sql, "");
    assert_int_equal(store_next(r), 1);
    int64_t n = store_int(r, 0);
    store_done(r);
    return n;
}

/* A store that takes no writes for a while, as with a full disk. */
static void what_could_not_be_kept_is_kept_with_the_next_list(void **state)
{
    _cleanup_free_ char *db = fresh("full.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    facts(b, "files", ERA_LEGACY, "{}");
    TAKE(b, "files", ITEM_TOOL, TOOL("a"));
    passes(store_run(b->store, kit_why(), "pragma query_only = on", ""));
    TAKE(b, "files", ITEM_TOOL, TOOL("a"), TOOL("b"), TOOL("c"));
    assert_non_null(find(b, ITEM_TOOL, NULL, "files__b"));
    passes(store_run(b->store, kit_why(), "pragma query_only = off", ""));
    TAKE(b, "files", ITEM_TOOL, TOOL("a"), TOOL("b"), TOOL("c"));
    assert_int_equal(number(b, "select count(*) from name_owner"), 3);
    bed_stop(b);
    bed_start(b, db);
    assert_non_null(find(b, ITEM_TOOL, NULL, "files__c"));
    bed_free(b);
}

static void dates_say_since_when_and_until_when(void **state)
{
    struct bed *b = bed_new();
    TAKE(b, "files", ITEM_TOOL, TOOL("a"));
    int64_t begun = number(b, "select first_seen from item");
    kit_clock_move_ms(60000);
    TAKE(b, "files", ITEM_TOOL, TOOL("b"), TOOL("a"));
    assert_true(number(b, "select first_seen from item where ordinal = 1") == begun);
    assert_true(number(b, "select first_seen from item where ordinal = 0") >= begun + 60000);
    TAKE(b, "files", ITEM_TOOL, TOOL("b"), TOOL("a"));
    assert_in_range(number(b, "select max(last_seen) from item"), begun + 60000, begun + 120000);
    kit_clock_move_ms(3600000);
    TAKE(b, "files", ITEM_TOOL, TOOL("b"), TOOL("a"));
    assert_true(number(b, "select min(last_seen) from item") >= begun + 3660000);
    bed_free(b);
}

static void another_definition_of_a_server_begins_anew(void **state)
{
    _cleanup_free_ char *db = fresh("digest.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    for (size_t i = 0; i < 3; i++) {
        facts(b, b->servers[i].name, ERA_LEGACY, "{}");
        TAKE(b, b->servers[i].name, ITEM_TOOL, TOOL("t"));
    }
    bed_stop(b);

    memset(b->servers[0].digest, 'z', 64);
    b->servers[1].enabled = false;
    bed_start(b, db);
    assert_false(catalogue_facts(b->catalogue, "files")->known);
    assert_null(find(b, ITEM_TOOL, NULL, "files__t"));
    assert_null(find(b, ITEM_TOOL, NULL, "extra__t"));
    assert_false(catalogue_has_server(b->catalogue, "extra"));
    assert_non_null(find(b, ITEM_TOOL, NULL, "third__t"));
    assert_true(catalogue_has_server(b->catalogue, "third"));
    facts(b, "files", ERA_LEGACY, "{}");
    bed_stop(b);

    /* The new one had no time to list anything: what the old one had is not its. */
    bed_start(b, db);
    assert_true(catalogue_facts(b->catalogue, "files")->known);
    assert_null(find(b, ITEM_TOOL, NULL, "files__t"));
    bed_free(b);
}

static void servers_that_left_the_configuration_are_gone(void **state)
{
    _cleanup_free_ char *db = fresh("left.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    facts(b, "third", ERA_LEGACY, "{}");
    TAKE(b, "third", ITEM_TOOL, TOOL("t"));
    bed_stop(b);
    b->config.server_count = 2;
    bed_start(b, db);
    assert_null(find(b, ITEM_TOOL, NULL, "third__t"));
    assert_null(catalogue_facts(b->catalogue, "third"));
    bed_free(b);
}

static void a_name_is_never_given_to_another(void **state)
{
    _cleanup_free_ char *db = fresh("names.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    facts(b, "files", ERA_LEGACY, "{}");
    TAKE(b, "files", ITEM_TOOL, TOOL("read"));
    TAKE_NONE(b, "files", ITEM_TOOL);
    bed_stop(b);

    /* The first server left, and another one took its prefix. */
    b->servers[0].prefix = "gone";
    b->servers[1].prefix = "files";
    memset(b->servers[1].digest, 'q', 64);
    bed_start(b, db);
    TAKE(b, "extra", ITEM_TOOL, TOOL("read"), TOOL("write"));
    assert_null(find(b, ITEM_TOOL, NULL, "files__read"));
    assert_non_null(strstr(hidden(b, ITEM_TOOL, "extra", "read"), "'files__read' belongs to another"));
    assert_string_equal(find(b, ITEM_TOOL, NULL, "files__write")->server, "extra");
    bed_free(b);
}

/* --- facts --- */

static void facts_may_be_given_back_in_part(void **state)
{
    struct bed *b = bed_new();
    assert_false(catalogue_facts(b->catalogue, "files")->known);
    facts(b, "files", ERA_MODERN, "{\"tools\":{}}");
    struct facts f = *catalogue_facts(b->catalogue, "files");
    f.era = ERA_LEGACY;
    f.server_info = (struct bytes){f.capabilities.p + 1, 7};
    catalogue_set_facts(b->catalogue, "files", &f);
    kit_bytes_eq(catalogue_facts(b->catalogue, "files")->capabilities, "{\"tools\":{}}");
    kit_bytes_eq(catalogue_facts(b->catalogue, "files")->server_info, "\"tools\"");
    catalogue_forget_facts(b->catalogue, "files");
    assert_false(catalogue_facts(b->catalogue, "files")->known);
    bed_free(b);
}

static void a_forgotten_verdict_is_forgotten_after_a_restart(void **state)
{
    _cleanup_free_ char *db = fresh("verdict.db");
    struct bed *b = bed_plan();
    bed_start(b, db);
    facts(b, "files", ERA_MODERN, "{\"tools\":{}}");
    catalogue_forget_facts(b->catalogue, "files");
    bed_stop(b);
    bed_start(b, db);
    assert_false(catalogue_facts(b->catalogue, "files")->known);
    kit_bytes_eq(catalogue_facts(b->catalogue, "files")->capabilities, "{\"tools\":{}}");
    bed_free(b);
}

/* --- endpoints --- */

#define OFFERS                                                                                   \
    "{\"tools\":{\"listChanged\":true},\"resources\":{\"subscribe\":true,\"listChanged\":true}," \
    "\"prompts\":{\"listChanged\":true},\"completions\":{},\"logging\":{}}"

static json_t *initialized(struct bed *b, const char *server)
{
    buf_clear(&b->text);
    catalogue_add_initialize(b->catalogue, server, REVISION_2025_06_18, BYTES("2025-06-18"), &b->text);
    return kit_json(b->text.p);
}

static void the_one_endpoint_offers_everything_always(void **state)
{
    struct bed *b = bed_new();
    json_t *j = initialized(b, NULL);
    kit_json_eq(json_object_get(j, "capabilities"), OFFERS);
    assert_string_equal(json_str(j, "protocolVersion"), "2025-06-18");
    assert_string_equal(json_str(json_object_get(j, "serverInfo"), "name"), "trunkline");
    assert_null(json_object_get(j, "resultType"));
    json_decref(j);

    buf_clear(&b->text);
    catalogue_add_discover(b->catalogue, NULL, &modern, &b->text);
    j = kit_json(b->text.p);
    kit_json_eq(json_object_get(j, "capabilities"), OFFERS);
    kit_json_eq(json_object_get(j, "supportedVersions"), "[\"2026-07-28\"]");
    assert_string_equal(json_str(j, "resultType"), "complete");
    assert_string_equal(json_str(j, "cacheScope"), "private");
    assert_int_equal(json_int(j, "ttlMs", -1), 0);
    json_t *info = json_object_get(json_object_get(j, "_meta"), "io.modelcontextprotocol/serverInfo");
    assert_string_equal(json_str(info, "name"), "trunkline");
    json_decref(j);
    assert_true(catalogue_declares(b->catalogue, NULL, "completions"));
    assert_false(catalogue_declares(b->catalogue, NULL, "tasks"));
    bed_free(b);
}

static void an_endpoint_of_one_server_says_what_the_server_said(void **state)
{
    struct bed *b = bed_new();
    /* Before it has said anything nothing is refused. */
    assert_true(catalogue_declares(b->catalogue, "files", "prompts"));
    struct facts f = {.known = true,
                      .capabilities =
                          BYTES("{\"tools\":{},\"tasks\":{\"list\":{}},\"experimental\":{\"a\":{}},"
                                "\"extensions\":{\"io.modelcontextprotocol/tasks\":{},\"x/y\":{}},"
                                "\"resources\":{}}"),
                      .server_info = BYTES("{\"name\":\"theirs\"}"),
                      .instructions = BYTES("\"say \\\"please\\\"\"")};
    catalogue_set_facts(b->catalogue, "files", &f);
    json_t *j = initialized(b, "files");
    kit_json_eq(json_object_get(j, "capabilities"),
                "{\"tools\":{\"listChanged\":true},\"experimental\":{\"a\":{}},\"extensions\":{\"x/y\":{}},"
                "\"resources\":{\"subscribe\":true,\"listChanged\":true}}");
    assert_string_equal(json_str(j, "instructions"), "say \"please\"");
    assert_string_equal(json_str(json_object_get(j, "serverInfo"), "name"), "trunkline");
    kit_json_eq(json_object_get(json_object_get(j, "_meta"), "dev.trunkline/upstream"),
                "{\"name\":\"theirs\"}");
    json_decref(j);
    assert_true(catalogue_declares(b->catalogue, "files", "tools"));
    assert_false(catalogue_declares(b->catalogue, "files", "prompts"));
    assert_false(catalogue_declares(b->catalogue, "unknown", "tools"));
    bed_free(b);
}

static void instructions_have_a_section_for_each_server(void **state)
{
    struct bed *b = bed_new();
    struct buf big = {0};
    buf_add_char(&big, '"');
    for (int i = 0; i < 3000; i++)
        buf_add_text(&big, "\xc3\xa9");
    buf_add_char(&big, '"');
    struct facts f = {.known = true, .capabilities = BYTES("{}"), .instructions = BYTES("\"files first\"")};
    catalogue_set_facts(b->catalogue, "files", &f);
    f.instructions = buf_bytes(&big);
    catalogue_set_facts(b->catalogue, "extra", &f);
    json_t *j = initialized(b, NULL);
    const char *text = json_str(j, "instructions"), *extra = strstr(text, "\n\n## extra\n");
    const char *first = strstr(text, "\n\n## files\nfiles first");
    assert_true(extra && first && extra < first);
    assert_int_equal(first - extra, strlen("\n\n## extra\n") + 4096);
    assert_null(strstr(text, "## third"));
    json_decref(j);
    buf_end(&big);
    bed_free(b);
}

static int hold_the_clock(void **state)
{
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(names_differ_by_endpoint, hold_the_clock),
         cmocka_unit_test(a_configured_prefix_is_used),
         cmocka_unit_test(items_stay_where_they_are_until_their_own_list_changes),
         cmocka_unit_test(hints_have_the_defaults_of_the_specification),
         cmocka_unit_test(the_configuration_hides_tools),
         cmocka_unit_test(a_change_is_told_once_and_only_when_it_is_one),
         cmocka_unit_test(lists_and_facts_are_there_after_a_restart),
         cmocka_unit_test(what_could_not_be_kept_is_kept_with_the_next_list),
         cmocka_unit_test(dates_say_since_when_and_until_when),
         cmocka_unit_test(another_definition_of_a_server_begins_anew),
         cmocka_unit_test(servers_that_left_the_configuration_are_gone),
         cmocka_unit_test(a_name_is_never_given_to_another),
         cmocka_unit_test(facts_may_be_given_back_in_part),
         cmocka_unit_test(a_forgotten_verdict_is_forgotten_after_a_restart),
         cmocka_unit_test(the_one_endpoint_offers_everything_always),
         cmocka_unit_test(an_endpoint_of_one_server_says_what_the_server_said),
         cmocka_unit_test(instructions_have_a_section_for_each_server))
