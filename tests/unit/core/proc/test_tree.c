#include "core/base/fd.h"
#include "core/proc/tree.h"
#include "tests/kit/marked.h"

#include <sys/prctl.h>
#include <sys/wait.h>

/* A child that starts a child in a session of its own; both wait for `hold` to close. Returns the child; the
 * grandchild's number comes over `tell`. */
static pid_t start_family(int hold, int tell)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    pid_t inner = fork();
    if (inner == 0)
        setsid();
    else if (write(tell, &inner, sizeof inner) != sizeof inner)
        _exit(1);
    char byte;
    while (read(hold, &byte, 1) > 0)
        ;
    _exit(0);
}

struct family {
    int hold[2], tell[2], proc;
    pid_t child, grandchild;
};

static int begin(void **state)
{
    struct family *f = test_calloc(1, sizeof *f);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (pipe(f->hold) < 0 || pipe(f->tell) < 0)
        return -1;
    f->proc = tree_open();
    f->child = start_family(f->hold[0], f->tell[1]);
    *state = f;
    return read(f->tell[0], &f->grandchild, sizeof f->grandchild) == sizeof f->grandchild ? 0 : -1;
}

static int end(void **state)
{
    struct family *f = *state;
    kill(f->child, SIGKILL);
    kill(f->grandchild, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    for (int i = 0; i < 2; i++) {
        fd_close(&f->hold[i]);
        fd_close(&f->tell[i]);
    }
    fd_close(&f->proc);
    test_free(f);
    return 0;
}

static void a_session_of_its_own_hides_nobody(void **state)
{
    struct family *f = *state;
    assert_int_equal(tree_signal(f->proc, getpid(), 0, 0), 2);
    assert_int_equal(tree_signal(f->proc, f->child, 0, 0), 1);
    assert_int_equal(tree_signal(f->proc, getpid(), 0, f->child), 1);
}

static void only_descendants_are_signalled(void **state)
{
    struct family *f = *state;
    assert_int_equal(tree_signal(f->proc, f->child, SIGKILL, 0), 1);
    until(2000, !is_alive(f->grandchild));
    assert_true(is_alive(f->child));
}

static void an_orphan_becomes_a_child_of_the_subreaper(void **state)
{
    struct family *f = *state;
    pid_t children[8];
    assert_int_equal(tree_children(f->proc, getpid(), children, 8), 1);
    assert_int_equal(children[0], f->child);
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
    assert_int_equal(tree_children(f->proc, getpid(), children, 8), 1);
    assert_int_equal(children[0], f->grandchild);
}

static void the_dead_do_not_count(void **state)
{
    struct family *f = *state;
    kill(f->grandchild, SIGKILL);
    until(2000, !is_alive(f->grandchild)); /* a zombie: its parent does not wait for it */
    assert_int_equal(tree_signal(f->proc, getpid(), 0, 0), 1);
}

KIT_MAIN(cmocka_unit_test_setup_teardown(a_session_of_its_own_hides_nobody, begin, end),
         cmocka_unit_test_setup_teardown(only_descendants_are_signalled, begin, end),
         cmocka_unit_test_setup_teardown(an_orphan_becomes_a_child_of_the_subreaper, begin, end),
         cmocka_unit_test_setup_teardown(the_dead_do_not_count, begin, end))
