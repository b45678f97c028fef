/* How many sessions and listen streams there may be. */
#include "hub/listen.h"
#include "hub/session.h"
#include "tests/unit/hub/face_bed.h"

static struct session *ended[8];
static size_t ended_count;

static void note_end(struct session *s, void *ctx)
{
    (void)ctx;
    ended[ended_count++ % 8] = s;
}

static const struct sessions_ops ops = {note_end};

static struct session *make(struct sessions *all, const char *principal, bool *is_total)
{
    const struct session_spec spec = {.principal = principal, .revision = REVISION_2025_11_25};
    return session_new(all, &spec, is_total);
}

static void one_principal_has_its_share_and_the_idlest_goes(void **state)
{
    struct sessions *all = sessions_new(bed.hub.loop, 1000, &ops, NULL);
    struct session *first = NULL, *second = NULL, *s;
    bool is_total;
    (void)state;
    ended_count = 0;
    struct session *other = make(all, "local:eve", &is_total);
    for (int i = 0; i < SESSIONS_PER_PRINCIPAL; i++) {
        s = make(all, "local:alice", &is_total);
        assert_non_null(s);
        first = i == 0 ? s : first;
        second = i == 1 ? s : second;
    }
    assert_int_equal(ended_count, 0);
    assert_ptr_equal(session_find(all, bytes_of(first->id), "local:alice", NULL), first); /* used just now */
    assert_non_null(make(all, "local:alice", &is_total));
    assert_int_equal(ended_count, 1);
    assert_ptr_equal(ended[0], second);
    assert_non_null(session_find(all, bytes_of(other->id), "local:eve", NULL));
    list_each (l, sessions_list(all)) /* all of them have a call */
        list_entry(l, struct session, link)->ask_count = 1;
    assert_null(make(all, "local:alice", &is_total));
    assert_false(is_total);
    assert_non_null(make(all, "local:eve", &is_total));
    sessions_free(all);
}

static void all_together_have_a_limit_too(void **state)
{
    struct sessions *all = sessions_new(bed.hub.loop, 1000, &ops, NULL);
    bool is_total;
    (void)state;
    ended_count = 0;
    for (int i = 0; i < SESSIONS_MOST; i++)
        make(all, "loopback", &is_total)->ask_count = 1;
    assert_int_equal(sessions_count(all), SESSIONS_MOST);
    assert_null(make(all, "loopback", &is_total));
    assert_true(is_total);
    struct session *rests = list_entry(sessions_list(all)->prev, struct session, link);
    rests->ask_count = 0;
    assert_non_null(make(all, "local:alice", &is_total));
    assert_ptr_equal(ended[0], rests);
    assert_int_equal(sessions_count(all), SESSIONS_MOST);
    sessions_free(all);
}

static void nobody_finds_anothers_session(void **state)
{
    static const char one[] = "one", two[] = "two";
    struct sessions *all = sessions_new(bed.hub.loop, 1000, &ops, NULL);
    const struct session_spec spec = {.principal = "local:alice", .server = one};
    bool is_total;
    (void)state;
    struct session *s = session_new(all, &spec, &is_total);
    assert_ptr_equal(session_find(all, bytes_of(s->id), "local:alice", one), s);
    assert_null(session_find(all, bytes_of(s->id), "local:eve", one));
    assert_null(session_find(all, bytes_of(s->id), "local:alice", two));
    assert_null(session_find(all, bytes_of(s->id), "local:alice", NULL));
    assert_null(session_find(all, BYTES("nothing"), "local:alice", one));
    sessions_free(all);
}

/* --- listen --- */

static struct reply r;

#define LISTEN(filter)                                          \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"subscriptions/" \
    "listen\",\"params\":{\"notifications\":" filter "," MODERN_META "}}"

static void one_person_has_64_listen_streams(void **state)
{
    (void)state;
    bed.listener.is_unix = true;
    for (size_t i = 0; i < LISTENS_PER_PRINCIPAL; i++) {
        bed_send(bed_connect(), "POST", "/mcp", MODERN_HEADERS("subscriptions/listen"),
                 LISTEN("{\"toolsListChanged\":true}"));
        bed_wait_listens(i + 1);
    }
    bed_ask(&r, "POST", "/mcp", MODERN_HEADERS("subscriptions/listen"),
            LISTEN("{\"toolsListChanged\":true}"));
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "-32603"));
    assert_non_null(strstr(r.body.p, "\"max\":64"));
    bed.uid = 123456;
    bed_send(bed_connect(), "POST", "/mcp", MODERN_HEADERS("subscriptions/listen"),
             LISTEN("{\"toolsListChanged\":true}"));
    bed_wait_listens(LISTENS_PER_PRINCIPAL + 1);
    reply_end(&r);
}

static void a_listen_follows_256_resources(void **state)
{
    struct buf filter = {0}, body = {0}, in = {0};
    (void)state;
    for (int i = 0; i <= LISTEN_URIS; i++)
        buf_addf(&filter, "%s\"test://%d\"", i ? "," : "", i);
    buf_addf(&body, LISTEN("{\"resourceSubscriptions\":[%s]}"), filter.p);
    int fd = bed_connect();
    bed_send(fd, "POST", "/mcp", MODERN_HEADERS("subscriptions/listen"), body.p);
    bed_until(fd, &in, &r, "acknowledged");
    assert_int_equal(bed.subscribed, LISTEN_URIS);
    assert_non_null(strstr(r.body.p, "\"test://255\"]"));
    buf_end(&filter);
    buf_end(&body);
    buf_end(&in);
    reply_end(&r);
}

KIT_MAIN(BED_TEST(one_principal_has_its_share_and_the_idlest_goes), BED_TEST(all_together_have_a_limit_too),
         BED_TEST(nobody_finds_anothers_session), BED_TEST(one_person_has_64_listen_streams),
         BED_TEST(a_listen_follows_256_resources))
