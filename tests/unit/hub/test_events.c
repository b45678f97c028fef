/* The live stream below its two wires: what is kept, who hears it, what is missed. */
#include "core/base/clock.h"
#include "hub/events_parts.h"
#include "tests/unit/hub/api_bed.h"

/* Somebody who listens and writes down what they hear. */
struct ear {
    struct listener *listener;
    struct buf heard;  /* "type id\n" of each frame */
    struct buf frames; /* the frames */
    size_t count, queued;
    char last[40];
};

static void hear(void *ctx, const struct frame *f)
{
    struct ear *e = ctx;
    buf_addf(&e->heard, "%.*s ", (int)f->type.n, f->type.p);
    buf_add_bytes(&e->frames, f->json);
    buf_add_char(&e->frames, '\n');
    if (f->id.n)
        snprintf(e->last, sizeof(e->last), "%.*s", (int)f->id.n, f->id.p);
    e->count++;
}

static size_t waiting(void *ctx)
{
    const struct ear *e = ctx;
    return e->queued;
}

static const struct listener_ops ear_ops = {hear, waiting};

static struct ear *ear_new(void)
{
    struct ear *e = NEW(struct ear);
    e->listener = listener_new(bed.hub.events, "loopback", &ear_ops, e);
    return e;
}

static void ear_free(struct ear *e)
{
    listener_free(e->listener);
    buf_end(&e->heard);
    buf_end(&e->frames);
    free(e);
}

static void ear_forget(struct ear *e)
{
    buf_clear(&e->heard);
    buf_clear(&e->frames);
    buf_reserve(&e->heard, 1);
    buf_reserve(&e->frames, 1);
    e->heard.p[0] = e->frames.p[0] = '\0';
    e->count = 0;
}

static void ask(struct ear *e, const char *topic, const char *after)
{
    const struct bytes topics[] = {bytes_of(topic)};
    listener_subscribe(e->listener, &(struct listener_ask){topics, 1, bytes_of(after)});
}

static struct ear *ear_of(const char *topic)
{
    struct ear *e = ear_new();
    ask(e, topic, NULL);
    assert_non_null(strstr(e->frames.p, "\"refused\":[]"));
    ear_forget(e);
    return e;
}

static void say(const char *topic, const char *type, const char *data)
{
    if (events_wanted(bed.hub.events, topic))
        events_publish(bed.hub.events, topic, type, bytes_of(data));
}

static void turn(void)
{
    loop_turn(bed.hub.loop, 0);
}

static void begin_second(void)
{
    kit_clock_move_ms(1000 - clock_ms() % 1000);
    turn();
}

static void everybody_hears_their_own_topics(void **state)
{
    struct ear *calls = ear_of("calls"), *one = ear_of("call:call_7"), *logs = ear_of("logs:files");
    say("calls", "call.started", "{\"id\":\"call_7\"}");
    say("calls", "call.started", "{\"id\":\"call_8\"}");
    say("logs:files", "log.line", "{\"text\":\"x\"}");
    say("logs:extra", "log.line", "{\"text\":\"x\"}");
    say("servers", "server.state", "{}");
    assert_string_equal(calls->heard.p, "call.started call.started ");
    assert_int_equal(one->count, 1);
    assert_non_null(strstr(one->frames.p, "\"data\":{\"id\":\"call_7\"}"));
    assert_string_equal(logs->heard.p, "log.line ");
    assert_non_null(strstr(logs->frames.p, "\"topic\":\"logs:files\",\"type\":\"log.line\""));
    const struct bytes topics[] = {BYTES("call:call_7"), BYTES("never:asked")};
    listener_unsubscribe(one->listener, topics, 2);
    assert_non_null(strstr(one->frames.p, "{\"op\":\"unsubscribed\",\"topics\":[\"call:call_7\"],"));
    say("calls", "call.finished", "{\"id\":\"call_7\"}");
    assert_int_equal(one->count, 2);
    ear_free(calls);
    ear_free(one);
    ear_free(logs);
}

static void topics_that_do_not_exist_are_refused(void **state)
{
    static const char *const wrong[] = {"none", "", "logs:", "logs:none", "resource:none:x", "call"};
    struct ear *e = ear_new();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ear_forget(e);
        ask(e, wrong[i], NULL);
        assert_non_null(strstr(e->frames.p, "\"topics\":[],\"refused\":[\""));
    }
    for (int i = 0; i < LISTENER_TOPICS; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "call:%d", i);
        ask(e, topic, NULL);
    }
    ear_forget(e);
    ask(e, "servers", NULL);
    assert_non_null(strstr(e->frames.p, "\"refused\":[\"servers\"]"));
    ear_free(e);
}

static void asking_twice_is_hearing_once(void **state)
{
    struct ear *e = ear_of("servers");
    ask(e, "servers", NULL);
    ear_forget(e);
    say("servers", "server.state", "{}");
    assert_int_equal(e->count, 1);
    const struct bytes topics[] = {BYTES("servers")};
    listener_unsubscribe(e->listener, topics, 1);
    ear_forget(e);
    say("servers", "server.state", "{}");
    assert_int_equal(e->count, 0);
    ear_free(e);
}

static void nothing_is_made_for_nobody(void **state)
{
    assert_false(events_wanted(bed.hub.events, "overview"));
    assert_false(events_wanted(bed.hub.events, "logs:files"));
    assert_true(events_wanted(bed.hub.events, "servers"));
    assert_true(events_wanted(bed.hub.events, "catalogue"));
    begin_second();
    for (int i = 0; i < 1000; i++)
        say("calls", "call.started", "{\"id\":\"call_1\"}");
    assert_false(events_counts(bed.hub.events).has_skipped_calls);
    assert_false(events_wanted(bed.hub.events, "calls"));
    assert_true(events_counts(bed.hub.events).has_skipped_calls);
    begin_second();
    assert_true(events_wanted(bed.hub.events, "calls"));
    struct ear *e = ear_of("calls");
    for (int i = 0; i < 1200; i++)
        assert_true(events_wanted(bed.hub.events, "calls"));
    ear_free(e);
}

static void who_comes_back_hears_what_they_missed(void **state)
{
    struct ear *e = ear_of("calls");
    say("calls", "call.started", "{\"id\":\"call_1\"}");
    char after[40];
    memcpy(after, e->last, sizeof(after));
    ear_free(e);
    say("calls", "call.finished", "{\"id\":\"call_1\"}");
    say("servers", "server.state", "{}");
    say("calls", "call.started", "{\"id\":\"call_2\"}");
    e = ear_new();
    ask(e, "calls", after);
    assert_string_equal(e->heard.p, "subscribed call.finished call.started ");
    ear_forget(e);
    ask(e, "call:call_2", after);
    assert_string_equal(e->heard.p, "subscribed call.started ");
    ear_forget(e);
    ask(e, "servers", e->last); /* the latest id: nothing was missed */
    assert_string_equal(e->heard.p, "subscribed ");
    ear_free(e);
}

static void who_comes_back_too_late_is_told_to_read_again(void **state)
{
    static const char *const strange[] = {"00000000-1", "x", "-1", "99999999999999999999-1"};
    struct ear *e = ear_of("logs:files");
    say("logs:files", "log.line", "{}");
    char after[40];
    memcpy(after, e->last, sizeof(after));
    ear_free(e);
    kit_clock_move_ms(59000);
    turn();
    say("logs:files", "log.line", "{}");
    e = ear_new();
    ask(e, "logs:files", after);
    assert_string_equal(e->heard.p, "subscribed log.line ");
    memcpy(after, e->last, sizeof(after));
    ear_free(e);
    kit_clock_move_ms(61000);
    turn();
    e = ear_new();
    ask(e, "logs:files", after);
    assert_string_equal(e->heard.p, "subscribed resync ");
    assert_non_null(strstr(e->frames.p, "{\"op\":\"resync\",\"topics\":[\"logs:files\"],\"at\":\""));
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        const struct bytes topics[] = {BYTES("logs:files")};
        listener_unsubscribe(e->listener, topics, 1);
        ear_forget(e);
        ask(e, "logs:files", strange[i]);
        assert_string_equal(e->heard.p, "subscribed resync ");
    }
    ear_free(e);
}

static void the_ring_has_a_number_and_bytes(void **state)
{
    struct ear *e = ear_of("servers");
    say("servers", "server.state", "{}");
    char after[40];
    memcpy(after, e->last, sizeof(after));
    bed.config.stream.ring = 3;
    for (int i = 0; i < 3; i++)
        say("servers", "server.state", "{}");
    ear_free(e);
    e = ear_new();
    ask(e, "servers", after); /* the one it heard has gone, none after it */
    assert_string_equal(e->heard.p, "subscribed server.state server.state server.state ");
    ear_free(e);
    say("servers", "server.state", "{}");
    e = ear_new();
    ask(e, "servers", after);
    assert_string_equal(e->heard.p, "subscribed resync ");
    bed.config.stream.ring_bytes = 10;
    say("servers", "server.state", "{}");
    assert_int_equal(bed.hub.events->count, 1);
    ear_free(e);
}

static void a_slow_reader_loses_events_and_is_told(void **state)
{
    struct ear *slow = ear_of("servers"), *quick = ear_of("servers");
    slow->queued = (size_t)bed.config.stream.queue;
    say("servers", "server.state", "{}");
    assert_int_equal(slow->count, 0);
    assert_int_equal(quick->count, 1);
    slow->queued = 0;
    say("servers", "server.state", "{}");
    assert_int_equal(slow->count, 0); /* not before it was told what it missed */
    kit_clock_move_ms(1100);
    kit_loop_until(bed.hub.loop, 1000, slow->count > 0);
    assert_string_equal(slow->heard.p, "resync ");
    say("servers", "server.state", "{}");
    assert_string_equal(slow->heard.p, "resync server.state ");
    assert_int_equal(events_counts(bed.hub.events).resyncs, 1);
    ear_free(slow);
    ear_free(quick);
}

static void an_event_that_is_too_large_is_told_as_a_gap(void **state)
{
    struct ear *e = ear_of("servers"), *other = ear_of("catalogue");
    struct buf data = {0};
    buf_add_text(&data, "{\"x\":\"");
    for (int i = 0; i < 62 * 1024; i++)
        buf_add_char(&data, 'x');
    buf_add_text(&data, "\"}");
    say("servers", "server.state", data.p);
    buf_end(&data);
    kit_clock_move_ms(1100);
    kit_loop_until(bed.hub.loop, 1000, e->count > 0);
    assert_string_equal(e->heard.p, "resync ");
    assert_int_equal(other->count, 0);
    ear_free(e);
    ear_free(other);
}

static void a_noisy_server_is_told_in_part_and_counted(void **state)
{
    struct ear *e = ear_of("logs:files");
    begin_second();
    for (int i = 0; i < 250; i++)
        say("logs:files", "log.line", "{\"text\":\"x\"}");
    assert_int_equal(e->count, 200);
    ear_forget(e);
    kit_clock_move_ms(1100);
    kit_loop_until(bed.hub.loop, 1000, e->count > 0);
    assert_non_null(strstr(e->frames.p, "\"data\":{\"server\":\"files\",\"dropped\":50}"));
    ear_free(e);
}

static void next_tick(const struct ear *e)
{
    size_t before = e->count;
    kit_clock_move_ms(1001);
    kit_loop_until(bed.hub.loop, 1000, e->count == before + 1);
}

static void the_overview_ticks_only_while_somebody_listens(void **state)
{
    struct ear *e = ear_of("overview");
    for (int i = 0; i < 3; i++)
        next_tick(e);
    assert_non_null(strstr(e->frames.p, "\"servers\":{\"ready\":2,\"enabled\":2,\"total\":2}"));
    ear_free(e);
    uint64_t told = events_counts(bed.hub.events).published[0];
    for (int i = 0; i < 3; i++) {
        kit_clock_move_ms(1001);
        turn();
    }
    assert_int_equal(events_counts(bed.hub.events).published[0], told);
}

static void a_resource_is_followed_while_somebody_listens(void **state)
{
    struct ear *e = ear_of("resource:file:///a+b"), *also = ear_of("resource:file:///a+b");
    assert_int_equal(bed.upstreams[0].subscribed, 1);
    events_resource_updated(bed.hub.events, "files", BYTES("file:///a+b"));
    events_resource_updated(bed.hub.events, "files", BYTES("file:///else"));
    assert_string_equal(e->heard.p, "resource.updated ");
    assert_non_null(strstr(e->frames.p, "\"data\":{\"uri\":\"file:///a+b\",\"server\":\"files\"}"));
    ear_free(also);
    ear_free(e);
    assert_int_equal(bed.upstreams[0].unsubscribed, 0); /* they may come back */
    kit_clock_move_ms(61000);
    kit_loop_until(bed.hub.loop, 1000, bed.upstreams[0].unsubscribed == 1);
}

static void one_principal_has_so_many_streams(void **state)
{
    struct ear *ears[4];
    for (int i = 0; i < 4; i++)
        ears[i] = ear_of("servers");
    assert_null(listener_new(bed.hub.events, "loopback", &ear_ops, NULL));
    struct listener *other = listener_new(bed.hub.events, "local:other", &ear_ops, NULL);
    assert_non_null(other);
    listener_free(other);
    for (int i = 0; i < 4; i++)
        ear_free(ears[i]);
}

static void whom_policy_denies_hears_nothing(void **state)
{
    struct ear *e = NEW(struct ear);
    e->listener = listener_new(bed.hub.events, "key:stranger", &ear_ops, e);
    ask(e, "servers", NULL);
    assert_non_null(strstr(e->frames.p, "\"refused\":[\"servers\"]"));
    ear_free(e);
}

KIT_MAIN(BED_TEST(everybody_hears_their_own_topics), BED_TEST(topics_that_do_not_exist_are_refused),
         BED_TEST(asking_twice_is_hearing_once), BED_TEST(nothing_is_made_for_nobody),
         BED_TEST(who_comes_back_hears_what_they_missed),
         BED_TEST(who_comes_back_too_late_is_told_to_read_again), BED_TEST(the_ring_has_a_number_and_bytes),
         BED_TEST(a_slow_reader_loses_events_and_is_told),
         BED_TEST(an_event_that_is_too_large_is_told_as_a_gap),
         BED_TEST(a_noisy_server_is_told_in_part_and_counted),
         BED_TEST(the_overview_ticks_only_while_somebody_listens),
         BED_TEST(a_resource_is_followed_while_somebody_listens), BED_TEST(one_principal_has_so_many_streams),
         BED_TEST(whom_policy_denies_hears_nothing))
