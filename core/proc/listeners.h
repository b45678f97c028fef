#pragma once
/*
 * listeners -- the sockets of the outside, bound once and held while the hub comes and goes: connections that
 * arrive meanwhile wait in their queue.
 *
 * What the configuration asks for must be bound, or `up` fails. A default is not insisted upon: a family the
 * kernel lacks is left out with a note; when the port is taken, the next one up to 8099 that is free on both
 * families is; a Unix socket that is taken or not allowed moves into the state folder.
 */
#include "core/base/config.h"
#include "core/base/json.h"
#include "core/proc/supervisor.h"

enum { LISTENERS_MOST = 32, LISTENER_NAME = 160 };

struct listener {
    int fd;
    size_t from; /* place in the configuration's list */
    char name[LISTENER_NAME];
};
struct listeners {
    struct listener at[LISTENERS_MOST];
    size_t n;
    char moved[LISTENER_NAME]; /* "port 8080 is taken, 8081 is used"; or empty */
};
/* 0, or < 0 with `why` and nothing left open. */
int listeners_open(const struct config *c, const struct up_options *o, const char *state,
                   struct listeners *out, struct why *why);
void listeners_close(struct listeners *l); /* Unix socket files are removed */
/* {"http":[…],"unix":…} */
json_t *listeners_endpoints(const struct listeners *l);
