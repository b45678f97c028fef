#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved;

/* From here on standard error is a file. */
static void catch_lines(void)
{
    int fd = open(kit_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(fd, STDERR_FILENO);
    fd_close(&fd);
}

static struct buf caught(void)
{
    struct buf text = {0};
    dup2(saved, STDERR_FILENO);
    fd_close(&saved);
    passes(file_read(kit_path("log"), 64 << 20, &text, kit_why()));
    return text;
}

static void the_configuration_chooses_level_and_form(void **state)
{
    (void)state;
    unsetenv("TRUNKLINE_LOG");
    catch_lines();
    log_begin_by("hub", "warn", "text");
    log_info("not.told");
    log_warn("a.told");
    log_begin_by("hub", "warn", "json");
    log_warn("b.told");
    setenv("TRUNKLINE_LOG", "debug", 1);
    log_begin_by("hub", "warn", "auto"); /* a file is no terminal */
    log_debug("c.told");
    unsetenv("TRUNKLINE_LOG");
    struct buf text = caught();
    assert_null(strstr(text.p, "not.told"));
    assert_non_null(strstr(text.p, " warn  hub a.told\n"));
    assert_non_null(strstr(text.p, "\"event\":\"b.told\"}"));
    assert_non_null(strstr(text.p, "\"level\":\"debug\",\"role\":\"hub\",\"event\":\"c.told\"}"));
    buf_end(&text);
}

static void a_line_is_one_json_object(void **state)
{
    (void)state;
    log_begin("hub", LOG_INFO, 1);
    catch_lines();
    log_info("upstream.ready", "server", "a\"b\n", "none", NULL, "ms", log_int(-12));
    log_debug("too.fine");
    struct buf text = caught();
    assert_int_equal(text.p[text.n - 1], '\n');
    _cleanup_json_ json_t *line = json_read(buf_bytes(&text), kit_why());
    assert_non_null(line);
    assert_int_equal(strlen(json_str(line, "ts")), 24);
    json_object_del(line, "ts");
    kit_json_eq(line,
                "{\"level\":\"info\",\"role\":\"hub\",\"event\":\"upstream.ready\",\"server\":\"a\\\"b\\n\","
                "\"ms\":-12}");
    buf_end(&text);
}

static void text_for_people_steers_no_terminal(void **state)
{
    (void)state;
    log_begin("hub", LOG_DEBUG, 0);
    catch_lines();
    log_debug("x.y", "why", "a\x1b[2J\nb");
    struct buf text = caught();
    assert_non_null(strstr(text.p, " debug hub x.y why=a\\u{1b}[2J\\u{a}b\n"));
    buf_end(&text);
}

static void long_values_are_cut(void **state)
{
    (void)state;
    log_begin("hub", LOG_INFO, 1);
    char *value = malloc(10000);
    for (size_t i = 0; i < 9999; i += 3)
        memcpy(value + i, "\xe2\x82\xac", 3);
    value[9999] = 0;
    catch_lines();
    log_info("x.y", "why", value);
    struct buf text = caught();
    _cleanup_json_ json_t *line = json_read(buf_bytes(&text), kit_why());
    assert_non_null(line);
    assert_int_equal(strlen(json_str(line, "why")), 2046 + 3);
    assert_true(bytes_end_with(bytes_of(json_str(line, "why")), "€…"));
    buf_end(&text);
    free(value);
}

static size_t count_of(const struct buf *text, const char *piece)
{
    size_t count = 0;
    for (const char *at = text->p; (at = strstr(at, piece)); at++)
        count++;
    return count;
}

static void a_flood_is_counted_instead_of_told(void **state)
{
    (void)state;
#ifndef TEST_CLOCK
    skip();
#endif
    log_begin("hub", LOG_INFO, 1);
    kit_clock_move_ms(1000 - kit_real_ms() % 1000 + 100); /* early in a second of its own */
    catch_lines();
    for (int i = 0; i < 1500; i++)
        log_info("flood.event");
    log_info("other.event");
    kit_clock_move_ms(1000);
    log_info("other.event");
    struct buf text = caught();
    assert_int_equal(count_of(&text, "\"event\":\"flood.event\""), 1000);
    assert_int_equal(count_of(&text, "\"event\":\"other.event\""), 2);
    assert_int_equal(count_of(&text, "\"event\":\"log.dropped\",\"of\":\"flood.event\",\"count\":500}"), 1);
    buf_end(&text);
}

static int hold_the_clock(void **state)
{
    (void)state;
    kit_clock_hold();
    return 0;
}

KIT_MAIN(cmocka_unit_test_setup(a_line_is_one_json_object, hold_the_clock),
         cmocka_unit_test(the_configuration_chooses_level_and_form),
         cmocka_unit_test(text_for_people_steers_no_terminal), cmocka_unit_test(long_values_are_cut),
         cmocka_unit_test(a_flood_is_counted_instead_of_told))
