#pragma once
/*
 * clock -- monotonic milliseconds for waiting, wall time for people and the ledger.
 *
 * In test builds (-DTEST_CLOCK) both add an offset read from the memory file named by TRUNKLINE_TEST_CLOCK_FD
 * (int64 milliseconds at offset 0), which the test kit maps and moves. Release builds have no such code.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef TEST_CLOCK
bool clock_is_held(void); /* a test moves it: waiting must look again often */
#endif

int64_t clock_ms(void); /* monotonic */
int64_t clock_us(void); /* monotonic, for histograms */

struct stamp {
    int64_t ms; /* since 1970-01-01T00:00:00Z */
};
struct stamp stamp_now(void);
/* RFC 3339, milliseconds, UTC: "2026-11-21T09:14:03.120Z". */
void stamp_text(struct stamp s, char out[static 25]);
