/* rng.c - Philox4x32-10, a counter-based generator.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A block of four 32-bit words is
 * ten rounds of multiply-and-swap of a 128-bit counter under a 64-bit key. It is stateless: word i of a stream is the
 * same on any thread, and a run can be resumed from three integers.
 */
#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/base.h"

void glia_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* the golden ratio and sqrt(3)-1: the paper's Weyl keys */
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The block at the reader's position. */
static void block_at(const glia_rng *rng, uint32_t word[4]) {
    uint64_t block = rng->position >> 2;
    uint32_t key[2] = { (uint32_t)rng->seed, (uint32_t)(rng->seed >> 32) };
    uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)rng->stream,
                            (uint32_t)(rng->stream >> 32) };
    glia_philox(key, counter, word);
}

uint32_t glia_rng_u32(glia_rng *rng) {
    uint32_t word[4];
    block_at(rng, word);
    return word[rng->position++ & 3];
}

uint64_t glia_rng_below(glia_rng *rng, uint64_t bound) {
    uint64_t rest = (0 - bound) % bound; /* 2^64 mod bound: values below it are rejected, to avoid bias */
    for (;;) {
        uint64_t high = glia_rng_u32(rng), value = high << 32 | glia_rng_u32(rng);
        if (value >= rest) return value % bound;
    }
}

static double unit(uint32_t high, uint32_t low) { return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53; }

double glia_rng_uniform(glia_rng *rng) {
    const uint64_t at = rng->position & 3;
    uint32_t word[4];
    block_at(rng, word);
    rng->position += 2;
    if (at < 3) return unit(word[at], word[at + 1]);
    glia_rng next = *rng;
    next.position--;
    return unit(word[3], glia_rng_u32(&next));
}

/* ---- four blocks together ----------------------------------------------------------------- */

typedef uint64_t pair __attribute__((vector_size(16))); /* of blocks; words are in the lower halves of the lanes */
typedef double pair_of_doubles __attribute__((vector_size(16)));
enum { TOGETHER = 8 }; /* doubles of four blocks */

/* The products of the lower halves. */
static inline pair multiply(pair a, pair b) {
#if defined(__SSE2__)
    return (pair)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

/* A word as a double: it is written behind the exponent of 2^52. */
static inline pair_of_doubles as_doubles(pair words) {
    return (pair_of_doubles)(words | 0x4330000000000000u) - 0x1p52;
}

/* unit() of both lanes; every operation is exact. */
static inline pair_of_doubles units(pair high, pair low) {
    return as_doubles(high) * 0x1p-32 + as_doubles(low >> 11) * 0x1p-53;
}

/* A round of glia_philox() on a pair of counters. */
static inline void turn(pair c[4], pair k0, pair k1) {
    const pair word = (pair){ 0 } + 0xffffffffu;
    const pair p0 = multiply(c[0], (pair){ 0 } + 0xD2511F53u), p1 = multiply(c[2], (pair){ 0 } + 0xCD9E8D57u);
    c[0] = (p1 >> 32) ^ c[1] ^ k0;
    c[2] = (p0 >> 32) ^ c[3] ^ k1;
    c[1] = p1 & word;
    c[3] = p0 & word;
}

static inline void start(const glia_rng *rng, uint64_t block, pair c[4]) {
    const pair number = { block, block + 1 };
    c[0] = number & 0xffffffffu, c[1] = number >> 32;
    c[2] = (pair){ 0 } + (rng->stream & 0xffffffffu), c[3] = (pair){ 0 } + (rng->stream >> 32);
}

static inline void finish(const pair c[4], double out[4]) {
    const pair_of_doubles first = units(c[0], c[1]), second = units(c[2], c[3]);
    out[0] = first[0], out[1] = second[0], out[2] = first[1], out[3] = second[1];
}

/* The numbers of four blocks from the reader's position on, which is the first of a block. */
static void uniforms_together(const glia_rng *rng, double out[TOGETHER]) {
    uint32_t k0 = (uint32_t)rng->seed, k1 = (uint32_t)(rng->seed >> 32);
    pair a[4], b[4];
    start(rng, rng->position >> 2, a);
    start(rng, (rng->position >> 2) + 2, b);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const pair key0 = (pair){ 0 } + k0, key1 = (pair){ 0 } + k1;
        turn(a, key0, key1);
        turn(b, key0, key1);
    }
    finish(a, out);
    finish(b, out + 4);
}

void glia_rng_uniforms(glia_rng *rng, double *out, int64_t n) {
    for (; n > 0 && rng->position & 3; n--) *out++ = glia_rng_uniform(rng);
    for (; n >= TOGETHER; n -= TOGETHER, out += TOGETHER) {
        uniforms_together(rng, out);
        rng->position += 2 * TOGETHER;
    }
    if (n == 0) return;
    double rest[TOGETHER];
    uniforms_together(rng, rest);
    memcpy(out, rest, (size_t)n * sizeof *out);
    rng->position += 2 * (uint64_t)n;
}

/* Box and Muller 1958. 1 - u is in (0, 1]: its logarithm is finite. */
static double normal(double u, double v) { return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v); }

double glia_rng_normal(glia_rng *rng) {
    double u = glia_rng_uniform(rng);
    return normal(u, glia_rng_uniform(rng));
}

void glia_rng_normals(glia_rng *rng, double *out, int64_t n) {
    double pairs[64][2];
    for (int64_t i = 0; i < n; i += GLIA_COUNT(pairs)) {
        const int64_t m = GLIA_MIN(n - i, (int64_t)GLIA_COUNT(pairs));
        glia_rng_uniforms(rng, pairs[0], 2 * m);
        for (int64_t j = 0; j < m; j++) out[i + j] = normal(pairs[j][0], pairs[j][1]);
    }
}
