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
#define ROUTE(method_, path_, may_, handle_)                             \
    {                                                                    \
        .method = method_, .path = path_, .may = may_, .handle = handle_ \
    }
#define GET(path_, may_, handle_) ROUTE(METHOD_GET, path_, may_, handle_)
#define POST(path_, may_, handle_) ROUTE(METHOD_POST, path_, may_, handle_)
#define ASK(path_, may_, handle_, shape_, type_)                                              \
    {                                                                                         \
        .method = METHOD_GET, .path = path_, .may = may_, .handle = handle_, .query = shape_, \
        .query_size = sizeof(type_)                                                           \
    }

const struct route api_routes[] = {
    GET("/", NULL, page_status),
    GET("/assets/page.css", NULL, page_style),
    GET("/assets/mark.svg", NULL, page_mark),
    GET("/livez", NULL, health_live),
    GET("/readyz", NULL, health_ready),
    GET("/healthz", NULL, health_all),
    GET("/metrics", NULL, health_metrics),
    GET(API "/status", NULL, api_status),
    GET(API "/overview", "list", api_overview),
    ASK(API "/servers", "list", api_servers, list_shape, struct query_list),
    GET(API "/servers/{server}", "list", api_server),
    ASK(API "/servers/{server}/logs", "list", api_server_logs, logs_shape, struct query_logs),
    POST(API "/servers/{server}/start", "admin.servers", api_server_start),
    POST(API "/servers/{server}/stop", "admin.servers", api_server_stop),
    POST(API "/servers/{server}/restart", "admin.servers", api_server_restart),
    ASK(API "/tools", "list", api_tools, list_shape, struct query_list),
    GET(API "/tools/{tool}", "list", api_tool),
    ASK(API "/calls", "list", api_calls, calls_shape, struct query_calls),
    POST(API "/calls", "call", api_call_make),
    GET(API "/calls/{call}", "list", api_call),
    GET(API "/calls/{call}/result", "list", api_call_result),
    POST(API "/calls/{call}/cancel", "takeover", api_call_cancel),
    ASK(API "/resources", "list", api_resources, list_shape, struct query_list),
    ASK(API "/resource-templates", "list", api_templates, list_shape, struct query_list),
    ASK(API "/resources/content", "read", api_content, content_shape, struct query_content),
    POST(API "/completions", "read", api_complete),
    ASK(API "/prompts", "list", api_prompts, list_shape, struct query_list),
    POST(API "/prompts/{prompt}", "prompt", api_prompt_get),
    GET(API "/config", "admin.config", api_config),
    GET(API "/config/schema", "list", api_config_schema),
    GET(API "/clients", "list", api_clients),
    ASK(API "/clients/{client}/snippet", "list", api_client_snippet, snippet_shape, struct query_snippet),
    GET(API "/openapi.yaml", NULL, api_openapi),
    GET(API "/stream", NULL, api_stream_plain),
    ASK(API "/events", "list", api_events, events_shape, struct query_events),
    {.path = NULL},
};
