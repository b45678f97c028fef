/* list_files, read_file and search_text. */
#include "servers/workspace/files.h"

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "servers/workspace/beneath.h"
#include "servers/workspace/resources.h"
#include "servers/workspace/scan.h"
#include "servers/workspace/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
    if (root_open(s->root, a->path, O_DIRECTORY, &fd, &why) != 0) {
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
    int outcome = root_open(s->root, path, 0, &fd, &why);
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
        else if ((off_t)out->n > most)
            scan_fail(s, "too_large", "'%s' grew beyond %lld bytes while it was read", path, (long long)most);
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
    while (b.p && --line > 0 && at < b.n) {
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

/* A line of facts, and where its bytes are. */
static void tell_binary(struct scan *s, const char *path, size_t n)
{
    struct buf text = {0}, uri = {0};
    const char *slash = strrchr(path, '/');
    resource_add_uri(&uri, s->root, path);
    buf_addf(&text, "'%s' is not text: %zu bytes. Read it as the resource ", path, n);
    buf_add_bytes(&text, buf_bytes(&uri));
    buf_add_text(&s->text, "[{\"type\":\"text\",\"text\":");
    buf_add_json(&s->text, buf_bytes(&text));
    buf_add_text(&s->text, "},{\"type\":\"resource_link\",\"uri\":");
    buf_add_json(&s->text, buf_bytes(&uri));
    buf_add_text(&s->text, ",\"name\":");
    buf_add_json_text(&s->text, slash ? slash + 1 : path);
    buf_addf(&s->text, ",\"size\":%zu}]", n);
    s->is_content = true;
    buf_end(&text);
    buf_end(&uri);
}

static uint64_t read_hash(const struct read_file *a)
{
    const char *const texts[] = {a->folder, a->path};
    return arguments_hash(texts, 2, a->start * 1000000 + a->lines);
}

/* From `start` as many lines as were asked for, and of these a page from `position` on. */
static void tell_lines(struct scan *s, struct bytes all, int64_t position)
{
    const struct read_file *a = s->args;
    size_t from = line_start(all, a->start);
    struct bytes asked = {all.p ? all.p + from : "", all.n - from};
    asked.n = line_start(asked, a->lines + 1);
    if ((size_t)position > asked.n) {
        scan_fail(s, "stale", "'%s' has become shorter: begin anew without 'cursor'", a->path);
        return;
    }
    page_tell(s, (struct bytes){asked.p + position, asked.n - (size_t)position}, position, a->max_bytes,
              read_hash(a));
    size_t left = all.n - from - asked.n;
    long long next = a->start + count_lines(asked);
    if (left > 0 && (size_t)a->max_bytes >= asked.n - (size_t)position)
        buf_addf(&s->text, "…[+%zu B; go on with start=%lld]", left, next);
}

static void read_run(struct scan *s)
{
    const struct read_file *a = s->args;
    struct buf whole = {0};
    int64_t position = 0;
    if (cursor_read(a->cursor, read_hash(a), &position) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    if (read_whole(s, a->path, FILE_MOST, &whole) == 0) {
        if (is_text(buf_bytes(&whole)))
            tell_lines(s, buf_bytes(&whole), position);
        else
            tell_binary(s, a->path, whole.n);
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
    struct buf find, folded; /* without match_case: in small letters, and so the file in hand */
};

static void fold(struct buf *out, struct bytes text)
{
    buf_clear(out);
    buf_reserve(out, text.n + 1);
    buf_add_bytes(out, text);
    for (size_t i = 0; i < out->n; i++)
        if (out->p[i] >= 'A' && out->p[i] <= 'Z')
            out->p[i] = (char)(out->p[i] + 'a' - 'A');
}

/* What is shown of a line: its begin, or the place around the find when that lies further on. */
static struct bytes excerpt(struct bytes line, size_t at)
{
    size_t from = at > LINE_SHOWN / 2 ? utf8_cut(line, at - LINE_SHOWN / 4) : 0;
    struct bytes rest = {line.p + from, line.n - from};
    return (struct bytes){rest.p, utf8_cut(rest, LINE_SHOWN < rest.n ? LINE_SHOWN : rest.n)};
}

static void add_find(struct search_run *run, const char *path, struct bytes line, int64_t number, size_t at)
{
    static const bool is_number[] = {false, true, false};
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    struct bytes cells[] = {bytes_of(path), bytes_of(text), excerpt(line, at)};
    rows_add(&run->rows, cells, is_number);
}

/* Jumps from find to find, so that it is as fast as memmem; a line is told once. */
static void search_lines(struct search_run *run, const char *path, struct bytes all)
{
    if (!run->args->match_case)
        fold(&run->folded, all);
    const char *text = run->args->match_case ? all.p : run->folded.p;
    int64_t number = 1;
    for (size_t at = 0; at < all.n && !run->rows.is_full;) {
        const char *found = memmem(text + at, all.n - at, run->find.p, run->find.n);
        if (!found)
            return;
        size_t place = (size_t)(found - text);
        for (const char *end; (end = memchr(all.p + at, '\n', place - at)); number++)
            at = (size_t)(end - all.p) + 1;
        const char *end = memchr(all.p + place, '\n', all.n - place);
        struct bytes line = {all.p + at, (end ? (size_t)(end - all.p) : all.n) - at};
        if (rows_want(&run->rows))
            add_find(run, path, line, number, place - at);
        at += line.n + 1;
        number++;
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
    return !run->rows.is_full && !scan_must_stop(run->scan);
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
    struct search_run run = {.scan = s, .args = a};
    struct why why = {0};
    int64_t from = 0;
    int fd = -1;
    if (cursor_read(a->cursor, search_hash(a), &from) < 0) {
        scan_fail(s, "invalid", "'cursor' does not belong to these arguments");
        return;
    }
    if (root_open(s->root, a->path, O_PATH, &fd, &why) != 0) {
        scan_fail(s, why.code == BENEATH_E_REFUSED ? "refused" : "not_found", "%s", why.text);
        return;
    }
    fd_close(&fd);
    if (a->match_case)
        buf_add_text(&run.find, a->find);
    else
        fold(&run.find, bytes_of(a->find));
    rows_begin(&run.rows, columns, from, a->limit, a->format);
    walk(s, a->path, search_one, &run);
    buf_end(&run.find);
    buf_end(&run.folded);
    rows_tell(&run.rows, s, run.rows.is_full ? -1 : (int64_t)run.rows.seen, run.rows.is_full, search_hash(a));
}

void search_text(struct order *o, const void *args)
{
    const struct search_text *a = args;
    struct root *root = root_of(o, a->folder);
    if (root && check_path(o, a->path))
        scan_start(o, root, search_run, args);
}
