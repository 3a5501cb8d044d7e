/* philox.h - random bits in vectors: Philox4x32-10 as core/ops/random.c defines it. For kernel sources. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_PHILOX_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_PHILOX_H

#include "backend/cpu/kernels/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Lanes of 64 bits; Philox's words are in their lower halves. Enough vectors to hide the latency of a product. */
typedef uint64_t vq __attribute__((vector_size(VLEN * 4)));
enum { QLEN = VLEN / 2, PHILOX_VECTORS = 4, PHILOX_LANES = QLEN * PHILOX_VECTORS };

#if VLEN == 16
#define VQ_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define VQ_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif VLEN == 8
#define VQ_LOW  0, 4, 1, 5
#define VQ_HIGH 2, 6, 3, 7
#else
#define VQ_LOW  0, 2
#define VQ_HIGH 1, 3
#endif

/* The products of the lower halves. */
GLIA_INLINE vq philox_multiply(vq a, vq b) {
#if defined(__AVX512F__) && VLEN == 16
    return (vq)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__) && VLEN == 8
    return (vq)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__) && VLEN == 4
    return (vq)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

/* Ten rounds of Philox4x32 (base/rng.c) on PHILOX_VECTORS vectors of counters. */
GLIA_INLINE void philox(uint32_t k0, uint32_t k1, vq c[4][PHILOX_VECTORS]) {
    const vq m0 = (vq){ 0 } + 0xD2511F53u, m1 = (vq){ 0 } + 0xCD9E8D57u;
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        GLIA_UNROLL
        for (int i = 0; i < PHILOX_VECTORS; i++) {
            const vq p0 = philox_multiply(c[0][i], m0), p1 = philox_multiply(c[2][i], m1);
            c[0][i] = (p1 >> 32) ^ c[1][i] ^ k0;
            c[2][i] = (p0 >> 32) ^ c[3][i] ^ k1;
            c[1][i] = p1 & 0xffffffff;
            c[3][i] = p0 & 0xffffffff;
        }
    }
}

/* Converts words to numbers in [0, 1). */
GLIA_INLINE vf philox_units(vq words) { return __builtin_convertvector((vi)((vu)words >> 8), vf) * 0x1p-24f; }

/* Computes the numbers of PHILOX_LANES blocks from `block` on; rng: seed and step. */
static inline void philox_floats(const int64_t rng[2], uint64_t stream, uint64_t block, float value[4 * PHILOX_LANES]) {
    const uint64_t seed = (uint64_t)rng[0], step = (uint64_t)rng[1];
    vq c[4][PHILOX_VECTORS], lane;
    for (int k = 0; k < QLEN; k++) lane[k] = (uint64_t)k;
    for (int i = 0; i < PHILOX_VECTORS; i++) {
        const vq number = lane + (block + (uint64_t)(i * QLEN));
        c[0][i] = number & 0xffffffff;
        c[1][i] = number >> 32;
        c[2][i] = (vq){ 0 } + (stream & 0xffffffff);
        c[3][i] = (vq){ 0 } + (step & 0xffffffff);
    }
    philox((uint32_t)seed, (uint32_t)(seed >> 32) ^ (uint32_t)(step >> 32), c);
    for (int i = 0; i < PHILOX_VECTORS; i++) {
        const vq first = c[0][i] | c[1][i] << 32, second = c[2][i] | c[3][i] << 32;
        vf_store(value + i * 2 * VLEN, philox_units(__builtin_shufflevector(first, second, VQ_LOW)));
        vf_store(value + i * 2 * VLEN + VLEN, philox_units(__builtin_shufflevector(first, second, VQ_HIGH)));
    }
}

#endif
