#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void clock_print(int64_t at_ms, char out[static CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(at_ms / 1000);
    int ms = (int)(at_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm parts;
    gmtime_r(&seconds, &parts);
    snprintf(out, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
             (parts.tm_year + 1900) % 10000, (parts.tm_mon + 1) % 100,
             parts.tm_mday % 100, parts.tm_hour % 100, parts.tm_min % 100,
             parts.tm_sec % 100, ms);
}
