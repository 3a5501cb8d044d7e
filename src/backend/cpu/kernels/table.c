/* table.c - the kernels of one instruction set, by name. */
#include "backend/cpu/kernels/rows.h"

const glia_cpu_kernels GLIA_KERNEL(cpu_table) = {
    .isa = GLIA_KERNEL_ISA_ID,
#define GLIA_KERNEL_ROW(result, name, arguments) .name = GLIA_KERNEL(name),
#include "backend/cpu/kernels/kernels.def"
#undef GLIA_KERNEL_ROW
};
