/* clock: wall time for records, monotonic time for durations, and their printing. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 32 /* bytes for a printed time with its NUL */

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_now_ms(void);

/* Nanoseconds of a clock that never goes back; only differences mean anything. */
int64_t clock_monotonic_ns(void);

/* Prints RFC 3339 in UTC with milliseconds: 2026-11-24T07:50:05.123Z. Years 0 to 9999. */
void clock_print(int64_t at_ms, char out[static CLOCK_TEXT_SIZE]);

#endif
