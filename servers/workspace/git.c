#include "servers/workspace/git.h"

#include "core/base/mem.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The version this program was built with: the structs of another one may be laid out otherwise. */
#define LIBRARY "libgit2.so." LIBGIT2_SOVERSION

static const struct {
    const char *name;
    size_t at; /* of the pointer in struct git */
} functions[] = {
#define X(name) {"git_" #name, offsetof(struct git, name)},
    GIT_FUNCTIONS(X)
#undef X
};

static int look_up(struct git *git, struct why *why)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *found = dlsym(git->library, functions[i].name);
        if (!found)
            return why_set(why, -1, "'" LIBRARY "' has no function '%s'", functions[i].name);
        memcpy((char *)git + functions[i].at, &found, sizeof(found));
    }
    return 0;
}

static void settle(struct git *git)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                 GIT_CONFIG_LEVEL_GLOBAL};
    git->libgit2_init();
    /* We only read, so whose files they are does not matter; what the owner configured elsewhere is not ours
     * to see. */
    git->libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        git->libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
}

struct git *git_open(struct why *why)
{
    struct git *git = NEW(struct git);
    git->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!git->library) {
        why_set(why, -1, "cannot open libgit2: %s", dlerror());
        free(git);
        return NULL;
    }
    if (look_up(git, why) < 0) {
        git_close(git);
        return NULL;
    }
    settle(git);
    return git;
}

void git_close(struct git *git)
{
    if (!git)
        return;
    dlclose(git->library);
    free(git);
}
