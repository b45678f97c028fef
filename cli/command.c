#include "cli/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "core/base/text.h"

enum { GLOBAL_BASE = 1000, OWN_BASE = 2000, LONG_MAX = 48 };

const struct option_row global_options[] = {
    {"hub", 0, "URL|unix:PATH", "Where the hub is; default: its local socket"},
    {"output", 'o', "table|json|jsonl", "Shape of the output"},
    {"columns", 0, "A,B", "Only these columns of a table"},
    {"no-color", 0, NULL, "No colours (also NO_COLOR)"},
    {"quiet", 'q', NULL, "Say nothing but what was asked for"},
    {"verbose", 'v', NULL, "Say more"},
    {"timeout", 0, "30s", "How long to wait for the hub"},
    {"yes", 'y', NULL, "Answer questions with yes"},
    {"dry-run", 0, NULL, "Say what would be done"},
    {"raw", 0, NULL, "Text as it came, control characters too"},
    {"help", 'h', NULL, "This help"},
    {0},
};

const char *cli_option(const struct cli *c, const char *name)
{
    for (size_t i = 0; c->command->options && c->command->options[i].name; i++)
        if (strcmp(c->command->options[i].name, name) == 0)
            return c->values[i];
    return NULL;
}

int cli_fail(const struct cli *c, int status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (c->output == OUTPUT_TABLE) {
        fprintf(stderr, "trunkline: %s\n", text);
        return status;
    }
    static const char *const codes[] = {"ok", "internal", "invalid_request", "unreachable", "unauthenticated"};
    struct buf out = {0};
    buf_addf(&out, "{\"error\":{\"code\":\"%s\",\"message\":", status < 5 ? codes[status] : "failed");
    buf_add_json_text(&out, text);
    buf_add_text(&out, "}}\n");
    fputs(out.p, stderr);
    buf_end(&out);
    return status;
}

const struct command *command_find(const char *noun, const char *verb)
{
    for (const struct command *c = commands; c->verb; c++) {
        bool is_noun = noun ? c->noun && strcmp(c->noun, noun) == 0 : !c->noun;
        if (is_noun && verb && strcmp(c->verb, verb) == 0)
            return c;
    }
    return NULL;
}

bool command_is_noun(const char *word)
{
    for (const struct command *c = commands; c->verb; c++)
        if (c->noun && strcmp(c->noun, word) == 0)
            return true;
    return false;
}

/* --- options --- */

struct parse {
    struct option longs[LONG_MAX];
    char shorts[3 * LONG_MAX];
    size_t n;
};

static void add_rows(struct parse *p, const struct option_row *rows, int base)
{
    for (int i = 0; rows && rows[i].name && p->n + 1 < LONG_MAX; i++) {
        p->longs[p->n++] =
            (struct option){rows[i].name, rows[i].value ? required_argument : no_argument, NULL, base + i};
        if (!rows[i].letter)
            continue;
        size_t at = strlen(p->shorts);
        p->shorts[at] = rows[i].letter;
        p->shorts[at + 1] = rows[i].value ? ':' : 0;
    }
}

static int code_of(const struct option_row *rows, int letter, int base)
{
    for (int i = 0; rows && rows[i].name; i++)
        if (rows[i].letter == letter)
            return base + i;
    return -1;
}

static int set_output(struct cli *c, const char *value)
{
    static const char *const names[] = {"table", "json", "jsonl"};
    for (int i = 0; i < 3; i++)
        if (strcmp(value, names[i]) == 0) {
            c->output = (enum output)i;
            return 0;
        }
    return cli_fail(c, EXIT_USAGE, "'-o %s': must be table, json or jsonl", value);
}

static int set_global(struct cli *c, const char *name, const char *value)
{
    if (strcmp(name, "hub") == 0)
        c->hub = value;
    else if (strcmp(name, "output") == 0)
        return set_output(c, value);
    else if (strcmp(name, "columns") == 0)
        c->columns = value;
    else if (strcmp(name, "no-color") == 0)
        c->no_color = true;
    else if (strcmp(name, "quiet") == 0)
        c->is_quiet = true;
    else if (strcmp(name, "verbose") == 0)
        c->is_verbose = true;
    else if (strcmp(name, "yes") == 0)
        c->says_yes = true;
    else if (strcmp(name, "dry-run") == 0)
        c->is_dry = true;
    else if (strcmp(name, "raw") == 0)
        c->is_raw = true;
    else if (strcmp(name, "timeout") == 0 && duration_read(bytes_of(value), &c->timeout_ms) < 0)
        return cli_fail(c, EXIT_USAGE, "'--timeout %s': must be a duration like 30s or 500ms", value);
    return 0;
}

/* Options may stand anywhere up to `--`; what is left are the arguments. 0, EXIT_USAGE, or -1: help was asked for. */
static int parse_options(struct cli *c, int argc, char **argv)
{
    struct parse p = {.shorts = "+"};
    const struct option_row *own = c->command ? c->command->options : NULL;
    /* `role` and `__complete` hand on words that are not for us. */
    if (!c->command || c->command->is_hidden || !own || strcmp(own[0].name, "-") != 0)
        p.shorts[0] = c->command && c->command->is_hidden ? '+' : '-';
    add_rows(&p, own, OWN_BASE);
    add_rows(&p, global_options, GLOBAL_BASE);
    optind = 0;
    opterr = 0;
    c->argc = 0;
    for (int code; (code = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1;) {
        if (code == 1) {
            c->argv[c->argc++] = optarg;
            continue;
        }
        if (code == '?')
            return cli_fail(c, EXIT_USAGE, "'%s': unknown option, or one without its value; see 'trunkline help'",
                            argv[optind > 1 ? optind - 1 : 1]);
        if (code < GLOBAL_BASE) {
            int letter = code;
            code = code_of(own, letter, OWN_BASE);
            if (code < 0)
                code = code_of(global_options, letter, GLOBAL_BASE);
        }
        if (code >= OWN_BASE) {
            c->values[code - OWN_BASE] = optarg ? optarg : "";
        } else {
            const char *name = global_options[code - GLOBAL_BASE].name;
            if (strcmp(name, "help") == 0)
                return -1;
            int fault = set_global(c, name, optarg);
            if (fault)
                return fault;
        }
    }
    while (optind < argc)
        c->argv[c->argc++] = argv[optind++];
    return 0;
}

/* --- which row --- */

/* The first two words that are no options; globals before them are parsed with a row of no options. */
static int find_words(int argc, char **argv, int at[2])
{
    int n = 0;
    for (int i = 1; i < argc && n < 2; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (argv[i][0] == '-' && argv[i][1]) {
            for (size_t g = 0; global_options[g].name; g++) {
                bool is_long = strcmp(argv[i] + 1 + (argv[i][1] == '-'), global_options[g].name) == 0;
                bool is_short = argv[i][1] == global_options[g].letter && !argv[i][2];
                if ((is_long || is_short) && global_options[g].value)
                    i++;
            }
            continue;
        }
        at[n++] = i;
    }
    return n;
}

static const char *nearest_word(const char *given)
{
    const char *names[64];
    size_t n = 0;
    for (const struct command *c = commands; c->verb && n < 62; c++)
        if (!c->is_hidden)
            names[n++] = c->noun ? c->noun : c->verb;
    names[n] = NULL;
    return text_nearest(given, names);
}

static int unknown(const struct cli *c, const char *noun, const char *verb)
{
    if (verb)
        return cli_fail(c, EXIT_USAGE, "'%s %s' is no command; see 'trunkline help %s'", noun, verb, noun);
    const char *near = nearest_word(noun);
    if (near)
        return cli_fail(c, EXIT_USAGE, "'%s' is no command; did you mean '%s'?", noun, near);
    return cli_fail(c, EXIT_USAGE, "'%s' is no command; see 'trunkline help'", noun);
}

static int check_arguments(struct cli *c)
{
    const struct command *row = c->command;
    if (c->argc >= row->least && (row->most < 0 || c->argc <= row->most))
        return 0;
    return cli_fail(c, EXIT_USAGE, "usage: trunkline %s%s%s %s", row->noun ? row->noun : "", row->noun ? " " : "",
                    row->verb, row->arguments);
}

static void drop_words(int *argc, char **argv, const int *at, int n)
{
    for (int k = n - 1; k >= 0; k--) {
        memmove(&argv[at[k]], &argv[at[k] + 1], (size_t)(*argc - at[k]) * sizeof(*argv));
        (*argc)--;
    }
}

int cli_main(int argc, char **argv)
{
    struct cli c = {.program = argv[0], .timeout_ms = 30000};
    int at[2] = {0, 0};
    int words = find_words(argc, argv, at);
    c.no_color = getenv("NO_COLOR") != NULL;
    c.argv = mem_array((size_t)argc + 1, sizeof(*c.argv));
    const char *first = words ? argv[at[0]] : NULL, *second = words > 1 ? argv[at[1]] : NULL;
    int status;
    if (first && !command_is_noun(first)) {
        c.command = command_find(NULL, first);
        words = 1;
    } else if (first) {
        c.command = command_find(first, second);
    }
    if (!c.command) {
        bool asks = !first || (first && !second);
        status = parse_options(&c, argc, argv);
        if (status <= 0 && asks && (!first || command_is_noun(first)))
            status = help_show(first, NULL);
        else if (status <= 0)
            status = unknown(&c, first, command_is_noun(first) ? second : NULL);
        free(c.argv);
        return status;
    }
    drop_words(&argc, argv, at, words);
    status = parse_options(&c, argc, argv);
    if (status < 0)
        status = help_show(c.command->noun, c.command->verb);
    else if (status == 0 && (status = check_arguments(&c)) == 0)
        status = c.command->run(&c);
    free(c.argv);
    return status;
}
