/* The table of keys. What a row does not say (order of files, references, environment) is the same for all of
 * them. */
#include "core/base/config_parts.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define IN(member) ((int)offsetof(struct config, member))
#define OF(member) ((int)offsetof(struct config_server, member))
#define HOUR (INT64_C(3600) * 1000)
#define DAY (24 * HOUR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define LATER(path_)                       \
    {                                      \
        .path = (path_), .kind = KEY_LATER \
    }
#define SAME(path_, same_)               \
    {                                    \
        .path = (path_), .same = (same_) \
    }
#define TEXT(path_, at_, def, text)                                                                       \
    {                                                                                                     \
        .path = (path_), .kind = KEY_STRING, .at = (at_), .otherwise = (def), .max = 4096, .help = (text) \
    }
#define ONE_OF(path_, at_, list, def, text)                                                    \
    {                                                                                          \
        .path = (path_), .kind = KEY_ENUM, .at = (at_), .choices = (list), .otherwise = (def), \
        .help = (text)                                                                         \
    }
#define YES_NO(path_, at_, def, text)                                                      \
    {                                                                                      \
        .path = (path_), .kind = KEY_BOOL, .at = (at_), .otherwise = (def), .help = (text) \
    }
#define NUMBER(path_, at_, lo, hi, def, text)                                                        \
    {                                                                                                \
        .path = (path_), .kind = KEY_INT, .at = (at_), .min = (lo), .max = (hi), .otherwise = (def), \
        .help = (text)                                                                               \
    }
#define TIME(path_, at_, lo, hi, def, text)                                                               \
    {                                                                                                     \
        .path = (path_), .kind = KEY_DURATION, .at = (at_), .min = (lo), .max = (hi), .otherwise = (def), \
        .help = (text)                                                                                    \
    }
#define BYTE_COUNT(path_, at_, lo, hi, def, text)                                                     \
    {                                                                                                 \
        .path = (path_), .kind = KEY_SIZE, .at = (at_), .min = (lo), .max = (hi), .otherwise = (def), \
        .help = (text)                                                                                \
    }
#define LIST(path_, at_, def, text)                                                                        \
    {                                                                                                      \
        .path = (path_), .kind = KEY_STRINGS, .at = (at_), .max = 1024, .otherwise = (def), .help = (text) \
    }

static const char *const profiles[] = {"standard", "strict", "dev", NULL};
static const char *const loopbacks[] = {"open", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};
static const char *const eras[] = {"auto", "legacy", "modern", NULL};
static const char *const interactives[] = {"auto", "shared", "per-client", NULL};
static const char *const probes[] = {"sibling", "inplace", "never", NULL};
static const char *const deliveries[] = {"none", "env", NULL};
static const char *const types[] = {"stdio", NULL};

/* clang-format off: one row a key reads better than what the formatter makes of it */
const struct config_key config_keys[] = {
    TEXT("$schema", BY_HAND, NULL, "Where an editor finds the schema of this file; not looked at"),
    TEXT("hub.name", IN(name), "trunkline", "Name in the server info that clients see"),
    TEXT("hub.public_url", IN(public_url), NULL,
         "Base of links; from the first TCP listener when absent. Never taken from `Host`"),
    TEXT("hub.state", BY_HAND, NULL,
         "Folder for state.db, run/ and work/, 0700. `/var/lib/trunkline` where it can be written, else "
         "`$XDG_STATE_HOME/trunkline`"),
    ONE_OF("hub.profile", BY_HAND, profiles, "standard",
           "strict: no secrets in environments, warnings are errors"),
    TIME("hub.drain", IN(drain_ms), 0, HOUR, "10s", "How long an orderly stop waits for running calls"),
    TIME("hub.calls.deadline", IN(deadline_ms), 1, DAY, "120s", "Deadline of a call that names none"),
    TIME("hub.calls.deadline_max", IN(deadline_max_ms), 1, DAY, "1h", "Highest deadline a call may name"),
    TIME("hub.calls.keep", IN(keep_ms), 0, DAY, "15m", "How long results stay readable"),
    BYTE_COUNT("hub.calls.keep_bytes", IN(keep_bytes), 0, 64 * GIB, "256MiB",
               "How much results may take meanwhile"),
    NUMBER("mcp.name_max", IN(name_max), 40, 128, "64",
           "Longest tool name shown to clients; longer ones are cut and marked"),
    TIME("mcp.session_idle", IN(session_idle_ms), 1000, 30 * DAY, "30m", "When a session nobody uses ends"),
    TIME("mcp.sse_after", IN(sse_after_ms), 0, 60000, "250ms",
         "A call longer than this is answered as a stream"),
    LATER("mcp.task_after"),
    LATER("mcp.views"),
    {.path = "listen",
                   .kind = KEY_LISTEN,
                   .at = BY_HAND,
                   .help = "Addresses, or objects with `address`, `mode` (Unix socket, \"0660\"), `hosts` and `origins` "
             "(allow-lists besides the loopback names) and `optional` (skipped where the kernel lacks the "
             "family, moved on where the port is taken). Default: `127.0.0.1:8080`, `[::1]:8080`, both "
             "optional. Where no Unix socket is named, one is added: `api.sock` in "
             "`$XDG_RUNTIME_DIR/trunkline`, else in `/run/trunkline`, else in `run` of the state folder; "
             "always there when a state folder is named. Loopback only"},
    ONE_OF("auth.loopback", BY_HAND, loopbacks, "open",
           "open: whoever reaches a loopback address or the Unix socket may do everything"),
    LATER("auth.issuers"),
    LATER("auth.login"),
    LATER("auth.password"),
    LATER("auth.totp"),
    LATER("auth.session"),
    LATER("auth.keys"),
    LATER("auth.step_up"),
    LATER("auth.local"),
    BYTE_COUNT("limits.http.uri", IN(http.uri), 256, 64 * KIB, "2KiB", "Longest request target"),
    BYTE_COUNT("limits.http.headers", IN(http.headers), KIB, MIB, "16KiB", "Largest request head"),
    TIME("limits.http.header_time", IN(http.header_ms), 100, HOUR, "10s", "How long a head may take to come"),
    TIME("limits.http.body_time", IN(http.body_ms), 100, HOUR, "30s", "How long a body may pause"),
    TIME("limits.http.idle", IN(http.idle_ms), 100, DAY, "60s", "When an idle connection is closed"),
    NUMBER("limits.http.connections", IN(http.connections), 1, 1000000, "12000", "Connections at once"),
    NUMBER("limits.http.per_ip", IN(http.per_ip), 1, 1000000, "256", "Connections at once from one address"),
    BYTE_COUNT("limits.json.request", IN(json.request), KIB, GIB, "4MiB", "Largest request body"),
    LATER("limits.json.result"),
    NUMBER("limits.json.depth", IN(json.depth), 4, 512, "64", "Deepest nesting"),
    NUMBER("limits.json.values", IN(json.values), 100, 100000000, "200000", "Most values in one message"),
    NUMBER("limits.json.keys", IN(json.keys), 10, 1000000, "4096", "Most members of one object"),
    NUMBER("limits.stream.per_principal", IN(stream.per_principal), 1, 100000, "16",
           "Event streams at once of one caller"),
    BYTE_COUNT("limits.stream.queue", IN(stream.queue), KIB, GIB, "256KiB",
               "What may wait for one slow reader"),
    NUMBER("limits.stream.ring", IN(stream.ring), 16, 10000000, "65536",
           "Events kept for readers that come back"),
    BYTE_COUNT("limits.stream.ring_bytes", IN(stream.ring_bytes), KIB, 16 * GIB, "16MiB", "Bytes of them"),
    LATER("limits.principal"),
    LATER("limits.ip"),
    LATER("limits.agent_messages"),
    LATER("limits.hooks"),
    LATER("limits.login"),
    LATER("limits.totp"),
    LATER("limits.connect"),
    LATER("limits.keys"),
    LATER("limits.exports"),
    LATER("limits.tool"),
    LATER("limits.agent"),
    LATER("limits.overrides"),
    ONE_OF("telemetry.log.level", IN(log_level), levels, "info", "Least level that is written"),
    ONE_OF("telemetry.log.format", IN(log_format), formats, "auto", "auto: text on a terminal, else json"),
    LATER("telemetry.log.file"),
    YES_NO("telemetry.metrics.enabled", IN(metrics), "true", "Answer `/metrics` on loopback"),
    LATER("telemetry.metrics.auth"),
    LATER("telemetry.metrics.label_cap"),
    LATER("telemetry.traces"),
    LATER("vault"),
    LATER("audit"),
    LATER("agents"),
    LATER("a2a"),
    LATER("policy"),
    LATER("approvals"),
    LATER("webhooks"),

    TEXT("servers.*.builtin", OF(builtin), NULL, "Name of a server that comes with Trunkline"),
    TEXT("servers.*.command", OF(command), NULL, "Program that speaks MCP on its standard input and output"),
    LIST("servers.*.args", OF(args), NULL, "Its arguments"),
    {.path = "servers.*.env",
                   .kind = KEY_MAP,
                   .at = BY_HAND,
                   .help = "Its environment, besides PATH, HOME, LANG, TZ, TMPDIR and the XDG folders"},
    TEXT("servers.*.env_file", BY_HAND, NULL, "File of NAME=VALUE lines; `env` wins"),
    TEXT("servers.*.cwd", OF(cwd), NULL,
         "Its working folder; one of its own below the state folder when absent"),
    ONE_OF("servers.*.secret_delivery", BY_HAND, deliveries, "none",
           "env: the environment carries secrets, knowingly; shown in red"),
    NUMBER("servers.*.restart.max", OF(restart.max), 0, 1000, "5",
           "Restarts in `window` before it stays down"),
    TIME("servers.*.restart.window", OF(restart.window_ms), 1000, DAY, "60s",
         "How far back restarts are counted"),
    {.path = "servers.*.settings",
                   .kind = KEY_JSON,
                   .at = BY_HAND,
                   .help = "What the built-in server understands"},
    YES_NO("servers.*.enabled", OF(enabled), "true", "false: known, but not started"),
    YES_NO("servers.*.disabled", BY_HAND, NULL, "The same the other way round, as some clients write it"),
    TEXT("servers.*.title", OF(title), NULL, "Name for people"),
    TEXT("servers.*.prefix", OF(prefix), NULL,
         "What tool names begin with on `/mcp`; the server's name when absent"),
    LATER("servers.*.concurrency"),
    LATER("servers.*.queue"),
    TIME("servers.*.timeout.call", OF(timeout.call), 1, DAY, "120s", "Time a call has to be answered"),
    TIME("servers.*.timeout.progress", OF(timeout.progress), 1, DAY, "60s",
         "Time that one report of progress buys"),
    TIME("servers.*.timeout.start", OF(timeout.start), 1, DAY, "120s",
         "From start to the answer of the first message"),
    TIME("servers.*.timeout.ready", OF(timeout.ready), 1, DAY, "10s",
         "How long a call waits for a server that starts"),
    TIME("servers.*.timeout.question", OF(timeout.question), 1, DAY, "600s",
         "How long a question to the caller stays open"),
    LATER("servers.*.timeout.parked"),
    LATER("servers.*.toolsets"),
    LIST("servers.*.tools", OF(tools), NULL, "Only these tools"),
    LIST("servers.*.exclude", OF(exclude), NULL, "Not these tools; wins"),
    YES_NO("servers.*.read_only", OF(read_only), "false", "Only tools that change nothing; wins"),
    LATER("servers.*.trust_annotations"),
    BYTE_COUNT("servers.*.result_bytes", OF(result_bytes), KIB, GIB, "64MiB", "Largest result"),
    ONE_OF("servers.*.era", OF(era), eras, "auto",
           "Which protocol it speaks: modern is 2026-07-28, legacy all before"),
    ONE_OF("servers.*.interactive", OF(interactive), interactives, "auto",
           "Whether clients share one process of it"),
    ONE_OF("servers.*.probe", OF(probe), probes, "sibling", "How the era is found out"),
    ONE_OF("servers.*.type", BY_HAND, types, NULL, "As some clients write it; stdio is all there is"),
    SAME("servers.*.transport", "servers.*.type"),
    SAME("servers.*.envFile", "servers.*.env_file"),
    LATER("servers.*.url"),
    LATER("servers.*.serverUrl"),
    LATER("servers.*.httpUrl"),
    LATER("servers.*.uri"),
    LATER("servers.*.headers"),
    LATER("servers.*.tls"),
    LATER("servers.*.oauth"),
    LATER("servers.*.openapi"),
    LATER("servers.*.mode"),
    LATER("servers.*.tags"),
    LATER("servers.*.methods"),
    LATER("servers.*.operations"),
    LATER("servers.*.external_refs"),
    LATER("servers.*.labels"),
    LATER("servers.*.credential"),
    LATER("servers.*.auth"),
    LATER("servers.*.hosts"),
    LATER("servers.*.timeout.connect"),
    LATER("servers.*.timeout.first_byte"),
    LATER("servers.*.timeout.idle"),
    LATER("servers.*.breaker"),
    LATER("servers.*.schemas"),
    LATER("servers.*.overrides"),
    LATER("servers.*.pin"),
    LATER("servers.*.on_gone"),
    LATER("servers.*.poll"),
    LATER("servers.*.sandbox"),
    {.kind = KEY_END },
};
/* clang-format on */

const struct config_key *config_key_find(const char *pattern)
{
    for (const struct config_key *key = config_keys; key->path; key++)
        if (strcmp(key->path, pattern) == 0)
            return key->same ? config_key_find(key->same) : key;
    return NULL;
}

bool config_key_is_section(const char *pattern)
{
    size_t n = strlen(pattern);
    for (const struct config_key *key = config_keys; key->path; key++)
        if (strncmp(key->path, pattern, n) == 0 && key->path[n] == '.')
            return true;
    return false;
}

const char *config_key_nearest(const char *pattern, const char *given, struct arena *room)
{
    size_t n = strlen(pattern), count = 0;
    const char **names = arena_take(room, sizeof *names * sizeof(config_keys) / sizeof(config_keys[0]));
    for (const struct config_key *key = config_keys; key->path; key++) {
        if (strncmp(key->path, pattern, n) != 0 || (n && key->path[n] != '.'))
            continue;
        const char *name = key->path + (n ? n + 1 : 0);
        if (*name != '*')
            names[count++] = arena_text(room, (struct bytes){name, strcspn(name, ".")});
    }
    return text_nearest(given, names);
}

json_t *config_key_default(const struct config_key *key)
{
    int64_t number;
    if (!key->otherwise)
        return NULL;
    switch (key->kind) {
    case KEY_INT:
        return number_read(bytes_of(key->otherwise), &number) == 0 ? json_integer(number) : NULL;
    case KEY_BOOL:
    case KEY_STRINGS:
        return json_read(bytes_of(key->otherwise), NULL);
    default:
        return json_string(key->otherwise);
    }
}
