/* Event streams: however the bytes are cut, the events are the same; and what we write is read back as it
 * was. */
#include "core/net/sse.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 512 };

static void gather(const struct sse_event *e, void *ctx)
{
    struct buf *out = ctx;
    assert(e->data.p && e->data.n <= LIMIT);
    buf_addf(out, "[%d %zu %zu %zu %lld]", e->id.p != NULL, e->id.n, e->event.n, e->data.n,
             (long long)e->retry_ms);
    buf_add_bytes(out, e->data);
}

static int feed(struct bytes in, size_t step, struct buf *out)
{
    struct sse_reader r;
    int rc = 0;
    sse_reader_init(&r, LIMIT);
    for (size_t at = 0; at < in.n && rc == 0; at += step) {
        size_t n = in.n - at < step ? in.n - at : step;
        char *piece = malloc(n); /* so that a look past the end is seen */
        memcpy(piece, in.p + at, n);
        rc = sse_feed(&r, (struct bytes){piece, n}, gather, out);
        free(piece);
    }
    sse_reader_end(&r);
    return rc;
}

static void keep(const struct sse_event *e, void *ctx)
{
    buf_add_bytes(ctx, e->data);
}

/* A text without CR, written as an event's data, is one event with that text. */
static void round_trip(struct bytes in)
{
    struct buf wire = {0}, back = {0};
    struct sse_reader r;
    if (memchr(in.p, '\r', in.n))
        return;
    sse_add(&wire, &(struct sse_event){.data = in, .retry_ms = -1});
    sse_reader_init(&r, (size_t)-1);
    assert(sse_feed(&r, (struct bytes){wire.p, wire.n}, keep, &back) == 0);
    assert(bytes_are((struct bytes){back.p ? back.p : "", back.n}, in));
    sse_reader_end(&r);
    buf_end(&wire);
    buf_end(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {(const char *)data, size};
    struct buf whole = {0}, single = {0};
    if (size == 0)
        return 0;
    int a = feed(in, size, &whole), b = feed(in, 1, &single);
    if (a == 0 && b == 0)
        assert(bytes_are((struct bytes){whole.p, whole.n}, (struct bytes){single.p, single.n}));
    round_trip(in);
    buf_end(&whole);
    buf_end(&single);
    return 0;
}
