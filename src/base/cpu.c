/* cpu.c - detects the instruction sets of this machine.
 *
 * The x86-64 levels are those of the System V ABI supplement: v2 (SSE4.2), v3 (AVX2, FMA), v4 (AVX-512 F, BW, CD, DQ,
 * VL). Detection uses feature bits, not model names, and checks that the operating system saves the wide registers
 * (XCR0).
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static const char *const names[GLIA_ISA_COUNT] = {
    [GLIA_ISA_GENERIC] = "generic", [GLIA_ISA_V2] = "v2",     [GLIA_ISA_V3] = "v3",
    [GLIA_ISA_V4] = "v4",           [GLIA_ISA_NEON] = "neon",
};

const char *glia_isa_name(glia_isa isa) { return (unsigned)isa < GLIA_ISA_COUNT ? names[isa] : "?"; }

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct cpuid_leaf {
    unsigned a, b, c, d;
} cpuid_leaf;

static cpuid_leaf cpuid(unsigned leaf) {
    cpuid_leaf r = { 0 };
    if (!__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d)) r = (cpuid_leaf){ 0 };
    return r;
}

static bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

static glia_isa best_isa(void) {
    cpuid_leaf basic = cpuid(1), extended = cpuid(0x80000001), seven = cpuid(7);
    unsigned saved = 0, high;
    if (has(basic.c, bit_OSXSAVE)) __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));

    bool v2 = has(basic.c, bit_CMPXCHG16B | bit_POPCNT | bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2) &&
              has(extended.c, 1u << 0 /* LAHF in 64-bit mode */);
    bool v3 = v2 && has(saved, 0x06 /* xmm, ymm */) && has(basic.c, bit_AVX | bit_F16C | bit_FMA | bit_MOVBE) &&
              has(extended.c, 1u << 5 /* LZCNT */) && has(seven.b, bit_AVX2 | bit_BMI | bit_BMI2);
    bool v4 = v3 && has(saved, 0xE6 /* and opmask, zmm */) &&
              has(seven.b, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL);
#ifdef GLIA_EMULATE_V4 /* test build: v4 kernels are compiled to AVX2 */
    v4 = v3;
#endif
    return v4 ? GLIA_ISA_V4 : v3 ? GLIA_ISA_V3 : v2 ? GLIA_ISA_V2 : GLIA_ISA_GENERIC;
}

static bool runs_on(glia_isa isa, glia_isa best) { return isa >= GLIA_ISA_V2 && isa <= best; }
#else
static glia_isa best_isa(void) {
#if defined(__aarch64__)
    return GLIA_ISA_NEON;
#else
    return GLIA_ISA_GENERIC;
#endif
}

static bool runs_on(glia_isa isa, glia_isa best) { return isa == best; }
#endif

glia_status glia_isa_choose(glia_isa *isa, glia_error *error) {
    glia_isa best = best_isa();
    if (!runs_on(best, best)) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "this CPU is older than x86-64-v2 (SSE4.2), the minimum for Glia");
    }
    *isa = best;
    const char *wanted = getenv("GLIA_ISA");
    if (!wanted || !*wanted) return GLIA_OK;
    for (int i = 0; i < GLIA_ISA_COUNT; i++) {
        if (strcmp(wanted, names[i])) continue;
        if (!runs_on((glia_isa)i, best)) {
            return glia_fail(error, GLIA_E_UNSUPPORTED, "GLIA_ISA=%s: this CPU has %s", wanted, names[best]);
        }
        *isa = (glia_isa)i;
        return GLIA_OK;
    }
    const char *near = glia_nearest(wanted, names, GLIA_ISA_COUNT);
    return glia_fail(error, GLIA_E_ARGUMENT, "GLIA_ISA=%s: no such instruction set%s%s", wanted,
                     near ? "; did you mean " : " (v2, v3, v4, neon, generic)", near ? near : "");
}
