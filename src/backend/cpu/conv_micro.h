/* micro.h - the inner loops of matrix products and convolutions, and packing for them.
 *
 * A tile is `rows` <= MR rows by 1, 2 or 4 vectors of columns of a product P Q, kept in registers while k runs:
 *
 *     tile[i][j] = sum over k of P(i, k) Q(k, j)        P is broadcast, Q is loaded in vectors along j
 *
 * Rows of Q are contiguous in j and lie q_step apart, or at offsets from a table. P is read in one of two orders, so that
 * neither operand has to be packed where packing would not pay:
 *
 *     TILE_COLS    P(i, k) = p[i + k p_step]      packed P, or a transposed matrix as it lies
 *     TILE_ROWS    P(i, k) = p[i p_step + k]      a row-major matrix as it lies
 *     TILE_TABLE, TILE_ROWS_TABLE    the same with Q(k, j) = q[q_at[k] + j]
 *
 * The register blocking is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
#ifndef GLIA_CPU_CONV_MICRO_H
#define GLIA_CPU_CONV_MICRO_H

#include <stdbool.h>

#include "backend/cpu/simd.h"

/* MR, rows of a tile: as many as leave registers for one broadcast and the vectors of Q. MR_HALF is for #if. */
#if VLEN == 16
#define MR_HALF 6
#elif VLEN == 8
#define MR_HALF 3
#elif defined(__aarch64__)
#define MR_HALF 4
#else
#define MR_HALF 2
#endif
enum {
    MR = 2 * MR_HALF,
    NR = 2 * VLEN,      /* columns of an ordinary tile, and of a packed panel of Q */
    WIDE_NR = 4 * VLEN, /* columns of a wide tile */
    WIDE_MR = MR / 2    /* rows of a wide tile at most */
};

enum { TILE_COLS, TILE_ROWS, TILE_TABLE, TILE_ROWS_TABLE, TILE_MODES };
enum { TILE_HALF, TILE_FULL, TILE_WIDE, TILE_WIDTHS }; /* VLEN, NR, WIDE_NR columns */

/* Writes the tile to c, rows ldc apart, or adds it to what is there. */
typedef void (*glia_conv_micro_fn)(int64_t k, const float *p, int64_t p_step, const float *q, int64_t q_step,
                                   const int64_t *q_at, float *c, int64_t ldc, bool add);

/* [mode][width][rows - 1]; wide tiles exist for up to WIDE_MR rows. */
extern const glia_conv_micro_fn GLIA_KERNEL(conv_micro)[TILE_MODES][TILE_WIDTHS][MR];

/* ---- packing ------------------------------------------------------------------------------ */

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_any __attribute__((vector_size(16), aligned(4), may_alias));

/* dst[j dst_step + i] = src[i src_step + j] for i, j < 4. */
GLIA_INLINE void transpose_4x4(float *dst, int64_t dst_step, const float *src, int64_t src_step) {
    v4 a = *(const v4_any *)src, b = *(const v4_any *)(src + src_step);
    v4 c = *(const v4_any *)(src + 2 * src_step), d = *(const v4_any *)(src + 3 * src_step);
    v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4_any *)dst = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(v4_any *)(dst + dst_step) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(v4_any *)(dst + 2 * dst_step) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    *(v4_any *)(dst + 3 * dst_step) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

/* dst[j dst_step + i] = src[i src_step + j] for i < rows, j < cols. The last blocks overlap those before them. */
static inline void transpose(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t rows,
                             int64_t cols) {
    if (rows < 4 || cols < 4) {
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < cols; j++) dst[j * dst_step + i] = src[i * src_step + j];
        }
        return;
    }
    for (int64_t i = 0; i < rows; i += 4) {
        if (i > rows - 4) i = rows - 4;
        int64_t j = 0;
        for (; j < cols - 4; j += 4) transpose_4x4(dst + j * dst_step + i, dst_step, src + i * src_step + j, src_step);
        j = cols - 4;
        transpose_4x4(dst + j * dst_step + i, dst_step, src + i * src_step + j, src_step);
    }
}

/* dst[i dst_step + j] = src[i src_step + j] for i < rows, j < cols. */
static inline void copy_rows(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t rows,
                             int64_t cols) {
    if (cols == NR) {
        for (int64_t i = 0; i < rows; i++, dst += dst_step, src += src_step) {
            vf a = vf_load(src), b = vf_load(src + VLEN);
            vf_store(dst, a);
            vf_store(dst + VLEN, b);
        }
    } else if (cols >= 4) {
        for (int64_t i = 0; i < rows; i++, dst += dst_step, src += src_step) {
            for (int64_t j = 0; j < cols - 4; j += 4) *(v4_any *)(dst + j) = *(const v4_any *)(src + j);
            *(v4_any *)(dst + cols - 4) = *(const v4_any *)(src + cols - 4);
        }
    } else {
        for (int64_t i = 0; i < rows; i++, dst += dst_step, src += src_step) {
            for (int64_t j = 0; j < cols; j++) dst[j] = src[j];
        }
    }
}

/* Packs P(i, k) = src[i step_i + k step_k], one of the steps being 1, so that dst[k MR + i] holds it. rows <= MR. */
static inline void pack_p(float *dst, const float *src, int64_t step_i, int64_t step_k, int64_t rows, int64_t k) {
    if (step_i == 1)
        copy_rows(dst, MR, src, step_k, k, rows);
    else
        transpose(dst, MR, src, step_i, rows, k);
}

/* Packs Q(k, j) = src[k step_k + j step_j], one of the steps being 1, so that dst[k NR + j] holds it; cols <= NR, the
 * others become 0. */
static inline void pack_q(float *dst, const float *src, int64_t step_k, int64_t step_j, int64_t k, int64_t cols) {
    if (step_j == 1)
        copy_rows(dst, NR, src, step_k, k, cols);
    else
        transpose(dst, NR, src, step_j, cols, k);
    if (cols == NR) return;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = cols; j < NR; j++) dst[i * NR + j] = 0;
    }
}

#endif
