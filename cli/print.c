#include "cli/print.h"

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { COLUMNS_MAX = 16 };

static const json_t *deeper(const json_t *object, const char *key)
{
    const char *dot;
    while (object && (dot = strchr(key, '.'))) {
        _cleanup_free_ char *name = bytes_copy((struct bytes){key, (size_t)(dot - key)});
        object = json_object_get(object, name);
        key = dot + 1;
    }
    return json_object_get(object, key);
}

void print_cell(struct buf *out, const json_t *value)
{
    if (json_is_string(value))
        text_show(out, bytes_of(json_string_value(value)));
    else if (json_is_boolean(value))
        buf_add_text(out, json_is_true(value) ? "yes" : "no");
    else if (json_is_integer(value))
        buf_add_int(out, json_integer_value(value));
    else if (value && !json_is_null(value))
        json_add(out, value);
    /* One row a line, whatever the text holds. */
    for (size_t i = 0; i < out->n; i++)
        if (out->p[i] == '\n')
            out->p[i] = ' ';
}

static bool is_chosen(const struct cli *c, const char *title)
{
    if (!c->columns)
        return true;
    size_t n = strlen(title);
    for (const char *p = c->columns; *p;) {
        size_t word = strcspn(p, ",");
        if (word == n && strncasecmp(p, title, n) == 0)
            return true;
        p += word + (p[word] == ',');
    }
    return false;
}

void print_json(const struct cli *c, const json_t *value)
{
    size_t flags = c->output == OUTPUT_JSON && isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
    puts(text ? text : "null");
    free(text);
}

static void print_lines(const struct cli *c, const json_t *answer)
{
    const json_t *items = json_object_get(answer, "items");
    size_t i;
    json_t *item;
    if (!items) {
        print_json(c, answer);
        return;
    }
    json_array_foreach ((json_t *)items, i, item)
        print_json(c, item);
}

static void add_line(struct libscols_table *table, const struct cli *c, const json_t *item,
                     const struct column *columns)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    size_t at = 0;
    for (size_t i = 0; columns[i].title && line; i++) {
        if (!is_chosen(c, columns[i].title))
            continue;
        struct buf cell = {0};
        print_cell(&cell, deeper(item, columns[i].key));
        scols_line_set_data(line, at++, cell.p ? cell.p : "");
        buf_end(&cell);
    }
}

int print_list(const struct cli *c, const json_t *answer, const struct column *columns)
{
    if (c->output == OUTPUT_JSON) {
        print_json(c, answer);
        return EXIT_DONE;
    }
    if (c->output == OUTPUT_JSONL) {
        print_lines(c, answer);
        return EXIT_DONE;
    }
    struct libscols_table *table = scols_new_table();
    if (!table)
        mem_end();
    const json_t *items = json_object_get(answer, "items");
    size_t i;
    json_t *item;
    for (i = 0; columns[i].title; i++)
        if (is_chosen(c, columns[i].title))
            scols_table_new_column(table, columns[i].title, 0,
                                   columns[i].is_wide && isatty(STDOUT_FILENO) ? SCOLS_FL_TRUNC : 0);
    if (items)
        json_array_foreach ((json_t *)items, i, item)
            add_line(table, c, item, columns);
    else
        add_line(table, c, answer, columns);
    if (scols_table_get_nlines(table) == 0)
        fputs(c->is_quiet ? "" : "none\n", stdout);
    else
        scols_print_table(table);
    scols_unref_table(table);
    if (items && json_is_string(json_object_get(answer, "next_cursor")) && !c->is_quiet)
        fputs("… more: narrow the list, or use -o json and its next_cursor\n", stderr);
    return EXIT_DONE;
}

int print_object(const struct cli *c, const json_t *object, const struct column *columns)
{
    if (c->output != OUTPUT_TABLE) {
        print_json(c, object);
        return EXIT_DONE;
    }
    for (size_t i = 0; columns[i].title; i++) {
        struct buf cell = {0};
        const json_t *value = deeper(object, columns[i].key);
        if (!is_chosen(c, columns[i].title) || !value || json_is_null(value))
            continue;
        print_cell(&cell, value);
        if (cell.n)
            printf("%-14s %s\n", columns[i].title, cell.p);
        buf_end(&cell);
    }
    return EXIT_DONE;
}

/* text_show, but line by line: newlines and tabs of a text are what people want to see. */
static void show_lines(struct buf *out, struct bytes text)
{
    while (text.n) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '\n' && text.p[n] != '\t')
            n++;
        text_show(out, (struct bytes){text.p, n});
        if (n < text.n)
            buf_add_char(out, text.p[n++]);
        text = (struct bytes){text.p + n, text.n - n};
    }
}

void print_text(const struct cli *c, struct bytes text)
{
    struct buf shown = {0};
    if (c->is_raw || !isatty(STDOUT_FILENO))
        buf_add_bytes(&shown, text);
    else
        show_lines(&shown, text);
    if (shown.n)
        fwrite(shown.p, 1, shown.n, stdout);
    if (!shown.n || shown.p[shown.n - 1] != '\n')
        putchar('\n');
    buf_end(&shown);
}
