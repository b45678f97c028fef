#include "core/net/sse.h"
#include "tests/kit/kit.h"

static void gather(const struct sse_event *e, void *ctx)
{
    struct buf *out = ctx;
    buf_addf(out, "[%.*s|%.*s|%.*s|%lld]", (int)e->id.n, e->id.p ? e->id.p : "", (int)e->event.n,
             e->event.p ? e->event.p : "", (int)e->data.n, e->data.p, (long long)e->retry_ms);
}

/* Feeds it in pieces of each size: where it is cut must not matter. */
static void reads_as(struct bytes stream, const char *wanted)
{
    for (size_t size = 1; size <= stream.n; size++) {
        struct sse_reader r;
        struct buf out = {0};
        sse_reader_init(&r, 1000);
        for (size_t at = 0; at < stream.n; at += size) {
            size_t n = stream.n - at < size ? stream.n - at : size;
            assert_int_equal(sse_feed(&r, (struct bytes){stream.p + at, n}, gather, &out), 0);
        }
        kit_bytes_eq(((struct bytes){out.p ? out.p : "", out.n}), wanted);
        sse_reader_end(&r);
        buf_end(&out);
    }
}

static void events_are_read_as_the_standard_says(void **state)
{
    (void)state;
    reads_as(BYTES("data: a\n\n"), "[||a|-1]");
    reads_as(BYTES("data:a\ndata\ndata: b\n\n"), "[||a\n\nb|-1]");
    reads_as(BYTES("data: a\r\n\r\ndata: b\r\rdata: c\n\r\n"), "[||a|-1][||b|-1][||c|-1]");
    reads_as(BYTES("\xEF\xBB\xBF"
                   "data: a\n\n"),
             "[||a|-1]");
    reads_as(BYTES("id: 1\nevent: x\ndata:  a\n\ndata: b\n\n"), "[1|x| a|-1][1||b|-1]");
    reads_as(BYTES("id: 1\nretry: 3000\ndata:\n\n"), "[1|||3000]"); /* MCP's priming event */
    reads_as(BYTES("id: 1\n\ndata: a\n\nid\ndata: b\n\n"), "[1||a|-1][||b|-1]");
    reads_as(BYTES("id: 1\ndata: a\n\nid: 2\0"
                   "3\ndata: b\n\n"),
             "[1||a|-1][1||b|-1]");
    reads_as(BYTES(": comment\n:\ndata: a\nother: b\nretry: 1x\n\n"), "[||a|-1]");
    reads_as(BYTES("event: lost\n\ndata: a\n\n"), "[||a|-1]");
    reads_as(BYTES("data: never ended\n"), "");
}

static void an_event_over_the_limit_is_refused(void **state)
{
    struct sse_reader r;
    struct buf out = {0};
    (void)state;
    sse_reader_init(&r, 20);
    assert_int_equal(sse_feed(&r, BYTES("data: 1234567890\n\ndata: 1234567890\n\n"), gather, &out), 0);
    assert_int_equal(sse_feed(&r, BYTES("data: 1234567890\n"), gather, &out), 0);
    assert_int_equal(sse_feed(&r, BYTES("data: 1234567890\n"), gather, &out), -1);
    sse_reader_end(&r);
    sse_reader_init(&r, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sse_feed(&r, BYTES("x"), gather, &out), 0);
    assert_int_equal(sse_feed(&r, BYTES("x"), gather, &out), -1);
    sse_reader_end(&r);
    buf_end(&out);
}

static void what_is_written_is_read_back(void **state)
{
    struct buf out = {0};
    (void)state;
    sse_add_comment(&out, "");
    sse_add(&out, &(struct sse_event){.id = BYTES("s-1"), .data = BYTES(""), .retry_ms = 3000});
    sse_add(&out, &(struct sse_event){.event = BYTES("m"), .data = BYTES("a\nb\r\nc\rd\n"), .retry_ms = -1});
    sse_add_comment(&out, "end\nevent: forged");
    kit_bytes_eq(((struct bytes){out.p, out.n}),
                 ":\n\nid: s-1\nretry: 3000\ndata: \n\n"
                 "event: m\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n: end\n\n");
    reads_as((struct bytes){out.p, out.n}, "[s-1|||3000][s-1|m|a\nb\nc\nd\n|3000]");
    buf_end(&out);
}

static void a_field_never_becomes_two(void **state)
{
    struct buf out = {0};
    (void)state;
    sse_add(&out, &(struct sse_event){.id = BYTES("1\nevent: x"),
                                      .event = BYTES("a\rdata: y"),
                                      .data = BYTES("z"),
                                      .retry_ms = -1});
    kit_bytes_eq(((struct bytes){out.p, out.n}), "event: a\nid: 1\ndata: z\n\n");
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(events_are_read_as_the_standard_says),
         cmocka_unit_test(an_event_over_the_limit_is_refused), cmocka_unit_test(what_is_written_is_read_back),
         cmocka_unit_test(a_field_never_becomes_two))
