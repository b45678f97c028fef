/* What the table of commands is turned into. */
#include "cli/command.h"
#include "cli/help.h"
#include "tests/kit/kit.h"

static bool is_there(const struct buf *b, const char *piece)
{
    return memmem(b->p, b->n, piece, strlen(piece)) != NULL;
}

static void the_reference_page_is_the_table(void **state)
{
    struct buf page = {0};
    help_add_reference(&page);
    kit_golden_file("docs/reference/cli.md", buf_bytes(&page));
    buf_end(&page);
}

static void every_row_can_be_run_and_explained(void **state)
{
    for (const struct command *c = commands; c->verb; c++) {
        assert_non_null(c->run);
        assert_non_null(c->help);
        assert_true(c->help[strlen(c->help) - 1] != '.');
        assert_true(c->most < 0 || c->least <= c->most);
        assert_ptr_equal(command_find(c->noun, c->verb), c);
    }
}

static void no_two_options_of_a_command_share_a_letter(void **state)
{
    for (const struct command *c = commands; c->verb; c++) {
        char seen[128] = {0};
        for (const struct option_row *o = global_options; o->name; o++)
            seen[(int)o->letter] = 1;
        seen[0] = 0;
        for (const struct option_row *o = c->options; o && o->name; o++) {
            if (seen[(int)o->letter])
                fail_msg("%s: -%c has two meanings", c->verb, o->letter);
            seen[(int)o->letter] = o->letter != 0;
        }
    }
}

static void rows_of_a_noun_stand_together(void **state)
{
    for (const struct command *c = commands; c->verb && c[1].verb; c++) {
        if (!c->noun || (c[1].noun && strcmp(c->noun, c[1].noun) == 0))
            continue;
        for (const struct command *later = c + 1; later->verb; later++)
            assert_true(!later->noun || strcmp(later->noun, c->noun) != 0);
    }
}

static void help_names_everything_but_the_hidden(void **state)
{
    struct buf all = {0};
    help_add(&all, NULL, NULL);
    for (const struct command *c = commands; c->verb; c++)
        assert_true(c->is_hidden || is_there(&all, c->help));
    assert_false(is_there(&all, "__complete"));
    buf_end(&all);
}

static void help_of_one_command_names_its_options(void **state)
{
    struct buf one = {0};
    help_add(&one, "tool", "call");
    assert_true(is_there(&one, "usage: trunkline tool call [OPTIONS] TOOL"));
    assert_true(is_there(&one, "-j, --json"));
    assert_true(is_there(&one, "--deadline"));
    buf_end(&one);
}

static void man_pages_escape_what_roff_would_read(void **state)
{
    struct buf page = {0};
    help_add_man(&page, "tool");
    assert_true(is_there(&page, ".TH TRUNKLINE-tool 1"));
    assert_true(is_there(&page, "\\fB\\-j\\fR, \\fB\\-\\-json\\fR"));
    assert_false(is_there(&page, "server list"));
    buf_end(&page);
}

static void completion_knows_three_shells(void **state)
{
    struct buf script = {0};
    passes(help_add_completion(&script, "bash"));
    passes(help_add_completion(&script, "zsh"));
    passes(help_add_completion(&script, "fish"));
    assert_int_equal(help_add_completion(&script, "tcsh"), -1);
    buf_end(&script);
}

KIT_MAIN(cmocka_unit_test(the_reference_page_is_the_table),
         cmocka_unit_test(every_row_can_be_run_and_explained),
         cmocka_unit_test(no_two_options_of_a_command_share_a_letter),
         cmocka_unit_test(rows_of_a_noun_stand_together),
         cmocka_unit_test(help_names_everything_but_the_hidden),
         cmocka_unit_test(help_of_one_command_names_its_options),
         cmocka_unit_test(man_pages_escape_what_roff_would_read),
         cmocka_unit_test(completion_knows_three_shells))
