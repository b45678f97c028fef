/* A subscriber hears of a file that changed, however it was written, and of no other. */
#include "tests/unit/servers/workspace/workspace_bed.h"

#define URI "workspace://main/files/a.txt"

static void subscribe(struct bed *b, const char *uris)
{
    struct buf params = {0};
    buf_addf(&params, "\"notifications\":{\"resourceSubscriptions\":[%s]}", uris);
    say(b, "subscriptions/listen", params.p);
    json_t *m = NULL;
    kit_loop_until(b->loop, 5000, (m = hear(b)));
    assert_string_equal(json_str(m, "method"), "notifications/subscriptions/acknowledged");
    json_decref(m);
    buf_end(&params);
}

static void hear_all(struct bed *b)
{
    json_t *m;
    while ((m = hear(b)))
        json_decref(m);
}

#define HEARD(b, n) kit_loop_until((b)->loop, 5000, (hear_all(b), (b)->updated >= (n)))

static void replace(struct bed *b, const char *name, const char *text)
{
    _cleanup_free_ char *beside = text_format("%s.tmp", name);
    put(b, beside, text);
    assert_int_equal(rename(in_root(b, beside), in_root(b, name)), 0);
}

static void a_file_is_watched_however_it_is_written(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "a.txt", "1");
    put(&b, "other.txt", "1");
    subscribe(&b, "\"" URI "\"");
    put(&b, "a.txt", "2"); /* in place */
    HEARD(&b, 1);
    assert_string_equal(b.uri, URI);
    size_t heard = b.updated;
    replace(&b, "a.txt", "3"); /* beside, and renamed over */
    HEARD(&b, heard + 1);
    heard = b.updated;
    assert_int_equal(unlink(in_root(&b, "a.txt")), 0);
    HEARD(&b, heard + 1);
    heard = b.updated;
    put(&b, "a.txt", "4"); /* it is back */
    HEARD(&b, heard + 1);
    heard = b.updated;
    put(&b, "other.txt", "2");
    replace(&b, "other.txt", "3");
    put(&b, "a.txt", "5");
    HEARD(&b, heard + 1);
    assert_string_equal(b.uri, URI);
    bed_end(&b);
}

static void many_changes_at_once_are_told_once(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "a.txt", "1");
    put(&b, "last.txt", "1");
    subscribe(&b, "\"" URI "\",\"workspace://main/files/last.txt\"");
    for (int i = 0; i < 100; i++)
        put(&b, "a.txt", "2");
    put(&b, "last.txt", "2");
    HEARD(&b, 2);
    assert_int_equal(b.updated, 2);
    bed_end(&b);
}

static void what_is_not_there_or_outside_is_not_watched(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "a.txt", "1");
    assert_int_equal(symlink("/etc", in_root(&b, "etc")), 0);
    say(&b, "subscriptions/listen",
        "\"notifications\":{\"resourceSubscriptions\":[\"" URI
        "\",\"workspace://main/files/none\",\"workspace://main/"
        "files/etc/passwd\",\"workspace://main/files/.git/HEAD\",\"other://x\"]}");
    json_t *m = NULL;
    kit_loop_until(b.loop, 5000, (m = hear(&b)));
    json_t *honored = json_object_get(json_object_get(m, "params"), "notifications");
    kit_json_eq(json_object_get(honored, "resourceSubscriptions"), "[\"" URI "\"]");
    json_decref(m);
    bed_end(&b);
}

static void files_of_one_folder_share_a_watch_and_leave_it_alone(void **state)
{
    struct bed b;
    bed_new(&b);
    put(&b, "a.txt", "1");
    put(&b, "b.txt", "1");
    subscribe(&b, "\"workspace://main/files/b.txt\"");
    int first = b.last_id;
    subscribe(&b, "\"" URI "\"");
    char cancel[200];
    snprintf(cancel, sizeof(cancel),
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%d}}\n",
             first);
    assert_int_equal(write(b.fd, cancel, strlen(cancel)), (ssize_t)strlen(cancel));
    for (int i = 0; i < 20; i++)
        loop_turn(b.loop, 1);
    put(&b, "b.txt", "2");
    put(&b, "a.txt", "2");
    HEARD(&b, 1);
    assert_string_equal(b.uri, URI);
    bed_end(&b);
}

KIT_MAIN(cmocka_unit_test(a_file_is_watched_however_it_is_written),
         cmocka_unit_test(many_changes_at_once_are_told_once),
         cmocka_unit_test(what_is_not_there_or_outside_is_not_watched),
         cmocka_unit_test(files_of_one_folder_share_a_watch_and_leave_it_alone))
