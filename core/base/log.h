#pragma once
/*
 * log -- one line per event on stderr: JSON for machines, text on a terminal.
 *
 *     log_info("upstream.ready", "server", name, "ms", log_int(ms));
 *
 * `event` is a stable id that stands in docs/reference/log-events.md. Fields are pairs of text, ended by
 * NULL; a NULL value is left out. Keys are from the list of the guide: call, trace, principal, server, why,
 * ms, ... Values over 2 KiB are cut. At most 1,000 lines a second per event, then a count. Libraries return,
 * programs log.
 */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_begin(const char *role, enum log_level least, int is_json); /* is_json -1: text on a terminal only */
/* By the words of the configuration (NULL: info, auto); TRUNKLINE_LOG wins over `level`. */
void log_begin_by(const char *role, const char *level, const char *format);
/* Would a line of this level be written? Spares the making of its fields. */
bool log_writes(enum log_level level);
void log_write(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_debug(event, ...) log_write(LOG_DEBUG, event, ##__VA_ARGS__, NULL)
#define log_info(event, ...) log_write(LOG_INFO, event, ##__VA_ARGS__, NULL)
#define log_warn(event, ...) log_write(LOG_WARN, event, ##__VA_ARGS__, NULL)
#define log_error(event, ...) log_write(LOG_ERROR, event, ##__VA_ARGS__, NULL)
/* Texts for numbers; one of eight turning buffers, so good for one log line only. */
const char *log_int(int64_t v);
