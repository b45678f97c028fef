#include "tests/kit/kit.h"

#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/kit/tmp.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern char **environ;

static struct why last_why;

struct why *kit_why(void)
{
    return &last_why;
}

void kit_check_passes(int rc, const char *expr, const char *file, int line)
{
    if (rc == 0)
        return;
    print_error("%s gave %d: %s\n", expr, rc, last_why.text[0] ? last_why.text : "(no why)");
    _fail(file, line);
}

void kit_check_fails(int rc, int wanted, const char *piece, const char *expr, const char *file, int line)
{
    if (rc == wanted && (!piece || strstr(last_why.text, piece)))
        return;
    print_error("%s gave %d: \"%s\"\nwanted %d: \"…%s…\"\n", expr, rc, last_why.text, wanted,
                piece ? piece : "");
    _fail(file, line);
}

void kit_check_bytes(struct bytes got, const char *wanted, const char *expr, const char *file, int line)
{
    if (bytes_say(got, wanted))
        return;
    print_error("%s is \"%.*s\" (%zu bytes)\nwanted \"%s\" (%zu bytes)\n", expr, (int)got.n,
                got.p ? got.p : "", got.n, wanted, strlen(wanted));
    _fail(file, line);
}

int64_t kit_real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kit_golden_file(const char *path, struct bytes got)
{
    const char *wish = getenv("TRUNKLINE_GOLDEN");
    if (wish && strcmp(wish, "write") == 0) {
        passes(file_replace(path, got, 0644, kit_why()));
        return;
    }
    struct buf wanted = {0};
    passes(file_read(path, 16 << 20, &wanted, kit_why()));
    bool same = bytes_are(buf_bytes(&wanted), got);
    if (!same) {
        size_t at = 0;
        while (at < wanted.n && at < got.n && wanted.p[at] == got.p[at])
            at++;
        print_error("%s differs from byte %zu on\nwanted …%.80s\ngot    …%.*s\n", path, at, wanted.p + at,
                    (int)(got.n - at < 80 ? got.n - at : 80), got.p + at);
    }
    buf_end(&wanted);
    if (!same)
        fail();
}

void kit_golden(const char *name, struct bytes got)
{
    _cleanup_free_ char *path = text_format("tests/golden/%s", name);
    kit_golden_file(path, got);
}

int kit_count_fds(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

/* Tests see the environment they set and nothing of ours; the sanitizers and cmocka keep their options. */
static void empty_environment(void)
{
    static const char *const kept[] = {
        "PATH=",   "ASAN_OPTIONS=",     "UBSAN_OPTIONS=",     "LSAN_OPTIONS=", "TSAN_OPTIONS=",
        "CMOCKA_", "TRUNKLINE_GOLDEN=", "LLVM_PROFILE_FILE=", "GCOV_"};
    size_t left = 0;
    for (size_t i = 0; environ[i]; i++) {
        bool is_kept = false;
        for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++)
            is_kept = is_kept || strncmp(environ[i], kept[k], strlen(kept[k])) == 0;
        if (is_kept)
            environ[left++] = environ[i];
    }
    environ[left] = NULL;
}

int kit_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    empty_environment();
    loop_free(loop_new()); /* libuv keeps a pair of descriptors for signals from its first loop on */
    int before = kit_count_fds();
    int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    kit_tmp_remove();
    kit_clock_release();
    int after = kit_count_fds();
    if (after != before) {
        fprintf(stderr, "%s: %d descriptors before, %d after\n", name, before, after);
        return failed ? failed : 1;
    }
    return failed;
}
