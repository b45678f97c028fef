#include "tests/kit/tmp.h"

#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATHS = 512 };

static char folder[64];
static char *paths[PATHS];
static size_t path_count;

const char *kit_tmp(void)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/trunkline-test-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    return folder;
}

const char *kit_path(const char *name)
{
    assert_true(path_count < PATHS);
    paths[path_count] = text_format("%s/%s", kit_tmp(), name);
    return paths[path_count++];
}

const char *kit_file(const char *name, const char *content)
{
    const char *path = kit_path(name);
    passes(file_replace(path, bytes_of(content), 0600, kit_why()));
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    remove(path);
    return 0;
}

void kit_tmp_remove(void)
{
    if (folder[0])
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    folder[0] = 0;
    while (path_count)
        free(paths[--path_count]);
}
