#include "core/base/file.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_file_is_replaced_whole(void **state)
{
    (void)state;
    const char *path = kit_path("a");
    struct buf text = {0};
    struct stat st;
    mode_t mask = umask(077);
    passes(file_replace(path, BYTES("one"), 0644, kit_why()));
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* whatever the umask */
    passes(file_replace(path, BYTES("two"), 0600, kit_why()));
    passes(file_read(path, 100, &text, kit_why()));
    kit_bytes_eq(buf_bytes(&text), "two");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    buf_end(&text);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    const char *path = kit_path("folder");
    passes(folder_make(path, 0700, kit_why()));
    kit_file("folder/x", "");
    fails_with(-EISDIR, "cannot write", file_replace(path, BYTES("x"), 0600, kit_why()));
    fails_with(-ENOENT, "cannot write", file_replace(kit_path("no/such"), BYTES("x"), 0600, kit_why()));
}

static void reading_stops_at_the_limit(void **state)
{
    (void)state;
    const char *path = kit_file("five", "12345");
    struct buf text = {0};
    buf_add_text(&text, "kept");
    fails_with(-EFBIG, "larger than 4 bytes", file_read(path, 4, &text, kit_why()));
    kit_bytes_eq(buf_bytes(&text), "kept");
    passes(file_read(path, 5, &text, kit_why()));
    kit_bytes_eq(buf_bytes(&text), "kept12345");
    fails_with(-ENOENT, "cannot open", file_read(kit_path("none"), 5, &text, kit_why()));
    fails_with(-EFBIG, NULL, file_read("/dev/zero", 1 << 20, &text, kit_why()));
    buf_end(&text);
}

static void folders_come_with_their_parents(void **state)
{
    (void)state;
    struct stat st;
    passes(folder_make(kit_path("p/q/r"), 0700, kit_why()));
    passes(folder_make(kit_path("p/q/r/"), 0700, kit_why()));
    assert_int_equal(stat(kit_path("p/q/r"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    kit_file("p/f", "x");
    fails_with(-ENOTDIR, "cannot make the folder", folder_make(kit_path("p/f"), 0700, kit_why()));
    fails_with(-ENOTDIR, "cannot make the folder", folder_make(kit_path("p/f/g"), 0700, kit_why()));
    fails_with(-ENOENT, NULL, folder_make("", 0700, kit_why()));
}

KIT_MAIN(cmocka_unit_test(a_file_is_replaced_whole), cmocka_unit_test(a_failed_write_leaves_the_old_file),
         cmocka_unit_test(reading_stops_at_the_limit), cmocka_unit_test(folders_come_with_their_parents))
