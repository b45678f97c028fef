#pragma once
/* files -- the arguments and handlers of list_files, read_file and search_text. */
#include "servers/workspace/workspace.h"

struct list_files {
    const char *folder, *path, *glob, *format, *cursor;
    int64_t limit;
};
struct read_file {
    const char *folder, *path, *cursor;
    int64_t start, lines, max_bytes;
};
struct search_text {
    const char *folder, *find, *path, *glob, *format, *cursor;
    int64_t limit;
    bool match_case;
};
void list_files(struct order *o, const void *args);
void read_file(struct order *o, const void *args);
void search_text(struct order *o, const void *args);
