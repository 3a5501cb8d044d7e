/* exact.c - sums without rounding, after Kulisch's long accumulator (1971).
 *
 * A double is 53 bits at one of 2046 positions. The sum is a fixed-point number with all of these positions, in 32-bit
 * digits stored in 64 bits. Adding a double changes three digits; carries are propagated before a digit can overflow.
 * The value is rounded once, when it is read.
 */
#include <math.h>
#include <string.h>

#include "nn/metrics/metrics.h"

enum { DIGIT = 32, MANTISSA = 52, LOWEST = 1074 };
#define MASK         ((int64_t)0xFFFFFFFF)
#define PENDING_MOST ((int64_t)1 << 28)

/* Propagates carries: then every digit but the last lies in [0, 2^32); the last has the sign. */
static void propagate(glia_exact *s) {
    int64_t carry = 0;
    for (int i = 0; i < GLIA_EXACT_DIGITS - 1; i++) {
        int64_t digit = s->digit[i] + carry;
        s->digit[i] = digit & MASK;
        carry = (digit - s->digit[i]) / (MASK + 1);
    }
    s->digit[GLIA_EXACT_DIGITS - 1] += carry;
    s->pending = 0;
}

void glia_exact_add(glia_exact *s, double x) {
    if (!isfinite(x)) {
        s->special += x;
        return;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t mantissa = bits & (((uint64_t)1 << MANTISSA) - 1);
    int place = (int)(bits >> MANTISSA & 0x7FF); /* of the lowest bit, from 2^-1074 */
    if (place) {
        mantissa |= (uint64_t)1 << MANTISSA;
        place--;
    }
    int i = place / DIGIT, shift = place % DIGIT;
    uint64_t low = (mantissa & (uint64_t)MASK) << shift, high = mantissa >> DIGIT << shift;
    int64_t parts[3] = { (int64_t)(low & (uint64_t)MASK), (int64_t)((low >> DIGIT) + (high & (uint64_t)MASK)),
                         (int64_t)(high >> DIGIT) };
    bool negative = bits >> 63;
    for (int k = 0; k < 3; k++) s->digit[i + k] += negative ? -parts[k] : parts[k];
    if (++s->pending >= PENDING_MOST) propagate(s);
}

void glia_exact_merge(glia_exact *s, const glia_exact *other) {
    glia_exact copy = *other;
    propagate(&copy);
    propagate(s);
    for (int i = 0; i < GLIA_EXACT_DIGITS; i++) s->digit[i] += copy.digit[i];
    s->special += copy.special;
    s->pending = 1;
}

/* The value of a sum without infinities and NaN, rounded to nearest, ties to even. */
static double rounded(const glia_exact *sum) {
    glia_exact s = *sum;
    propagate(&s);
    bool negative = s.digit[GLIA_EXACT_DIGITS - 1] < 0;
    if (negative) {
        for (int i = 0; i < GLIA_EXACT_DIGITS; i++) s.digit[i] = -s.digit[i];
        propagate(&s);
    }
    int top = GLIA_EXACT_DIGITS - 1;
    while (top > 0 && s.digit[top] == 0) top--;
    /* The leading 64 bits from three digits; the lowest bit also says whether any lower bit is set (sticky bit). */
    uint64_t first = (uint64_t)s.digit[top], second = top > 0 ? (uint64_t)s.digit[top - 1] : 0,
             third = top > 1 ? (uint64_t)s.digit[top - 2] : 0;
    if (!first) return 0;
    int width = 0;
    while (width < 64 && first >> width) width++;
    if (width > DIGIT) return negative ? -INFINITY : INFINITY; /* 2^63 additions cannot reach this */
    int spare = DIGIT - width;
    uint64_t bits = first << DIGIT | second;
    uint64_t rest = third << spare;
    bits = bits << spare | rest >> DIGIT;
    bool more = (rest & (uint64_t)MASK) != 0;
    for (int i = 0; i < top - 2 && !more; i++) more = s.digit[i] != 0;
    double value = ldexp((double)(bits | (more ? 1 : 0)), DIGIT * (top - 1) - spare - LOWEST);
    return negative ? -value : value;
}

double glia_exact_value(const glia_exact *sum) {
    if (!isfinite(sum->special)) return sum->special;
    return rounded(sum);
}

void glia_exact_pair(const glia_exact *sum, double *high, double *low) {
    *high = glia_exact_value(sum);
    *low = 0;
    if (!isfinite(*high)) return;
    glia_exact rest = *sum;
    glia_exact_add(&rest, -*high);
    *low = rounded(&rest);
}
