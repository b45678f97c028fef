#include "core/base/arena.h"
#include "tests/kit/kit.h"

#include <string.h>

static void takes_are_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = arena_take(a, n * 7);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n * 7; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, n * 7);
        }
        arena_reset(a);
    }
    arena_free(a);
    arena_free(NULL);
}

static void texts_are_copies(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char source[] = "abc";
    char *text = arena_text(a, (struct bytes){source, 2});
    struct bytes copy = arena_copy(a, bytes_of(source));
    source[0] = 'x';
    assert_string_equal(text, "ab");
    kit_bytes_eq(copy, "abc");
    assert_string_equal(arena_printf(a, "%s/%d", text, 5), "ab/5");
    assert_string_equal(arena_text(a, BYTES_NONE), "");
    arena_free(a);
}

static char order[8];

static void note(void *object)
{
    size_t n = strlen(order);
    order[n] = *(const char *)object;
    order[n + 1] = 0;
}

static struct arena *nested;

static void note_and_register(void *object)
{
    note(object);
    arena_at_close(nested, note, "d");
}

static void closers_run_last_first_and_once(void **state)
{
    (void)state;
    struct arena *a = nested = arena_new();
    order[0] = 0;
    arena_at_close(a, note, "a");
    arena_at_close(a, note_and_register, "b");
    arena_at_close(a, note, "c");
    arena_reset(a);
    assert_string_equal(order, "cbda");
    arena_free(a);
    assert_string_equal(order, "cbda");
}

static void a_large_take_leaves_the_block_in_use(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *first = arena_take(a, 16);
    arena_take(a, 1 << 20);
    char *second = arena_take(a, 16);
#if !defined(__SANITIZE_ADDRESS__)
    assert_ptr_equal(second, first + 16);
#else
    assert_ptr_not_equal(second, first);
#endif
    arena_free(a);
}

KIT_MAIN(cmocka_unit_test(takes_are_zeroed_and_aligned), cmocka_unit_test(texts_are_copies),
         cmocka_unit_test(closers_run_last_first_and_once),
         cmocka_unit_test(a_large_take_leaves_the_block_in_use))
