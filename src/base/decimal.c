#include "base/decimal.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* What the scanner found; value = ±mantissa × 10^exponent while n_digits <= 19. */
struct parts {
    uint64_t mantissa;
    size_t n_digits; /* significant digits, leading zeros not counted */
    long exponent;
    bool negative;
};

static const char *scan_digits(const char *at, const char *end, struct parts *parts)
{
    while (at < end && (unsigned)(*at - '0') < 10) {
        if (parts->n_digits < 19)
            parts->mantissa = parts->mantissa * 10 + (uint64_t)(*at - '0');
        if (parts->mantissa)
            parts->n_digits++;
        at++;
    }
    return at;
}

static bool scan_exponent(const char *at, const char *end, long *exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return false;
    long value = 0;
    for (; at < end; at++) {
        if ((unsigned)(*at - '0') >= 10)
            return false;
        if (value < 100000)
            value = value * 10 + (*at - '0');
    }
    *exponent += negative ? -value : value;
    return true;
}

/* The grammar: true when all of [at, end) is a number. */
static bool scan_number(const char *at, const char *end, struct parts *parts)
{
    if (at < end && (*at == '-' || *at == '+'))
        parts->negative = *at++ == '-';
    const char *whole = at;
    at = scan_digits(at, end, parts);
    ptrdiff_t n = at - whole;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = scan_digits(at, end, parts);
        parts->exponent -= at - fraction;
        n += at - fraction;
    }
    if (n == 0)
        return false;
    if (at == end)
        return true;
    return (*at == 'e' || *at == 'E') && scan_exponent(at + 1, end, &parts->exponent);
}

static bool parse_slowly(const char *text, size_t len, double *value)
{
    char small[128];
    char *copy = len < sizeof small ? small : malloc(len + 1);
    if (!copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    pthread_once(&c_locale_once, make_c_locale);
    double parsed = c_locale ? strtod_l(copy, NULL, c_locale) : (double)NAN;
    if (copy != small)
        free(copy);
    if (!isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

bool decimal_parse(const char *text, size_t len, double *value)
{
    struct parts parts = {0};
    if (len == 0 || !scan_number(text, text + len, &parts))
        return false;
    /* Clinger's fast path: both factors are exact doubles, so one rounding is correct. */
    if (parts.n_digits <= 15 && parts.exponent >= -22 && parts.exponent <= 22) {
        double number = (double)parts.mantissa;
        number = parts.exponent < 0 ? number / exact_powers[-parts.exponent]
                                    : number * exact_powers[parts.exponent];
        *value = parts.negative ? -number : number;
        return true;
    }
    return parse_slowly(text, len, value);
}

static size_t print_integer(int64_t value, char *out)
{
    char digits[24];
    size_t n = 0;
    uint64_t rest = value < 0 ? (uint64_t)-value : (uint64_t)value;
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    size_t len = 0;
    if (value < 0)
        out[len++] = '-';
    while (n)
        out[len++] = digits[--n];
    out[len] = '\0';
    return len;
}

static bool is_plain_integer(double value)
{
    return fabs(value) < 1e15 && value == (double)(int64_t)value &&
           !(value == 0 && signbit(value));
}

size_t decimal_print(double value, char out[static DECIMAL_TEXT_SIZE])
{
    if (!isfinite(value))
        return (size_t)snprintf(out, DECIMAL_TEXT_SIZE, "null");
    if (is_plain_integer(value))
        return print_integer((int64_t)value, out);
    int len = 0;
    for (int precision = 15; precision <= 17; precision++) {
        len = snprintf(out, DECIMAL_TEXT_SIZE, "%.*g", precision, value);
        double back = 0;
        if (decimal_parse(out, (size_t)len, &back) && back == value)
            break;
    }
    return (size_t)len;
}

size_t decimal_print_float(float value, char out[static DECIMAL_TEXT_SIZE])
{
    if (!isfinite(value))
        return (size_t)snprintf(out, DECIMAL_TEXT_SIZE, "null");
    if (is_plain_integer((double)value) && fabsf(value) < 1e7F)
        return print_integer((int64_t)value, out);
    int len = 0;
    for (int precision = 6; precision <= 9; precision++) {
        len = snprintf(out, DECIMAL_TEXT_SIZE, "%.*g", precision, (double)value);
        double back = 0;
        if (decimal_parse(out, (size_t)len, &back) && (float)back == value)
            break;
    }
    return (size_t)len;
}
