/* real.h - elementary functions in double precision for inner loops: inlined, without branches and tables, so that
 * compilers turn a loop over them into vectors. Products and sums are rounded separately (-ffp-contract=off), so that
 * vectors of any instruction set give the same bits as single numbers.
 */
#ifndef GLIA_SRC_BASE_REAL_H
#define GLIA_SRC_BASE_REAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Adding this rounds a number below 2^51 to an integer, which the lowest bits of the sum then are. */
#define GLIA_REAL_WHOLE 0x1.8p52

static inline uint64_t glia_real_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double glia_real_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* yes ? a : b, by masks: for conditions after which compilers would branch, and make no vectors. */
static inline double glia_real_select(bool yes, double a, double b) {
    const uint64_t mask = 0 - (uint64_t)yes;
    return glia_real_of_bits((glia_real_bits(a) & mask) | (glia_real_bits(b) & ~mask));
}

/* e^x to about one unit in the last place; e^700 beyond 700, e^-700 below -700. 2^k times the Taylor series of the
 * rest, which is at most log(2) / 2. */
static inline double glia_real_exp(double x) {
    const double clipped = glia_real_select(x > 700, 700, glia_real_select(x < -700, -700, x));
    const double shifted = clipped * 1.4426950408889634 + GLIA_REAL_WHOLE, k = shifted - GLIA_REAL_WHOLE;
    const double r = (clipped - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    const double r2 = r * r, r4 = r2 * r2;
    const double low = 1 + r + r2 * (1.0 / 2 + r * (1.0 / 6));
    const double middle = 1.0 / 24 + r * (1.0 / 120) + r2 * (1.0 / 720 + r * (1.0 / 5040));
    const double high = 1.0 / 40320 + r * (1.0 / 362880) + r2 * (1.0 / 3628800 + r * (1.0 / 39916800)) +
                        r4 * (1.0 / 479001600 + r * (1.0 / 6227020800));
    const double scale = glia_real_of_bits((glia_real_bits(shifted) + 1023) << 52);
    return scale * (low + r4 * (middle + r4 * high));
}

/* Sine and cosine for |x| < 2^20: errors of 0.8 units in the last place below pi / 4, 1.6 below 10, and at most 2^-52.
 * x = k pi / 2 + r by three parts of pi / 2, polynomials in r^2 (interpolated at Chebyshev nodes in high precision),
 * exchanged and negated by the lowest bits of k. */
static inline void glia_real_sincos(double x, double *sine, double *cosine) {
    const double shifted = x * 0x1.45f306dc9c883p-1 + GLIA_REAL_WHOLE, k = shifted - GLIA_REAL_WHOLE;
    const double r = ((x - k * 0x1.921fb544p+0) - k * 0x1.0b4611a6p-34) - k * 0x1.3198a2e037073p-69, z = r * r;
    const double z2 = z * z, half = 0.5 * z, most = 1 - half;
    const double p = (-0x1.5555555555555p-3 + z * 0x1.111111111111p-7) +
                     z2 * ((-0x1.a01a01a019936p-13 + z * 0x1.71de3a54605eep-19) +
                           z2 * ((-0x1.ae6454126638cp-26 + z * 0x1.61217ec01840fp-33) + z2 * -0x1.ab17a792c9454p-41));
    const double q = (0x1.5555555555555p-5 + z * -0x1.6c16c16c16966p-10) +
                     z2 * ((0x1.a01a019f4e867p-16 + z * -0x1.27e4fa17a41bfp-22) +
                           z2 * (0x1.1eeb68b109cf5p-29 + z * -0x1.907d7aec5a8a3p-37));
    const uint64_t s = glia_real_bits(r + r * z * p), c = glia_real_bits(most + (((1 - most) - half) + z2 * q));
    const uint64_t quarter = glia_real_bits(shifted), exchange = (s ^ c) & (0 - (quarter & 1));
    *sine = glia_real_of_bits(s ^ exchange ^ ((quarter & 2) << 62));
    *cosine = glia_real_of_bits(c ^ exchange ^ (((quarter + 1) & 2) << 62));
}

#endif
