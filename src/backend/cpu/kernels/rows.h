/* rows.h - prototypes of one instruction set's kernels, for the sources that define them and for table.c. The contracts
 * are in kernels.h. Included by kernel sources only. */
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

size_t GLIA_KERNEL(gemm_f32_scratch)(const glia_gemm *gemm, int workers);
void GLIA_KERNEL(gemm_f32)(glia_pool *pool, const glia_gemm *gemm, void *scratch);
size_t GLIA_KERNEL(gemm_f32_pack_bytes)(const glia_gemm *gemm);
void GLIA_KERNEL(gemm_f32_pack)(glia_pool *pool, const glia_gemm *gemm, void *packed);

size_t GLIA_KERNEL(conv_f32_packed)(const glia_conv_shape *shape);
void GLIA_KERNEL(conv_f32_pack)(glia_pool *pool, const glia_conv_shape *shape, const float *kernel, float *packed);
size_t GLIA_KERNEL(conv_f32_scratch)(const glia_conv_shape *shape, bool packed, int workers);
void GLIA_KERNEL(conv_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *kernel,
                           const float *packed, float *y, glia_epilogue epilogue, void *scratch);
size_t GLIA_KERNEL(conv_input_grad_f32_packed)(const glia_conv_shape *shape);
void GLIA_KERNEL(conv_input_grad_f32_pack)(glia_pool *pool, const glia_conv_shape *shape, const float *kernel,
                                           float *packed);
size_t GLIA_KERNEL(conv_input_grad_f32_scratch)(const glia_conv_shape *shape, bool packed, int workers);
void GLIA_KERNEL(conv_input_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *dy,
                                      const float *kernel, const float *packed, float *dx, glia_epilogue epilogue,
                                      void *scratch);
size_t GLIA_KERNEL(conv_kernel_grad_f32_scratch)(const glia_conv_shape *shape, int workers);
void GLIA_KERNEL(conv_kernel_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, void *scratch);
void GLIA_KERNEL(max_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y);
void GLIA_KERNEL(max_pool_scatter_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *dy,
                                       float *dx);
void GLIA_KERNEL(max_pool_gather_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, const float *u,
                                      float *v);
void GLIA_KERNEL(avg_pool_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *x, float *y);
void GLIA_KERNEL(avg_pool_grad_f32)(glia_pool *pool, const glia_pool_shape *shape, const float *dy, float *dx);

const glia_tile *GLIA_KERNEL(tile_named)(const char *op);
void GLIA_KERNEL(loop_f32)(glia_pool *pool, const glia_loop_args *loops, int n);
void GLIA_KERNEL(loop_block)(const glia_loop_args *loop, int worker, int64_t row, int64_t rows, int64_t col, int64_t cols);

void GLIA_KERNEL(softmax_f32)(glia_pool *pool, int64_t rows, int64_t length, const float *x, float *y);
void GLIA_KERNEL(layer_norm_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *shift, float *y);
void GLIA_KERNEL(layer_norm_dx_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *dy, float *dx);
size_t GLIA_KERNEL(layer_norm_dscale_f32_scratch)(const glia_norm_rows *norm);
void GLIA_KERNEL(layer_norm_dscale_f32)(glia_pool *pool, const glia_norm_rows *norm, const float *dy, float *dscale,
                                        void *scratch);
size_t GLIA_KERNEL(attention_f32_scratch)(const glia_attention_args *attention, int workers);
void GLIA_KERNEL(attention_f32)(glia_pool *pool, const glia_attention_args *attention, void *scratch);
size_t GLIA_KERNEL(attention_grad_f32_scratch)(const glia_attention_args *attention, int workers);
void GLIA_KERNEL(attention_grad_f32)(glia_pool *pool, const glia_attention_args *attention, void *scratch);
size_t GLIA_KERNEL(recurrent_f32_scratch)(const glia_recurrence *r, int workers);
void GLIA_KERNEL(recurrent_f32)(glia_pool *pool, const glia_recurrence *r, void *scratch);
size_t GLIA_KERNEL(recurrent_grad_f32_scratch)(const glia_recurrence *r, int workers);
void GLIA_KERNEL(recurrent_grad_f32)(glia_pool *pool, const glia_recurrence *r, void *scratch);
void GLIA_KERNEL(copy)(glia_pool *pool, const glia_copy *copy);
void GLIA_KERNEL(fill)(glia_pool *pool, void *to, int64_t n, int size, uint64_t bits);
void GLIA_KERNEL(round_bf16_f32)(glia_pool *pool, int64_t n, const float *x, float *y);
void GLIA_KERNEL(gather)(glia_pool *pool, const glia_pick *pick);
void GLIA_KERNEL(scatter_add_f32)(glia_pool *pool, const glia_pick *pick);
void GLIA_KERNEL(argmax_f32)(glia_pool *pool, const glia_argmax_rows *rows);
void GLIA_KERNEL(random_uniform_f32)(glia_pool *pool, const glia_random *random);
void GLIA_KERNEL(word_step_f32)(const glia_word_step *step);

#endif
