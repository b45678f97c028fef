#include "tests/kit/kit.h"
#include "tests/kit/tmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int clock_fd = -1;
static int64_t *offset;

void kit_clock_hold(void)
{
    if (offset)
        return;
    clock_fd = memfd_create("test-clock", 0); /* inherited by what the test starts */
    assert_true(clock_fd >= 0 && ftruncate(clock_fd, sizeof *offset) == 0);
    void *p = mmap(NULL, sizeof *offset, PROT_READ | PROT_WRITE, MAP_SHARED, clock_fd, 0);
    assert_true(p != MAP_FAILED);
    offset = p;
    char name[16];
    snprintf(name, sizeof name, "%d", clock_fd);
    setenv("TRUNKLINE_TEST_CLOCK_FD", name, 1);
}

void kit_clock_move_ms(int64_t ms)
{
    assert_non_null(offset);
    __atomic_fetch_add(offset, ms, __ATOMIC_RELAXED);
}

void kit_clock_release(void)
{
    if (clock_fd >= 0)
        close(clock_fd);
    clock_fd = -1;
}
