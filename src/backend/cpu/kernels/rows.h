/* rows.h - prototypes of one instruction set's kernels, for the sources that define them and for table.c. The contracts
 * are in kernels.def. Included by kernel sources only. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_ROWS_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_ROWS_H

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/simd.h"

/* GLIA_ISA_V4 for v4, and so on. */
#define GLIA_ISA_OF_generic   GLIA_ISA_GENERIC
#define GLIA_ISA_OF_v2        GLIA_ISA_V2
#define GLIA_ISA_OF_v3        GLIA_ISA_V3
#define GLIA_ISA_OF_v4        GLIA_ISA_V4
#define GLIA_ISA_OF_neon      GLIA_ISA_NEON
#define GLIA_ISA_OF_JOIN(isa) GLIA_ISA_OF_##isa
#define GLIA_ISA_OF(isa)      GLIA_ISA_OF_JOIN(isa)
#define GLIA_KERNEL_ISA_ID    GLIA_ISA_OF(GLIA_KERNEL_ISA)

extern const glia_cpu_kernels GLIA_KERNEL(cpu_table);

#define GLIA_KERNEL_ROW(result, name, arguments) result GLIA_KERNEL(name) arguments;
#include "backend/cpu/kernels/kernels.def"
#undef GLIA_KERNEL_ROW

#endif
