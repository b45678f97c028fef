#include "core/base/config.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/kit/kit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one file of a load; gone after it. */
static int load(const char *text, struct config **out)
{
    const char *file = kit_file("c.json", text);
    struct config_source source = {.main_file = file, .state = kit_path("state"), .workspace = "/src/tree"};
    int rc = config_load(&source, out, kit_why());
    /* Messages name the file by its whole path; tests care about what follows. */
    char *name = strstr(kit_why()->text, "/c.json:");
    if (rc < 0 && name)
        memmove(kit_why()->text, name + 1, strlen(name));
    return rc;
}

static struct config *loaded(const char *text)
{
    struct config *c = NULL;
    passes(load(text, &c));
    return c;
}

static void refuses(const char *text, const char *why)
{
    struct config *c = NULL;
    fails_with(-1, why, load(text, &c));
    assert_null(c);
}

static void nothing_written_means_the_defaults(void **state)
{
    (void)state;
    struct config *c = loaded("{}");
    assert_string_equal(c->name, "trunkline");
    assert_null(c->public_url);
    assert_int_equal(c->deadline_ms, 120000);
    assert_int_equal(c->deadline_max_ms, 3600000);
    assert_int_equal(c->http.headers, 16384);
    assert_int_equal(c->json.request, 4 << 20);
    assert_int_equal(c->stream.ring, 65536);
    assert_int_equal(c->name_max, 64);
    assert_int_equal(c->sse_after_ms, 250);
    assert_int_equal(c->profile, PROFILE_STANDARD);
    assert_true(c->loopback_is_open);
    assert_true(c->metrics);
    assert_string_equal(c->log_level, "info");
    assert_int_equal(c->server_count, 0);
    config_free(c);
}

static void listens_on_both_loopback_families_and_a_socket_in_the_state(void **state)
{
    (void)state;
    struct config *c = loaded("{}");
    assert_int_equal(c->listen_count, 3);
    assert_string_equal(c->listens[0].address, "127.0.0.1:8080");
    assert_string_equal(c->listens[1].address, "[::1]:8080");
    char *socket = text_format("unix:%s/run/api.sock", c->state);
    assert_string_equal(c->listens[2].address, socket);
    assert_true(c->listens[0].is_default && c->listens[2].is_default);
    assert_int_equal(c->listens[2].mode, 0660);
    free(socket);
    config_free(c);
}

static void named_listeners_replace_the_default_but_the_socket_stays(void **state)
{
    (void)state;
    struct config *c = loaded("{\"listen\": [\"127.0.0.1:0\"]}");
    assert_int_equal(c->listen_count, 2);
    assert_string_equal(c->listens[0].address, "127.0.0.1:0");
    assert_false(c->listens[0].is_default);
    assert_memory_equal(c->listens[1].address, "unix:/", 6);
    config_free(c);
    c = loaded("{\"listen\": [{\"address\": \"unix:/run/x.sock\", \"mode\": \"0600\", \"origins\": "
               "[\"https://a\"]}]}");
    assert_int_equal(c->listen_count, 1);
    assert_int_equal(c->listens[0].mode, 0600);
    assert_string_equal(c->listens[0].origins.p[0], "https://a");
    assert_null(c->listens[0].origins.p[1]);
    config_free(c);
}

static void without_a_named_state_the_socket_is_the_users(void **state)
{
    (void)state;
    struct config *c = NULL;
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    struct config_source source = {.main_file = kit_file("c.json", "{}")};
    setenv("XDG_STATE_HOME", "/home/u/state", 1);
    passes(config_load(&source, &c, kit_why()));
    assert_string_equal(c->listens[2].address, "unix:/run/user/7/trunkline/api.sock");
    assert_string_equal(c->state, geteuid() == 0 ? "/var/lib/trunkline" : "/home/u/state/trunkline");
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("XDG_STATE_HOME");
    config_free(c);
}

static void refuses_to_listen_where_others_can_reach(void **state)
{
    (void)state;
    refuses("{\"listen\": [\"0.0.0.0:80\"]}", "listening beyond loopback needs identity");
    refuses("{\"listen\": [\"[::]:80\"]}", "beyond loopback");
    refuses("{\"listen\": [\"10.0.0.1:80\"]}", "beyond loopback");
    refuses("{\"listen\": [\"example.org:80\"]}", "must be a number");
    refuses("{\"listen\": [\"localhost:80\"]}", "must be a number");
    refuses("{\"listen\": [\"127.0.0.1\"]}", "is no address");
    refuses("{\"listen\": [\"127.0.0.1:70000\"]}", "is no address");
    refuses("{\"listen\": [\"unix:x.sock\"]}", "absolute");
    refuses("{\"listen\": []}", "list of 1 to");
    refuses("{\"listen\": [{\"address\": \"127.0.0.1:1\", \"plain_ok\": true}]}",
            "not supported by this release");
    refuses("{\"listen\": [{\"address\": \"127.0.0.1:1\", \"mod\": \"0600\"}]}", "did you mean 'mode'");
    refuses("{\"listen\": [{\"address\": \"127.0.0.1:1\", \"mode\": \"9\"}]}", "'mode' must be");
    struct config *c = loaded("{\"listen\": [\"127.8.9.1:65535\", \"[::1]:0\"]}");
    config_free(c);
}

static void a_fault_is_told_with_its_place(void **state)
{
    (void)state;
    refuses("{\n  // a comment\n  \"hub\": { \"drain\": \"5 s\" } }",
            "c.json:3:21: 'hub.drain' must be a duration");
    refuses("{ \"hub\": { \"names\": \"x\" } }",
            "c.json:1:21: 'hub.names' is not known; did you mean 'name'?");
    refuses("{ \"serves\": {} }", "did you mean 'servers'?");
    refuses("{ \"hub.name\": \"x\" }", "'hub.name' is not known");
    refuses("{ \"hub\": [] }", "'hub' must be an object");
    refuses("{ \"hub\": { \"name\": 3 } }", "must be a string");
    refuses("[]", "c.json:1:1: a configuration is an object");
    refuses("{ \"a\": 1, \"a\": 2 }", "duplicate");
    refuses("{ \"hub\": ", "c.json:1:9: ");
    refuses("{\"limits\": {\"json\": {\"depth\": 1000}}}", "must be from 4 to 512");
    refuses("{\"hub\": {\"calls\": {\"deadline\": \"2h\"}}}", "is above 'hub.calls.deadline_max'");
    refuses("{\"hub\": {\"public_url\": \"ftp://x\"}}", "'hub.public_url' must be like");
}

static void keys_of_later_releases_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const keys[] = {"vault", "audit", "agents", "policy", "approvals", "webhooks", "a2a"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char *text = text_format("{\"%s\": {\"x\": 1}}", keys[i]);
        char *why = text_format("'%s' is not supported by this release", keys[i]);
        refuses(text, why);
        free(text);
        free(why);
    }
    refuses("{\"servers\": {\"d\": {\"url\": \"https://x/mcp\"}}}",
            "'servers.d.url' is not supported by this release");
    refuses("{\"servers\": {\"d\": {\"openapi\": \"x\"}}}", "'servers.d.openapi' is not supported");
    refuses("{\"mcpServers\": {\"d\": {\"type\": \"http\", \"httpUrl\": \"https://x\"}}}",
            "'servers.d.httpUrl'");
    refuses("{\"auth\": {\"loopback\": \"key\"}}", "keys need identity");
    refuses("{\"auth\": {\"issuers\": []}}", "'auth.issuers' is not supported");
    refuses("{\"hub\": {\"name\": \"${vault:a/b}\"}}", "not supported by this release");
    refuses("{\"hub\": {\"name\": \"${credential:a}\"}}", "not supported by this release");
}

static void a_server_is_read_whole(void **state)
{
    (void)state;
    setenv("KIT_TOKEN", "t0k", 1);
    struct config *c = loaded(
        "{ \"servers\": { \"fs\": { \"command\": \"npx\", \"args\": [\"-y\", \"$${x}\", "
        "\"${workspaceFolder}/a\"],"
        " \"env\": { \"B\": \"${env:KIT_TOKEN}!\", \"PORT\": 80, \"ON\": true }, \"cwd\": \"${state}/w\","
        " \"timeout\": { \"call\": \"3s\" }, \"restart\": { \"max\": 2 }, \"era\": \"legacy\","
        " \"exclude\": [\"rm_*\"], \"read_only\": true, \"result_bytes\": 65536 } } }");
    const struct config_server *s = config_find_server(c, "fs");
    assert_non_null(s);
    assert_int_equal(s->kind, SERVER_COMMAND);
    assert_string_equal(s->command, "npx");
    assert_int_equal(s->args.n, 3);
    assert_string_equal(s->args.p[1], "${x}");
    assert_string_equal(s->args.p[2], "/src/tree/a");
    assert_null(s->args.p[3]);
    assert_int_equal(s->env_count, 3);
    assert_string_equal(s->env[0].value, "t0k!");
    assert_string_equal(s->env[1].value, "80");
    assert_string_equal(s->env[2].value, "true");
    assert_true(bytes_end_with(bytes_of(s->cwd), "/state/w"));
    assert_int_equal(s->timeout.call, 3000);
    assert_int_equal(s->timeout.question, 600000);
    assert_int_equal(s->restart.max, 2);
    assert_int_equal(s->restart.window_ms, 60000);
    assert_string_equal(s->era, "legacy");
    assert_string_equal(s->probe, "sibling");
    assert_string_equal(s->prefix, "fs");
    assert_string_equal(s->exclude.p[0], "rm_*");
    assert_true(s->enabled && s->read_only && !s->uses_env_secrets);
    assert_int_equal(s->result_bytes, 65536);
    assert_null(config_find_server(c, "other"));
    config_free(c);
}

static void servers_keep_the_order_of_the_file(void **state)
{
    (void)state;
    struct config *c =
        loaded("{\"servers\": {\"zeta\": {\"command\": \"z\"}, \"alpha\": {\"command\": \"a\"}},"
               " \"mcpServers\": {\"mid\": {\"command\": \"m\", \"disabled\": true}}}");
    assert_int_equal(c->server_count, 3);
    assert_string_equal(c->servers[0].name, "zeta");
    assert_string_equal(c->servers[1].name, "alpha");
    assert_string_equal(c->servers[2].name, "mid");
    assert_false(c->servers[2].enabled);
    config_free(c);
}

static void what_a_server_must_be(void **state)
{
    (void)state;
    refuses("{\"servers\": {\"x\": {}}}", "needs one of 'command' and 'builtin'");
    refuses("{\"servers\": {\"x\": {\"command\": \"a\", \"builtin\": \"b\"}}}", "needs one of");
    refuses("{\"servers\": {\"X\": {\"command\": \"a\"}}}", "server name 'X' must be like");
    refuses("{\"servers\": {\"trunkline\": {\"command\": \"a\"}}}", "reserved");
    refuses("{\"servers\": {\"a123456789012345678901\": {\"command\": \"a\"}}}", "must be like");
    refuses("{\"servers\": {\"x\": {\"commandd\": \"a\"}}}", "did you mean 'command'?");
    refuses("{\"servers\": {\"x\": {\"command\": \"\"}}}", "not empty");
    refuses("{\"servers\": {\"x\": {\"builtin\": \"b\", \"args\": []}}}",
            "'servers.x.args' is for servers with");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"settings\": {}}}}", "is for built-in servers");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"era\": \"old\"}}}",
            "one of 'auto', 'legacy', 'modern'");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"env\": {\"A B\": \"\"}}}}", "NAME: \"text\"");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"enabled\": true, \"disabled\": true}}}",
            "'servers.x.disabled'");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\"}, \"y\": {\"command\": \"b\", \"prefix\": \"x\"}}}",
            "also the prefix of server 'x'");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"prefix\": \"a__b\"}}}", "single '_'");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\", \"transport\": \"sse\"}}}",
            "remote servers are not supported");
    refuses("{\"servers\": {\"x\": {\"command\": \"b\"}}, \"mcpServers\": {\"x\": {\"command\": \"c\"}}}",
            "defined twice");
}

static void references_that_lead_nowhere_are_refused(void **state)
{
    (void)state;
    unsetenv("KIT_NONE");
    refuses("{\"hub\": {\"name\": \"${env:KIT_NONE}\"}}",
            "'${env:KIT_NONE}' names a variable that is not set");
    refuses("{\"hub\": {\"name\": \"${file:/does/not/exist}\"}}", "cannot open '/does/not/exist'");
    refuses("{\"hub\": {\"name\": \"${file:relative}\"}}", "absolute");
    refuses("{\"hub\": {\"name\": \"${cmd:id}\"}}", "is no reference");
    refuses("{\"hub\": {\"name\": \"${HOME}\"}}", "is no reference");
    refuses("{\"hub\": {\"name\": \"${state\"}}", "without a '}'");
    refuses("{\"hub\": {\"name\": \"${state:x}\"}}", "is no reference");
    struct config *c = NULL;
    const char *file = kit_file("s.json", "{\"hub\": {\"state\": \"${state}/x\"}}");
    struct config_source source = {.main_file = file};
    fails_with(-1, "cannot be part of 'hub.state'", config_load(&source, &c, kit_why()));
    char *text = text_format("{\"hub\": {\"name\": \"a${file:%s}$5\"}}", kit_file("name", "b\n\n"));
    c = loaded(text);
    assert_string_equal(c->name, "ab$5");
    free(text);
    config_free(c);
}

static void a_builtin_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static const char *const builtins[] = {"workspace", NULL};
    struct config *c = NULL;
    struct config_source source = {
        .main_file = kit_file("c.json", "{\"servers\": {\"x\": {\"builtin\": \"workspase\"}}}"),
        .state = kit_path("state"),
        .builtins = builtins};
    fails_with(-1, "no built-in server 'workspase'; did you mean 'workspace'?",
               config_load(&source, &c, kit_why()));
    source.main_file = kit_file("c.json", "{\"servers\": {\"x\": {\"builtin\": \"workspace\"}}}");
    passes(config_load(&source, &c, kit_why()));
    config_free(c);
}

static void references_reach_into_settings(void **state)
{
    (void)state;
    struct config *c =
        loaded("{\"servers\": {\"w\": {\"builtin\": \"workspace\", \"settings\": "
               "{\"folders\": [\"${workspaceFolder}\"], \"deep\": {\"a\": [[\"${state}\"]]}}}}}");
    assert_int_equal(c->servers[0].kind, SERVER_BUILTIN);
    char *wanted = text_format("{\"folders\": [\"/src/tree\"], \"deep\": {\"a\": [[\"%s\"]]}}", c->state);
    kit_json_eq(c->servers[0].settings, wanted);
    free(wanted);
    config_free(c);
}

static void an_env_file_is_below_env(void **state)
{
    (void)state;
    const char *file = kit_file("e.env", "# comment\n\nexport A=one\nB=\"two words\"\r\nC='three'\nE=\n");
    char *text = text_format(
        "{\"servers\": {\"x\": {\"command\": \"a\", \"envFile\": \"%s\", \"env\": {\"A\": \"own\"}}}}", file);
    struct config *c = loaded(text);
    const struct config_server *s = &c->servers[0];
    assert_int_equal(s->env_count, 4);
    assert_string_equal(s->env[0].value, "own");
    assert_string_equal(s->env[1].value, "two words");
    assert_string_equal(s->env[2].value, "three");
    assert_string_equal(s->env[3].value, "");
    config_free(c);
    kit_file("e.env", "A=1\nno equals\n");
    refuses(text, "line 2 of the env file is not NAME=VALUE");
    free(text);
}

static void the_environment_wins_over_files(void **state)
{
    (void)state;
    setenv("TRUNKLINE_HUB__CALLS__DEADLINE", "7s", 1);
    setenv("TRUNKLINE_LISTEN", "127.0.0.1:1,[::1]:2", 1);
    setenv("TRUNKLINE_SERVERS__MY_FS__READ_ONLY", "true", 1);
    setenv("TRUNKLINE_SERVERS__MY_FS__TIMEOUT__CALL", "9s", 1);
    setenv("TRUNKLINE_LIMITS__JSON__DEPTH", "12", 1);
    setenv("TRUNKLINE_KEY", "not a setting", 1);
    struct config *c = loaded(
        "{\"hub\": {\"calls\": {\"deadline\": \"5s\"}}, \"servers\": {\"my-fs\": {\"command\": \"a\"}}}");
    assert_int_equal(c->deadline_ms, 7000);
    assert_string_equal(c->listens[1].address, "[::1]:2");
    assert_true(c->servers[0].read_only);
    assert_int_equal(c->servers[0].timeout.call, 9000);
    assert_int_equal(c->json.depth, 12);
    _cleanup_json_ json_t *origins = config_origins(c);
    kit_json_eq(json_object_get(origins, "hub.calls.deadline"),
                "{\"value\": \"7s\", \"origin\": \"environment TRUNKLINE_HUB__CALLS__DEADLINE\"}");
    kit_json_eq(json_object_get(origins, "hub.name"), "{\"value\": \"trunkline\", \"origin\": \"default\"}");
    config_free(c);
    setenv("TRUNKLINE_LIMITS__JSON__DEPTH", "many", 1);
    refuses("{\"servers\": {\"my-fs\": {\"command\": \"a\"}}}",
            "environment TRUNKLINE_LIMITS__JSON__DEPTH: 'limits.json.depth' must be a whole number");
    refuses("{}", "names no server");
    unsetenv("TRUNKLINE_SERVERS__MY_FS__READ_ONLY");
    unsetenv("TRUNKLINE_SERVERS__MY_FS__TIMEOUT__CALL");
    unsetenv("TRUNKLINE_LIMITS__JSON__DEPTH");
    setenv("TRUNKLINE_HUB__DRIAN", "1s", 1);
    refuses("{}", "did you mean 'drain'?");
    unsetenv("TRUNKLINE_HUB__DRIAN");
    unsetenv("TRUNKLINE_HUB__CALLS__DEADLINE");
    unsetenv("TRUNKLINE_LISTEN");
    unsetenv("TRUNKLINE_KEY");
}

static void without_any_file_the_embedded_default_counts(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct buf text = {0};
    passes(file_read("config/default.jsonc", 1 << 20, &text, kit_why()));
    struct config_source source = {
        .state = kit_path("state"), .workspace = "/w", .embedded = buf_bytes(&text)};
    setenv("XDG_CONFIG_HOME", kit_tmp(), 1);
    passes(config_load(&source, &c, kit_why()));
    assert_int_equal(c->server_count, 1);
    assert_string_equal(c->servers[0].builtin, "workspace");
    kit_json_eq(c->servers[0].settings, "{\"folders\": [\"/w\"]}");
    config_free(c);
    /* The user's own file is found, and then the embedded one is not looked at. */
    passes(folder_make(kit_path("trunkline"), 0700, kit_why()));
    kit_file("trunkline/trunkline.json", "{\"hub\": {\"name\": \"mine\"}}");
    passes(config_load(&source, &c, kit_why()));
    assert_string_equal(c->name, "mine");
    assert_int_equal(c->server_count, 0);
    config_free(c);
    unsetenv("XDG_CONFIG_HOME");
    buf_end(&text);
}

static void another_role_reads_the_same_from_the_tree(void **state)
{
    (void)state;
    setenv("KIT_TOKEN", "t0k", 1);
    struct config *c = loaded(
        "{\"listen\": [{\"address\": \"127.0.0.1:0\", \"hosts\": [\"a\"]}], \"hub\": {\"profile\": \"dev\","
        " \"name\": \"$${state}\"}, \"servers\": {\"x\": {\"command\": \"a\", \"disabled\": true, \"env\":"
        " {\"T\": \"${env:KIT_TOKEN}\"}}, \"w\": {\"builtin\": \"workspace\", \"settings\": {\"a\": 1}}}}");
    struct config *again = NULL;
    passes(config_from_tree(c->tree, &again, kit_why()));
    assert_true(json_equal(c->tree, again->tree));
    assert_string_equal(again->name, "${state}");
    assert_string_equal(again->state, c->state);
    assert_int_equal(again->profile, PROFILE_DEV);
    assert_int_equal(again->listen_count, 2);
    assert_true(again->listens[1].is_default && !again->listens[0].is_default);
    assert_string_equal(again->listens[0].hosts.p[0], "a");
    assert_false(again->servers[0].enabled);
    assert_string_equal(again->servers[0].env[0].value, "t0k");
    assert_string_equal(again->servers[0].digest, c->servers[0].digest);
    config_free(again);
    _cleanup_json_ json_t *public = config_public_tree(c);
    char *text = json_text(public);
    assert_null(strstr(text, "t0k"));
    free(text);
    passes(config_from_tree(public, &again, kit_why()));
    assert_string_equal(again->servers[0].digest, c->servers[0].digest);
    _cleanup_json_ json_t *origins = config_origins(c);
    text = json_text(origins);
    assert_null(strstr(text, "t0k"));
    free(text);
    config_free(again);
    config_free(c);
}

static void the_digest_follows_the_definition(void **state)
{
    (void)state;
    struct config *a = loaded("{\"servers\": {\"x\": {\"command\": \"a\", \"args\": [\"1\"]}}}");
    struct config *b =
        loaded("{\"mcpServers\": {\"x\": {\"args\": [\"1\"], \"command\": \"a\", \"type\": \"stdio\"}}}");
    struct config *other = loaded("{\"servers\": {\"x\": {\"command\": \"a\", \"args\": [\"2\"]}}}");
    assert_int_equal(strlen(a->servers[0].digest), 64);
    assert_string_equal(a->servers[0].digest, b->servers[0].digest);
    assert_string_not_equal(a->servers[0].digest, other->servers[0].digest);
    config_free(a);
    config_free(b);
    config_free(other);
}

static void literal_secrets_are_warned_of_and_refused_when_strict(void **state)
{
    (void)state;
    struct config *c =
        loaded("{\"servers\": {\"x\": {\"command\": \"a\", \"env\": {\"T\": \"ghp_0123456789abcdef\"}}}}");
    assert_int_equal(c->warnings.n, 1);
    assert_non_null(strstr(c->warnings.p[0], "'servers.x.env.T' looks like a secret"));
    assert_null(strstr(c->warnings.p[0], "ghp_"));
    config_free(c);
    c = loaded("{\"servers\": {\"x\": {\"command\": \"a\", \"secret_delivery\": \"env\", \"env\": {\"T\": "
               "\"ghp_0123456789abcdef\"}}}}");
    assert_int_equal(c->warnings.n, 0);
    assert_true(c->servers[0].uses_env_secrets);
    config_free(c);
    refuses("{\"hub\": {\"profile\": \"strict\"}, \"servers\": {\"x\": {\"command\": \"a\", \"env\": {\"T\": "
            "\"ghp_0123456789abcdef\"}}}}",
            "looks like a secret");
    refuses("{\"hub\": {\"profile\": \"strict\"}, \"servers\": {\"x\": {\"command\": \"a\", "
            "\"secret_delivery\": \"env\"}}}",
            "profile strict");
}

static void a_relative_state_is_made_absolute(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct config_source source = {.main_file = kit_file("c.json", "{}"), .state = "./var/x/"};
    passes(config_load(&source, &c, kit_why()));
    char *here = getcwd(NULL, 0), *wanted = text_format("%s/var/x", here);
    assert_string_equal(c->state, wanted);
    free(here);
    free(wanted);
    config_free(c);
}

static void the_schema_is_json_and_knows_every_key(void **state)
{
    (void)state;
    struct buf out = {0};
    config_add_schema(&out);
    _cleanup_json_ json_t *schema = json_read(buf_bytes(&out), kit_why());
    assert_non_null(schema);
    json_t *properties = json_object_get(schema, "properties");
    assert_non_null(json_object_get(properties, "hub"));
    assert_non_null(json_object_get(properties, "listen"));
    assert_null(json_object_get(properties, "vault"));
    json_t *server = json_object_get(json_object_get(properties, "servers"), "additionalProperties");
    kit_json_eq(json_object_get(json_object_get(server, "properties"), "era"),
                "{\"enum\": [\"auto\", \"legacy\", \"modern\"], \"default\": \"auto\", \"description\": "
                "\"Which protocol it speaks: modern is 2026-07-28, legacy all before\"}");
    kit_json_eq(json_object_get(server, "additionalProperties"), "false");
    buf_end(&out);
}

static void the_page_of_keys_is_the_table(void **state)
{
    (void)state;
    struct buf out = {0};
    config_add_reference(&out);
    kit_golden_file("docs/reference/configuration.md", buf_bytes(&out));
    buf_end(&out);
}

KIT_MAIN(cmocka_unit_test(nothing_written_means_the_defaults),
         cmocka_unit_test(listens_on_both_loopback_families_and_a_socket_in_the_state),
         cmocka_unit_test(named_listeners_replace_the_default_but_the_socket_stays),
         cmocka_unit_test(without_a_named_state_the_socket_is_the_users),
         cmocka_unit_test(refuses_to_listen_where_others_can_reach),
         cmocka_unit_test(a_fault_is_told_with_its_place),
         cmocka_unit_test(keys_of_later_releases_are_refused_by_name),
         cmocka_unit_test(a_server_is_read_whole), cmocka_unit_test(servers_keep_the_order_of_the_file),
         cmocka_unit_test(what_a_server_must_be), cmocka_unit_test(references_that_lead_nowhere_are_refused),
         cmocka_unit_test(a_builtin_that_is_not_there_is_refused),
         cmocka_unit_test(references_reach_into_settings), cmocka_unit_test(an_env_file_is_below_env),
         cmocka_unit_test(the_environment_wins_over_files),
         cmocka_unit_test(without_any_file_the_embedded_default_counts),
         cmocka_unit_test(another_role_reads_the_same_from_the_tree),
         cmocka_unit_test(the_digest_follows_the_definition),
         cmocka_unit_test(literal_secrets_are_warned_of_and_refused_when_strict),
         cmocka_unit_test(a_relative_state_is_made_absolute),
         cmocka_unit_test(the_schema_is_json_and_knows_every_key),
         cmocka_unit_test(the_page_of_keys_is_the_table))
