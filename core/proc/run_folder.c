#include "core/proc/run_folder.h"

#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/id.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_SIZE = 32 };

static char *path_in(const struct run_folder *f, const char *folder, const char *name)
{
    return text_format("%s/%s/%s", f->state, folder, name);
}

static int make_private(const char *path, struct why *why)
{
    int rc = folder_make(path, 0700, why);
    if (rc == 0 && chmod(path, 0700) < 0)
        rc = why_errno(why, errno, "cannot make '%s' private", path);
    return rc;
}

static int make_folders(const struct run_folder *f, struct why *why)
{
    static const char *const ours[] = {"run", "work"};
    int rc = folder_make(f->state, 0700, why); /* one that was there keeps its mode: it may be anybody's */
    for (size_t i = 0; rc == 0 && i < sizeof ours / sizeof *ours; i++) {
        _cleanup_free_ char *path = text_format("%s/%s", f->state, ours[i]);
        rc = make_private(path, why);
    }
    return rc;
}

static void holder(int lock, char *out, size_t room)
{
    ssize_t n = pread(lock, out, room - 1, 0);
    out[n > 0 ? n : 0] = 0;
    out[strspn(out, "0123456789")] = 0;
}

static int take_lock(struct run_folder *f, struct why *why)
{
    _cleanup_free_ char *path = path_in(f, "run", "lock");
    _cleanup_fd_ int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return why_errno(why, errno, "cannot open '%s'", path);
    if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        char pid[16];
        int error = errno;
        holder(lock, pid, sizeof pid);
        if (error != EWOULDBLOCK)
            return why_errno(why, error, "cannot lock '%s'", path);
        return why_set(why, -EBUSY, "the state folder '%s' is in use by process %s", f->state,
                       *pid ? pid : "?");
    }
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(lock, 0) < 0 || pwrite(lock, pid, (size_t)n, 0) != n)
        return why_errno(why, errno, "cannot write '%s'", path);
    f->lock = fd_take(&lock);
    return 0;
}

static int make_key(const struct run_folder *f, struct why *why)
{
    _cleanup_free_ char *path = path_in(f, "run", "hub.key");
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == KEY_SIZE &&
        (about.st_mode & 077) == 0)
        return 0;
    char key[KEY_SIZE];
    random_fill(key, sizeof key);
    int rc = file_replace(path, (struct bytes){key, sizeof key}, 0600, why);
    explicit_bzero(key, sizeof key);
    return rc;
}

static void remove_files(const struct run_folder *f)
{
    static const char *const ours[] = {"endpoints.json", "roles.json"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        _cleanup_free_ char *path = path_in(f, "run", ours[i]);
        unlink(path);
    }
}

int run_folder_open(const char *state, struct run_folder *out, struct why *why)
{
    struct run_folder f = {.state = mem_text(state), .lock = -1};
    int rc = make_folders(&f, why);
    rc = rc < 0 ? rc : take_lock(&f, why);
    if (rc == 0) {
        remove_files(&f);
        rc = make_key(&f, why);
    }
    if (rc < 0) {
        fd_close(&f.lock);
        free(f.state);
        return rc;
    }
    *out = f;
    return 0;
}

void run_folder_close(struct run_folder *f)
{
    if (!f->state)
        return;
    remove_files(f);
    fd_close(&f->lock); /* last: the next one may begin from here on */
    free(f->state);
    f->state = NULL;
}

/* Without fsync, unlike file_replace: after a power cut nothing runs that these files could be about. */
int run_folder_write(const struct run_folder *f, const char *name, json_t *content, struct why *why)
{
    _cleanup_free_ char *path = path_in(f, "run", name);
    _cleanup_free_ char *beside = text_format("%s.new", path);
    _cleanup_free_ char *text = json_text(content);
    json_decref(content);
    FILE *file = fopen(beside, "we");
    if (!file)
        return why_errno(why, errno, "cannot write '%s'", beside);
    bool is_good = fprintf(file, "%s\n", text) > 0;
    is_good = fclose(file) == 0 && is_good;
    if (!is_good || rename(beside, path) < 0)
        return why_errno(why, errno, "cannot write '%s'", path);
    return 0;
}

char *run_folder_work(const struct run_folder *f, const char *name, struct why *why)
{
    char *path = path_in(f, "work", name);
    if (make_private(path, why) == 0)
        return path;
    free(path);
    return NULL;
}
