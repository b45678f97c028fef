/*
 * `trunkline __complete WORD…`: what could come in the place of the last word, one a line. The shells filter
 * by what was typed; names come from the hub within NAMES_MS, and whatever goes wrong, nothing is said.
 */
#include "cli/commands.h"
#include "cli/rest.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/net/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MS = 100 };

struct words {
    char **p;
    int n; /* without the one to complete */
    const char *last;
};

static void offer(const char *word, const char *typed)
{
    if (word && strncmp(word, typed, strlen(typed)) == 0)
        printf("%s\n", word);
}

static void offer_options(const struct option_row *rows, const char *typed)
{
    for (; rows && rows->name; rows++) {
        char word[64];
        snprintf(word, sizeof(word), "--%s", rows->name);
        offer(word, typed);
    }
}

/* --- names of the hub --- */

static json_t *ask(const struct cli *c, const char *path)
{
    char room[256];
    struct buf body = {0};
    struct http_spec spec = {.method = "GET", .path = path, .timeout_ms = NAMES_MS};
    int status = http_fetch(rest_base(c, room, sizeof(room)), &spec, &body, NULL);
    json_t *tree = status == 200 ? json_read(buf_bytes(&body), NULL) : NULL;
    buf_end(&body);
    return tree;
}

static void offer_items(const struct cli *c, const char *path, const char *key, const char *typed)
{
    size_t i;
    json_t *item;
    _cleanup_json_ json_t *list = ask(c, path);
    json_array_foreach (json_object_get(list, "items"), i, item) {
        offer(json_str(item, key), typed);
    }
}

static const struct {
    const char *kind, *path, *key;
} kinds[] = {
    {"server",   "/api/v1/servers?limit=200",   "name"},
    {"tool",     "/api/v1/tools?limit=200",     "name"},
    {"prompt",   "/api/v1/prompts?limit=200",   "name"},
    {"resource", "/api/v1/resources?limit=200", "uri" },
    {"client",   "/api/v1/clients",             "name"},
};

static void offer_names(const struct cli *c, const char *kind, const char *typed)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            offer_items(c, kinds[i].path, kinds[i].key, typed);
    for (size_t i = 0; strcmp(kind, "shell") == 0 && i < sizeof(shells) / sizeof(shells[0]); i++)
        offer(shells[i], typed);
}

/* KEY= for each argument of a tool. */
static void offer_keys(const struct cli *c, const char *kind, const char *name, const char *typed)
{
    struct buf path = {0};
    const char *key;
    json_t *property;
    if (strcmp(kind, "tool") != 0)
        return;
    rest_path(&path, "/api/v1/tools/", name, "");
    _cleanup_json_ json_t *tool = ask(c, path.p);
    buf_end(&path);
    const json_t *schema = json_object_get(json_object_get(tool, "definition"), "inputSchema");
    json_object_foreach (json_object_get(schema, "properties"), key, property) {
        char *word = text_format("%s=", key);
        offer(word, typed);
        free(word);
    }
}

/* --- the table --- */

static void offer_first(const char *typed)
{
    const char *last = "";
    for (const struct command *row = commands; row->verb; row++) {
        const char *word = row->noun ? row->noun : row->verb;
        if (!row->is_hidden && strcmp(word, last) != 0)
            offer(word, typed);
        last = word;
    }
}

static void offer_verbs(const char *noun, const char *typed)
{
    for (const struct command *row = commands; row->verb; row++)
        if (row->noun && strcmp(row->noun, noun) == 0)
            offer(row->verb, typed);
}

static void offer_arguments(const struct cli *c, const struct command *row, const struct words *w, int from)
{
    int given = 0;
    const char *first = NULL;
    for (int i = from; i < w->n; i++)
        if (w->p[i][0] != '-' && !given++)
            first = w->p[i];
    if (row->complete && given == 0)
        offer_names(c, row->complete, w->last);
    else if (row->complete && row->most < 0)
        offer_keys(c, row->complete, first, w->last);
}

static void offer_all(const struct cli *c, const struct words *w)
{
    const char *noun = w->n ? w->p[0] : NULL;
    bool is_noun = noun && command_is_noun(noun);
    const struct command *row = NULL;
    if (is_noun && w->n > 1)
        row = command_find(noun, w->p[1]);
    else if (noun && !is_noun)
        row = command_find(NULL, noun);
    if (w->last[0] == '-') {
        offer_options(row ? row->options : NULL, w->last);
        offer_options(global_options, w->last);
    } else if (!noun) {
        offer_first(w->last);
    } else if (is_noun && w->n == 1) {
        offer_verbs(noun, w->last);
    } else if (row) {
        offer_arguments(c, row, w, is_noun ? 2 : 1);
    }
}

static bool takes_value(const char *word)
{
    for (const struct option_row *g = global_options; g->name; g++) {
        bool is_this =
            (word[1] == g->letter && !word[2]) || (word[1] == '-' && strcmp(word + 2, g->name) == 0);
        if (is_this)
            return g->value != NULL;
    }
    return false;
}

/* Global options before the first word are no part of the command; --hub among them is obeyed. */
int complete_run(struct cli *c)
{
    struct words w = {
        .p = c->argv, .n = c->argc ? c->argc - 1 : 0, .last = c->argc ? c->argv[c->argc - 1] : ""};
    while (w.n && w.p[0][0] == '-') {
        int skip = 1 + (takes_value(w.p[0]) && w.n > 1);
        if (skip == 2 && strcmp(w.p[0], "--hub") == 0)
            c->hub = w.p[1];
        w.p += skip;
        w.n -= skip;
    }
    offer_all(c, &w);
    return EXIT_DONE;
}
