/* simd.h - one kernel source, every instruction set.
 *
 * A kernel source is compiled several times, with -march and -DGLIA_KERNEL_ISA=v4 (v3, v2, neon, generic) for each
 * instruction set. GLIA_KERNEL(name) puts the set's name into a symbol: GLIA_KERNEL(gemm_f32) is glia_gemm_f32_v4.
 * Everything that is not in a kernel's header is static, so that code for one CPU is never linked into another's.
 *
 * Vectors are GCC and Clang vector extensions: vf holds VLEN floats, vi as many 32-bit integers, and + - * / < ?: work
 * lane by lane. Products and sums contract to fused multiply-adds where the CPU has them.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_SIMD_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define GLIA_KERNEL_JOIN(name, isa)   glia_##name##_##isa
#define GLIA_KERNEL_EXPAND(name, isa) GLIA_KERNEL_JOIN(name, isa)
#define GLIA_KERNEL(name)             GLIA_KERNEL_EXPAND(name, GLIA_KERNEL_ISA)

#ifndef VLEN
#if defined(__AVX512F__)
#define VLEN 16
#elif defined(__AVX2__)
#define VLEN 8
#else
#define VLEN 4
#endif
#endif

typedef float vf __attribute__((vector_size(VLEN * 4)));
typedef int32_t vi __attribute__((vector_size(VLEN * 4)));
typedef uint32_t vu __attribute__((vector_size(VLEN * 4)));

/* The same without alignment. */
typedef float vf_any __attribute__((vector_size(VLEN * 4), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(VLEN * 4), aligned(4), may_alias));

#define GLIA_INLINE static inline __attribute__((always_inline))

/* a / b rounded up, for a >= 0, b > 0. */
GLIA_INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
GLIA_INLINE int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

#if defined(__clang__)
#define GLIA_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GLIA_UNROLL _Pragma("GCC unroll 32")
#endif

GLIA_INLINE vf vf_load(const float *p) { return *(const vf_any *)p; }
GLIA_INLINE void vf_store(float *p, vf v) { *(vf_any *)p = v; }

GLIA_INLINE vf vf_set(float x) { return x - (vf){ 0 }; }

/* A mask of the first n <= VLEN lanes. */
GLIA_INLINE vi vi_first(int64_t n) {
#if VLEN == 16
    static const int32_t lanes[2 * VLEN] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
#elif VLEN == 8
    static const int32_t lanes[2 * VLEN] = { -1, -1, -1, -1, -1, -1, -1, -1 };
#else
    static const int32_t lanes[2 * VLEN] = { -1, -1, -1, -1 };
#endif
    return *(const vi_any *)(lanes + VLEN - n);
}

/* The first n <= VLEN lanes of a vector in memory; the others are not accessed, and are 0 in a loaded vector. */
#if defined(__AVX512F__)
GLIA_INLINE vf vf_load_first(const float *p, int64_t n) {
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
GLIA_INLINE void vf_store_first(float *p, vf v, int64_t n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined(__AVX2__) && VLEN == 8
GLIA_INLINE vf vf_load_first(const float *p, int64_t n) { return (vf)_mm256_maskload_ps(p, (__m256i)vi_first(n)); }
GLIA_INLINE void vf_store_first(float *p, vf v, int64_t n) { _mm256_maskstore_ps(p, (__m256i)vi_first(n), (__m256)v); }
#else
GLIA_INLINE vf vf_load_first(const float *p, int64_t n) {
    vf v = { 0 };
    for (int k = 0; k < VLEN; k++) v[k] = k < n ? p[k] : 0;
    return v;
}
GLIA_INLINE void vf_store_first(float *p, vf v, int64_t n) {
    for (int k = 0; k < n; k++) p[k] = v[k];
}
#endif

/* even(a, b), odd(a, b): the lanes 0, 2, 4 ... and 1, 3, 5 ... of a followed by b. low(a, b), high(a, b): the first and
 * the last VLEN of a0 b0 a1 b1 ... */
#if VLEN == 16
#define VF_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define VF_ODD  1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define VF_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define VF_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VLEN == 8
#define VF_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define VF_ODD  1, 3, 5, 7, 9, 11, 13, 15
#define VF_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define VF_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define VF_EVEN 0, 2, 4, 6
#define VF_ODD  1, 3, 5, 7
#define VF_LOW  0, 4, 1, 5
#define VF_HIGH 2, 6, 3, 7
#endif
GLIA_INLINE vf vf_even(vf a, vf b) { return __builtin_shufflevector(a, b, VF_EVEN); }
GLIA_INLINE vf vf_odd(vf a, vf b) { return __builtin_shufflevector(a, b, VF_ODD); }
GLIA_INLINE vf vf_low(vf a, vf b) { return __builtin_shufflevector(a, b, VF_LOW); }
GLIA_INLINE vf vf_high(vf a, vf b) { return __builtin_shufflevector(a, b, VF_HIGH); }

/* low_4, high_4: low and high within each four lanes of a and b: a0 b0 a1 b1 and a2 b2 a3 b3 of the first four, and so
 * on. low_pairs_4, high_pairs_4: a0 a1 b0 b1 and a2 a3 b2 b3 of each four. */
#if VLEN == 16
#define VF_FOURS(w, x, y, z)                                                                                           \
    w, x, y, z, w + 4, x + 4, y + 4, z + 4, w + 8, x + 8, y + 8, z + 8, w + 12, x + 12, y + 12, z + 12
#elif VLEN == 8
#define VF_FOURS(w, x, y, z) w, x, y, z, w + 4, x + 4, y + 4, z + 4
#else
#define VF_FOURS(w, x, y, z) w, x, y, z
#endif
GLIA_INLINE vf vf_low_4(vf a, vf b) { return __builtin_shufflevector(a, b, VF_FOURS(0, VLEN, 1, VLEN + 1)); }
GLIA_INLINE vf vf_high_4(vf a, vf b) { return __builtin_shufflevector(a, b, VF_FOURS(2, VLEN + 2, 3, VLEN + 3)); }
GLIA_INLINE vf vf_low_pairs_4(vf a, vf b) { return __builtin_shufflevector(a, b, VF_FOURS(0, 1, VLEN, VLEN + 1)); }
GLIA_INLINE vf vf_high_pairs_4(vf a, vf b) { return __builtin_shufflevector(a, b, VF_FOURS(2, 3, VLEN + 2, VLEN + 3)); }

/* The sum of all lanes, by halves. */
GLIA_INLINE float vf_sum(vf v) {
    typedef float v4 __attribute__((vector_size(16)));
    v4 part[VLEN / 4], sum;
    memcpy(part, &v, sizeof v);
    sum = part[0];
#if VLEN == 16
    sum = (part[0] + part[2]) + (part[1] + part[3]);
#elif VLEN == 8
    sum = part[0] + part[1];
#endif
    sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1);
    return sum[0] + sum[1];
}

/* mask ? a : b, lane by lane; a mask is all ones or all zeros, as comparisons give it. */
GLIA_INLINE vf vf_select(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }

/* a where it is larger than b, else b: b if one is not a number. */
#if defined(__AVX512F__)
GLIA_INLINE vf vf_upper(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__) && VLEN == 8
GLIA_INLINE vf vf_upper(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#else
GLIA_INLINE vf vf_upper(vf a, vf b) { return vf_select(a > b, a, b); }
#endif

/* a where it is smaller than b, else b: b if one is not a number. */
#if defined(__AVX512F__)
GLIA_INLINE vf vf_lower(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__) && VLEN == 8
GLIA_INLINE vf vf_lower(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
GLIA_INLINE vf vf_lower(vf a, vf b) { return vf_select(a < b, a, b); }
#endif

/* 1 / x to 2 ulp, for normal x whose reciprocal is normal: an estimate and one Newton step, several times as fast as a
 * division. */
#if defined(__AVX512F__)
GLIA_INLINE vf vf_reciprocal(vf x) {
    const vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return r + r * (1.0f - x * r);
}
#elif defined(__AVX2__) && VLEN == 8
GLIA_INLINE vf vf_reciprocal(vf x) {
    const vf r = (vf)_mm256_rcp_ps((__m256)x);
    return r + r * (1.0f - x * r);
}
#else
GLIA_INLINE vf vf_reciprocal(vf x) { return 1.0f / x; }
#endif

/* Bytes to and from lanes, because compilers convert them lane by lane with convertvector. */
GLIA_INLINE vi vi_load_bytes(const uint8_t *p) {
    int32_t lanes[VLEN];
    vi v;
    for (int k = 0; k < VLEN; k++) lanes[k] = p[k];
    memcpy(&v, lanes, sizeof v);
    return v;
}

/* The lowest byte of each lane. */
GLIA_INLINE void vi_store_bytes(uint8_t *p, vi v) {
#if defined(__AVX512F__)
    int32_t lanes[VLEN];
    memcpy(lanes, &v, sizeof v);
    for (int k = 0; k < VLEN; k++) p[k] = (uint8_t)lanes[k];
#else
    typedef uint8_t all __attribute__((vector_size(VLEN * 4)));
    typedef uint8_t lowest __attribute__((vector_size(VLEN)));
#if VLEN == 16
    const lowest bytes =
        __builtin_shufflevector((all)v, (all)v, 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
#elif VLEN == 8
    const lowest bytes = __builtin_shufflevector((all)v, (all)v, 0, 4, 8, 12, 16, 20, 24, 28);
#else
    const lowest bytes = __builtin_shufflevector((all)v, (all)v, 0, 4, 8, 12);
#endif
    memcpy(p, &bytes, sizeof bytes);
#endif
}

#endif
