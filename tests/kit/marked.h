#pragma once
/* marked -- finds what a test started by a variable in its environment, which all descendants inherit. */
#include "tests/kit/kit.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline bool has_mark(const char *pid, const char *mark)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%.10s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && memmem(text, (size_t)n, mark, strlen(mark)) != NULL;
}

/* "name-PID", the PID that of the test program, also in what it forks: two runs at once keep apart. */
static inline const char *run_mark(const char *name)
{
    static char text[64];
    char pid[24];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("TEST_RUN", pid, 0);
    snprintf(text, sizeof text, "%s-%s", name, getenv("TEST_RUN"));
    return text;
}

/* Living processes with `mark` ("MARK=x") in their environment; signals them when `signo` is not 0. */
static inline int marked(const char *mark, int signo)
{
    int count = 0;
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !has_mark(entry->d_name, mark))
            continue;
        count++;
        if (signo)
            kill((pid_t)strtol(entry->d_name, NULL, 10), signo);
    }
    closedir(folder);
    return count;
}

static inline bool is_alive(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *rest = strrchr(text, ')');
    return rest && rest[2] != 'Z' && rest[2] != 'X';
}

/* Waits for a fact of another process: there is no descriptor to wait on. */
#define until(most_ms, condition)                                             \
    do {                                                                      \
        int64_t until_end_ = kit_real_ms() + (most_ms);                       \
        while (!(condition)) {                                                \
            if (kit_real_ms() > until_end_)                                   \
                fail_msg("not within %d ms: %s", (int)(most_ms), #condition); \
            nanosleep(&(struct timespec){0, 5000000}, NULL);                  \
        }                                                                     \
    } while (0)
