/* kernels.h - the table of f32 kernels of the CPU backend.
 *
 * Every source in this folder is compiled once for each instruction set, with GLIA_KERNEL_ISA naming it (see simd.h).
 * kernels.def lists the kernels; table.c fills a glia_cpu_kernels with those of its instruction set; lowering/select.c,
 * compiled once, returns the table for a glia_isa.
 *
 * Kernels are functions on pointers. They allocate nothing: a kernel that needs scratch memory has a companion that
 * returns its size in bytes for a number of workers, and takes a pointer to it, GLIA_ALIGN aligned. They run in
 * parallel on the given pool (NULL: one thread); results are bitwise equal at any number of threads. Sizes and strides
 * count elements.
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_KERNELS_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_KERNELS_H

#include "backend/cpu/kernels/lndp.h"
#include "backend/cpu/kernels/loop.h"
#include "backend/cpu/kernels/move.h"
#include "backend/cpu/kernels/recurrent.h"
#include "backend/cpu/kernels/sparse.h"

typedef struct glia_net_lanes glia_net_lanes; /* net.h */

/* Called once for every finished block of a result while it is in cache: rows [row, row + rows) and columns
 * [col, col + cols) of matrix `batch`; c points at element [row, col] of it, rows are ldc apart. Blocks do not overlap
 * and cover the result. May run on several workers at once. fn NULL: nothing to do. */
typedef struct glia_epilogue {
    void (*fn)(void *context, int worker, int64_t batch, int64_t row, int64_t rows, int64_t col, int64_t cols, float *c,
               int64_t ldc);
    void *context;
} glia_epilogue;

/* C = A B, or C += A B, for batch[0] x batch[1] matrices: A (M, K), B (K, N), C (M, N), rows lda, ldb, ldc apart.
 * Transposed, A is stored (K, M) and B (N, K). Matrix (i, j) of A begins at a + i a_stride[0] + j a_stride[1]; a stride
 * of 0 repeats A or B. The epilogue's batch is i batch[1] + j. K = 0 gives zeros. packed_b: NULL, or B as packed by
 * gemm_f32_pack; `b` is then not read. */
typedef struct glia_gemm {
    int64_t batch[2], m, n, k;
    bool transpose_a, transpose_b, accumulate;
    const float *a, *b;
    const void *packed_b;
    float *c;
    int64_t lda, ldb, ldc;
    int64_t a_stride[2], b_stride[2], c_stride[2];
    glia_epilogue epilogue;
} glia_gemm;

/* Convolution of x (N, D, H, W, C) with a kernel (K, C/groups, kernel...) to y (N, out..., K). One or two spatial axes
 * are the last ones of three, the others have size, kernel, stride and dilation 1. Element o of an axis of y reads
 * x[o stride - pad + i dilation], i < kernel; what lies outside x is 0. Padding after the end follows from `out`.
 * fixed: the kernel is packed once for many runs, so that packing costs nothing; that chooses the method. */
typedef struct glia_conv_shape {
    int64_t n, c, k;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    int64_t groups;
    bool fixed;
} glia_conv_shape;

/* Pooling of x (N, in..., C) to y (N, out..., C), windows as in glia_conv_shape. Padding is never a maximum; an empty
 * window has maximum -inf. The average is over the elements inside x, or over the whole window if count_padding. */
typedef struct glia_pool_shape {
    int64_t n, c;
    int64_t in[3], out[3], size[3], stride[3], pad[3];
    bool count_padding;
} glia_pool_shape;

/* Rows to normalise: x (rows, length), scale (length). */
typedef struct glia_norm_rows {
    int64_t rows, length;
    float epsilon;
    const float *x, *scale;
} glia_norm_rows;

/* Rows (time steps) of heads: head h of row i of sample n begins at at + n sample + i row + h D. */
typedef struct glia_attention_rows {
    float *at;
    int64_t sample, row;
} glia_attention_rows;

/* Attention as defined in core/ops/attention.c: N samples, T queries, S keys, H heads that share G heads of keys, D.
 * Optional operands are NULL if absent. mask and bias have strides for sample, head, query and key; the last is 0 or
 * 1. */
typedef struct glia_attention_args {
    int64_t samples, queries, keys, heads, groups, size;
    float scale, softcap, rate;
    int64_t window; /* 0: none */
    bool causal;
    const float *slopes; /* of ALiBi, by head */
    const int32_t *lengths, *offsets;
    const uint8_t *mask;
    const float *bias;
    int64_t mask_stride[4], bias_stride[4];
    const int64_t *rng;
    uint64_t stream;
    glia_attention_rows q, k, v, y;
    glia_attention_rows dy, dq, dk, dv; /* the gradient's */
} glia_attention_args;

/* Spiking units as defined in core/ops/lif.c: x and y are (samples, steps, width), but x (samples, width) if
 * `constant`. y may be x unless `constant`. lif_filter: u is the membranes. */
typedef struct glia_lif_args {
    int64_t samples, steps, width;
    bool constant, reverse;
    glia_lif_reset reset;
    float beta, threshold;
    const float *x, *u;
    float *y;
} glia_lif_args;

/* A training step of word vectors (Mikolov et al. 2013). Input rows x_i and output rows o_k with labels l_k in {0, 1}
 * have the loss - sum over i, k of log sigmoid(o_k . x_i) where l_k = 1, log sigmoid(-o_k . x_i) where it is 0; all
 * rows move by `rate` against its gradient. average: there is one x instead, the mean of the input rows, and each of
 * them moves by the step of x. `length` is a multiple of 16. */
typedef struct glia_word_step {
    int64_t length;
    int n_in, n_out;
    bool average;
    float rate;
    float *const *in, *const *out; /* rows, on GLIA_ALIGN boundaries; a row may come more than once */
    const float *label;            /* (n_out) */
    float *errors;                 /* scratch: n_in n_out floats and 16 more */
    float *const *grad;            /* scratch: n_in rows, one if `average`; what x_i moved by */
    float *hidden;                 /* scratch if `average`: a row; the mean */
} glia_word_step;

typedef struct glia_cpu_kernels {
    glia_isa isa;
#define GLIA_KERNEL_ROW(result, name, arguments) result(*name) arguments;
#include "backend/cpu/kernels/kernels.def"
#undef GLIA_KERNEL_ROW
} glia_cpu_kernels;

/* The table of an instruction set, or of the best one below it that this build has. */
const glia_cpu_kernels *glia_cpu_kernels_for(glia_isa isa);

#endif
