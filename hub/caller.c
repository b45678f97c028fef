#include "hub/caller.h"

#include "core/rpc/envelope.h"

static const char *const revisions[] = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"};
static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                     "error", "critical", "alert",  "emergency"};

enum { REVISIONS = sizeof(revisions) / sizeof(revisions[0]), LEVELS = sizeof(levels) / sizeof(levels[0]) };

const char *revision_text(enum revision r)
{
    return revisions[r];
}

int revision_read(struct bytes text)
{
    for (int i = 0; i < REVISIONS; i++)
        if (bytes_say(text, revisions[i]))
            return i;
    /* The first published tag, withdrawn within a month; its clients speak 2024-11-05. */
    return bytes_say(text, "2024-10-07") ? REVISION_2024_11_05 : -1;
}

int log_level_read(struct bytes name)
{
    for (int i = 0; i < LEVELS; i++)
        if (bytes_say(name, levels[i]))
            return i;
    return -1;
}

static bool is_object(const struct member *m)
{
    return m && m->type == JSON_T_OBJECT;
}

/* Has the object `value` an object member `key`? */
static bool declares(struct bytes value, const char *key)
{
    struct members inside = {0};
    bool yes = members_read(&inside, value) == 0 && is_object(members_find(&inside, key));

    members_end(&inside);
    return yes;
}

/* "elicitation":{} is form mode only: url mode came later and is always named. */
static unsigned elicitation(struct bytes value, enum revision revision)
{
    bool has_url = revision >= REVISION_2025_11_25 && declares(value, "url");
    bool has_form = !has_url || declares(value, "form");

    return (has_form ? CAN_ELICIT_FORM : 0) | (has_url ? CAN_ELICIT_URL : 0);
}

unsigned caller_can(struct bytes capabilities, enum revision revision)
{
    struct members all = {0};
    unsigned can = 0;

    if (members_read(&all, capabilities) < 0) {
        members_end(&all);
        return 0;
    }
    const struct member *elicit = members_find(&all, "elicitation");
    const struct member *sample = members_find(&all, "sampling");
    if (is_object(elicit) && revision >= REVISION_2025_06_18)
        can |= elicitation(elicit->value, revision);
    if (is_object(sample)) {
        can |= CAN_SAMPLE;
        if (revision >= REVISION_2025_11_25 && declares(sample->value, "tools"))
            can |= CAN_SAMPLE_TOOLS;
    }
    if (is_object(members_find(&all, "roots")))
        can |= CAN_ROOTS;
    members_end(&all);
    return can;
}
