#pragma once
/*
 * shape -- a table that says what a JSON object must look like; parser, JSON Schema and help come from it.
 *
 *     struct read_file { const char *path; int64_t start; int64_t lines; };
 *     static const struct shape read_file_shape[] = {
 *         STRING(struct read_file, path, REQUIRED, "File, relative to the folder", .max = 4096),
 *         INT(struct read_file, start, 1, 1000000000, 1, "First line"),
 *         { 0 } };
 *
 * Strings, arrays and sub-objects filled in live in the arena. Unknown members are refused with the nearest
 * name. All faults of an object are told at once, at most five.
 */
#include "core/base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape_kind {
    SHAPE_END,
    SHAPE_STRING,
    SHAPE_ENUM,
    SHAPE_INT,
    SHAPE_BOOL,
    SHAPE_STRINGS,
    SHAPE_OBJECT,
    SHAPE_JSON,
    SHAPE_DURATION,
    SHAPE_SIZE
};
enum { OPTIONAL = 0, REQUIRED = 1 };

struct strings {
    const char **p;
    size_t n;
};

struct shape {
    const char *name;
    enum shape_kind kind;
    size_t at; /* offset of the member in the struct */
    bool required;
    int64_t min, max;           /* INT: value; STRING: bytes (max 0: 65536); STRINGS: items */
    int64_t otherwise;          /* INT, BOOL, DURATION, SIZE when absent */
    const char *text_otherwise; /* STRING, ENUM when absent (NULL stays NULL) */
    const char *const *choices; /* ENUM: NULL-ended; the member is const char * pointing at the choice */
    const struct shape *inside; /* OBJECT: the member points to a struct of `inside_size`, or NULL */
    size_t inside_size;
    const char *help;
};

/* clang-format off: one row a kind */
#define STRING(t, m, need, text, ...)                                                           \
    {                                                                                           \
        .name = #m, .kind = SHAPE_STRING, .at = offsetof(t, m), .required = need, .help = text, \
        ##__VA_ARGS__                                                                           \
    }
#define ENUM(t, m, list, def, text, ...)                                                              \
    {                                                                                                 \
        .name = #m, .kind = SHAPE_ENUM, .at = offsetof(t, m), .choices = list, .text_otherwise = def, \
        .help = text, ##__VA_ARGS__                                                                   \
    }
#define INT(t, m, lo, hi, def, text, ...)                                                            \
    {                                                                                                \
        .name = #m, .kind = SHAPE_INT, .at = offsetof(t, m), .min = lo, .max = hi, .otherwise = def, \
        .help = text, ##__VA_ARGS__                                                                  \
    }
#define BOOL(t, m, def, text, ...)                                                                          \
    {                                                                                                       \
        .name = #m, .kind = SHAPE_BOOL, .at = offsetof(t, m), .otherwise = def, .help = text, ##__VA_ARGS__ \
    }
#define STRINGS(t, m, most, text, ...)                                                                    \
    {                                                                                                     \
        .name = #m, .kind = SHAPE_STRINGS, .at = offsetof(t, m), .max = most, .help = text, ##__VA_ARGS__ \
    }
#define DURATION(t, m, def_ms, text, ...)                                                            \
    {                                                                                                \
        .name = #m, .kind = SHAPE_DURATION, .at = offsetof(t, m), .otherwise = def_ms, .help = text, \
        ##__VA_ARGS__                                                                                \
    }
#define SIZE(t, m, def, text, ...)                                                                          \
    {                                                                                                       \
        .name = #m, .kind = SHAPE_SIZE, .at = offsetof(t, m), .otherwise = def, .help = text, ##__VA_ARGS__ \
    }
#define OBJECT(t, m, shape_, type_, text, ...)                                    \
    {                                                                             \
        .name = #m, .kind = SHAPE_OBJECT, .at = offsetof(t, m), .inside = shape_, \
        .inside_size = sizeof(type_), .help = text, ##__VA_ARGS__                 \
    }
/* The member is json_t *, borrowed from the tree given to shape_read. */
#define JSON(t, m, need, text, ...)                                                                         \
    {                                                                                                       \
        .name = #m, .kind = SHAPE_JSON, .at = offsetof(t, m), .required = need, .help = text, ##__VA_ARGS__ \
    }
/* clang-format on */

struct shape_faults {
    size_t n;
    struct {
        char pointer[128]; /* JSON pointer of the member at fault */
        char text[200];    /* "'limit' must be a whole number from 1 to 100" */
    } at[5];
};

/* Fills `*out` (zeroed first) from `value`; 0, or 1 with `faults` told. `value` NULL counts as {}. */
int shape_read(const struct shape *shape, json_t *value, struct arena *a, void *out,
               struct shape_faults *faults);
/* Appends the JSON Schema (2020-12 subset: type, properties, required, additionalProperties:false, ...). */
void shape_add_schema(struct buf *out, const struct shape *shape);
