/* The configuration: any text is either refused with a reason or gives what another role reads back the same.
 */
#include "core/base/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what, const char *why)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s: %s\n", what, why);
    abort();
}

/* Files that a configuration may name would make a run depend on the machine. */
static bool names_a_file(struct bytes text)
{
    return memmem(text.p, text.n, "file:", 5) || memmem(text.p, text.n, "env_file", 8) ||
           memmem(text.p, text.n, "envFile", 7) || memchr(text.p, '\\', text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct why why = {0};
    struct config *c, *again;
    if (size == 0 || size > 4096 || names_a_file((struct bytes){(const char *)data, size}))
        return 0;
    char path[32];
    int fd = memfd_create("config", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size, "a file to read", "no memfd");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config_source source = {.main_file = path, .state = "/s", .workspace = "/w"};
    int rc = config_load(&source, &c, &why);
    close(fd);
    if (rc < 0) {
        must(why.text[0], "a refusal has a reason", "none");
        return 0;
    }
    must(config_from_tree(c->tree, &again, &why) == 0, "the tree can be read", why.text);
    must(json_equal(c->tree, again->tree), "the tree is the same", "it is not");
    must(c->server_count == again->server_count, "servers", "another count");
    for (size_t i = 0; i < c->server_count; i++)
        must(strcmp(c->servers[i].digest, again->servers[i].digest) == 0, "digest", c->servers[i].name);
    config_free(again);
    config_free(c);
    return 0;
}
