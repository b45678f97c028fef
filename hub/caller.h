#pragma once
/*
 * caller -- who asks, and what their client said it can do: a legacy session, one modern request, a REST
 * call.
 */
#include "core/base/bytes.h"
#include "core/rpc/fault.h"

enum via { VIA_MCP, VIA_REST };

/* Questions a client can answer. */
enum {
    CAN_ELICIT_FORM = 1,
    CAN_ELICIT_URL = 2,
    CAN_SAMPLE = 4,
    CAN_SAMPLE_TOOLS = 8,
    CAN_ROOTS = 16,
};

/* Legacy revisions, oldest first; 2024-10-07 is served like 2024-11-05. */
enum revision {
    REVISION_2024_11_05,
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    REVISION_2026_07_28
};
const char *revision_text(enum revision r);
/* -1: unknown. */
int revision_read(struct bytes text);

struct caller {
    enum via via;
    enum era era;
    enum revision revision;
    const char *principal;     /* "local:alice", "loopback" */
    const char *session;       /* legacy session id, or NULL */
    unsigned can;              /* CAN_… */
    struct bytes capabilities; /* the raw object, "{}" when none */
    struct bytes client_info;  /* the raw object, or empty */
    int log_level;             /* 0 debug … 7 emergency; -1: wants none (modern without logLevel) */
    bool wants_frames;         /* accepts an event stream */
};

/* Reads a capabilities object. */
unsigned caller_can(struct bytes capabilities, enum revision revision);
int log_level_read(struct bytes name); /* "debug" … "emergency" -> 0 … 7; -1 */
