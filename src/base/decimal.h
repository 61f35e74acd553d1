/*
 * decimal: numbers as people write them. Our own scanner and printer, because the C
 * library's depend on the locale, accept hex, inf and nan, and are slow. Thread-safe.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#define DECIMAL_TEXT_SIZE 32 /* bytes for any printed number with its NUL */

/*
 * Reads the whole of `text` as [+-]? digits [. digits] [(e|E) [+-]? digits]; at least one
 * digit before or behind the point. Correctly rounded: exact for up to 15 digits with
 * |exponent| <= 22 (Clinger 1990), for up to 19 digits and |exponent| <= 27 through the 80-bit
 * format where there is one, strtod_l in the C locale otherwise. False, and *value
 * untouched, for anything else: inf, nan, hex, spaces, or a magnitude beyond double.
 */
bool decimal_parse(const char *text, size_t len, double *value);

/* Shortest text that reads back as the same double ("0.1", "3750", "1e+300"); non-finite
 * numbers print as "null". Returns its length. */
size_t decimal_print(double value, char out[static DECIMAL_TEXT_SIZE]);

/* The same for float: shortest text that reads back as the same float. */
size_t decimal_print_float(float value, char out[static DECIMAL_TEXT_SIZE]);

#endif
