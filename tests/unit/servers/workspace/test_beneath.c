/* Nothing outside of the folder is opened, whoever moves what meanwhile. */
#include "servers/workspace/beneath.h"
#include "tests/unit/servers/workspace/workspace_bed.h"

#include <pthread.h>

static int open_root(const char *name)
{
    make_folder(kit_path(name));
    int fd = open(kit_path(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int try_open(int root, const char *path)
{
    int fd = -1;
    int outcome = beneath_open(root, path, 0, &fd, kit_why());
    fd_close(&fd);
    return outcome;
}

static void paths_that_are_none_of_the_folder_are_told_by_their_look(void **state)
{
    static const char *const plain[] = {"a",    "a/b", "./a", "a//b", "",      ".",          "..a",
                                        "a..b", "...", "git", ".gi",  ".gitt", ".gitignore", "a/.github/b"};
    static const char *const not [] = {"/",      "/etc/passwd",   "..",     "../a",    "a/..",
                                       "a/../b", "a/b/..",        ".git",   ".GIT",    ".Git/x",
                                       "a/.git", "a/.gIt/config", "./.git", "a//..//b"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (!beneath_is_plain(plain[i]))
            fail_msg("'%s' is plain", plain[i]);
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        if (beneath_is_plain(not [i]))
            fail_msg("'%s' is not plain", not [i]);
}

static void links_are_not_followed_wherever_they_lead(void **state)
{
    int root = open_root("links");
    kit_file("outside.txt", "secret");
    kit_file("links/inside.txt", "plain");
    make_folder(kit_path("links/dir"));
    kit_file("links/dir/file", "f");
    assert_int_equal(symlink(kit_path("outside.txt"), kit_path("links/absolute")), 0);
    assert_int_equal(symlink("../outside.txt", kit_path("links/relative")), 0);
    assert_int_equal(symlink("inside.txt", kit_path("links/own")), 0);
    assert_int_equal(symlink("dir", kit_path("links/way")), 0);
    assert_int_equal(symlink("..", kit_path("links/up")), 0);
    assert_int_equal(symlink("/proc/self/root", kit_path("links/magic")), 0);
    assert_int_equal(try_open(root, "inside.txt"), 0);
    assert_int_equal(try_open(root, "dir/file"), 0);
    static const char *const not [] = {"absolute",
                                       "relative",
                                       "own",
                                       "way/file",
                                       "up/outside.txt",
                                       "magic/etc/passwd",
                                       "../outside.txt",
                                       "dir/../../outside.txt",
                                       "/etc/passwd",
                                       "dir/.git"};
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        if (try_open(root, not [i]) != BENEATH_E_REFUSED)
            fail_msg("'%s' was not refused: %s", not [i], kit_why() -> text);
    assert_int_equal(try_open(root, "none"), BENEATH_E_NONE);
    assert_int_equal(try_open(root, "inside.txt/x"), BENEATH_E_NONE);
    close(root);
}

static void the_folder_itself_is_opened_by_its_empty_name(void **state)
{
    static const char *const names[] = {"", ".", "./", NULL};
    int root = open_root("itself");
    struct stat wanted, st;
    assert_int_equal(fstat(root, &wanted), 0);
    for (size_t i = 0; i < 4; i++) {
        int fd = -1;
        passes(beneath_open(root, names[i], O_DIRECTORY, &fd, kit_why()));
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_ino, wanted.st_ino);
        close(fd);
    }
    close(root);
}

static void a_pipe_keeps_nobody_waiting(void **state)
{
    int root = open_root("pipes");
    assert_int_equal(mkfifo(kit_path("pipes/fifo"), 0600), 0);
    assert_int_equal(try_open(root, "fifo"), 0);
    close(root);
}

/* --- somebody moves things while we look --- */

struct mover {
    char real[600], kept[600], link[600];
    int stop; /* atomic */
    size_t moves;
};

/* The folder is a folder, then a link to a place outside, and so on. */
static void *move(void *ctx)
{
    struct mover *m = ctx;
    while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
        if (rename(m->real, m->kept) < 0 || rename(m->link, m->real) < 0 || rename(m->real, m->link) < 0 ||
            rename(m->kept, m->real) < 0)
            break;
        __atomic_add_fetch(&m->moves, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void a_folder_that_becomes_a_link_lets_nobody_out(void **state)
{
    struct mover m = {.stop = 0};
    pthread_t thread;
    int root = open_root("race");
    make_folder(kit_path("elsewhere"));
    kit_file("elsewhere/file", "secret");
    make_folder(kit_path("race/dir"));
    kit_file("race/dir/file", "inside");
    assert_int_equal(symlink(kit_path("elsewhere"), kit_path("race/link")), 0);
    snprintf(m.real, sizeof(m.real), "%s", kit_path("race/dir"));
    snprintf(m.kept, sizeof(m.kept), "%s", kit_path("race/kept"));
    snprintf(m.link, sizeof(m.link), "%s", kit_path("race/link"));
    assert_int_equal(pthread_create(&thread, NULL, move, &m), 0);
    size_t opened = 0;
    for (int i = 0; i < 20000 || (opened == 0 && i < 200000); i++) {
        char text[8] = "";
        int fd = -1;
        if (beneath_open(root, "dir/file", 0, &fd, NULL) != 0)
            continue;
        opened++;
        assert_int_equal(read(fd, text, 6), 6);
        assert_memory_equal(text, "inside", 6);
        close(fd);
    }
    __atomic_store_n(&m.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_true(opened > 0 && m.moves > 0);
    close(root);
}

KIT_MAIN(cmocka_unit_test(paths_that_are_none_of_the_folder_are_told_by_their_look),
         cmocka_unit_test(links_are_not_followed_wherever_they_lead),
         cmocka_unit_test(the_folder_itself_is_opened_by_its_empty_name),
         cmocka_unit_test(a_pipe_keeps_nobody_waiting),
         cmocka_unit_test(a_folder_that_becomes_a_link_lets_nobody_out))
