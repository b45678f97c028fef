#include "hub/handshake.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "hub/version.h"

enum { INITIALIZE_MS = 30000, PROBE_MS = 5000 };

struct handshake {
    enum era era;
    struct line *line;
    struct pending *pending;
    const struct handshake_ops *ops;
    void *ctx;
};

void handshake_add_meta(struct buf *out, struct bytes capabilities)
{
    buf_add_text(out, "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                      "\"io.modelcontextprotocol/clientInfo\":" TRUNKLINE_INFO ","
                      "\"io.modelcontextprotocol/clientCapabilities\":");
    if (capabilities.n)
        envelope_add_line(out, capabilities);
    else
        buf_add_text(out, "{}");
}

static struct bytes object_or(const struct members *m, const char *key, struct bytes otherwise)
{
    const struct member *found = members_find(m, key);
    return found && found->type == JSON_T_OBJECT ? found->value : otherwise;
}

static struct bytes string_raw(const struct members *m, const char *key)
{
    const struct member *found = members_find(m, key);
    return found && found->type == JSON_T_STRING ? found->value : BYTES_NONE;
}

static void refuse(struct handshake *h, const struct why *why)
{
    const struct handshake_ops *ops = h->ops;
    void *ctx = h->ctx;
    free(h);
    ops->on_refused(ctx, why);
}

static int read_legacy(const struct envelope *e, struct facts *facts, struct why *why)
{
    const struct member *version = members_find(&e->inside, "protocolVersion");
    int revision = version ? revision_read(member_plain(version)) : -1;
    if (revision < 0 || revision >= REVISION_2026_07_28)
        return why_set(why, -1, "initialize was answered with an unknown protocol version");
    facts->era = ERA_LEGACY;
    facts->revision = (enum revision)revision;
    facts->server_info = object_or(&e->inside, "serverInfo", BYTES_NONE);
    return 0;
}

static void got_facts(struct handshake *h, const struct line_answer *answer)
{
    const struct envelope *e = answer->envelope;
    struct facts facts = {.known = true, .probed_at = stamp_now().ms};
    struct why why = {0};
    if (h->era == ERA_LEGACY) {
        if (read_legacy(e, &facts, &why) < 0) {
            refuse(h, &why);
            return;
        }
        line_notify(h->line, "notifications/initialized", BYTES_NONE);
    } else {
        facts.era = ERA_MODERN;
        facts.revision = REVISION_2026_07_28;
        facts.server_info = object_or(&e->meta, "io.modelcontextprotocol/serverInfo", BYTES_NONE);
    }
    facts.capabilities = object_or(&e->inside, "capabilities", BYTES("{}"));
    facts.instructions = string_raw(&e->inside, "instructions");
    const struct handshake_ops *ops = h->ops;
    void *ctx = h->ctx;
    free(h);
    ops->on_facts(ctx, &facts);
}

static void got_answer(void *ctx, const struct line_answer *answer)
{
    struct handshake *h = ctx;
    struct why why = {0};
    const char *method = h->era == ERA_LEGACY ? "initialize" : "server/discover";
    h->pending = NULL;
    switch (answer->outcome) {
    case LINE_RESULT:
        got_facts(h, answer);
        return;
    case LINE_ERROR:
        why_set(&why, -1, "%s was refused: %d %.*s", method, (int)answer->envelope->error_code,
                (int)answer->envelope->error_message.n, answer->envelope->error_message.p);
        break;
    default:
        why_set(&why, -1, "%s: %s", method, answer->fault.text);
        break;
    }
    refuse(h, &why);
}

static const struct pending_ops pending_ops = {got_answer, NULL};

struct handshake *handshake_new(struct line *line, enum era era, struct bytes capabilities,
                                const struct handshake_ops *ops, void *ctx)
{
    struct handshake *h = NEW(struct handshake);
    *h = (struct handshake){.era = era, .line = line, .ops = ops, .ctx = ctx};
    struct buf params = {0};
    if (era == ERA_LEGACY) {
        buf_add_text(&params, "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":");
        envelope_add_line(&params, capabilities.n ? capabilities : BYTES("{}"));
        buf_add_text(&params, ",\"clientInfo\":" TRUNKLINE_INFO "}");
    } else {
        buf_add_text(&params, "{\"_meta\":{");
        handshake_add_meta(&params, BYTES_NONE);
        buf_add_text(&params, "}}");
    }
    struct request_spec spec = {.method = era == ERA_LEGACY ? "initialize" : "server/discover",
                                .params = buf_bytes(&params),
                                .deadline_ms = INITIALIZE_MS,
                                .ops = &pending_ops,
                                .ctx = h};
    /* A line that cannot take it is lost, and says so by itself. */
    h->pending = line_request(line, &spec, NULL);
    buf_end(&params);
    return h;
}

void handshake_free(struct handshake *h)
{
    if (!h)
        return;
    if (h->pending)
        pending_cancel(h->pending, "no longer needed");
    free(h);
}

struct probe {
    struct pending *pending;
    const struct probe_ops *ops;
    void *ctx;
};

/* Does an array of version strings hold the one modern revision we speak, or any modern one? */
static void read_versions(struct bytes array, bool *ours, bool *modern)
{
    struct members versions = {0};
    *ours = *modern = false;
    if (elements_read(&versions, array) == 0) {
        for (size_t i = 0; i < versions.n; i++) {
            struct bytes version = member_plain(&versions.p[i]);
            if (bytes_say(version, "2026-07-28"))
                *ours = true;
            if (version.n == 10 && bytes_order(version, BYTES("2026-07-28")) >= 0)
                *modern = true;
        }
    }
    members_end(&versions);
}

static enum verdict judge_list(struct bytes array, struct why *why)
{
    bool ours, modern;
    read_versions(array, &ours, &modern);
    if (ours)
        return VERDICT_MODERN;
    if (modern) {
        why_set(why, -1, "speaks only protocol versions newer than 2026-07-28");
        return VERDICT_NOT_SERVED;
    }
    return VERDICT_LEGACY;
}

static enum verdict judge(const struct line_answer *answer, struct why *why)
{
    const struct envelope *e = answer->envelope;
    if (answer->outcome == LINE_RESULT) {
        const struct member *versions = members_find(&e->inside, "supportedVersions");
        return versions ? judge_list(versions->value, why) : VERDICT_LEGACY;
    }
    if (answer->outcome != LINE_ERROR)
        return VERDICT_LEGACY;
    if (e->error_code == -32020 || e->error_code == -32021) {
        why_set(why, -1, "refused server/discover with %d", (int)e->error_code);
        return VERDICT_NOT_SERVED;
    }
    if (e->error_code != -32022)
        return VERDICT_LEGACY;
    struct members data = {0};
    enum verdict verdict = VERDICT_NOT_SERVED;
    if (members_read(&data, e->error_data) == 0 && members_find(&data, "supported"))
        verdict = judge_list(members_find(&data, "supported")->value, why);
    else
        why_set(why, -1, "does not serve protocol version 2026-07-28");
    members_end(&data);
    return verdict;
}

static void got_probe(void *ctx, const struct line_answer *answer)
{
    struct probe *p = ctx;
    struct why why = {0};
    enum verdict verdict = judge(answer, &why);
    const struct probe_ops *ops = p->ops;
    void *owner = p->ctx;
    free(p);
    ops->on_verdict(owner, verdict, &why);
}

static const struct pending_ops probe_pending = {got_probe, NULL};

struct probe *probe_new(struct line *line, const struct probe_ops *ops, void *ctx)
{
    struct probe *p = NEW(struct probe);
    p->ops = ops;
    p->ctx = ctx;
    struct buf params = {0};
    buf_add_text(&params, "{\"_meta\":{");
    handshake_add_meta(&params, BYTES_NONE);
    buf_add_text(&params, "}}");
    struct request_spec spec = {.method = "server/discover",
                                .params = buf_bytes(&params),
                                .deadline_ms = PROBE_MS,
                                .ops = &probe_pending,
                                .ctx = p};
    p->pending = line_request(line, &spec, NULL);
    buf_end(&params);
    return p;
}

void probe_free(struct probe *p)
{
    if (!p)
        return;
    if (p->pending)
        pending_cancel(p->pending, "no longer needed");
    free(p);
}
