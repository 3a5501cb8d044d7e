/* micro.h - the inner loops of matrix products, and packing for them.
 *
 * A tile is `rows` <= MR rows by 1, 2 or 4 vectors of columns of a product P Q, kept in registers while k runs:
 *
 *     tile[r][j] = sum over k of P(r, k) Q(k, j)        P is broadcast, Q is loaded in vectors along j
 *
 * Columns of Q are contiguous. Rows of the tile are written at offsets from a table. P is read in one of two orders:
 *
 *     TILE_COLS    P(r, k) = p[r + k p_step]    a transposed matrix in place, or packed
 *     TILE_LINES   P(r, k) = p[r p_row + k]     a matrix in place
 *
 * A tile can also copy the rows of Q that it reads to contiguous memory.
 *
 * The register blocking is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_MICRO_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_MICRO_H

#include <stdbool.h>

#include "backend/cpu/kernels/simd.h"

/* MR, rows of a tile: the most that leaves registers for one broadcast and the vectors of Q. MR_HALF is for #if. */
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
    WIDE_MR = MR / 2,   /* largest number of rows of a wide tile */
    K_CHUNK = 4,        /* steps of k per loop iteration */
    COLS_AHEAD = 8      /* rows prefetched where P is read or packed in columns */
};

enum { TILE_COLS, TILE_LINES, TILE_MODES };
enum { TILE_HALF, TILE_FULL, TILE_WIDE, TILE_WIDTHS }; /* VLEN, NR, WIDE_NR columns */

/* Inputs and output of a tile. */
typedef struct glia_micro_args {
    int64_t k;
    const float *p;
    int64_t p_step; /* TILE_COLS */
    int64_t p_row;  /* TILE_LINES */
    const float *q;
    float *q_copy; /* tiles of one or two vectors: Q's rows are also stored here, NR apart; or NULL */
    int64_t q_step;
    const float *next; /* NULL, or rows of Q to prefetch, one per K_CHUNK steps; C's rows come first */
    int64_t next_step;
    float *c;
    const int64_t *c_at; /* by row */
    bool add;            /* to the values of C */
} glia_micro_args;

typedef void (*glia_micro_fn)(const glia_micro_args *args);

/* [mode][width][rows - 1]; wide tiles exist for up to WIDE_MR rows. */
extern const glia_micro_fn GLIA_KERNEL(micro)[TILE_MODES][TILE_WIDTHS][MR];

/* ---- packing ------------------------------------------------------------------------------ */

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_any __attribute__((vector_size(16), aligned(4), may_alias));

/* Four elements of each of the rows src, src + step, ... (VLEN / 4 of them), concatenated. */
#if VLEN == 16
GLIA_INLINE vf load_fours(const float *src, int64_t step) {
    typedef float v8 __attribute__((vector_size(32)));
    v4 a = *(const v4_any *)src, b = *(const v4_any *)(src + step);
    v4 c = *(const v4_any *)(src + 2 * step), d = *(const v4_any *)(src + 3 * step);
    v8 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7),
       cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#elif VLEN == 8
GLIA_INLINE vf load_fours(const float *src, int64_t step) {
    return __builtin_shufflevector(*(const v4_any *)src, *(const v4_any *)(src + step), 0, 1, 2, 3, 4, 5, 6, 7);
}
#else
GLIA_INLINE vf load_fours(const float *src, int64_t step) {
    (void)step;
    return vf_load(src);
}
#endif

/* dst[j dst_step + i] = src[i src_step + j] for i, j < VLEN: groups of four elements of rows 4 apart, transposed in
 * registers. */
GLIA_INLINE void transpose_block(float *dst, int64_t dst_step, const float *src, int64_t src_step) {
    vf a[4][VLEN / 4];
    GLIA_UNROLL for (int i = 0; i < 4; i++) {
        GLIA_UNROLL for (int j = 0; j < VLEN / 4; j++) a[i][j] = load_fours(src + i * src_step + 4 * j, 4 * src_step);
    }
    GLIA_UNROLL for (int j = 0; j < VLEN / 4; j++) {
        vf ab0 = vf_low_4(a[0][j], a[1][j]), ab1 = vf_high_4(a[0][j], a[1][j]);
        vf cd0 = vf_low_4(a[2][j], a[3][j]), cd1 = vf_high_4(a[2][j], a[3][j]);
        float *to = dst + 4 * j * dst_step;
        vf_store(to, vf_low_pairs_4(ab0, cd0));
        vf_store(to + dst_step, vf_high_pairs_4(ab0, cd0));
        vf_store(to + 2 * dst_step, vf_low_pairs_4(ab1, cd1));
        vf_store(to + 3 * dst_step, vf_high_pairs_4(ab1, cd1));
    }
}

/* The same for i, j < 4. */
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

/* dst[j dst_step + i] = src[i src_step + j] for i < rows, j < cols. The last blocks overlap the preceding ones. */
static inline void transpose(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t rows,
                             int64_t cols) {
    if (rows < 4 || cols < 4) {
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < cols; j++) dst[j * dst_step + i] = src[i * src_step + j];
        }
        return;
    }
    int64_t i = 0;
    for (; i + VLEN <= rows && cols >= VLEN; i += VLEN) {
        const float *from = src + i * src_step;
        int64_t j = 0;
        for (; j < cols - VLEN; j += VLEN) {
            for (int r = 0; r < VLEN; r++) __builtin_prefetch(from + r * src_step + j + 2 * VLEN);
            transpose_block(dst + j * dst_step + i, dst_step, from + j, src_step);
        }
        j = cols - VLEN;
        transpose_block(dst + j * dst_step + i, dst_step, from + j, src_step);
    }
    for (; i < rows; i += 4) {
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

/* Packs P(i, k) = src[i + k step_k] for TILE_COLS into dst[k MR + i]. rows <= MR. */
static inline void pack_cols(float *dst, const float *src, int64_t step_k, int64_t rows, int64_t k) {
    for (int64_t at = 0; at < k; at++, dst += MR, src += step_k) {
        __builtin_prefetch(src + COLS_AHEAD * step_k);
        if (MR < VLEN)
            vf_store_first(dst, vf_load_first(src, rows), rows);
        else
            copy_rows(dst, MR, src, step_k, 1, rows);
    }
}

/* Packs Q(k, j) = src[k step_k + j step_j], where one of the steps is 1, into dst[k NR + j]; cols <= NR, the other
 * columns become 0. */
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
