/*
 * log: one line per event on stderr, as text or JSON. Only main, app, the trainer and the
 * dispatcher log; library code reports through struct err. Thread-safe: a line is written
 * whole. Set up once with log_open before threads start.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above `level` are dropped; `json` picks the format. */
void log_open(enum log_level level, bool json);

/* True when a line of this level would be written: guards costly arguments. */
bool log_has(enum log_level level);

/* Writes one line. `area` names the part of the service ("job"), `id` what it is about
 * (a request or job id, or "" for none); the rest is a printf format without newline. */
void log_line(enum log_level level, const char *area, const char *id, const char *fmt,
              ...) __attribute__((format(printf, 4, 5)));

#endif
