#pragma once
/*
 * kit -- the verbs of the C tests, on top of cmocka.
 *
 *     static void lease_ends_when_call_ends(void **state)
 *     {
 *         passes(lease_open(&lease, kit_why()));
 *     }
 *     KIT_MAIN(cmocka_unit_test(lease_ends_when_call_ends))
 *
 * KIT_MAIN runs a program with no environment but PATH and the sanitizers' options, a folder of its own that
 * is removed at the end, and fails it when a descriptor is left open.
 */
#include <stdbool.h>

/* cmocka.h needs the four before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/base/loop.h"
#include "core/base/why.h"

#define KIT_MAIN(...)                                                    \
    int main(void)                                                       \
    {                                                                    \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                 \
        return kit_run(__FILE__, tests, sizeof tests / sizeof tests[0]); \
    }
int kit_run(const char *name, const struct CMUnitTest *tests, size_t count);

/* The `why` for the call inside passes() and fails_with(). */
struct why *kit_why(void);
#define passes(expr) kit_check_passes((kit_why()->text[0] = 0, (expr)), #expr, __FILE__, __LINE__)
/* The value, and a piece of the text in kit_why() (NULL: any). */
#define fails_with(code, piece, expr) \
    kit_check_fails((kit_why()->text[0] = 0, (expr)), (code), (piece), #expr, __FILE__, __LINE__)
void kit_check_passes(int rc, const char *expr, const char *file, int line);
void kit_check_fails(int rc, int wanted, const char *piece, const char *expr, const char *file, int line);

#define kit_bytes_eq(got, wanted) kit_check_bytes((got), (wanted), #got, __FILE__, __LINE__)
void kit_check_bytes(struct bytes got, const char *wanted, const char *expr, const char *file, int line);

/* Order of members and the form of numbers do not count. `wanted` is JSON text. */
#define kit_json_eq(got, wanted) kit_check_json((got), (wanted), #got, __FILE__, __LINE__)
void kit_check_json(const json_t *got, const char *wanted, const char *expr, const char *file, int line);
#define kit_json_text_eq(got, wanted) kit_check_json_text((got), (wanted), #got, __FILE__, __LINE__)
void kit_check_json_text(struct bytes got, const char *wanted, const char *expr, const char *file, int line);
json_t *kit_json(const char *text); /* fails the test when it is no JSON; yours to decref */

/* The program's own folder, made at the first call; "…/name" inside it; a file written there. Lent to the
 * end. */
const char *kit_tmp(void);
const char *kit_path(const char *name);
const char *kit_file(const char *name, const char *content);

/* Takes hold of the clock: before the first look at it, so first in main or in a group setup. */
void kit_clock_hold(void);
void kit_clock_move_ms(int64_t ms);

/* Turns the loop until `condition`, or fails after `most_ms` of real time. */
#define kit_loop_until(loop, most_ms, condition)                              \
    do {                                                                      \
        int64_t kit_end_ = kit_real_ms() + (most_ms);                         \
        while (!(condition)) {                                                \
            if (kit_real_ms() > kit_end_)                                     \
                fail_msg("not within %d ms: %s", (int)(most_ms), #condition); \
            loop_turn((loop), 10);                                            \
        }                                                                     \
    } while (0)
int64_t kit_real_ms(void);

/* Compares with tests/golden/<name>; TRUNKLINE_GOLDEN=write writes it instead. */
void kit_golden(const char *name, struct bytes got);
/* The same for a file anywhere in the tree: documents that are made from a table. */
void kit_golden_file(const char *path, struct bytes got);

int kit_count_fds(void);
