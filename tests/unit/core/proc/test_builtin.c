#include "core/base/file.h"
#include "core/proc/builtin.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_to_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    close(fd);
    return error;
}

/* The errno of reading `path` under these settings, in a process of its own. */
static int reading(const char *settings, const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        int file = memory_file("settings", bytes_of(settings), NULL);
        _exit(builtin_confine_role(file, NULL) < 0 ? 255 : try_to_open(path));
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *mine, *other; /* a file in the folder, and one outside */

static const char *with(const char *folder)
{
    static char text[512];
    snprintf(text, sizeof text, "{\"path\":\"%s\"}", kit_path(folder));
    return text;
}

static void a_plain_folder_is_all_that_can_be_read(void **state)
{
    (void)state;
    assert_int_equal(reading(with("mine"), mine), 0);
    assert_int_equal(reading(with("mine"), other), EACCES);
}

static void several_folders_are_listed(void **state)
{
    (void)state;
    char text[1024];
    snprintf(text, sizeof text,
             "{\"folders\":[{\"id\":\"a\",\"path\":\"%s\"},{\"id\":\"b\",\"path\":\"%s\"}]}",
             kit_path("mine"), kit_path("empty"));
    assert_int_equal(reading(text, mine), 0);
    assert_int_equal(reading(text, other), EACCES);
}

static void a_folder_of_the_list_may_be_a_bare_path(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text, "{\"folders\":[\"%s\"]}", kit_path("mine"));
    assert_int_equal(reading(text, mine), 0);
    assert_int_equal(reading(text, other), EACCES);
}

static void a_repository_of_its_own_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(reading(with("plain"), other), EACCES);
}

static void what_lies_elsewhere_leaves_reading_free(void **state)
{
    (void)state;
    static const char *const folders[] = {"worktree", "borrowed", "including", "linked"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (reading(with(folders[i]), other) != 0)
            fail_msg("%s", folders[i]);
    }
}

static void without_a_folder_only_writing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(reading("{}", other), 0);
    assert_int_equal(reading("no JSON", other), 0);
}

static void repository(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/.git/objects/info", name);
    folder_make(kit_path(path), 0700, NULL);
    snprintf(path, sizeof path, "%s/.git/refs", name);
    folder_make(kit_path(path), 0700, NULL);
    snprintf(path, sizeof path, "%s/.git/config", name);
    kit_file(path, "[core]\n\tbare = false\n");
}

static void make_folders(void)
{
    static const char *const names[] = {"mine", "other", "empty", "worktree", "linked"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        mkdir(kit_path(names[i]), 0700);
    mine = strdup(kit_file("mine/file", "x"));
    other = strdup(kit_file("other/file", "x"));
    repository("plain");
    repository("borrowed");
    repository("including");
    kit_file("worktree/.git", "gitdir: /elsewhere\n");
    kit_file("borrowed/.git/objects/info/alternates", "/elsewhere\n");
    kit_file("including/.git/config", "[include]\n\tpath = /elsewhere\n");
    if (symlink(kit_path("plain/.git"), kit_path("linked/.git")) < 0)
        abort();
}

int main(void)
{
    make_folders();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_folder_is_all_that_can_be_read),
        cmocka_unit_test(several_folders_are_listed),
        cmocka_unit_test(a_folder_of_the_list_may_be_a_bare_path),
        cmocka_unit_test(a_repository_of_its_own_changes_nothing),
        cmocka_unit_test(what_lies_elsewhere_leaves_reading_free),
        cmocka_unit_test(without_a_folder_only_writing_is_refused),
    };
    if (sandbox_reach() < SANDBOX_FILES)
        print_message("no Landlock here: nothing to see\n");
    int failed =
        sandbox_reach() < SANDBOX_FILES ? 0 : kit_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
    free(mine);
    free(other);
    return failed;
}
