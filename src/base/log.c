#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER; /* guards stderr */
static enum log_level threshold = LOG_INFO;                    /* set before threads */
static bool as_json = false;                                   /* set before threads */

void log_open(enum log_level level, bool json)
{
    threshold = level;
    as_json = json;
}

bool log_has(enum log_level level)
{
    return level <= threshold;
}

static void print_json(struct buf *line, const char *time, enum log_level level,
                       const char *area, const char *id, const char *message)
{
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\"", time,
               level_names[level], area);
    if (id[0]) {
        buf_text(line, ",\"id\":");
        buf_json_string(line, id, strlen(id));
    }
    buf_text(line, ",\"message\":");
    buf_json_string(line, message, strlen(message));
    buf_text(line, "}\n");
}

/* A control byte in a text line would let a client forge lines. */
static void print_text(struct buf *line, const char *time, enum log_level level,
                       const char *area, const char *id, const char *message)
{
    buf_printf(line, "%s %-5s %s%s%s ", time, level_names[level], area, id[0] ? " " : "",
               id);
    for (const char *c = message; *c; c++)
        buf_putc(line, (unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c);
    buf_putc(line, '\n');
}

void log_line(enum log_level level, const char *area, const char *id, const char *fmt,
              ...)
{
    if (!log_has(level))
        return;
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    char time[CLOCK_TEXT_SIZE];
    clock_print(clock_now_ms(), time);

    struct buf line;
    buf_init(&line, 8192);
    if (as_json)
        print_json(&line, time, level, area, id, message);
    else
        print_text(&line, time, level, area, id, message);
    pthread_mutex_lock(&write_lock);
    /* Nothing can be done for a log line that does not go out. */
    ssize_t written = line.bytes ? write(STDERR_FILENO, line.bytes, line.len) : 0;
    (void)written;
    pthread_mutex_unlock(&write_lock);
    buf_clear(&line);
}
