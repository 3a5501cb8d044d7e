/* simd.h - one kernel source, every instruction set.
 *
 * A kernel source is compiled several times, with -march and -DGLIA_KERNEL_ISA=v4 (v3, v2, neon, generic) for each
 * instruction set. GLIA_KERNEL(name) puts the set's name into a symbol: GLIA_KERNEL(gemm_f32) is glia_gemm_f32_v4. What
 * is not in a kernel's header is static, so that no code for one CPU is ever linked into another's.
 *
 * Vectors are GCC and Clang vector extensions: vf holds VLEN floats, vi as many 32-bit integers, and + - * / < ?: work
 * lane by lane. Products and sums contract to fused multiply-adds where the CPU has them.
 */
#ifndef GLIA_CPU_SIMD_H
#define GLIA_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#define GLIA_KERNEL_JOIN(name, isa) glia_##name##_##isa
#define GLIA_KERNEL_EXPAND(name, isa) GLIA_KERNEL_JOIN(name, isa)
#define GLIA_KERNEL(name) GLIA_KERNEL_EXPAND(name, GLIA_KERNEL_ISA)

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

/* The same at any address. */
typedef float vf_any __attribute__((vector_size(VLEN * 4), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(VLEN * 4), aligned(4), may_alias));

#define GLIA_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define GLIA_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GLIA_UNROLL _Pragma("GCC unroll 32")
#endif

GLIA_INLINE vf vf_load(const float *p) { return *(const vf_any *)p; }
GLIA_INLINE void vf_store(float *p, vf v) { *(vf_any *)p = v; }
GLIA_INLINE vf vf_set(float x) { return x - (vf){ 0 }; }

#endif
