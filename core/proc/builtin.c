#include "core/proc/builtin.h"

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/proc/role.h"
#include "core/proc/sandbox.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FOLDERS = 64, SETTINGS_MAX = 1 << 20, GIT_CONFIG_MAX = 1 << 20 };

struct folders {
    const char *p[MOST_FOLDERS + 1]; /* NULL-ended, lent by the settings */
    size_t n;
};

/* False: more than we can list. */
static bool add(struct folders *f, const char *path)
{
    if (!path)
        return true;
    if (f->n == MOST_FOLDERS)
        return false;
    f->p[f->n++] = path;
    return true;
}

static bool collect(const json_t *settings, struct folders *f)
{
    bool is_whole = add(f, json_str(settings, "path"));
    size_t i;
    const json_t *folder;
    json_array_foreach (json_object_get(settings, "folders"), i, folder) {
        const char *path = json_string_value(folder); /* or {"id", "path"} */
        is_whole = is_whole && add(f, path ? path : json_str(folder, "path"));
    }
    return is_whole && f->n > 0;
}

static bool is_there(const char *folder, const char *name)
{
    _cleanup_free_ char *path = text_format("%s/%s", folder, name);
    struct stat about;
    return lstat(path, &about) == 0;
}

static bool is_plain_folder(const char *folder, const char *name)
{
    _cleanup_free_ char *path = text_format("%s/%s", folder, name);
    struct stat about;
    return lstat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool config_includes_more(const char *folder)
{
    _cleanup_free_ char *path = text_format("%s/.git/config", folder);
    struct buf text = {0};
    bool includes = file_read(path, GIT_CONFIG_MAX, &text, NULL) < 0 || memmem(text.p, text.n, "nclude", 6);
    buf_end(&text);
    return includes;
}

/* All of the folder's repository lies in the folder; no repository is fine. */
static bool keeps_to_itself(const char *folder)
{
    if (!is_there(folder, ".git"))
        return true;
    return is_plain_folder(folder, ".git") && is_plain_folder(folder, ".git/objects") &&
           is_plain_folder(folder, ".git/refs") && !is_there(folder, ".git/objects/info/alternates") &&
           !is_there(folder, ".git/commondir") && !config_includes_more(folder);
}

int builtin_confine(const json_t *settings, struct why *why)
{
    struct folders folders = {0};
    bool is_known = collect(settings, &folders);
    for (size_t i = 0; i < folders.n; i++)
        is_known = is_known && keeps_to_itself(folders.p[i]);
    return sandbox_enter(&(struct sandbox){.read = is_known ? folders.p : NULL}, why);
}

int builtin_confine_role(int fd, struct why *why)
{
    struct buf text = {0};
    if (memory_file_read(fd, SETTINGS_MAX, &text, why) < 0) {
        buf_end(&text);
        return -1;
    }
    /* Settings that are no JSON are the server's to complain of. */
    _cleanup_json_ json_t *settings = json_read(buf_bytes(&text), NULL);
    buf_end(&text);
    return builtin_confine(settings, why);
}
