#pragma once
/*
 * errand -- a call made by REST: waits for its answer as long as the visitor does, and lives on without them.
 *
 * A visitor who hangs up before they were told the call's id can never ask for it again: then it is
 * cancelled.
 */
#include "hub/call.h"

struct api;
struct visit;

struct errand_spec {
    enum call_kind kind;
    const char *method;
    struct bytes params; /* members of params without _meta: `"name":…,"arguments":…`; valid JSON */
    const char *name;    /* of tool, prompt or resource, for the record */
    const char *server;  /* the tool's; NULL: not a tool */
    int64_t deadline_ms; /* 0: as configured */
    int64_t wait_ms;     /* tools: answered with 202 after it; others wait to the end */
};
/* Answers the visit, now or later. */
void errand_start(struct visit *v, const struct errand_spec *spec);
void errands_end(struct api *a); /* the calls are gone already */
