/* The program: the command line, and where the roles meet. */
#include "core/net/unix.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"
#include "core/proc/supervisor.h"
#include "embedded.h"
#include "hub/hub.h"
#include "servers/servers.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* A built-in server has no network, starts nothing and writes no file: that is settled before it reads its
 * first byte. */
static int run_server(int argc, char **argv)
{
    struct why why;
    const struct sandbox none = {0};
    if (role_begin("server", 1, &why) < 0 || sandbox_enter(&none, &why) < 0) {
        fprintf(stderr, "trunkline: %s\n", why.text);
        return 1;
    }
    return server_main(argc, argv);
}

static const struct role roles[] = {
    {"hub",         hub_main},
    {"guardian",             guardian_run},
    {"server",run_server},
    {0     }
};

static int role(int argc, char **argv)
{
    return role_run(roles, argc - 1, argv + 1);
}

static struct bytes embedded_file(const char *name)
{
    for (size_t i = 0; i < embedded_count; i++) {
        if (strcmp(embedded_files[i].name, name) == 0)
            return (struct bytes){(const char *)embedded_files[i].p, embedded_files[i].n};
    }
    return BYTES_NONE;
}

static int up(int argc, char **argv)
{
    static const struct option options[] = {
        {"config",           required_argument, NULL, 'c'},
        {"state",              required_argument, NULL, 's'},
        {"workspace",                  required_argument, NULL, 'w'},
        {"check",no_argument, NULL, 'n'},
        {"quiet",               no_argument, NULL, 'q'},
        {0       }
    };
    struct up_options up = {
        .embedded = embedded_file("config/default.jsonc"), .bind = listen_open, .bound_name = listen_name};
    for (int c; (c = getopt_long(argc, argv, "c:s:q", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            up.config_file = optarg;
            break;
        case 's':
            up.state = optarg;
            break;
        case 'w':
            up.workspace = optarg;
            break;
        case 'n':
            up.check_only = true;
            break;
        case 'q':
            up.quiet = true;
            break;
        default:
            return 2;
        }
    }
    return supervisor_run(&up);
}

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("trunkline %s\n", TRUNKLINE_VERSION);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"up",      up     },
    {"role",    role   },
    {"version", version}
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "usage: trunkline up|version\n");
    return 2;
}
