#include "hub/caller.h"
#include "tests/kit/kit.h"

static void revisions_are_known_by_their_text(void **state)
{
    (void)state;
    for (int r = REVISION_2024_11_05; r <= REVISION_2026_07_28; r++)
        assert_int_equal(revision_read(bytes_of(revision_text((enum revision)r))), r);
    assert_int_equal(revision_read(BYTES("2024-10-07")), REVISION_2024_11_05);
    assert_int_equal(revision_read(BYTES("2025-11-2")), -1);
    assert_int_equal(revision_read(BYTES("")), -1);
}

static void levels_rise(void **state)
{
    (void)state;
    assert_int_equal(log_level_read(BYTES("debug")), 0);
    assert_int_equal(log_level_read(BYTES("warning")), 3);
    assert_int_equal(log_level_read(BYTES("emergency")), 7);
    assert_int_equal(log_level_read(BYTES("Warning")), -1);
}

static void capabilities_say_what_a_client_can_be_asked(void **state)
{
    static const struct {
        const char *capabilities;
        enum revision revision;
        unsigned can;
    } rows[] = {
        {"{}",                                                             REVISION_2025_11_25, 0                               },
        {"[]",                                                             REVISION_2025_11_25, 0                               },
        {"{\"elicitation\":{}}",                                           REVISION_2025_06_18, CAN_ELICIT_FORM                 },
        {"{\"elicitation\":{}}",                                           REVISION_2025_03_26, 0                               },
        {"{\"elicitation\":{\"form\":{},\"url\":{}}}",                     REVISION_2025_11_25, CAN_ELICIT_FORM | CAN_ELICIT_URL},
        {"{\"elicitation\":{\"url\":{}}}",                                 REVISION_2025_11_25, CAN_ELICIT_URL                  },
        {"{\"elicitation\":{\"url\":{}}}",                                 REVISION_2025_06_18, CAN_ELICIT_FORM                 },
        {"{\"elicitation\":true}",                                         REVISION_2025_11_25, 0                               },
        {"{\"sampling\":{\"tools\":{}},\"roots\":{\"listChanged\":true}}", REVISION_2026_07_28,
         CAN_SAMPLE | CAN_SAMPLE_TOOLS | CAN_ROOTS                                                                              },
        {"{\"sampling\":{\"tools\":{}}}",                                  REVISION_2025_06_18, CAN_SAMPLE                      },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(caller_can(bytes_of(rows[i].capabilities), rows[i].revision), rows[i].can);
}

KIT_MAIN(cmocka_unit_test(revisions_are_known_by_their_text), cmocka_unit_test(levels_rise),
         cmocka_unit_test(capabilities_say_what_a_client_can_be_asked))
