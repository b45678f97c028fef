/* modules: hub */
/* The pages of reference that are written by hand tell what the program does: routes, faults, log events. */
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/rpc/fault.h"
#include "hub/api_parts.h"
#include "tests/kit/kit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char *read_whole(const char *path)
{
    struct buf text = {0};
    if (file_read(path, 16 << 20, &text, kit_why()) < 0)
        fail_msg("%s", kit_why()->text);
    return buf_take(&text);
}

/* --- openapi.yaml --- */

static const char *verb_of(const struct route *r)
{
    return r->method == METHOD_GET ? "get" : "post";
}

/* "get /path\n" for each operation: a path stands at four blanks, a method at eight. */
static void add_described(char *yaml, struct buf *out)
{
    char path[128] = "", *rest = strstr(yaml, "\npaths:\n") + 8, *line;
    while ((line = strsep(&rest, "\n")) && (!*line || *line == ' ')) {
        size_t blanks = strspn(line, " "), n = strlen(line);
        if (blanks == 4 && line[4] == '/')
            snprintf(path, sizeof(path), "%.*s", (int)(n - 5), line + 4);
        else if (blanks == 8 && (strcmp(line + 8, "get:") == 0 || strcmp(line + 8, "post:") == 0))
            buf_addf(out, "%.*s %s\n", (int)(n - 9), line + 8, path);
    }
}

static void every_route_is_described_and_no_other(void **state)
{
    _cleanup_free_ char *yaml = read_whole("docs/api/openapi.yaml");
    struct buf described = {0}, routes = {0};
    buf_add_char(&described, '\n');
    buf_add_char(&routes, '\n');
    add_described(yaml, &described);
    for (const struct route *r = api_routes; r->path; r++) {
        char line[160];
        snprintf(line, sizeof(line), "\n%s %s\n", verb_of(r), r->path);
        if (!strstr(described.p, line))
            fail_msg("not in openapi.yaml: %s %s", verb_of(r), r->path);
        buf_add_text(&routes, line + 1);
    }
    char *rest = described.p, *line;
    while ((line = strsep(&rest, "\n"))) {
        _cleanup_free_ char *wanted = text_format("\n%s\n", line);
        if (*line && !strstr(routes.p, wanted))
            fail_msg("only in openapi.yaml: %s", line);
    }
    buf_end(&described);
    buf_end(&routes);
}

/* The part of the file that is about one route: from its path to the next. */
static struct bytes part_of(const char *yaml, const char *path)
{
    _cleanup_free_ char *key = text_format("\n    %s:\n", path);
    const char *at = strstr(yaml, key), *end = at ? strstr(at + strlen(key), "\n    /") : NULL;
    const char *all_end = strstr(yaml, "\ncomponents:\n");
    if (!at)
        return BYTES_NONE;
    return (struct bytes){at, (size_t)((end ? end : all_end) - at)};
}

static bool has(struct bytes part, const char *text)
{
    return part.p && memmem(part.p, part.n, text, strlen(text));
}

static void every_query_parameter_is_described(void **state)
{
    static const struct {
        const char *name, *reference;
    } shared[] = {
        {"limit",  "parameters/Limit\""   },
        {"cursor", "parameters/Cursor\""  },
        {"q",      "parameters/Q\""       },
        {"server", "parameters/OfServer\""}
    };
    _cleanup_free_ char *yaml = read_whole("docs/api/openapi.yaml");
    for (const struct route *r = api_routes; r->path; r++) {
        struct bytes part = part_of(yaml, r->path);
        for (const struct shape *s = r->query; s && s->name; s++) {
            _cleanup_free_ char *own = text_format("{name: %s, in: query", s->name);
            bool is_there = has(part, own);
            for (size_t i = 0; i < 4; i++)
                is_there =
                    is_there || (strcmp(shared[i].name, s->name) == 0 && has(part, shared[i].reference));
            if (!is_there)
                fail_msg("not in openapi.yaml: query parameter '%s' of %s", s->name, r->path);
        }
    }
}

/* --- errors.md --- */

static void every_fault_is_in_the_table_of_errors(void **state)
{
    struct buf page = {0};
    buf_add_text(
        &page, "# Errors\n\nMade from the table of faults. A fault has one name on every wire: `error.code` "
               "of REST, `data.name` of JSON-RPC\nand `_meta[\"dev.trunkline/fault\"].name` of a tool's "
               "result. A dash: it does not occur there.\n\n"
               "| name | HTTP, REST | JSON-RPC, modern | legacy | exit status | text | what to do |\n"
               "|---|---|---|---|---|---|---|\n");
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);
        buf_addf(&page, "| `%s` | %d | ", row->name, row->http_rest);
        if (row->modern)
            buf_addf(&page, "%d | %d", row->modern, row->legacy);
        else
            buf_add_text(&page, "- | -");
        buf_addf(&page, " | %d | %s | %s |\n", row->exit, row->text, row->hint ? row->hint : "");
    }
    kit_golden_file("docs/reference/errors.md", buf_bytes(&page));
    buf_end(&page);
}

/* --- log-events.md --- */

static struct buf found; /* "|event|" for each in the sources; nftw has no context */

static bool is_event(struct bytes s)
{
    size_t dots = 0;
    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        if (s.p[i] != '.' && s.p[i] != '_' && (s.p[i] < 'a' || s.p[i] > 'z'))
            return false;
    }
    return dots == 1;
}

/* The first text in the statement that looks like an event. */
static void add_event(const char *at)
{
    const char *end = strchr(at, ';');
    while ((at = strchr(at, '"')) && at < end) {
        const char *close = strchr(at + 1, '"');
        struct bytes text = {at + 1, (size_t)(close - at - 1)};
        if (is_event(text)) {
            buf_addf(&found, "|%.*s|", (int)text.n, text.p);
            return;
        }
        at = close + 1;
    }
}

static int look_into(const char *path, const struct stat *st, int type, struct FTW *at)
{
    static const char *const calls[] = {"log_debug(", "log_info(", "log_warn(", "log_error(", "log_write("};
    (void)st, (void)at;
    if (type != FTW_F || !bytes_end_with(bytes_of(path), ".c"))
        return 0;
    _cleanup_free_ char *text = read_whole(path);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (const char *hit = text; (hit = strstr(hit, calls[i])); hit++)
            add_event(hit);
    return 0;
}

static void every_log_event_is_listed_and_no_other(void **state)
{
    static const char *const folders[] = {"core", "hub", "servers", "cli"};
    _cleanup_free_ char *page = read_whole("docs/reference/log-events.md");
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        assert_int_equal(nftw(folders[i], look_into, 8, FTW_PHYS), 0);
    buf_add_text(&found, "|log.dropped||out_of_memory|"); /* written without the log's own functions */
    char *copy = bytes_copy(buf_bytes(&found)), *rest = copy, *event;
    while ((event = strsep(&rest, "|"))) {
        _cleanup_free_ char *row = text_format("| `%s` |", event);
        if (*event && !strstr(page, row))
            fail_msg("not in log-events.md: %s", event);
    }
    free(copy);
    for (char *row = page; (row = strstr(row, "\n| `")); row++) {
        _cleanup_free_ char *wanted = text_format("|%.*s|", (int)strcspn(row + 4, "`"), row + 4);
        if (!strstr(found.p, wanted))
            fail_msg("only in log-events.md: %s", wanted);
    }
    buf_end(&found);
}

KIT_MAIN(cmocka_unit_test(every_route_is_described_and_no_other),
         cmocka_unit_test(every_query_parameter_is_described),
         cmocka_unit_test(every_fault_is_in_the_table_of_errors),
         cmocka_unit_test(every_log_event_is_listed_and_no_other))
