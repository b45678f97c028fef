#pragma once
/*
 * policy -- the one enforcement point: MCP, REST and stream ask here, with the same words.
 *
 * Until identity exists it permits everything to the two principals there are: the loopback ("loopback") and
 * the local user of the Unix socket ("local:<name>"). Everybody else is denied.
 */
#include "core/base/bytes.h"

struct hub;
struct policy_ask {
    const char *principal;
    const char *action; /* list call read prompt admin.servers … */
    const char *server;
    struct bytes name; /* the upstream's own name of tool, prompt, or the uri */
};
bool policy_permits(struct hub *hub, const struct policy_ask *ask);
