#pragma once
/* trunk_asker -- callers of trunk_bed.h: one call each, and what came back to it. */
#include "tests/unit/hub/trunk_bed.h"

#include <stdio.h>

static const struct caller modern = {
    .era = ERA_MODERN,
    .revision = REVISION_2026_07_28,
    .principal = "loopback",
    .capabilities = {"{}", 2},
    .log_level = -1,
    .wants_frames = true
};
static const struct caller plain = {
    .era = ERA_LEGACY,
    .revision = REVISION_2025_11_25,
    .principal = "loopback",
    .session = "s-plain",
    .capabilities = {"{}", 2},
    .wants_frames = true
};
static const struct caller asking = {
    .era = ERA_LEGACY,
    .revision = REVISION_2025_11_25,
    .principal = "loopback",
    .session = "s-asking",
    .can = CAN_ELICIT_FORM | CAN_ROOTS,
    .capabilities = {"{\"elicitation\":{},\"roots\":{}}", 29},
    .wants_frames = true
};

/* One call and what came back. */
struct asker {
    struct call *call;
    size_t done, notified, asked, withdrawn;
    enum { NOT_YET = -1 } none;
    int outcome;
    bool is_error, is_protocol;
    struct fault_told fault;
    struct buf answer, note, question; /* the latest */
    uint64_t question_id;
    char method[40];
    size_t notified_before_done;
};

static inline void asker_notified(void *ctx, struct bytes message)
{
    struct asker *a = ctx;
    assert_int_equal(a->done, 0);
    assert_true(json_is_valid(message));
    a->notified++;
    buf_clear(&a->note);
    buf_add_bytes(&a->note, message);
}

static inline void asker_asked(void *ctx, const struct question *q)
{
    struct asker *a = ctx;
    assert_int_equal(a->done, 0);
    a->asked++;
    a->question_id = q->id;
    snprintf(a->method, sizeof(a->method), "%s", q->method);
    buf_clear(&a->question);
    buf_add_bytes(&a->question, q->params);
}

static inline void asker_withdrawn(void *ctx, uint64_t question)
{
    struct asker *a = ctx;
    (void)question;
    assert_int_equal(a->done, 0);
    a->withdrawn++;
}

static inline void asker_done(void *ctx, const struct call_done *done)
{
    struct asker *a = ctx;
    a->done++;
    assert_int_equal(a->done, 1);
    a->call = NULL;
    a->outcome = (int)done->outcome;
    a->is_error = done->is_error;
    a->is_protocol = done->is_protocol;
    a->fault = done->fault;
    for (size_t i = 0; i < done->part_count; i++)
        buf_add_bytes(&a->answer, done->parts[i]);
    if (done->outcome != CALL_FAULT)
        assert_true(json_is_valid(buf_bytes(&a->answer)));
}

static const struct call_ops asker_ops = {asker_notified, asker_asked, asker_withdrawn, asker_done};
static const struct call_ops mute_ops = {.on_notification = asker_notified, .on_done = asker_done};

static inline void asker_end(struct asker *a)
{
    buf_end(&a->answer);
    buf_end(&a->note);
    buf_end(&a->question);
}

/* `params` is the text of the request's params. */
static inline void ask_of(struct asker *a, enum call_kind kind, const char *method,
                          const struct caller *caller, const char *params)
{
    struct envelope *e = envelope_new(NULL);
    struct buf text = {0};
    *a = (struct asker){0};
    buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":", method);
    buf_add_text(&text, params);
    buf_add_char(&text, '}');
    assert_int_equal(envelope_scan(e, buf_bytes(&text), true, kit_why()), 0);
    struct call_spec spec = {.kind = kind,
                             .caller = caller,
                             .envelope = e,
                             .method = method,
                             .ops = caller->can ? &asker_ops : &mute_ops,
                             .ctx = a};
    struct call *call = call_start(&bed.hub, &spec);
    if (!a->done)
        a->call = call;
    assert_true((call == NULL) == (a->done == 1));
    /* Nothing of the request is looked at later. */
    if (text.p)
        memset(text.p, '#', text.n);
    buf_end(&text);
    envelope_free(e);
}

static inline void ask_tool(struct asker *a, const struct caller *caller, const char *params)
{
    ask_of(a, CALL_TOOL, "tools/call", caller, params);
}
#define ECHO "{\"name\":\"one__echo\",\"arguments\":{\"x\":1.0}}"
#define HELLO "{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}"
