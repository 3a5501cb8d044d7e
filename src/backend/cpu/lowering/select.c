/* select.c - returns the table of kernels of an instruction set. Compiled once; kernel sources are compiled once for
 * each set. */
#include "backend/cpu/kernels/kernels.h"

#if defined(__x86_64__)
extern const glia_cpu_kernels glia_cpu_table_v2, glia_cpu_table_v3, glia_cpu_table_v4;
#elif defined(__aarch64__)
extern const glia_cpu_kernels glia_cpu_table_neon;
#else
extern const glia_cpu_kernels glia_cpu_table_generic;
#endif

const glia_cpu_kernels *glia_cpu_kernels_for(glia_isa isa) {
#if defined(__x86_64__)
    return isa == GLIA_ISA_V4 ? &glia_cpu_table_v4 : isa == GLIA_ISA_V3 ? &glia_cpu_table_v3 : &glia_cpu_table_v2;
#elif defined(__aarch64__)
    (void)isa;
    return &glia_cpu_table_neon;
#else
    (void)isa;
    return &glia_cpu_table_generic;
#endif
}
