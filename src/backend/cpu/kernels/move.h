/* move.h - arguments of kernels that move data: strided copies, rows gathered or added by index, random bits; and
 * argmax. Part of the table in kernels.h. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_MOVE_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_MOVE_H

#include "core/tensor/tensor.h"

/* Copies a box of elements. Strides count elements and may be any; the innermost dimension comes last. Source and
 * destination do not overlap, and no two elements of the box have the same address in `to`. */
typedef struct glia_copy {
    int rank; /* at least 1 */
    int64_t dim[GLIA_MAX_RANK], from_stride[GLIA_MAX_RANK], to_stride[GLIA_MAX_RANK];
    int size; /* bytes of an element: 1, 2, 4 or 8 */
    const char *from;
    char *to;
} glia_copy;

/* Gather, or scatter-add, of rows by index. The shapes are those of core/ops/gather.c: (A, K, B), (I) and (A, I, B), in
 * elements of `bytes` bytes. */
typedef struct glia_pick {
    int64_t outer, size, picks, inner;
    bool wide; /* the indices are i64, not i32 */
    int bytes; /* of an element; scatter_add: f32 */
    const void *index;
    const char *from;
    char *to;
} glia_pick;

/* The stream of a random node (core/ops/random.c); rng holds seed and step. */
typedef struct glia_random {
    const int64_t *rng;
    uint64_t stream;
    float *to;
    int64_t n;
} glia_random;

/* (outer, length, inner): the index of the first maximum along the middle; NaN counts as a maximum. */
typedef struct glia_argmax_rows {
    int64_t outer, length, inner;
    const float *from;
    int32_t *to;
} glia_argmax_rows;

#endif
