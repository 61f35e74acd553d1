#include "base/decimal.h"

#include <float.h>
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

#if LDBL_MANT_DIG == 64
/*
 * 16 to 19 digits: both factors are exact in the x87 format, so the quotient is within half a
 * unit of its 64 bits, on the right side of every midpoint between doubles, as midpoints are
 * 64-bit numbers too. Only a quotient that is a midpoint itself is undecided.
 */
static bool parse_extended(const struct parts *parts, double *value)
{
    static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                         1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                         1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                         1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    if (parts->n_digits > 19 || parts->exponent < -27 || parts->exponent > 27)
        return false;
    long double number = (long double)parts->mantissa;
    number = parts->exponent < 0 ? number / powers[-parts->exponent]
                                 : number * powers[parts->exponent];
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    if ((bits & 0x7FF) == 0x400)
        return false;
    *value = parts->negative ? -(double)number : (double)number;
    return true;
}
#else
/* Without an 80-bit format there is no shortcut. */
static bool parse_extended(const struct parts *parts, double *value)
{
    (void)parts;
    (void)value;
    return false;
}
#endif

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
    return parse_extended(&parts, value) || parse_slowly(text, len, value);
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

/* value = n / 10^shift, without the zeros behind the point that say nothing. */
static size_t print_fixed(uint64_t n, int shift, bool negative, char *out)
{
    char digits[24]; /* from the last to the first */
    size_t n_digits = 0;
    size_t len = 0;
    for (; shift > 0 && n % 10 == 0; shift--)
        n /= 10;
    for (; n || (int)n_digits <= shift; n /= 10)
        digits[n_digits++] = (char)('0' + n % 10);
    if (negative)
        out[len++] = '-';
    while (n_digits) {
        if ((int)n_digits == shift)
            out[len++] = '.';
        out[len++] = digits[--n_digits];
    }
    for (; shift < 0; shift++)
        out[len++] = '0';
    out[len] = '\0';
    return len;
}

/*
 * Most floats without printf: the first of 6 to 9 digits that reads back. With so few digits
 * and small powers of ten both ways are one rounded operation, and reading back is exact
 * (Clinger 1990). 0: not one of those.
 */
static size_t print_common_float(float value, char *out)
{
    double size = fabs((double)value);
    if (!(size >= 1e-5 && size < 1e9))
        return 0;
    int e = 0; /* 10^e <= size < 10^(e + 1) */
    while (e < 8 && size >= exact_powers[e + 1])
        e++;
    while (e > -5 && e <= 0 && size * exact_powers[-e] < 1)
        e--;
    for (int precision = 6; precision <= 9; precision++) {
        int shift = precision - 1 - e;
        double scaled =
            shift < 0 ? size / exact_powers[-shift] : size * exact_powers[shift];
        uint64_t n = (uint64_t)(scaled + 0.5);
        double back = shift < 0 ? (double)n * exact_powers[-shift]
                                : (double)n / exact_powers[shift];
        if ((float)back == (float)size)
            return print_fixed(n, shift, value < 0, out);
    }
    return 0;
}

size_t decimal_print_float(float value, char out[static DECIMAL_TEXT_SIZE])
{
    if (!isfinite(value))
        return (size_t)snprintf(out, DECIMAL_TEXT_SIZE, "null");
    if (is_plain_integer((double)value) && fabsf(value) < 1e7F)
        return print_integer((int64_t)value, out);
    size_t common = print_common_float(value, out);
    if (common)
        return common;
    int len = 0;
    for (int precision = 6; precision <= 9; precision++) {
        len = snprintf(out, DECIMAL_TEXT_SIZE, "%.*g", precision, (double)value);
        double back = 0;
        if (decimal_parse(out, (size_t)len, &back) && (float)back == value)
            break;
    }
    return (size_t)len;
}
