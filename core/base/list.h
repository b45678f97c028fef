#pragma once
/*
 * list -- a doubly linked ring; the link sits inside the child.
 *
 * A head is a link that points to itself. A link not in any list is zeroed or points to itself; list_drop is
 * fine on both. The child leaves its parent's list itself.
 */
#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next, *prev;
};

static inline void list_init(struct link *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct link *head)
{
    return !head->next || head->next == head;
}

static inline void list_add(struct link *head, struct link *l) /* at the end */
{
    l->next = head;
    l->prev = head->prev;
    head->prev->next = l;
    head->prev = l;
}

static inline void list_drop(struct link *l)
{
    if (l->next) {
        l->next->prev = l->prev;
        l->prev->next = l->next;
    }
    l->next = l->prev = NULL;
}

/* The first, detached; NULL when there is none. For loops that free all of a list: what is detached here, in
 * plain sight, need not be believed of the function that frees. */
static inline struct link *list_take(struct link *head)
{
    struct link *l = head->next;
    if (!l || l == head)
        return NULL;
    head->next = l->next;
    l->next->prev = head;
    l->next = l->prev = NULL;
    return l;
}

static inline bool link_is_in(const struct link *l)
{
    return l->next != NULL;
}

#define list_entry(l, type, member) ((type *)((char *)(l)-offsetof(type, member)))
/* The current entry may be dropped in the body; no other may. */
#define list_each(l, head)                                                                \
    for (struct link *l = (head)->next, *next_##l = l ? l->next : NULL; l && l != (head); \
         l = next_##l, next_##l = l->next)
