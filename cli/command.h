#pragma once
/*
 * command -- the command line as a table: parser, help, man pages, completion and the reference page come
 * from it.
 *
 * trunkline [global] NOUN VERB [ARGS]. A row without noun is a top-level command. Exit status: enum
 * exit_status; the same outcome has the same status whatever the command.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_AUTH = 4,
    EXIT_TIMEOUT = 5,
    EXIT_TOOL_ERROR = 6,
    EXIT_DENIED = 7,
    EXIT_FAULTS = 8,
    EXIT_INTERRUPTED = 130,
};

struct cli;
struct role;

/* What main.c hands in: the parts that this folder may not know. */
struct cli_wiring {
    const struct role *roles; /* for `trunkline role NAME` */
    int (*server_stdio)(const char *name, const json_t *settings);
    const char *const *builtins; /* the built-in servers there are, NULL-ended */
};

struct option_row {
    const char *name;  /* long form, without -- */
    char letter;       /* short form, or 0 */
    const char *value; /* name of its value; NULL: a switch */
    const char *help;
};
#define VALUE(name, letter, value, help) \
    {                                    \
        name, letter, value, help        \
    }
#define SWITCH(name, letter, help) \
    {                              \
        name, letter, NULL, help   \
    }

struct command {
    const char *noun; /* NULL: top level */
    const char *verb;
    const char *arguments;            /* "NAME [KEY=VALUE…]", or "" */
    int least, most;                  /* how many; most -1: any */
    const struct option_row *options; /* ended by a row without name; NULL: none */
    const char *help;                 /* one line, no full stop */
    const char *more;                 /* a paragraph, or NULL */
    int (*run)(struct cli *c);
    const char
        *complete;   /* what the first argument is: "server" "tool" "resource" "prompt" "client", or NULL */
    bool is_hidden;  /* takes its words as they are: no options of ours */
    bool is_default; /* `NOUN WORD` means this row when WORD is no verb and its first option is given */
};

extern const struct command commands[]; /* ended by a row without verb */
extern const struct option_row global_options[];

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };
enum { OPTIONS_MAX = 16 };

struct cli {
    const struct cli_wiring *wiring;
    const struct command *command;
    const char *program;
    const char *hub; /* "unix:PATH" or URL; NULL: found by rest.c */
    const char *columns;
    enum output output;
    bool is_quiet, is_verbose, no_color, says_yes, is_raw, is_dry, asks_help, asks_version;
    int64_t timeout_ms;
    int argc; /* arguments behind the verb, options taken out */
    char **argv;
    const char *values[OPTIONS_MAX]; /* by row of command->options; a switch that was given is "" */
};

/* The value of an option of this command: NULL when it was not given. */
const char *cli_option(const struct cli *c, const char *name);
/* Prints "trunkline: …" on stderr (as the REST error envelope with -o json) and gives `status` back. */
int cli_fail(const struct cli *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The whole program behind main(): finds the row, parses, runs. */
int cli_main(const struct cli_wiring *wiring, int argc, char **argv);
const struct command *command_find(const char *noun, const char *verb);
bool command_is_noun(const char *word);
