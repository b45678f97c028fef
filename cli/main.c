/* The program: the command line, and where the roles meet. */
#include "cli/command.h"
#include "core/proc/builtin.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"
#include "core/proc/supervisor.h"
#include "hub/hub.h"
#include "servers/servers.h"

#include <stdio.h>

static int refuse(const struct why *why)
{
    fprintf(stderr, "trunkline: %s\n", why->text);
    return 1;
}

/* The hub reads what the network sends: it calls nobody, starts nothing, and writes in its state folder (its
 * argument) and where SQLite sorts. */
static int run_hub(int argc, char **argv)
{
    const char *const writes[] = {argc > 1 ? argv[1] : "/dev/null", "/tmp", "/var/tmp", "/dev/shm", NULL};
    struct why why;
    if (sandbox_enter(&(struct sandbox){.write = writes}, &why) < 0)
        return refuse(&why);
    return hub_main(argc, argv);
}

/* A built-in server is confined before it reads its first byte. */
static int run_server(int argc, char **argv)
{
    struct why why;
    if (role_begin("server", 1, &why) < 0 || server_prepare(&why) < 0 ||
        builtin_confine_role(ROLE_FD, &why) < 0)
        return refuse(&why);
    return server_main(argc, argv);
}

/* The same server, the same limits, before any MCP client. */
static int run_server_alone(const char *name, const json_t *settings)
{
    struct why why;
    if (server_prepare(&why) < 0 || builtin_confine(settings, &why) < 0)
        return refuse(&why);
    return server_stdio(name, settings);
}

static const struct role roles[] = {
    {"hub",         run_hub},
    {"guardian",             guardian_run},
    {"server",run_server},
    {0     },
};

int main(int argc, char **argv)
{
    static const struct cli_wiring wiring = {
        .roles = roles, .server_stdio = run_server_alone, .builtins = server_names};
    return cli_main(&wiring, argc, argv);
}
