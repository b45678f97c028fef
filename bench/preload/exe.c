// exe -- preloaded under valgrind by bench/instructions: there /proc/self/exe is valgrind's own tool, so a
// role that re-executes itself by that path would start the tool instead. The real path is in REAL_EXE.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int execve(const char *path, char *const argv[], char *const env[])
{
    int (*next)(const char *, char *const[], char *const[]) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "execve");
    memcpy(&next, &symbol, sizeof next);
    const char *real = getenv("REAL_EXE");
    return next(real != NULL && strcmp(path, "/proc/self/exe") == 0 ? real : path, argv, env);
}
