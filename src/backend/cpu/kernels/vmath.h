/* vmath.h - elementary functions on vectors of floats (simd.h).
 *
 * Each function reduces its argument to a small interval, evaluates a polynomial there (interpolated at Chebyshev nodes
 * in high precision, coefficients rounded to float) and restores the exponent; see Muller, "Elementary Functions". They
 * cover the whole range, with infinities, NaN and denormals where the function has them. Comments give the largest
 * error measured against double-precision libm on any instruction set, in units of the last place of the result (ulp);
 * tests/backend/test_tile.c checks every function against it.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_VMATH_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_VMATH_H

#include "backend/cpu/kernels/simd.h"

#define GLIA_INF __builtin_inff()

GLIA_INLINE vf vf_abs(vf x) { return (vf)((vi)x & 0x7fffffff); }
/* |x| with the sign of s. */
GLIA_INLINE vf vf_sign_of(vf x, vf s) { return (vf)(((vi)x & 0x7fffffff) | ((vi)s & (vi)vf_set(-0.0f))); }

/* The nearest whole number for |x| < 2^22: adding 1.5 2^23 pushes the fraction out. */
GLIA_INLINE vf vf_near(vf x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

/* q(r) of e^r = 1 + r + r^2 q(r), |r| <= log(2)/2. */
GLIA_INLINE vf exp_tail(vf r) {
    vf q = r * 0x1.a12a42p-13f + 0x1.6d4920p-10f;
    q = q * r + 0x1.1110e0p-7f;
    q = q * r + 0x1.5554e4p-5f;
    q = q * r + 0x1.555556p-3f;
    return q * r + 0.5f;
}

/* x = n log(2) + r; x in [-200, 200] or NaN. log(2) in two parts, the first with zeros at its end. */
GLIA_INLINE vf exp_reduce(vf x, vi *n) {
    const vf t = x * 0x1.715476p+0f + 0x1.8p23f;
    const vf whole = t - 0x1.8p23f;
    *n = (vi)((vu)t - 0x4b400000u);
    return (x - whole * 0x1.62e400p-1f) - whole * 0x1.7f7d1cp-20f;
}

/* 2^n, n in [-126, 127]. */
GLIA_INLINE vf exp2_whole(vi n) { return (vf)(((vu)n + 127u) << 23); }

/* e^x. 1.1 ulp. */
GLIA_INLINE vf vf_exp(vf x) {
    vi n;
    x = vf_select(x > 90.0f, vf_set(90.0f), x);
    x = vf_select(x < -105.0f, vf_set(-105.0f), x);
    const vf r = exp_reduce(x, &n);
    const vf p = exp_tail(r) * (r * r) + r + 1.0f;
    const vi half = n >> 1; /* in two steps: 2^n itself may not be a normal float */
    return p * exp2_whole(half) * exp2_whole(n - half);
}

/* e^x for x <= 0, but 0 below -87: 2^r 2^n. Absolute error 1e-7, sufficient for sums. */
GLIA_INLINE vf vf_exp_below(vf x) {
    const vf y = vf_upper(vf_set(-87.0f), x);
    const vf t = y * 0x1.715476p+0f + 0x1.8p23f; /* n in its lowest bits */
    const vf r = y * 0x1.715476p+0f - (t - 0x1.8p23f);
    vf p = r * 0x1.41d334p-13f + 0x1.5f456ap-10f;
    p = p * r + 0x1.3b2dbcp-7f;
    p = p * r + 0x1.c6aed4p-5f;
    p = p * r + 0x1.ebfbdap-3f;
    p = p * r + 0x1.62e430p-1f;
    p = p * r + 1.0f;
    return vf_select(x < -87.0f, vf_set(0.0f), (vf)((vu)p + ((vu)t << 23)));
}

/* e^x - 1. 1.6 ulp. */
GLIA_INLINE vf vf_expm1(vf x) {
    vi n;
    const vf y = vf_select(x > 90.0f, vf_set(90.0f), vf_select(x < -30.0f, vf_set(-30.0f), x));
    const vf r = exp_reduce(y, &n);
    const vf p = exp_tail(r) * (r * r) + r; /* e^r - 1 */
    const vi half = n >> 1;
    const vf a = exp2_whole(half), b = exp2_whole(n - half);
    const vf whole = a * b - 1.0f;
    const vf value = vf_select(n > 126, (p + 1.0f) * a * b, p * (a * b) + whole);
    return vf_select(vf_abs(x) < 0x1p-24f, x, value); /* keeps -0 */
}

/* log(m 2^e) + c, for m in [sqrt(1/2), sqrt(2)). */
GLIA_INLINE vf log_core(vf m, vf e, vf c) {
    const vf f = m - 1.0f;
    const vf z = f * f;
    vf p = f * 0x1.1d8ea6p-4f - 0x1.d635bcp-4f;
    p = p * f + 0x1.dea282p-4f;
    p = p * f - 0x1.fcf4c6p-4f;
    p = p * f + 0x1.23d21ap-3f;
    p = p * f - 0x1.555b4ap-3f;
    p = p * f + 0x1.999d5ap-3f;
    p = p * f - 0x1.fffffcp-3f;
    p = p * f + 0x1.555554p-2f;
    const vf rest = p * z * f + e * 0x1.7f7d1cp-20f + c;
    return (rest - 0.5f * z) + f + e * 0x1.62e400p-1f;
}

/* x = m 2^e with m in the range of log_core; x positive and finite. */
GLIA_INLINE vf log_reduce(vf x, vf *e) {
    const vi tiny = x < 0x1p-126f;
    const vi bits = (vi)((vu)vf_select(tiny, x * 0x1p25f, x) - 0x3f3504f3u); /* sqrt(1/2) */
    *e = __builtin_convertvector((bits >> 23) - (tiny & 25), vf);
    return (vf)((bits & 0x007fffff) + 0x3f3504f3);
}

/* log(x): -inf at 0, NaN below. 0.9 ulp. */
GLIA_INLINE vf vf_log(vf x) {
    vf e;
    const vf m = log_reduce(x, &e);
    vf y = log_core(m, e, vf_set(0.0f));
    y = vf_select(x == 0.0f, vf_set(-GLIA_INF), y);
    y = vf_select(x < 0.0f, vf_set(__builtin_nanf("")), y);
    return vf_select((x != x) | (x == GLIA_INF), x, y);
}

/* log(1 + x): the rounding error of 1 + x is added as a correction. 0.9 ulp. */
GLIA_INLINE vf vf_log1p(vf x) {
    vf e;
    const vf u = x + 1.0f;
    const vf m = log_reduce(u, &e);
    const vf lost = vf_select(x > 1.0f, 1.0f - (u - x), x - (u - 1.0f));
    vf y = log_core(m, e, lost / u);
    y = vf_select(u == 0.0f, vf_set(-GLIA_INF), y);
    y = vf_select(u < 0.0f, vf_set(__builtin_nanf("")), y);
    return vf_select((x != x) | (x == GLIA_INF) | (vf_abs(x) < 0x1p-25f), x, y);
}

/* The larger of each lane; NaN if one is. */
GLIA_INLINE vf vf_larger(vf a, vf b) { return vf_select(a != a, a, vf_upper(a, b)); }

/* The smaller of two; NaN if one is. */
GLIA_INLINE vf vf_smaller(vf a, vf b) { return vf_select((a < b) | (a != a), a, b); }

/* The largest of the lanes; NaN if one is. */
GLIA_INLINE float vf_largest(vf v) {
    GLIA_UNROLL
    for (int n = VLEN; n > 1; n /= 2) v = vf_larger(vf_even(v, v), vf_odd(v, v));
    return v[0];
}

/* Square roots lane by lane, which compilers turn into one instruction. */
GLIA_INLINE vf vf_sqrt(vf x) {
    float lanes[VLEN];
    memcpy(lanes, &x, sizeof lanes);
    GLIA_UNROLL
    for (int k = 0; k < VLEN; k++) lanes[k] = __builtin_sqrtf(lanes[k]);
    memcpy(&x, lanes, sizeof lanes);
    return x;
}

/* tanh(x): x + x^3 P(x^2) near 0, 1 - 2 / (e^2x + 1) elsewhere. 1.5 ulp. */
GLIA_INLINE vf vf_tanh(vf x) {
    const vf a = vf_abs(x), z = x * x;
    vf p = z * 0x1.224fcep-9f - 0x1.0f1266p-7f;
    p = p * z + 0x1.644a1ep-6f;
    p = p * z - 0x1.ba02aap-5f;
    p = p * z + 0x1.1110d8p-3f;
    p = p * z - 0x1.555556p-2f;
    const vf large = 1.0f - 2.0f / (vf_exp(a + a) + 1.0f);
    return vf_sign_of(vf_select(a < 0.625f, p * z * a + a, large), x);
}

/* 1 / (1 + e^-x), by e^-|x|, which cannot overflow. 2.3 ulp. */
GLIA_INLINE vf vf_sigmoid(vf x) {
    const vf e = vf_exp(-vf_abs(x));
    return vf_select(x < 0.0f, e, vf_set(1.0f)) / (e + 1.0f);
}

/* erf(x): x + x P(x^2) below 1, 1 - e^-q(x - 2) up to 4, where it becomes 1. 1.9 ulp. */
GLIA_INLINE vf vf_erf(vf x) {
    const vf a = vf_abs(x), z = x * x;
    vf p = z * 0x1.4a5690p-14f - 0x1.a45088p-11f;
    p = p * z + 0x1.541270p-8f;
    p = p * z - 0x1.b7fabap-6f;
    p = p * z + 0x1.ce2d10p-4f;
    p = p * z - 0x1.81273ep-2f;
    p = p * z + 0x1.06eba8p-3f;
    const vf s = vf_select(a > 4.0f, vf_set(4.0f), a) - 2.0f;
    vf q = s * -0x1.b837aep-20f + 0x1.4d6dc6p-16f;
    q = q * s - 0x1.1bdd12p-13f;
    q = q * s + 0x1.807ac4p-11f;
    q = q * s - 0x1.d409eap-9f;
    q = q * s + 0x1.0dc1eap-6f;
    q = q * s + 0x1.d8f5e0p-1f;
    q = q * s + 0x1.1ac326p+2f;
    q = q * s + 0x1.575b32p+2f;
    return vf_select(a < 1.0f, p * x + x, vf_sign_of(1.0f - vf_exp(-q), x));
}

/* For gelu: Phi(-a) = e^(-a^2/2) m(a) and the density e^(-a^2/2) / sqrt(2 pi), a in [0, 13]; for larger a both are
 * effectively 0. Absolute error of each 1e-7: m, close to Mills' ratio, needs fewer digits for larger a. */
GLIA_INLINE vf normal_size(vf x) { return vf_lower(vf_set(13.0f), vf_abs(x)); }

/* e^(-a^2/2), as 2^r 2^n. */
GLIA_INLINE vf normal_bell(vf a) {
    const vf z = a * a;
    const vf t = z * -0x1.715476p-1f + 0x1.8p23f; /* n in its lowest bits */
    const vf r = z * -0x1.715476p-1f - (t - 0x1.8p23f);
    vf p = r * 0x1.5c08e6p-10f + 0x1.3d0c52p-7f;
    p = p * r + 0x1.c6b6e4p-5f;
    p = p * r + 0x1.ebf918p-3f;
    p = p * r + 0x1.62e428p-1f;
    p = p * r + 1.0f;
    return (vf)((vu)p + ((vu)t << 23));
}

GLIA_INLINE vf normal_ratio(vf a) {
    vf m = a * 0x1.b600f6p-20f - 0x1.275830p-15f;
    m = m * a + 0x1.643de2p-12f;
    m = m * a - 0x1.02d184p-9f;
    m = m * a + 0x1.042872p-7f;
    m = m * a - 0x1.8e5c04p-6f;
    m = m * a + 0x1.f4fb18p-5f;
    m = m * a - 0x1.0f6364p-3f;
    m = m * a + 0x1.ffd460p-3f;
    m = m * a - 0x1.9882d0p-2f;
    return m * a + 0x1.fffffcp-2f;
}

/* gelu and its derivative (core/ops/activation.c), from one exponential: gelu(x) = max(x, 0) - |x| Phi(-|x|), gelu'(-x)
 * = 1 - gelu'(x). Error at most 1.5e-7 of the larger of 1 and |x|. */
GLIA_INLINE vf vf_gelu_pair(vf x, vf *slope) {
    const vf a = normal_size(x), bell = normal_bell(a), m = normal_ratio(a);
    const vf left = bell * (m - a * 0x1.988454p-2f);
    *slope = vf_select(x < 0.0f, left, 1.0f - left);
    return vf_upper(x, vf_set(0)) - a * (bell * m);
}
GLIA_INLINE vf vf_gelu(vf x) {
    vf slope;
    return vf_gelu_pair(x, &slope);
}
GLIA_INLINE vf vf_gelu_slope(vf x) {
    vf slope;
    vf_gelu_pair(x, &slope);
    return slope;
}

/* The same for gelu_tanh, whose gate is a sigmoid: sigmoid' = e share^2. */
GLIA_INLINE vf vf_gelu_tanh_pair(vf x, vf *slope) {
    const vf z = x * x, t = (z * 0x1.6e4e26p-5f + 1.0f) * x * 0x1.988454p+0f;
    const vf e = vf_exp_below(-vf_abs(t)), share = 1.0f / (e + 1.0f);
    const vf s = vf_select(t < 0.0f, e * share, share);
    *slope = (z * 0x1.12ba9ep-3f + 1.0f) * 0x1.988454p+0f * x * (e * share * share) + s;
    return x * s;
}
GLIA_INLINE vf vf_gelu_tanh(vf x) {
    vf slope;
    return vf_gelu_tanh_pair(x, &slope);
}
GLIA_INLINE vf vf_gelu_tanh_slope(vf x) {
    vf slope;
    vf_gelu_tanh_pair(x, &slope);
    return slope;
}

/* The largest whole number not above x. Exact. */
GLIA_INLINE vf vf_floor(vf x) {
    const vf whole =
        __builtin_convertvector(__builtin_convertvector(vf_select(vf_abs(x) < 0x1p23f, x, vf_set(0)), vi), vf);
    const vf y = whole - vf_select(whole > x, vf_set(1.0f), vf_set(0.0f));
    return vf_select(vf_abs(x) < 0x1p23f, vf_sign_of(y, x), x); /* floor(-0) is -0; others have x's sign or are 0 */
}

GLIA_INLINE vf vf_ceil(vf x) { return -vf_floor(-x); }

/* The nearest whole number, ties to even. Exact. */
GLIA_INLINE vf vf_round(vf x) {
    const vf a = vf_abs(x);
    return vf_select(a < 0x1p22f, vf_sign_of(vf_near(a), x),
                     vf_select(a < 0x1p23f, vf_sign_of((a + 0x1p23f) - 0x1p23f, x), x));
}

/* ---- in double, half a vector at a time -------------------------------------------------------- */

typedef double vd __attribute__((vector_size(VLEN * 4)));
typedef int64_t vl __attribute__((vector_size(VLEN * 4)));
typedef uint64_t vul __attribute__((vector_size(VLEN * 4)));
typedef float vh __attribute__((vector_size(VLEN * 2)));

typedef double vd_any __attribute__((vector_size(VLEN * 4), aligned(8), may_alias));

GLIA_INLINE vd vd_load(const double *p) { return *(const vd_any *)p; }
GLIA_INLINE void vd_store(double *p, vd v) { *(vd_any *)p = v; }

GLIA_INLINE vd vd_pick(vl mask, vd x, vd y) { return (vd)((mask & (vl)x) | (~mask & (vl)y)); }

/* sin(x + quarter pi/2), |x| < 2^20: x = n pi/2 + r with pi/2 in two doubles, then Taylor's series in r. */
GLIA_INLINE vd sin_wide(vd x, int64_t quarter) {
    const vd t = x * 0x1.45f306dc9c883p-1 + 0x1.8p52;
    const vd whole = t - 0x1.8p52;
    const vl n = (vl)t + quarter;
    const vd r = (x - whole * 0x1.921fb54400000p+0) - whole * 0x1.0b4611a626331p-34, z = r * r;
    vd s = z * (1 / 362880.0) - 1 / 5040.0;
    s = s * z + 1 / 120.0;
    s = s * z - 1 / 6.0;
    s = s * z * r + r;
    vd c = z * (-1 / 3628800.0) + 1 / 40320.0;
    c = c * z - 1 / 720.0;
    c = c * z + 1 / 24.0;
    c = c * z - 0.5;
    c = c * z + 1.0;
    const vd y = vd_pick((n & 1) != 0, c, s);
    return vd_pick((n & 2) != 0, -y, y);
}

/* Angles too large for it are left to libm, one by one. */
GLIA_INLINE vf vf_sin_from(vf x, int64_t quarter) {
    vf y;
    for (int i = 0; i < 2; i++) {
        vh part;
        memcpy(&part, (const char *)&x + (size_t)i * sizeof part, sizeof part);
        part = __builtin_convertvector(sin_wide(__builtin_convertvector(part, vd), quarter), vh);
        memcpy((char *)&y + (size_t)i * sizeof part, &part, sizeof part);
    }
    for (int k = 0; k < VLEN; k++) {
        if (!(__builtin_fabsf(x[k]) < 0x1p20f)) {
            y[k] = (float)(quarter ? __builtin_cos((double)x[k]) : __builtin_sin((double)x[k]));
        }
    }
    return quarter ? y : vf_select(x == 0.0f, x, y); /* keeps -0 */
}

/* 0.53 ulp each. */
GLIA_INLINE vf vf_sin(vf x) { return vf_sin_from(x, 0); }
GLIA_INLINE vf vf_cos(vf x) { return vf_sin_from(x, 1); }

/* a^y = 2^(y log2(a)), a > 0 finite: log(m) = 2 artanh((m - 1) / (m + 1)) and 2^f by their series. */
GLIA_INLINE vd pow_wide(vd a, vd y) {
    const vl bits = (vl)a - 0x3fe6a09e667f3bcd; /* sqrt(1/2) */
    const vd e = (vd)((bits >> 52) + 0x4338000000000000) - 0x1.8p52;
    const vd m = (vd)((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);
    const vd s = (m - 1.0) / (m + 1.0), z = s * s;
    vd p = z * (1 / 13.0) + 1 / 11.0;
    p = p * z + 1 / 9.0;
    p = p * z + 1 / 7.0;
    p = p * z + 1 / 5.0;
    p = p * z + 1 / 3.0;
    vd t = y * (e + (p * z * s + s) * (2 * 0x1.71547652b82fep+0));
    t = vd_pick(t > 130.0, (vd){ 0 } + 130.0, t);
    t = vd_pick(t < -160.0, (vd){ 0 } - 160.0, t);
    const vd near = t + 0x1.8p52;
    const vd r = (t - (near - 0x1.8p52)) * 0x1.62e42fefa39efp-1;
    vd q = r * (1 / 362880.0) + 1 / 40320.0;
    q = q * r + 1 / 5040.0;
    q = q * r + 1 / 720.0;
    q = q * r + 1 / 120.0;
    q = q * r + 1 / 24.0;
    q = q * r + 1 / 6.0;
    q = q * r + 0.5;
    q = q * r + 1.0;
    q = q * r + 1.0;
    return q * (vd)(((vul)near - 0x4338000000000000u + 1023u) << 52);
}

/* x^y with C's special cases. 0.51 ulp. */
GLIA_INLINE vf vf_pow(vf x, vf y) {
    const vf a = vf_abs(x), one = vf_set(1.0f), zero = vf_set(0.0f), infinity = vf_set(GLIA_INF);
    vf value;
    for (int i = 0; i < 2; i++) {
        vh base, exponent;
        const size_t at = (size_t)i * sizeof base;
        memcpy(&base, (const char *)&a + at, sizeof base);
        memcpy(&exponent, (const char *)&y + at, sizeof base);
        base = __builtin_convertvector(
            pow_wide(__builtin_convertvector(base, vd), __builtin_convertvector(exponent, vd)), vh);
        memcpy((char *)&value + at, &base, sizeof base);
    }
    value = vf_select(a == 0.0f, vf_select(y < 0.0f, infinity, zero), value);
    value = vf_select(a == infinity, vf_select(y < 0.0f, zero, infinity), value);
    const vi whole = vf_floor(y) == y, odd = whole & (vf_floor(y * 0.5f) != y * 0.5f);
    value = vf_select(odd, vf_sign_of(value, x), value);
    value = vf_select((x < 0.0f) & ~whole & (a != infinity) & (x == x), vf_set(__builtin_nanf("")), value);
    value = vf_select((x != x) | (y != y), x + y, value);
    return vf_select((y == 0.0f) | (x == 1.0f) | ((a == 1.0f) & (vf_abs(y) == infinity)), one, value);
}

#endif
