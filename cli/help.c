#include "cli/help.h"

#include "cli/command.h"

#include <stdio.h>
#include <string.h>

enum { LEFT_WIDTH = 38 };

static void add_usage(struct buf *out, const struct command *c)
{
    buf_addf(out, "trunkline %s%s%s%s%s%s", c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
             c->options ? " [OPTIONS]" : "", *c->arguments ? " " : "", c->arguments);
}

static void add_option(struct buf *out, const struct option_row *o)
{
    char left[64];
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
             o->value ? o->value : "");
    buf_addf(out, "  %-32s %s\n", left, o->help);
}

static void add_options(struct buf *out, const struct option_row *rows)
{
    for (; rows && rows->name; rows++)
        add_option(out, rows);
}

static void add_one(struct buf *out, const struct command *c)
{
    buf_add_text(out, "usage: ");
    add_usage(out, c);
    buf_addf(out, "\n\n%s.\n", c->help);
    if (c->more)
        buf_addf(out, "\n%s\n", c->more);
    if (c->options) {
        buf_add_text(out, "\noptions:\n");
        add_options(out, c->options);
    }
    buf_add_text(out, "\nglobal options: trunkline help\n");
}

/* In characters, not bytes. */
static size_t width_of(const struct buf *text)
{
    size_t width = 0;
    for (size_t i = 0; i < text->n; i++)
        width += ((unsigned char)text->p[i] & 0xc0) != 0x80;
    return width;
}

static void add_row(struct buf *out, const struct command *c)
{
    struct buf left = {0};
    buf_addf(&left, "%s%s%s%s%s", c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
             *c->arguments ? " " : "", c->arguments);
    int gap = LEFT_WIDTH > width_of(&left) ? (int)(LEFT_WIDTH - width_of(&left)) : 0;
    buf_addf(out, "  %s%*s %s\n", left.p, gap, "", c->help);
    buf_end(&left);
}

static void add_rows(struct buf *out, const char *noun)
{
    for (const struct command *c = commands; c->verb; c++) {
        bool fits = !noun || (c->noun && strcmp(c->noun, noun) == 0);
        if (fits && !c->is_hidden)
            add_row(out, c);
    }
}

void help_add(struct buf *out, const char *noun, const char *verb)
{
    const struct command *c = verb ? command_find(noun, verb) : noun ? command_find(NULL, noun) : NULL;
    if (c) {
        add_one(out, c);
        return;
    }
    buf_addf(out, "usage: trunkline [GLOBAL OPTIONS] %s%s\n\n", noun ? noun : "COMMAND", noun ? " VERB" : "");
    if (!noun)
        buf_add_text(out, "One endpoint in front of many MCP servers.\n\n");
    buf_add_text(out, "commands:\n");
    add_rows(out, noun);
    buf_add_text(out, "\nglobal options:\n");
    add_options(out, global_options);
    buf_add_text(
        out, "\nexit status: 0 done, 1 failed, 2 usage, 3 hub unreachable, 4 not authenticated, 5 timeout,\n"
             "  6 the tool said it failed, 7 denied, 8 faults were found, 130 interrupted\n");
}

int help_show(const char *noun, const char *verb)
{
    struct buf out = {0};
    help_add(&out, noun, verb);
    fputs(out.p, stdout);
    buf_end(&out);
    return EXIT_DONE;
}

/* --- man pages: man(7) macros, made of the same rows --- */

static void add_escaped(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_add_text(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            buf_add_text(out, "\\e");
        else if (*text == '-')
            buf_add_text(out, "\\-");
        else
            buf_add_char(out, *text);
    }
}

static void add_man_options(struct buf *out, const struct option_row *rows)
{
    for (; rows && rows->name; rows++) {
        buf_add_text(out, ".TP\n\\fB");
        if (rows->letter)
            buf_addf(out, "\\-%c\\fR, \\fB", rows->letter);
        buf_add_text(out, "\\-\\-");
        add_escaped(out, rows->name);
        buf_add_text(out, "\\fR");
        if (rows->value)
            buf_addf(out, " \\fI%s\\fR", rows->value);
        buf_add_char(out, '\n');
        add_escaped(out, rows->help);
        buf_add_char(out, '\n');
    }
}

static void add_man_command(struct buf *out, const struct command *c)
{
    struct buf usage = {0};
    add_usage(&usage, c);
    buf_add_text(out, ".SS ");
    add_escaped(out, usage.p);
    buf_add_char(out, '\n');
    add_escaped(out, c->help);
    buf_add_text(out, ".\n");
    if (c->more) {
        buf_add_text(out, ".PP\n");
        add_escaped(out, c->more);
        buf_add_char(out, '\n');
    }
    add_man_options(out, c->options);
    buf_end(&usage);
}

static const char man_end[] =
    ".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 hub unreachable, 4 not authenticated, 5 timeout, 6 the "
    "tool "
    "said it failed, 7 denied, 8 faults were found, 130 interrupted.\n"
    ".SH ENVIRONMENT\n.TP\n.B TRUNKLINE_HUB\nWhere the hub is, as\n.BR \\-\\-hub .\n"
    ".TP\n.B NO_COLOR\nNo colours, whatever its value.\n"
    ".SH FILES\n.TP\n.I /etc/trunkline/trunkline.json\nThe configuration.\n"
    ".TP\n.I /run/trunkline/api.sock\nThe hub's local socket.\n";

void help_add_man(struct buf *out, const char *noun)
{
    const char *dash = noun ? "-" : "", *name = noun ? noun : "";
    buf_addf(out,
             ".TH TRUNKLINE%s%s 1 \"\" \"trunkline " TRUNKLINE_VERSION "\"\n.SH NAME\ntrunkline%s%s \\- ",
             dash, name, dash, name);
    if (noun)
        buf_addf(out, "the %s commands of trunkline(1)\n", noun);
    else
        buf_add_text(out, "one endpoint in front of many MCP servers\n");
    buf_addf(out,
             ".SH SYNOPSIS\n.B trunkline\n[\\fIglobal options\\fR] %s%s\\fIverb\\fR [\\fIarguments\\fR]\n",
             name, noun ? " " : "[\\fInoun\\fR] ");
    buf_add_text(out, ".SH COMMANDS\n");
    for (const struct command *c = commands; c->verb; c++) {
        bool fits = !noun || (c->noun && strcmp(c->noun, noun) == 0);
        if (fits && !c->is_hidden)
            add_man_command(out, c);
    }
    buf_add_text(out, ".SH GLOBAL OPTIONS\n");
    add_man_options(out, global_options);
    buf_add_text(out, man_end);
}

void help_add_reference(struct buf *out)
{
    buf_add_text(out,
                 "# Command line\n\nMade from the table of commands by `trunkline help --reference`; a test "
                 "compares the two.\n\n```\ntrunkline [GLOBAL OPTIONS] NOUN VERB [ARGUMENTS]\n```\n\n"
                 "## Global options\n\n```\n");
    add_options(out, global_options);
    buf_add_text(out, "```\n");
    for (const struct command *c = commands; c->verb; c++) {
        if (c->is_hidden)
            continue;
        buf_addf(out, "\n## %s%s%s\n\n%s.\n\n```\n", c->noun ? c->noun : "", c->noun ? " " : "", c->verb,
                 c->help);
        add_usage(out, c);
        buf_add_char(out, '\n');
        add_options(out, c->options);
        buf_add_text(out, "```\n");
        if (c->more)
            buf_addf(out, "\n%s\n", c->more);
    }
    buf_add_text(
        out, "\n## Exit status\n\n| status | meaning |\n|---|---|\n| 0 | done |\n| 1 | failed |\n| 2 | usage "
             "|\n| 3 | hub unreachable |\n| 4 | not authenticated |\n| 5 | timeout |\n| 6 | the tool said it "
             "failed |\n| 7 | denied |\n| 8 | doctor found faults |\n| 130 | interrupted |\n");
}

/* --- completion: words are asked of the program itself, so one small script a shell is enough --- */

int help_add_completion(struct buf *out, const char *shell)
{
    static const struct {
        const char *shell, *script;
    } scripts[] = {
        {"bash", "_trunkline() {\n"
                 "    local IFS=$'\\n'\n"
                 "    COMPREPLY=($(compgen -W \"$(trunkline __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
                 "2>/dev/null)\" "
                 "-- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
                 "}\n"
                 "complete -o default -F _trunkline trunkline\n"},
        {"zsh",
         "#compdef trunkline\n"
         "_trunkline() {\n"
         "    local -a found\n"
         "    found=(\"${(@f)$(trunkline __complete \"${words[@]:1:$((CURRENT-1))}\" 2>/dev/null)}\")\n"
         "    compadd -a found\n"
         "}\n"
         "_trunkline \"$@\"\n"                                                  },
        {"fish",
         "complete -c trunkline -f -a '(trunkline __complete (commandline -opc)[2..-1] (commandline -ct) "
         "2>/dev/null)'\n"                                                      },
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        if (strcmp(scripts[i].shell, shell) == 0) {
            buf_add_text(out, scripts[i].script);
            return 0;
        }
    return -1;
}
