#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void memory_is_zeroed(void **state)
{
    (void)state;
    unsigned char *p = mem_array(100, 10);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    free(p);
    p = mem_new(0);
    assert_non_null(p);
    free(p);
    assert_null(mem_text(NULL));
    char *copy = mem_text("x"), *taken = take_ptr(&copy);
    assert_string_equal(taken, "x");
    assert_null(copy);
    free(taken);
}

/* Runs `fn` in a child; its status, and what it said in `said`. */
static int in_a_child(void (*fn)(void), char *said, size_t room)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], said, room - 1);
    said[n > 0 ? n : 0] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void overflow(void)
{
    free(mem_grow(NULL, SIZE_MAX / 2 + 2, 2));
}

static void running_out_ends_the_process_and_says_so(void **state)
{
    (void)state;
    char said[200];
    int status = in_a_child(overflow, said, sizeof said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(said, "{\"level\":\"error\",\"event\":\"out_of_memory\"}\n");
}

KIT_MAIN(cmocka_unit_test(memory_is_zeroed), cmocka_unit_test(running_out_ends_the_process_and_says_so))
