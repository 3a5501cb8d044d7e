/* number.c - decimal text to double and back.
 *
 * Most numbers in files are short: up to 15 digits or so and a small power of ten. Both are then exact doubles, and one
 * multiplication or division rounds once, so the result is correctly rounded (Clinger 1990, "How to read floating point
 * numbers accurately"). Others are parsed by strtod() in the "C" locale, because the host program may have set a
 * decimal comma. Nothing is allocated, so parsing does not fail when memory runs out.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* strtod() in the "C" locale of the digits in [text, end), as a whole number, times 10^exponent; NAN if that locale is
 * not available. A double or the midpoint of two has at most 768 digits; of further digits it only matters whether one
 * is not 0. */
static double slow_parse(const char *text, const char *end, int exponent) {
    enum { DIGITS_MOST = 800 };
    char copy[DIGITS_MOST + 32];
    int n = 0;
    bool more = false;
    for (const char *p = text; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p < '0' || *p > '9' || (n == 0 && *p == '0')) continue;
        if (n < DIGITS_MOST) {
            copy[n++] = *p;
        } else {
            more |= *p != '0';
            exponent++;
        }
    }
    if (n == 0) return 0;
    if (more) copy[n++] = '1', exponent--;
    snprintf(copy + n, sizeof copy - (size_t)n, "e%d", exponent);
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) return NAN;
    locale_t before = uselocale(c);
    const double value = strtod(copy, NULL);
    uselocale(before);
    freelocale(c);
    return value;
}

bool glia_number_parse(const char *text, const char *end, double *value) {
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    const char *p = text;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    uint64_t mantissa = 0;
    int digits = 0, significant = 0, exponent = 0;
    for (bool point = false; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits++;
        if (digits > 10000) return false;
        significant += mantissa != 0 || *p != '0';
        if (significant <= 18) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
        exponent -= point;
    }
    if (!digits) return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        bool minus = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end) return false;
        int e = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++) e = GLIA_MIN(e * 10 + (*p - '0'), 100000);
        exponent += minus ? -e : e;
    }
    if (p != end) return false;

    double magnitude;
    if (significant <= 18 && mantissa <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        magnitude = exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
    } else {
        magnitude = slow_parse(text, end, exponent);
    }
    if (!isfinite(magnitude)) return false;
    *value = negative ? -magnitude : magnitude;
    return true;
}

char *glia_number_print(double value, char out[GLIA_NUMBER_TEXT]) {
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), before = (locale_t)0;
    if (c != (locale_t)0) before = uselocale(c);
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(out, GLIA_NUMBER_TEXT, "%.*g", precision, value);
        const bool plain = !strchr(out, 'e') || fabs(value) < 1e-4 || fabs(value) >= 1e6; /* 10 rather than 1e+01 */
        if (plain && strtod(out, NULL) == value) break;
    }
    if (c != (locale_t)0) {
        uselocale(before);
        freelocale(c);
    }
    return out;
}
