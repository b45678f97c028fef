#include "cli/command.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GLOBAL_BASE = 1000, OWN_BASE = 2000, LONG_MAX = 48 };

const struct option_row global_options[] = {
    VALUE("hub", 0, "URL|unix:PATH", "Where the hub is; default: its local socket"),
    VALUE("output", 'o', "table|json|jsonl", "Shape of the output"),
    VALUE("columns", 0, "A,B", "Only these columns of a table"),
    SWITCH("no-color", 0, "No colours (also NO_COLOR)"),
    SWITCH("quiet", 'q', "Say nothing but what was asked for"),
    SWITCH("verbose", 'v', "Say more"),
    VALUE("timeout", 0, "30s", "How long to wait for the hub"),
    SWITCH("yes", 'y', "Answer questions with yes"),
    SWITCH("dry-run", 0, "Say what would be done"),
    SWITCH("raw", 0, "Text as it came, control characters too"),
    SWITCH("help", 'h', "This help"),
    SWITCH("version", 'V', "The version"),
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
    static const char *const codes[] = {
        [EXIT_FAILED] = "failed",
        [EXIT_USAGE] = "usage",
        [EXIT_UNREACHABLE] = "unreachable",
        [EXIT_AUTH] = "unauthenticated",
        [EXIT_TIMEOUT] = "deadline_exceeded",
        [EXIT_TOOL_ERROR] = "tool_error",
        [EXIT_DENIED] = "policy_denied",
        [EXIT_FAULTS] = "faults_found",
    };
    const char *code = status > 0 && status <= EXIT_FAULTS ? codes[status] : "interrupted";
    struct buf out = {0};
    buf_addf(&out, "{\"error\":{\"code\":\"%s\",\"message\":", code);
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
    else if (strcmp(name, "help") == 0)
        c->asks_help = true;
    else if (strcmp(name, "version") == 0)
        c->asks_version = true;
    else if (strcmp(name, "timeout") == 0 && duration_read(bytes_of(value), &c->timeout_ms) < 0)
        return cli_fail(c, EXIT_USAGE, "'--timeout %s': must be a duration like 30s or 500ms", value);
    return 0;
}

static int bad_option(const struct cli *c, const struct parse *p, int code, const char *word)
{
    const char *names[LONG_MAX + 1], *near = NULL;
    for (size_t i = 0; i <= p->n; i++)
        names[i] = i < p->n ? p->longs[i].name : NULL;
    if (code == ':')
        return cli_fail(c, EXIT_USAGE, "'%s' needs a value", word);
    if (word[0] == '-' && word[1] == '-')
        near = text_nearest(word + 2, names);
    if (near)
        return cli_fail(c, EXIT_USAGE, "'%s': no such option; did you mean '--%s'?", word, near);
    return cli_fail(c, EXIT_USAGE, "'%s': no such option", word);
}

static int take_option(struct cli *c, int code)
{
    const struct option_row *own = c->command ? c->command->options : NULL;
    if (code < GLOBAL_BASE) {
        int letter = code;
        code = code_of(own, letter, OWN_BASE);
        if (code < 0)
            code = code_of(global_options, letter, GLOBAL_BASE);
    }
    if (code >= OWN_BASE) {
        c->values[code - OWN_BASE] = optarg ? optarg : "";
        return 0;
    }
    size_t global = (size_t)code - GLOBAL_BASE;
    assert(global < sizeof(global_options) / sizeof(global_options[0]));
    return set_global(c, global_options[global].name, optarg);
}

/* Options may stand anywhere up to `--`; what is left are the arguments. 0 or EXIT_USAGE. */
static int parse_options(struct cli *c, int argc, char **argv)
{
    struct parse p = {.shorts = "-:"};
    add_rows(&p, c->command ? c->command->options : NULL, OWN_BASE);
    add_rows(&p, global_options, GLOBAL_BASE);
    optind = 0;
    opterr = 0;
    c->argc = 0;
    for (int code, fault; (code = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1;) {
        if (code == '?' || code == ':')
            return bad_option(c, &p, code, argv[optind > 1 ? optind - 1 : 1]);
        if (code == 1)
            c->argv[c->argc++] = optarg;
        else if ((fault = take_option(c, code)) != 0)
            return fault;
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
    return cli_fail(c, EXIT_USAGE, "usage: trunkline %s%s%s %s", row->noun ? row->noun : "",
                    row->noun ? " " : "", row->verb, row->arguments);
}

static void drop_words(int *argc, char **argv, const int *at, int n)
{
    for (int k = n - 1; k >= 0; k--) {
        memmove(&argv[at[k]], &argv[at[k] + 1], (size_t)(*argc - at[k]) * sizeof(*argv));
        (*argc)--;
    }
}

/* `server NAME --stdio`: the row that is meant when the second word is no verb. */
static const struct command *find_default(const char *noun, int argc, char **argv)
{
    for (const struct command *c = commands; c->verb; c++) {
        if (!c->is_default || strcmp(c->noun, noun) != 0)
            continue;
        for (int i = 1; i < argc; i++)
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, c->options[0].name) == 0)
                return c;
    }
    return NULL;
}

/* The row, and how many of the two words name it. */
static int find_row(struct cli *c, int argc, char **argv, const int *at, int words)
{
    const char *first = words ? argv[at[0]] : NULL, *second = words > 1 ? argv[at[1]] : NULL;
    if (!first)
        return 0;
    if (!command_is_noun(first)) {
        c->command = command_find(NULL, first);
        return 1;
    }
    c->command = command_find(first, second);
    if (c->command || !second)
        return words;
    c->command = find_default(first, argc, argv);
    return 1;
}

/* No row: help for what there is of it, or a complaint. */
static int without_row(struct cli *c, int argc, char **argv, const int *at, int words)
{
    const char *first = words ? argv[at[0]] : NULL, *second = words > 1 ? argv[at[1]] : NULL;
    bool is_noun = first && command_is_noun(first);
    if (first && !is_noun)
        return unknown(c, first, NULL);
    int status = parse_options(c, argc, argv);
    if (status)
        return status;
    if (c->asks_version)
        return version_run(c);
    return is_noun && second && !c->asks_help ? unknown(c, first, second) : help_show(first, NULL);
}

static int run_row(struct cli *c, int argc, char **argv, const int *at, int words)
{
    if (c->command->is_hidden) {
        c->argc = argc - at[words - 1] - 1;
        memcpy(c->argv, argv + at[words - 1] + 1, (size_t)c->argc * sizeof(*argv));
        return c->command->run(c);
    }
    /* A reader that goes away is told by write: see close_output. What `up` starts must not inherit that. */
    if (c->command->run != up_run)
        signal(SIGPIPE, SIG_IGN);
    drop_words(&argc, argv, at, words);
    int status = parse_options(c, argc, argv);
    if (status)
        return status;
    if (c->asks_help)
        return help_show(c->command->noun, c->command->verb);
    status = check_arguments(c);
    return status ? status : c->command->run(c);
}

/* A reader that went away (`| head`) is no failure worth a word; anything else that kept the output from
 * arriving is. */
static int close_output(const struct cli *c, int status)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    int error = errno;
    if (!failed || status != EXIT_DONE || (poll(&out, 1, 0) >= 0 && out.revents & POLLERR))
        return status;
    return cli_fail(c, EXIT_FAILED, "cannot write the output: %s", strerror(error));
}

int cli_main(const struct cli_wiring *wiring, int argc, char **argv)
{
    struct cli c = {.wiring = wiring, .program = argv[0], .timeout_ms = 30000};
    int at[2] = {0, 0};
    const char *no_color = getenv("NO_COLOR");
    setlocale(LC_CTYPE, "");
    c.no_color = no_color && *no_color;
    c.argv = mem_array((size_t)argc + 1, sizeof(*c.argv));
    int words = find_row(&c, argc, argv, at, find_words(argc, argv, at));
    int status = c.command ? run_row(&c, argc, argv, at, words)
                           : without_row(&c, argc, argv, at, find_words(argc, argv, at));
    free(c.argv);
    return close_output(&c, status);
}
