/* What is counted, how it is told, and that the reference page tells the same. */
#include "hub/metrics.h"
#include "hub/metrics_parts.h"
#include "tests/unit/hub/api_bed.h"

static void call(const char *method, const char *tool, const char *outcome, int64_t us)
{
    metrics_call(bed.hub.metrics, "files", method, bytes_of(tool), "mcp", outcome, us);
}

static char *told(void)
{
    struct buf out = {0};
    metrics_add(bed.hub.metrics, &out);
    return buf_take(&out);
}

static void says(const char *line)
{
    _cleanup_free_ char *text = told();
    if (!strstr(text, line))
        fail_msg("no '%s' in: %s", line, text);
}

static void calls_are_counted_by_tool_and_outcome(void **state)
{
    for (int i = 0; i < 3; i++)
        call("tools/call", "read", "ok", 700);
    call("tools/call", "read", "tool_error", 700);
    call("tools/call", "write", "ok", 40000000);
    says("trunkline_calls_total{server=\"files\",tool=\"read\",via=\"mcp\",outcome=\"ok\"} 3\n");
    says("trunkline_calls_total{server=\"files\",tool=\"read\",via=\"mcp\",outcome=\"tool_error\"} 1\n");
#define OF "mcp_server_operation_duration_seconds"
#define READ "{mcp_method_name=\"tools/call\",gen_ai_tool_name=\"read\",error_type=\"\""
#define WRITE "{mcp_method_name=\"tools/call\",gen_ai_tool_name=\"write\",error_type=\"\""
    says(OF "_bucket" READ ",le=\"0.0005\"} 0\n");
    says(OF "_bucket" READ ",le=\"0.001\"} 3\n");
    says(OF "_bucket" READ ",le=\"30\"} 3\n");
    says(OF "_bucket" READ ",le=\"+Inf\"} 3\n");
    says(OF "_sum" READ "} 0.002100\n");
    says(OF "_count" READ "} 3\n");
    says(OF "_bucket" WRITE ",le=\"30\"} 0\n");
    says(OF "_bucket" WRITE ",le=\"+Inf\"} 1\n");
    says("error_type=\"tool_error\"");
}

static void an_address_is_never_a_label(void **state)
{
    call("resources/read", "file:///secret/path", "ok", 10);
    _cleanup_free_ char *text = told();
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "mcp_method_name=\"resources/read\",gen_ai_tool_name=\"\""));
}

static void labels_are_escaped(void **state)
{
    call("tools/call", "a\"b\\c\nd", "ok", 10);
    says("tool=\"a\\\"b\\\\c\\nd\"");
}

static size_t count_of(const char *text, const char *piece)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, piece)); at++)
        n++;
    return n;
}

static void above_the_cap_tools_are_others(void **state)
{
    for (int i = 0; i < METRICS_LABEL_CAP + 50; i++) {
        char name[24];
        snprintf(name, sizeof(name), "tool%d", i);
        call("tools/call", name, "ok", 10);
    }
    call("tools/call", "tool0", "ok", 10); /* known before the cap was met */
    says("trunkline_calls_total{server=\"files\",tool=\"other\",via=\"mcp\",outcome=\"ok\"} 50\n");
    says("trunkline_calls_total{server=\"files\",tool=\"tool0\",via=\"mcp\",outcome=\"ok\"} 2\n");
    _cleanup_free_ char *text = told();
    assert_int_equal(count_of(text, "\ntrunkline_calls_total{"), METRICS_LABEL_CAP + 1);
}

static bool has(const struct buf *seen, const char *entry)
{
    return seen->p && strstr(seen->p, entry);
}

/* Names, HELP and TYPE before the samples, each family once and in one piece: what promtool checks. */
static void the_exposition_has_the_form_that_prometheus_reads(void **state)
{
    call("tools/call", "read", "ok", 10);
    char *text = told(), *rest = text, *line;
    char family[80] = "", type[16] = "";
    struct buf seen = {0};
    while ((line = strsep(&rest, "\n"))) {
        char name[80], kind[16];
        if (!*line)
            continue;
        if (sscanf(line, "# HELP %79s", name) == 1) {
            char entry[96];
            snprintf(entry, sizeof(entry), "|%s|", name);
            assert_false(has(&seen, entry));
            buf_add_text(&seen, entry);
            snprintf(family, sizeof(family), "%s", name);
        } else if (sscanf(line, "# TYPE %79s %15s", name, kind) == 2) {
            assert_string_equal(name, family);
            snprintf(type, sizeof(type), "%s", kind);
            assert_true(strcmp(kind, "counter") != 0 || bytes_end_with(bytes_of(name), "_total"));
        } else {
            char *end = NULL;
            assert_int_equal(strncmp(line, family, strlen(family)), 0);
            assert_non_null(strchr(" {_", line[strlen(family)]));
            strtod(strrchr(line, ' '), &end);
            assert_int_equal(*end, 0);
        }
    }
    assert_true(has(&seen, "|trunkline_upstream_up|"));
    buf_end(&seen);
    free(text);
}

static void servers_are_told_one_by_one(void **state)
{
    bed.upstreams[1].state = UPSTREAM_LOST;
    says("trunkline_upstream_up{server=\"files\"} 1\n");
    says("trunkline_upstream_up{server=\"extra\"} 0\n");
    says("trunkline_tools{server=\"files\"} 3\n");
}

static void what_our_own_process_uses_is_known(void **state)
{
    _cleanup_free_ char *text = told();
    char *at = strstr(text, "process_resident_memory_bytes{role=\"hub\"} ");
    assert_non_null(at);
    assert_true(strtoll(strchr(at, '}') + 1, NULL, 10) > 1000000);
    at = strstr(text, "process_open_fds{role=\"hub\"} ");
    assert_true(strtoll(strchr(at, '}') + 1, NULL, 10) >= 3);
}

static void percentiles_are_those_of_the_last_minute(void **state)
{
    for (int i = 0; i < 98; i++)
        call("tools/call", "read", "ok", 1000);
    call("tools/call", "read", "upstream", 50000);
    call("tools/call", "read", "upstream", 900000);
    kit_clock_move_ms(1000);
    loop_turn(bed.hub.loop, 0);
    struct metrics_rates rates = metrics_rates(bed.hub.metrics);
    assert_int_equal((int)rates.calls_per_s, 100);
    assert_int_equal((int)rates.errors_per_s, 2);
    assert_in_range(rates.p50_us, 900, 1100);
    assert_in_range(rates.p95_us, 900, 1100);
    assert_in_range(rates.p99_us, 850000, 950000);
    kit_clock_move_ms(61000);
    loop_turn(bed.hub.loop, 0);
    rates = metrics_rates(bed.hub.metrics);
    assert_int_equal(rates.p50_us, 0);
    assert_int_equal((int)rates.calls_per_s, 0);
}

static void the_reference_page_is_that_of_the_table(void **state)
{
    struct buf page = {0};
    metrics_add_reference(&page);
    kit_golden_file("docs/reference/metrics.md", buf_bytes(&page));
    buf_end(&page);
}

KIT_MAIN(BED_TEST(calls_are_counted_by_tool_and_outcome), BED_TEST(an_address_is_never_a_label),
         BED_TEST(labels_are_escaped), BED_TEST(above_the_cap_tools_are_others),
         BED_TEST(the_exposition_has_the_form_that_prometheus_reads), BED_TEST(servers_are_told_one_by_one),
         BED_TEST(what_our_own_process_uses_is_known), BED_TEST(percentiles_are_those_of_the_last_minute),
         BED_TEST(the_reference_page_is_that_of_the_table))
