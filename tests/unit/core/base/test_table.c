#include "core/base/id.h"
#include "core/base/table.h"
#include "tests/kit/kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 5000 };

static int values[MANY];

static void keys_are_copied(void **state)
{
    (void)state;
    struct table t = {0};
    char key[] = "abc";
    assert_null(table_get_text(&t, "abc"));
    assert_null(table_drop(&t, BYTES("abc")));
    assert_null(table_put(&t, bytes_of(key), &values[0]));
    key[0] = 'x';
    assert_ptr_equal(table_get_text(&t, "abc"), &values[0]);
    assert_null(table_get_text(&t, "xbc"));
    table_end(&t);
    assert_null(table_get_text(&t, "abc"));
}

static void putting_again_gives_the_old_value(void **state)
{
    (void)state;
    struct table t = {0};
    table_put(&t, BYTES("k"), &values[0]);
    assert_ptr_equal(table_put(&t, BYTES("k"), &values[1]), &values[0]);
    assert_ptr_equal(table_drop(&t, BYTES("k")), &values[1]);
    assert_null(table_drop(&t, BYTES("k")));
    assert_int_equal(t.count, 0);
    table_end(&t);
}

static void any_bytes_are_a_key(void **state)
{
    (void)state;
    struct table t = {0};
    table_put(&t, (struct bytes){"a\0b", 3}, &values[1]);
    table_put(&t, (struct bytes){"a\0c", 3}, &values[2]);
    table_put(&t, BYTES_NONE, &values[3]);
    assert_ptr_equal(table_get(&t, (struct bytes){"a\0b", 3}), &values[1]);
    assert_ptr_equal(table_get(&t, BYTES("")), &values[3]);
    assert_null(table_get(&t, BYTES("a")));
    table_end(&t);
}

/* A model of plain arrays beside the table, over random puts and drops. */
static void agrees_with_a_plain_array(void **state)
{
    (void)state;
    struct table t = {0};
    struct ids ids = {0};
    void *model[256] = {0};
    unsigned char random[20000];
    random_fill(random, sizeof random);
    for (size_t i = 0; i + 1 < sizeof random; i += 2) {
        size_t k = random[i];
        char key[32];
        snprintf(key, sizeof key, "key-%zu", k * 7919);
        void *value = random[i + 1] & 1 ? &values[i % MANY] : NULL;
        void *old = value ? table_put(&t, bytes_of(key), value) : table_drop(&t, bytes_of(key));
        void *old_id = value ? ids_put(&ids, k << 40, value) : ids_drop(&ids, k << 40);
        assert_ptr_equal(old, model[k]);
        assert_ptr_equal(old_id, model[k]);
        model[k] = value;
        assert_ptr_equal(table_get_text(&t, key), value);
        assert_ptr_equal(ids_get(&ids, k << 40), value);
        assert_int_equal(t.count, ids.count);
    }
    table_end(&t);
    ids_end(&ids);
}

static void a_walk_sees_each_entry_once_and_may_drop_it(void **state)
{
    (void)state;
    struct table t = {0};
    struct ids ids = {0};
    for (int i = 0; i < MANY; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        values[i] = 0;
        table_put(&t, bytes_of(key), &values[i]);
        ids_put(&ids, (uint64_t)i, &values[i]);
    }
    struct bytes key;
    uint64_t id;
    void *value;
    for (size_t at = 0; table_next(&t, &at, &key, &value);) {
        assert_int_equal(strtol(key.p, NULL, 10), (int *)value - values);
        ++*(int *)value;
        table_drop(&t, key);
    }
    for (size_t at = 0; ids_next(&ids, &at, &id, &value);) {
        assert_int_equal(id, (int *)value - values);
        ++*(int *)value;
        ids_drop(&ids, id);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(values[i], 2);
    assert_int_equal(t.count + ids.count, 0);
    table_end(&t);
    ids_end(&ids);
}

/* Ids of calls come and go for weeks. */
static void turnover_does_not_grow_a_table(void **state)
{
    (void)state;
    struct ids ids = {0};
    struct table t = {0};
    for (uint64_t i = 0; i < 200000; i++) {
        ids_put(&ids, i, values);
        table_put(&t, (struct bytes){(const char *)&i, sizeof i}, values);
        if (i >= 10) {
            uint64_t old = i - 10;
            ids_drop(&ids, old);
            table_drop(&t, (struct bytes){(const char *)&old, sizeof old});
        }
    }
    assert_int_equal(ids.count, 10);
    assert_true(ids.cap <= 64);
    assert_true(t.cap <= 64);
    ids_end(&ids);
    table_end(&t);
}

/* Ids in steps of a power of two meet in few slots when hashing is poor. */
static void regular_ids_spread(void **state)
{
    (void)state;
    for (int shift = 0; shift < 56; shift += 8) {
        struct ids ids = {0};
        for (uint64_t i = 0; i < 256; i++)
            ids_put(&ids, i << shift, values);
        assert_int_equal(ids.count, 256);
        size_t at = 0, longest = 0, last = 0;
        uint64_t id;
        void *value;
        size_t run = 0;
        while (ids_next(&ids, &at, &id, &value)) {
            run = at == last + 1 ? run + 1 : 1;
            last = at;
            longest = run > longest ? run : longest;
        }
        assert_true(longest < 100); /* of at least 512 places: random filling gives about 12 */
        ids_end(&ids);
    }
}

KIT_MAIN(cmocka_unit_test(keys_are_copied), cmocka_unit_test(putting_again_gives_the_old_value),
         cmocka_unit_test(any_bytes_are_a_key), cmocka_unit_test(agrees_with_a_plain_array),
         cmocka_unit_test(a_walk_sees_each_entry_once_and_may_drop_it),
         cmocka_unit_test(turnover_does_not_grow_a_table), cmocka_unit_test(regular_ids_spread))
