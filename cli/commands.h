#pragma once
/* commands -- the handlers behind the rows of commands.c, one file a noun. */
#include "cli/command.h"

int up_run(struct cli *c);
int status_run(struct cli *c);
int doctor_run(struct cli *c);
int version_run(struct cli *c);
int wait_run(struct cli *c);
int help_run(struct cli *c);
int completion_run(struct cli *c);
int complete_run(struct cli *c);
int role_command_run(struct cli *c);

int server_list_run(struct cli *c);
int server_show_run(struct cli *c);
int server_start_run(struct cli *c);
int server_stop_run(struct cli *c);
int server_restart_run(struct cli *c);
int server_logs_run(struct cli *c);
int server_stdio_run(struct cli *c);

int tool_list_run(struct cli *c);
int tool_show_run(struct cli *c);
int tool_call_run(struct cli *c);

int resource_list_run(struct cli *c);
int resource_read_run(struct cli *c);
int resource_watch_run(struct cli *c);
int prompt_list_run(struct cli *c);
int prompt_get_run(struct cli *c);

int config_check_run(struct cli *c);
int config_show_run(struct cli *c);
int config_schema_run(struct cli *c);
int client_list_run(struct cli *c);
int client_snippet_run(struct cli *c);

int stdio_run(struct cli *c);
