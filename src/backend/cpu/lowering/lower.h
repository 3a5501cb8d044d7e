/* lower.h - from a node to the kernel that computes it. lower.c has the table and the backend's record; the rows are by
 * family: products.c (matrix products, convolutions, pooling), moves.c (data movement, random bits), attention.c,
 * recurrent.c (cells over sequences), sparse.c (sparse matrices, segments), table_rows.c. */
#ifndef GLIA_SRC_BACKEND_CPU_LOWERING_LOWER_H
#define GLIA_SRC_BACKEND_CPU_LOWERING_LOWER_H

#include "backend/cpu/kernels/kernels.h"
#include "core/launch/schedule.h"

/* All that preparing a launch needs. */
typedef struct glia_lowering {
    const glia_cpu_kernels *kernels;
    const glia_node *node;
    void *const *address;
    void *scratch;
    void *kept; /* where a product packs its second factor once (glia_cpu_product_keeps); NULL: it does not */
    glia_arena *arena;
    glia_error *error;
} glia_lowering;

/* How one op is run. `fits`: is there a kernel for this node's dtypes and attributes? scratch NULL: none is needed;
 * packed: with `kept`. in_place: the result may lie where input 0 does. A composite with a row is kept whole if the row fits. */
typedef struct glia_cpu_row {
    const glia_op *op;
    bool (*fits)(const glia_node *node);
    size_t (*scratch)(const glia_cpu_kernels *kernels, const glia_node *node, bool packed, int workers);
    glia_launch *(*prepare)(const glia_lowering *lowering);
    bool in_place;
} glia_cpu_row;

extern const glia_cpu_row glia_cpu_products[], glia_cpu_moves[], glia_cpu_attentions[], glia_cpu_sequences[],
    glia_cpu_sparse[], glia_cpu_table_rows[]; /* ended by a NULL op */

/* The product of a group with an epilogue: writes to c, and calls the epilogue for blocks of the result, taken as a matrix
 * of (all leading dimensions and rows) x columns; epilogue.fn NULL: none. The rows of one call are consecutive. */
typedef struct glia_cpu_rows_fn {
    void (*fn)(const void *context, int worker, int64_t row, int64_t rows, int64_t col, int64_t cols);
    const void *context;
} glia_cpu_rows_fn;
glia_launch *glia_cpu_product_prepare(const glia_lowering *lowering, float *c, glia_cpu_rows_fn epilogue);

/* Bytes that a product keeps of its second factor, in[1], if that is fixed; 0: it is read where it lies. */
size_t glia_cpu_product_keeps(const glia_cpu_kernels *kernels, const glia_node *node);

/* A product with its attribute bf16: the bytes of scratch that it needs before those of its row (0 for others), and its
 * launch. */
size_t glia_cpu_rounding_scratch(const glia_node *node);
glia_launch *glia_cpu_rounded_prepare(const glia_lowering *lowering, float *c, glia_cpu_rows_fn epilogue);

/* How many of the last dimensions of the product's result are its columns: 1, a convolution has its channels last; 0: it
 * is not a product. */
int glia_cpu_product_columns(const glia_node *node);

/* A loop, with its body compiled; its scratch is inner->plan.activation_bytes. */
glia_launch *glia_cpu_scan_prepare(const glia_lowering *lowering, const glia_backend *backend, const glia_inner *inner);

/* A zeroed launch, or NULL and the error. */
void *glia_lowering_alloc(const glia_lowering *lowering, size_t bytes);

#endif
