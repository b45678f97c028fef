/* list_files, read_file and search_text. */
#include "servers/workspace/files.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/scan.h"
#include "servers/workspace/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MOST = 8 << 20, SEARCH_FILE_MOST = 2 << 20, LINE_SHOWN = 300 };

/* The folder a call means; NULL: it was failed. */
static struct root *root_of(struct order *o, const char *id)
{
    struct workspace *w = order_server(o);
    struct root *root = workspace_root(w, id);
    if (!root && id)
        order_fail(o, "not_found", "there is no folder '%s'", id);
    else if (!root)
        order_fail(o, "invalid", "'folder' is needed: this server has %zu folders", w->root_count);
    return root;
}

/* A glob without a slash is about the file's name, one with a slash about its path. */
static bool glob_fits(const char *glob, const char *path)
{
    if (!glob || !*glob)
        return true;
    const char *name = strrchr(path, '/');
    return text_matches(bytes_of(strchr(glob, '/') || !name ? path : name + 1), glob);
}

static bool check_path(struct order *o, const char *path)
{
    if (!path || beneath_is_plain(path))
        return true;
    order_fail(o, "refused", "'%s' is not a path inside the folder", path);
    return false;
}

/* --- list_files --- */

struct listing_run {
    struct rows rows;
    const struct list_files *args;
};

static void time_text(int64_t seconds, char out[static 20])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 20, "%Y-%m-%dT%H:%MZ", &tm);
}

static bool list_one(const char *path, const struct stat *st, void *ctx)
{
    struct listing_run *run = ctx;
    static const bool is_number[] = {false, false, true, false};
    if (!glob_fits(run->args->glob, path) || !rows_want(&run->rows))
        return true;
    char size[24], time[20];
    snprintf(size, sizeof(size), "%lld", S_ISREG(st->st_mode) ? (long long)st->st_size : 0LL);
    time_text(st->st_mtime, time);
    const char *type = S_ISDIR(st->st_mode) ? "folder" : S_ISLNK(st->st_mode) ? "link" : "file";
    struct bytes cells[] = {bytes_of(path), bytes_of(type), bytes_of(size), bytes_of(time)};
    rows_add(&run->rows, cells, is_number);
    return true;
}

static uint64_t list_hash(const struct list_files *a)
{
    const char *const texts[] = {a->folder, a->path, a->glob, a->format};
    return arguments_hash(texts, 4, a->limit);
}

static void list_run(struct scan *s)
{
    static const char *const columns[] = {"path", "type", "size", "modified", NULL};
    const struct list_files *a = s->args;
    int64_t from = 0;
    struct listing_run run = {.args = a};
    struct why why = {0};
    int fd = -1;
    if (cursor_read(a->cursor, list_hash(a), &from) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    if (beneath_open(s->root->fd, a->path, O_DIRECTORY, &fd, &why) != 0) {
        scan_fail(s, why.code == BENEATH_E_REFUSED ? "refused" : "not_found", "%s", why.text);
        return;
    }
    fd_close(&fd);
    rows_begin(&run.rows, columns, from, a->limit, a->format);
    walk(s, a->path, list_one, &run);
    rows_tell(&run.rows, s, (int64_t)run.rows.seen, run.rows.is_full, list_hash(a));
}

void list_files(struct order *o, const void *args)
{
    const struct list_files *a = args;
    struct root *root = root_of(o, a->folder);
    if (root && check_path(o, a->path))
        scan_start(o, root, list_run, args);
}

/* --- read_file --- */

/* 0, or a fault told to the scan. */
static int read_whole(struct scan *s, const char *path, off_t most, struct buf *out)
{
    struct why why = {0};
    struct stat st;
    int fd = -1;
    int outcome = beneath_open(s->root->fd, path, 0, &fd, &why);
    if (outcome != 0) {
        scan_fail(s, outcome == BENEATH_E_REFUSED ? "refused" : "not_found", "%s", why.text);
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        scan_fail(s, "invalid", "'%s' is not a file", path);
    } else if (st.st_size > most) {
        scan_fail(s, "too_large", "'%s' has %lld bytes, at most %lld are read", path, (long long)st.st_size,
                  (long long)most);
    } else {
        buf_reserve(out, (size_t)st.st_size + 1);
        ssize_t n;
        char piece[65536];
        while ((n = read(fd, piece, sizeof(piece))) > 0 && (off_t)out->n <= most)
            buf_add(out, piece, (size_t)n);
        if (n < 0)
            scan_fail(s, "failed", "cannot read '%s': %s", path, strerror(errno));
    }
    fd_close(&fd);
    return s->fault[0] ? -1 : 0;
}

static bool is_text(struct bytes b)
{
    return !memchr(b.p ? b.p : "", 0, b.n) && utf8_is_valid(b);
}

/* The place where line `line` (from 1) begins; the end when there are fewer. */
static size_t line_start(struct bytes b, int64_t line)
{
    size_t at = 0;
    while (--line > 0 && at < b.n) {
        const char *end = memchr(b.p + at, '\n', b.n - at);
        at = end ? (size_t)(end - b.p) + 1 : b.n;
    }
    return at;
}

static int64_t count_lines(struct bytes b)
{
    int64_t n = b.n && b.p[b.n - 1] != '\n';
    for (size_t i = 0; i < b.n; i++)
        n += b.p[i] == '\n';
    return n;
}

static void read_run(struct scan *s)
{
    const struct read_file *a = s->args;
    struct buf whole = {0};
    if (read_whole(s, a->path, FILE_MOST, &whole) < 0) {
        buf_end(&whole);
        return;
    }
    struct bytes all = buf_bytes(&whole);
    if (!is_text(all)) {
        buf_addf(&s->text, "'%s' is not text: %zu bytes. Read it as the resource workspace://%s/files/",
                 a->path, all.n, s->root->id);
        buf_add_text(&s->text, a->path);
        buf_end(&whole);
        return;
    }
    size_t from = line_start(all, a->start);
    struct bytes rest = {all.p ? all.p + from : "", all.n - from};
    size_t n = line_start(rest, a->lines + 1);
    if (n > RESULT_BYTES) {
        const char *end = memrchr(rest.p, '\n', RESULT_BYTES);
        n = end ? (size_t)(end - rest.p) + 1 : utf8_cut(rest, RESULT_BYTES);
    }
    struct bytes shown = {rest.p, n};
    buf_add_bytes(&s->text, shown);
    if (n < rest.n) {
        int64_t next = a->start + count_lines(shown);
        buf_addf(&s->text, "%s…[+%zu B; go on with start=%lld]", n && shown.p[n - 1] == '\n' ? "" : "\n",
                 rest.n - n, (long long)next);
    }
    buf_end(&whole);
}

void read_file(struct order *o, const void *args)
{
    const struct read_file *a = args;
    struct root *root = root_of(o, a->folder);
    if (root && check_path(o, a->path))
        scan_start(o, root, read_run, args);
}

/* --- search_text --- */

struct search_run {
    struct scan *scan;
    struct rows rows;
    const struct search_text *args;
    size_t find_n;
};

static const char *find_in(const struct search_run *run, const char *p, size_t n)
{
    const char *find = run->args->find;
    if (run->args->match_case)
        return memmem(p, n, find, run->find_n);
    for (size_t i = 0; i + run->find_n <= n; i++)
        if (strncasecmp(p + i, find, run->find_n) == 0)
            return p + i;
    return NULL;
}

static void search_lines(struct search_run *run, const char *path, struct bytes all)
{
    static const bool is_number[] = {false, true, false};
    int64_t line = 1;
    for (size_t at = 0; at < all.n && !run->rows.is_full; line++) {
        const char *end = memchr(all.p + at, '\n', all.n - at);
        size_t n = end ? (size_t)(end - all.p) - at : all.n - at;
        if (find_in(run, all.p + at, n) && rows_want(&run->rows)) {
            char number[24];
            struct bytes text = {all.p + at,
                                 utf8_cut((struct bytes){all.p + at, n}, LINE_SHOWN < n ? LINE_SHOWN : n)};
            snprintf(number, sizeof(number), "%lld", (long long)line);
            struct bytes cells[] = {bytes_of(path), bytes_of(number), text};
            rows_add(&run->rows, cells, is_number);
        }
        at += n + 1;
    }
}

static bool search_one(const char *path, const struct stat *st, void *ctx)
{
    struct search_run *run = ctx;
    if (!S_ISREG(st->st_mode) || st->st_size > SEARCH_FILE_MOST || !glob_fits(run->args->glob, path))
        return true;
    struct scan quiet = {.root = run->scan->root}; /* a file that went away is no fault of the search */
    struct buf whole = {0};
    if (read_whole(&quiet, path, SEARCH_FILE_MOST, &whole) == 0 && is_text(buf_bytes(&whole)))
        search_lines(run, path, buf_bytes(&whole));
    buf_end(&whole);
    return !run->rows.is_full;
}

static uint64_t search_hash(const struct search_text *a)
{
    const char *const texts[] = {a->folder, a->path, a->glob, a->format, a->find};
    return arguments_hash(texts, 5, a->limit * 2 + a->match_case);
}

static void search_run(struct scan *s)
{
    static const char *const columns[] = {"path", "line", "text", NULL};
    const struct search_text *a = s->args;
    struct search_run run = {.scan = s, .args = a, .find_n = strlen(a->find)};
    int64_t from = 0;
    if (cursor_read(a->cursor, search_hash(a), &from) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    rows_begin(&run.rows, columns, from, a->limit, a->format);
    walk(s, a->path, search_one, &run);
    rows_tell(&run.rows, s, run.rows.is_full ? -1 : (int64_t)run.rows.seen, run.rows.is_full, search_hash(a));
}

void search_text(struct order *o, const void *args)
{
    const struct search_text *a = args;
    struct root *root = root_of(o, a->folder);
    if (root && check_path(o, a->path))
        scan_start(o, root, search_run, args);
}
