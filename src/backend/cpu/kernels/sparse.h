/* sparse.h - arguments of the kernels in sparse.c: sparse (CSR) matrices and segments, as defined in
 * core/ops/sparse.c. */
#ifndef GLIA_SRC_BACKEND_CPU_KERNELS_SPARSE_H
#define GLIA_SRC_BACKEND_CPU_KERNELS_SPARSE_H

#include "core/tensor/tensor.h"

typedef struct glia_csr_args {
    int64_t rows, columns, entries, width; /* width: of x and y, F */
    int64_t heads;      /* of products: parts of a row with values of their own, (entries, heads) */
    const void *column, *offset; /* (entries), (rows + 1); i32, or i64 where wide_ says so; column NULL: segments */
    bool wide_column, wide_offset;
    const float *value; /* (entries); NULL: 1 */
    const float *x;     /* (columns, F); transposed, spread and max: see kernels.def */
    float *y;
    const float *b; /* csr_dot: (columns, F) */
} glia_csr_args;

#endif
