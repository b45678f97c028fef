#pragma once
/*
 * servers -- the built-in servers: one row each, and the two ways to run one.
 */
#include "core/rpc/serve.h"

extern const struct server *const servers[]; /* ended by NULL */
extern const char *const server_names[];     /* theirs, ended by NULL */
const struct server *server_find(const char *name);

/* Opens the libraries that built-in servers load on demand: before a sandbox takes the right to. 0, or -1. */
int server_prepare(struct why *why);

/* `trunkline role server NAME`: stdin and stdout are the line, descriptor 3 a memory file with the settings.
 */
int server_main(int argc, char **argv);
/* `trunkline server NAME --stdio`: stand-alone, before any MCP client. Settings are lent. Exit status. */
int server_stdio(const char *name, const json_t *settings);
