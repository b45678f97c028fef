#pragma once
/* sse -- server-sent events: writing, and reading as WHATWG HTML §9.2 says. */
#include "core/base/bytes.h"

/* Appends one event. Fields with p NULL are left out; data is split at newlines. retry_ms < 0: left out. */
struct sse_event {
    struct bytes id, event, data;
    int64_t retry_ms;
};
void sse_add(struct buf *out, const struct sse_event *e);
void sse_add_comment(struct buf *out, const char *text);

struct sse_reader {
    struct buf line, data, event, id;
    bool saw_cr, began, has_data, has_id;
    size_t limit; /* bytes of one event; over it sse_feed gives -1 */
    int64_t retry_ms;
};
void sse_reader_init(struct sse_reader *r, size_t limit);
void sse_reader_end(struct sse_reader *r);
/* Calls fn for each whole event; 0, or -1 over the limit. */
int sse_feed(struct sse_reader *r, struct bytes piece, void (*fn)(const struct sse_event *e, void *ctx),
             void *ctx);
