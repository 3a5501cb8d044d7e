/* table.c - the kernels of one instruction set, by name. */
#include "backend/cpu/rows.h"

const glia_cpu_kernels GLIA_KERNEL(cpu_table) = {
    .isa = GLIA_KERNEL_ISA_ID,
    .gemm_f32_scratch = GLIA_KERNEL(gemm_f32_scratch),
    .gemm_f32 = GLIA_KERNEL(gemm_f32),
    .conv_f32_scratch = GLIA_KERNEL(conv_f32_scratch),
    .conv_f32 = GLIA_KERNEL(conv_f32),
    .conv_input_grad_f32_scratch = GLIA_KERNEL(conv_input_grad_f32_scratch),
    .conv_input_grad_f32 = GLIA_KERNEL(conv_input_grad_f32),
    .conv_kernel_grad_f32_scratch = GLIA_KERNEL(conv_kernel_grad_f32_scratch),
    .conv_kernel_grad_f32 = GLIA_KERNEL(conv_kernel_grad_f32),
    .max_pool_f32 = GLIA_KERNEL(max_pool_f32),
    .max_pool_scatter_f32 = GLIA_KERNEL(max_pool_scatter_f32),
    .max_pool_gather_f32 = GLIA_KERNEL(max_pool_gather_f32),
    .avg_pool_f32 = GLIA_KERNEL(avg_pool_f32),
    .avg_pool_grad_f32 = GLIA_KERNEL(avg_pool_grad_f32),
    .tile_named = GLIA_KERNEL(tile_named),
    .loop_f32 = GLIA_KERNEL(loop_f32),
    .loop_block = GLIA_KERNEL(loop_block),
    .softmax_f32 = GLIA_KERNEL(softmax_f32),
    .copy = GLIA_KERNEL(copy),
    .fill = GLIA_KERNEL(fill),
    .gather = GLIA_KERNEL(gather),
    .scatter_add_f32 = GLIA_KERNEL(scatter_add_f32),
    .argmax_f32 = GLIA_KERNEL(argmax_f32),
    .random_uniform_f32 = GLIA_KERNEL(random_uniform_f32),
};
