/* lower.h - chooses and prepares the kernel for a node. lower.c has the table and the backend's record. The rows are by
 * family: products.c (matrix products, convolutions, pooling), moves.c (data movement, random bits), attention.c,
 * recurrent.c (cells over sequences), lif.c (spiking units), sparse.c (sparse matrices, segments), table_rows.c. */
#ifndef GLIA_SRC_BACKEND_CPU_LOWERING_LOWER_H
#define GLIA_SRC_BACKEND_CPU_LOWERING_LOWER_H

#include "backend/cpu/kernels/kernels.h"
#include "core/launch/schedule.h"

/* Everything needed to prepare a launch. */
typedef struct glia_lowering {
    const glia_cpu_kernels *kernels;
    const glia_node *node;
    void *const *address;
    void *scratch;
    void *kept; /* memory for a second factor that is packed once (glia_cpu_product_keeps); NULL: not packed */
    glia_arena *arena;
    glia_error *error;
} glia_lowering;

/* How one op is run. fits: true if there is a kernel for this node's dtypes and attributes. scratch: NULL if none is
 * needed; packed: the node has `kept` memory. in_place: the result may overwrite input 0. A composite op with a row is
 * not expanded if the row fits. */
typedef struct glia_cpu_row {
    const glia_op *op;
    bool (*fits)(const glia_node *node);
    size_t (*scratch)(const glia_cpu_kernels *kernels, const glia_node *node, bool packed, int workers);
    glia_launch *(*prepare)(const glia_lowering *lowering);
    bool in_place;
} glia_cpu_row;

extern const glia_cpu_row glia_cpu_products[], glia_cpu_moves[], glia_cpu_attentions[], glia_cpu_sequences[],
    glia_cpu_sparse[], glia_cpu_table_rows[], glia_cpu_units[]; /* end with a NULL op */

/* The product of a group with an epilogue: writes to c, and calls the epilogue for blocks of the result, taken as a
 * matrix (all leading dimensions and rows) x columns; epilogue.fn NULL: none. The rows of a call are consecutive. */
typedef struct glia_cpu_rows_fn {
    void (*fn)(const void *context, int worker, int64_t row, int64_t rows, int64_t col, int64_t cols);
    const void *context;
} glia_cpu_rows_fn;
glia_launch *glia_cpu_product_prepare(const glia_lowering *lowering, float *c, glia_cpu_rows_fn epilogue);

/* Bytes of the packed copy that a product keeps of its second factor, in[1], if that is fixed; 0: not packed. */
size_t glia_cpu_product_keeps(const glia_cpu_kernels *kernels, const glia_node *node);

/* A product with the attribute bf16: the scratch bytes that it needs in front of its row's scratch (0 for other
 * products), and its launch. */
size_t glia_cpu_rounding_scratch(const glia_node *node);
glia_launch *glia_cpu_rounded_prepare(const glia_lowering *lowering, float *c, glia_cpu_rows_fn epilogue);

/* How many of the last dimensions of the product's result are its columns: 1 for a convolution (channels last), 0 if
 * the node is not a product. */
int glia_cpu_product_columns(const glia_node *node);

/* A scan whose body is compiled; its scratch is inner->plan.activation_bytes. */
glia_launch *glia_cpu_scan_prepare(const glia_lowering *lowering, const glia_backend *backend, const glia_inner *inner);

/* A zeroed launch, or NULL and the error. */
void *glia_lowering_alloc(const glia_lowering *lowering, size_t bytes);

#endif
