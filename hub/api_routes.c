/* The routes, and the shapes of their queries. docs/api/openapi.yaml describes the same; a test compares. */
#include "hub/api_parts.h"

static const char *const states[] = {"running", "finished", NULL};
static const char *const outcomes[] = {"ok",      "tool_error", "denied",  "cancelled",
                                       "timeout", "upstream",   "limited", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};

static const struct shape list_shape[] = {
    INT(struct query_list, limit, 1, 200, 50, "How many at most"),
    STRING(struct query_list, cursor, OPTIONAL, "next_cursor of the page before"),
    STRING(struct query_list, q, OPTIONAL, "Text in name, title or description", .max = 256),
    STRING(struct query_list, server, OPTIONAL, "Only of this server", .max = 64),
    {0}};
static const struct shape calls_shape[] = {
    INT(struct query_calls, limit, 1, 200, 50, "How many at most"),
    STRING(struct query_calls, cursor, OPTIONAL, "next_cursor of the page before"),
    STRING(struct query_calls, q, OPTIONAL, "Text anywhere in the record", .max = 256),
    STRING(struct query_calls, server, OPTIONAL, "Only of this server", .max = 64),
    STRING(struct query_calls, tool, OPTIONAL, "Only of this tool, * and ? match", .max = 256),
    ENUM(struct query_calls, state, states, NULL, "Only those"),
    ENUM(struct query_calls, outcome, outcomes, NULL, "Only those"),
    {0}};
static const struct shape logs_shape[] = {
    INT(struct query_logs, limit, 1, 200, 200, "How many of the latest at most"),
    STRING(struct query_logs, since, OPTIONAL, "Only later ones: a duration back, or a time", .max = 40),
    ENUM(struct query_logs, level, levels, NULL, "Only from this level up, guessed from the text"),
    {0}};
static const struct shape content_shape[] = {
    STRING(struct query_content, uri, REQUIRED, "The resource", .max = 4096),
    INT(struct query_content, deadline_ms, 1, 3600000, 0, "How long to wait at most"),
    {0}};
static const struct shape snippet_shape[] = {
    STRING(struct query_snippet, server, OPTIONAL, "Only this server, under its own names", .max = 64), {0}};
static const struct shape events_shape[] = {
    STRING(struct query_events, topics, REQUIRED, "Topics, with commas between them", .max = 8192), {0}};

#define API "/api/v1"
#define LIST list_shape, sizeof(struct query_list)

const struct route api_routes[] = {
    {METHOD_GET,          "/", NULL, page_status, NULL, 0},
    {METHOD_GET,               "/assets/page.css", NULL, page_style, NULL, 0},
    {METHOD_GET,               "/livez", NULL, health_live, NULL, 0},
    {METHOD_GET,                   "/readyz", NULL, health_ready, NULL, 0},
    {METHOD_GET,"/healthz", NULL, health_all, NULL, 0},
    {METHOD_GET,         "/metrics", NULL, health_metrics, NULL, 0},
    {METHOD_GET,                  API "/status", NULL, api_status, NULL, 0},
    {METHOD_GET,          API "/overview", "list", api_overview, NULL, 0},
    {METHOD_GET,               API "/servers", "list", api_servers, LIST},
    {METHOD_GET,               API "/servers/{server}", "list", api_server, NULL, 0},
    {METHOD_GET,                   API "/servers/{server}/logs", "list", api_server_logs, logs_shape,
     sizeof(struct query_logs)},
    {METHOD_POST,API "/servers/{server}/start", "admin.servers", api_server_start, NULL, 0},
    {METHOD_POST,       API "/servers/{server}/stop", "admin.servers", api_server_stop, NULL, 0},
    {METHOD_POST,                  API "/servers/{server}/restart", "admin.servers", api_server_restart, NULL, 0},
    {METHOD_GET,          API "/tools", "list", api_tools, LIST},
    {METHOD_GET,               API "/tools/{tool}", "list", api_tool, NULL, 0},
    {METHOD_GET,               API "/calls", "list", api_calls, calls_shape, sizeof(struct query_calls)},
    {METHOD_POST,                   API "/calls", "call", api_call_make, NULL, 0},
    {METHOD_GET, API "/calls/{call}", "list", api_call, NULL, 0},
    {METHOD_GET,     API "/calls/{call}/result", "list", api_call_result, NULL, 0},
    {METHOD_POST,                  API "/calls/{call}/cancel", "takeover", api_call_cancel, NULL, 0},
    {METHOD_GET,          API "/resources", "list", api_resources, LIST},
    {METHOD_GET,               API "/resource-templates", "list", api_templates, LIST},
    {METHOD_GET,               API "/resources/content", "read", api_content, content_shape, sizeof(struct query_content)},
    {METHOD_POST,                   API "/completions", "read", api_complete, NULL, 0},
    {METHOD_GET,API "/prompts", "list", api_prompts, LIST},
    {METHOD_POST,       API "/prompts/{prompt}", "prompt", api_prompt_get, NULL, 0},
    {METHOD_GET,                  API "/config", "admin.config", api_config, NULL, 0},
    {METHOD_GET,          API "/config/schema", "list", api_config_schema, NULL, 0},
    {METHOD_GET,             API "/clients", "list", api_clients, NULL, 0},
    {METHOD_GET,               API "/clients/{client}/snippet", "list", api_client_snippet, snippet_shape,
     sizeof(struct query_snippet)},
    {METHOD_GET,          API "/openapi.yaml", NULL, api_openapi, NULL, 0},
    {METHOD_GET,             API "/stream", NULL, api_stream_plain, NULL, 0},
    {METHOD_GET,               API "/events", "list", api_events, events_shape, sizeof(struct query_events)},
    {0                  }
};
