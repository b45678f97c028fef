#include "core/base/clock.h"
#include "tests/kit/kit.h"

static void stamps_are_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0,             "1970-01-01T00:00:00.000Z"},
        {1795252443120, "2026-11-21T09:14:03.120Z"},
        {951782399999,  "2000-02-28T23:59:59.999Z"},
        {-1,            "1969-12-31T23:59:59.999Z"}
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[25];
        stamp_text((struct stamp){rows[i].ms}, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void all_clocks_follow_the_test(void **state)
{
    (void)state;
#ifndef TEST_CLOCK
    skip(); /* needs a test build */
#endif
    kit_clock_hold();
    int64_t ms = clock_ms(), us = clock_us(), wall = stamp_now().ms;
    kit_clock_move_ms(900000);
    assert_in_range(clock_ms() - ms, 900000, 905000);
    assert_in_range(clock_us() - us, 900000000, 905000000);
    assert_in_range(stamp_now().ms - wall, 900000, 905000);
}

KIT_MAIN(cmocka_unit_test(stamps_are_rfc_3339), cmocka_unit_test(all_clocks_follow_the_test))
