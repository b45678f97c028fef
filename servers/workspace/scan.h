#pragma once
/*
 * scan -- one tool call that works through a folder on a worker thread.
 *
 * The worker sees the job only: its arguments (which live as long as the order), the root, and the text it
 * writes. It stops when the call is cancelled or its deadline passes.
 */
#include "servers/workspace/workspace.h"

enum { RESULT_BYTES = 40 * 1024, RESULT_BYTES_MOST = 48 * 1024 };

struct scan {
    struct order *order;
    struct root *root;
    const void *args;
    void (*run)(struct scan *s);
    int stop; /* atomic: the caller is gone */
    int64_t deadline_ms;
    struct buf text;
    bool is_content; /* `text` is a JSON array of content blocks */
    char fault[24];  /* a name of 60-servers' list: invalid not_found refused too_large failed deadline */
    char why[200];
};
void scan_start(struct order *o, struct root *root, void (*run)(struct scan *s), const void *args);
bool scan_must_stop(struct scan *s); /* fills the fault */
void scan_fail(struct scan *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Without empty and "." parts; "" is the folder itself. Free it. */
char *path_tidy(const char *path);
/* Adds what fits of `rest` to the text, cut at a line's end or at least at a character's, with a note how to
 * go on. `position` is where `rest` begins, `most` how much a page may have. */
void page_tell(struct scan *s, struct bytes rest, int64_t position, int64_t most, uint64_t arguments);

/* Lists: rows are collected, then told as CSV (RFC 4180) or as one JSON array. */
struct rows {
    struct buf text; /* the rows of this page */
    size_t shown, seen, from, limit;
    bool is_json, is_full;
    const char *const *columns; /* NULL-ended */
};
void rows_begin(struct rows *r, const char *const *columns, int64_t from, int64_t limit, const char *format);
/* Counts a row; true when it is on this page and its cells are wanted. */
bool rows_want(struct rows *r);
void rows_add(struct rows *r, const struct bytes *cells, const bool *is_number);
/* Writes head and rows to `s->text`; `total` < 0: not known. `more`: another page is there. */
void rows_tell(struct rows *r, struct scan *s, int64_t total, bool more, uint64_t arguments);

/* Cursors: base64url of (version, position, hash of the other arguments). */
void cursor_add(struct buf *out, int64_t position, uint64_t arguments);
int cursor_read(const char *text, uint64_t arguments, int64_t *position); /* -1: not one of this call */
uint64_t arguments_hash(const char *const *texts, size_t n, int64_t number);
