#include "core/base/list.h"
#include "tests/kit/kit.h"

struct child {
    struct link link;
    int number;
};

static int number_of(struct link *l)
{
    return list_entry(l, struct child, link)->number;
}

static void children_are_taken_in_their_order(void **state)
{
    (void)state;
    struct link head;
    struct child children[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_add(&head, &children[i].link);
    assert_int_equal(number_of(list_take(&head)), 1);
    assert_false(link_is_in(&children[0].link));
    list_drop(&children[0].link); /* what frees a child may drop it again */
    assert_ptr_equal(children[1].link.prev, &head);
    assert_ptr_equal(head.next, &children[1].link);
    assert_int_equal(number_of(list_take(&head)), 2);
    assert_int_equal(number_of(list_take(&head)), 3);
    assert_true(list_is_empty(&head));
    assert_ptr_equal(head.prev, &head);
    assert_null(list_take(&head));
}

static void nothing_is_taken_from_a_head_never_used(void **state)
{
    (void)state;
    struct link head = {0};
    assert_null(list_take(&head));
}

static void the_current_child_may_be_dropped_in_a_walk(void **state)
{
    (void)state;
    struct link head;
    struct child children[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    int sum = 0, seen = 0;
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_add(&head, &children[i].link);
    list_each (l, &head) {
        seen++;
        if (number_of(l) % 2 == 0)
            list_drop(l);
    }
    assert_int_equal(seen, 4);
    list_each (l, &head)
        sum += number_of(l);
    assert_int_equal(sum, 4);
}

KIT_MAIN(cmocka_unit_test(children_are_taken_in_their_order),
         cmocka_unit_test(nothing_is_taken_from_a_head_never_used),
         cmocka_unit_test(the_current_child_may_be_dropped_in_a_walk))
