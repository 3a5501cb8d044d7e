/* rng.c - Philox4x32-10, a counter-based generator.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A block of four 32-bit words is
 * ten rounds of multiply-and-swap of a 128-bit counter under a 64-bit key. There is no state to carry, so word i of a
 * stream is the same whichever thread asks for it, and a run can be resumed from three integers.
 */
#include <math.h>

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

uint32_t glia_rng_u32(glia_rng *rng) {
    uint64_t block = rng->position >> 2;
    uint32_t key[2] = { (uint32_t)rng->seed, (uint32_t)(rng->seed >> 32) };
    uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)rng->stream, (uint32_t)(rng->stream >> 32) };
    uint32_t out[4];
    glia_philox(key, counter, out);
    return out[rng->position++ & 3];
}

uint64_t glia_rng_below(glia_rng *rng, uint64_t bound) {
    uint64_t rest = (0 - bound) % bound; /* 2^64 mod bound: values below it would be drawn once too often */
    for (;;) {
        uint64_t high = glia_rng_u32(rng), value = high << 32 | glia_rng_u32(rng);
        if (value >= rest) return value % bound;
    }
}

double glia_rng_uniform(glia_rng *rng) {
    uint64_t high = glia_rng_u32(rng), bits = high << 32 | glia_rng_u32(rng);
    return (double)(bits >> 11) * 0x1p-53;
}

double glia_rng_normal(glia_rng *rng) {
    double u = 1 - glia_rng_uniform(rng), v = glia_rng_uniform(rng); /* u in (0, 1]: its logarithm is finite */
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t glia_hash_bytes(const void *bytes, size_t length, uint64_t seed) {
    const uint8_t *p = bytes;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < length; i++) h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32; /* FNV's high bits are weak; this is splitmix64's finish */
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}
