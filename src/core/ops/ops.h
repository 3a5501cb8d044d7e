/* ops.h - declarations shared by the files of this folder.
 *
 * A file holds one op or a family of related ops: its attribute struct, `infer`, `eval` (the definition, in double),
 * `vjp` (the gradient, as graph), samples for the tests, the record, and the public constructor. A row in ops.def
 * registers it; printing, saving, differentiation, tests and documentation iterate over that table.
 *
 * Attribute structs that backends read are declared here.
 */
#ifndef GLIA_SRC_CORE_OPS_OPS_H
#define GLIA_SRC_CORE_OPS_OPS_H

#include "core/graph/graph.h"
#include "glia/losses.h"

#define GLIA_OP_ROW(name) extern const glia_op glia_op_##name;
#include "core/ops/ops.def"
#undef GLIA_OP_ROW

/* ---- attribute structs ---------------------------------------------------------------------- */

typedef struct glia_cast_attrs { glia_dtype dtype; } glia_cast_attrs;
typedef struct glia_shape_attrs { glia_shape shape; } glia_shape_attrs;   /* reshape, broadcast: the result's shape */
/* sum, max, prod, mean; axes are sorted */
typedef struct glia_reduce_attrs { glia_shape axes; bool keep; } glia_reduce_attrs;
typedef struct glia_axis_attrs { int64_t axis; } glia_axis_attrs;         /* argmax, concat, gather, softmax, write */
typedef struct glia_cumsum_attrs { int64_t axis; bool exclusive, reverse; } glia_cumsum_attrs;
typedef struct glia_permute_attrs { glia_shape order; } glia_permute_attrs;
/* x[start : stop : step], one entry for each axis; stop is at most the size. start and stop are SHAPEs: on a symbolic
 * axis they too are 0 or multiples of its size. */
typedef struct glia_slice_attrs { glia_shape start, stop, step; } glia_slice_attrs;
/* One entry for each axis; before and after are SHAPEs, as in slice. */
typedef struct glia_pad_attrs { glia_shape before, after, between; double value; } glia_pad_attrs;
typedef struct glia_scatter_attrs { int64_t axis; glia_shape size; } glia_scatter_attrs; /* size: a SHAPE of rank 1 */
/* size: of the transposed product */
typedef struct glia_csr_attrs { bool transposed; glia_shape size; } glia_csr_attrs;
typedef struct glia_row_sums_attrs { int64_t size; } glia_row_sums_attrs; /* number of rows of the indexed table */
typedef struct glia_iota_attrs { glia_dtype dtype; glia_shape shape; int64_t axis; } glia_iota_attrs;
/* bf16 (here and in convolutions): f32 operands are rounded to bf16 before they are multiplied; sums stay f32.
 * sparse: 1: most of the first factor, 2: of the second, is zeros, so a backend may leave these out; 0: neither. */
typedef struct glia_matmul_attrs { bool transpose_a, transpose_b, bf16; int64_t sparse; } glia_matmul_attrs;
/* lif, lif_filter (lif.c). reset: after a spike the membrane loses the threshold, is set to 0, or stays (no spikes).
 * steps: lif: of an input that is the same in all of them; 0: the input has a step axis. reverse: lif_filter. */
typedef enum glia_lif_reset {
    GLIA_RESET_SUBTRACT,
    GLIA_RESET_TO_ZERO,
    GLIA_RESET_NONE,
    GLIA_RESET_COUNT
} glia_lif_reset;
typedef struct glia_lif_attrs { double beta, threshold; int64_t reset, steps; bool reverse; } glia_lif_attrs;
/* input: the state "rng", i64 (2): seed, step */
typedef struct glia_random_attrs { glia_shape shape; int64_t stream; } glia_random_attrs;

typedef struct glia_layer_norm_attrs { double epsilon; } glia_layer_norm_attrs; /* also of its gradients */
typedef struct glia_batch_norm_attrs { double epsilon, momentum; } glia_batch_norm_attrs;
typedef struct glia_power_iteration_attrs { int64_t iterations; double epsilon; } glia_power_iteration_attrs;
typedef struct glia_dropout_attrs { double rate; int64_t stream, axes; bool gradient; } glia_dropout_attrs;

/* The packing of attention's q, k and v: separate, (N, T, H, D), (N, S, G, D), (N, S, G, D); in one tensor,
 * (N, T, (H + 2 G) D); in two, (N, T, H D) and (N, S, 2 G D). */
enum { GLIA_ATTENTION_APART, GLIA_ATTENTION_QKV, GLIA_ATTENTION_KV };

/* attention, attention_grad and their modal forms. Inputs: q, k and v as packed; for the gradient y and dy; then those
 * present of lengths, offsets, mask, bias, and with a rate the state "rng". */
typedef struct glia_attention_attrs {
    int64_t packing, heads, groups;
    double scale, softcap, rate;
    int64_t window, stream;
    bool causal, alibi, lengths, offsets, mask, bias;
    bool of_bias; /* attention_grad: the gradient in the bias, else in q, k and v */
} glia_attention_attrs;

/* The sizes of an attention node (attention.c). samples may be symbolic. */
typedef struct glia_attention_sizes {
    int64_t samples, queries, keys, heads, groups, size; /* N T S H G D */
} glia_attention_sizes;
glia_attention_sizes glia_attention_sizes_of(const glia_attention_attrs *attrs, const glia_tensor *in);

/* Indices of inputs; -1: absent. */
typedef struct glia_attention_places {
    int y, dy, lengths, offsets, mask, bias, rng, count;
} glia_attention_places;
glia_attention_places glia_attention_places_of(const glia_attention_attrs *attrs, bool gradient);
/* The ALiBi slope of a head. */
double glia_alibi_slope(int64_t head, int64_t heads);

/* conv, conv_input_grad, conv_kernel_grad. Lists have one entry for each spatial axis. */
typedef struct glia_conv_attrs {
    glia_shape stride, dilation, pad, pad_after; /* INTS */
    int64_t groups;
    /* SHAPE: conv_input_grad: x's full shape (N, C, ...); conv_kernel_grad: the kernel's full shape; conv: rank 0 */
    glia_shape size;
    bool channels_last; /* x and y are (N, spatial..., C); the kernel stays (K, C/groups, spatial...) */
    bool bf16;          /* as in glia_matmul_attrs */
} glia_conv_attrs;

/* max_pool, max_pool_scatter, max_pool_gather, avg_pool, avg_pool_grad. */
typedef struct glia_pool_attrs {
    glia_shape window, stride, pad, pad_after; /* INTS, one entry for each spatial axis */
    bool count_padding;
    glia_shape size; /* SHAPE: avg_pool_grad: x's full shape (N, C, ...) */
    bool channels_last; /* x and y are (N, spatial..., C) */
} glia_pool_attrs;

/* scan. Inputs: `sequences` sequences (N, steps, ...), then `states` states (N, ...), then the captured values. The
 * body's inputs are their values in one step, in this order; its outputs are the next states, then the stacked values.
 * The result concatenates: all values (N, steps, ...) of the first `stacked` states, the last value (N, ...) of the
 * others, and the stacked values (N, steps, ...). */
typedef struct glia_scan_attrs {
    const glia_graph *body;
    int64_t steps, sequences, states, stacked;
    int64_t random; /* 1 + the index of the input that is the random state, i64 (2); 0: none */
    int64_t index;  /* 1 + the index of an i32 scalar to which step t adds t; 0: none */
    bool reverse;
} glia_scan_attrs;
/* A value in the packed result of a scan or another op: `count` elements from `start` on; both are symbolic if the
 * vector is (the start may be 0). */
typedef struct glia_part {
    int64_t start, count;
    glia_shape shape;
} glia_part;
/* Result i: the states, then the stacked values. */
glia_part glia_scan_part(const glia_node *scan, int i);
void glia_scan_vjp(glia_node *scan, glia_tensor dy, glia_tensor *dx); /* scan_grad.c */
/* The seed of a random state in step t. */
int64_t glia_scan_seed(int64_t seed, int64_t t);

/* The row for an index into `size` rows: negative indices count from the end; -1: out of range. */
static inline int64_t glia_index_row(double index, int64_t size) {
    if (!(index >= -(double)size && index < (double)size)) return -1;
    return index < 0 ? size + (int64_t)index : (int64_t)index;
}

/* ---- helpers shared by the files ------------------------------------------------------------- */

/* infer: the shape and dtype of input 0. */
bool glia_infer_same(glia_node *node);
/* infer for elementwise ops of floats: all inputs have the same float dtype (f32 or f64) and shape. */
bool glia_infer_float(glia_node *node);

/* infer for arithmetic: as glia_infer_float, but i32 and i64 are also accepted. */
bool glia_infer_numeric(glia_node *node);
/* True if all inputs have the same dtype and shape; reports an error otherwise. */
bool glia_infer_alike(glia_node *node);
/* The graph of the first tensor that has one. */
glia_graph *glia_graph_of(const glia_tensor *xs, int n);
/* An elementwise op of two tensors, broadcast to one shape. */
glia_tensor glia_node2_broadcast(const glia_op *op, glia_tensor a, glia_tensor b);

/* Normalisation for layers that create their own leaves. in: x, scale, shift, running_mean, running_var. */
glia_tensor glia_layer_norm_of(glia_tensor x, glia_tensor scale, glia_tensor shift, double epsilon);
glia_tensor glia_batch_norm_of(const glia_tensor in[5], glia_batch_norm_attrs attrs);

/* dy where y, relu's result, is positive or NaN, else 0. */
glia_tensor glia_relu_gradient(glia_tensor y, glia_tensor dy);
/* dy where x is positive, -dy where it is negative, 0 where it is 0 or NaN: the gradient of |x|. */
glia_tensor glia_abs_gradient(glia_tensor x, glia_tensor dy);

/* Membranes of spiking units, (N, T, ...), from their currents. */
glia_tensor glia_lif_of(glia_tensor current, glia_lif_attrs attrs);

/* A value packed into the vector x (K) or (-K). */
glia_tensor glia_part_of(glia_tensor packed, glia_part part);
/* The same for the gradient of a packed value, simplified: gradients of parts are sums of zero-padded vectors. NULL: it
 * is zero. */
glia_tensor glia_part_of_gradient(glia_tensor packed, glia_part part);

/* The sum of x over the axes along which `shape` was broadcast to x's shape: broadcast's adjoint. */
glia_tensor glia_sum_to(glia_tensor x, glia_shape shape);
/* Broadcasts a and b to their common shape. On an error, reports it with the prefix `what` and returns false. */
bool glia_broadcast_pair(const char *what, glia_tensor *a, glia_tensor *b);
/* x with reduced axes put back as 1 and broadcast to `shape`. */
glia_tensor glia_expand_reduced(glia_tensor x, const glia_reduce_attrs *attrs, glia_shape shape);
/* The number of elements over these axes as a scalar of x's dtype: a constant, or the op count_of while an axis is
 * symbolic. */
glia_tensor glia_count_of(glia_tensor x, glia_shape axes);

/* Iterates over the elements of a shape in row-major order, with the offset of each in a buffer with the given strides
 * (0: a broadcast or reduced axis). Initialise with { .shape, .stride, .offset }, index zero. */
typedef struct glia_walk {
    glia_shape shape;
    int64_t stride[GLIA_MAX_RANK], index[GLIA_MAX_RANK], offset;
} glia_walk;

static inline void glia_walk_step(glia_walk *w) {
    for (int i = w->shape.rank - 1; i >= 0; i--) {
        w->offset += w->stride[i];
        if (++w->index[i] < w->shape.dim[i]) return;
        w->offset -= w->stride[i] * w->shape.dim[i];
        w->index[i] = 0;
    }
}

/* u (K), then v (M) of a matrix (K, M), from states of these shapes (power_iteration.c). */
glia_tensor glia_power_iteration_of(glia_tensor matrix, glia_tensor u, glia_tensor v, glia_power_iteration_attrs attrs);

/* softmax(x) in expanded form, so that e^(x - max) can be shared with other expressions (softmax.c). */
glia_tensor glia_softmax_parts(glia_tensor x, int64_t axis);

#endif
