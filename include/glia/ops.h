/* ops.h - operations on tensors, and gradients. */
#ifndef GLIA_OPS_H
#define GLIA_OPS_H

#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elementwise operations of two tensors broadcast as in NumPy. Negative axes count from the end. An error gives a
 * tensor that propagates it; the graph keeps the first one. docs/ops.md has the complete table.
 *
 * NaN and kinks follow PyTorch. Maxima and minima are NaN if one of their values is; argmax gives the first NaN. At
 * zero the gradient of relu and abs is 0; maximum, minimum and max share it equally among equal values. If the result
 * is NaN, maximum, minimum and relu pass the gradient on, max shares it among all NaN, and abs gives 0. */

GLIA_API glia_tensor glia_add(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_sub(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_mul(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_div(glia_tensor a, glia_tensor b);
/* Gradient by a: 0 where b = 0. By b: 0 where a = 0 and b >= 0, NaN where a < 0. */
GLIA_API glia_tensor glia_pow(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_maximum(glia_tensor a, glia_tensor b); /* gradient of ties: half each */
GLIA_API glia_tensor glia_minimum(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_add_scalar(glia_tensor x, double value);
GLIA_API glia_tensor glia_mul_scalar(glia_tensor x, double value);

GLIA_API glia_tensor glia_equal(glia_tensor a, glia_tensor b); /* comparisons give GLIA_BOOL */
GLIA_API glia_tensor glia_not_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_less(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_less_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_greater(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_greater_equal(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_and(glia_tensor a, glia_tensor b); /* of GLIA_BOOL */
GLIA_API glia_tensor glia_or(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_not(glia_tensor x);
GLIA_API glia_tensor glia_select(glia_tensor condition, glia_tensor yes, glia_tensor no);

GLIA_API glia_tensor glia_neg(glia_tensor x);
GLIA_API glia_tensor glia_abs(glia_tensor x);  /* gradient at 0 and NaN: 0 */
GLIA_API glia_tensor glia_sign(glia_tensor x); /* gradient 0 */
GLIA_API glia_tensor glia_exp(glia_tensor x);
GLIA_API glia_tensor glia_expm1(glia_tensor x);
GLIA_API glia_tensor glia_log(glia_tensor x);
GLIA_API glia_tensor glia_log1p(glia_tensor x);
GLIA_API glia_tensor glia_sqrt(glia_tensor x);
GLIA_API glia_tensor glia_rsqrt(glia_tensor x);
GLIA_API glia_tensor glia_square(glia_tensor x);
GLIA_API glia_tensor glia_reciprocal(glia_tensor x);
GLIA_API glia_tensor glia_sin(glia_tensor x);
GLIA_API glia_tensor glia_cos(glia_tensor x);
GLIA_API glia_tensor glia_tanh(glia_tensor x);
GLIA_API glia_tensor glia_sigmoid(glia_tensor x);
GLIA_API glia_tensor glia_erf(glia_tensor x);
GLIA_API glia_tensor glia_floor(glia_tensor x); /* gradient 0 */
GLIA_API glia_tensor glia_ceil(glia_tensor x);  /* gradient 0 */
GLIA_API glia_tensor glia_round(glia_tensor x); /* to even; gradient 0 */
GLIA_API glia_tensor glia_is_finite(glia_tensor x);

/* Activations (composites of the above). */
GLIA_API glia_tensor glia_relu(glia_tensor x);
GLIA_API glia_tensor glia_leaky_relu(glia_tensor x, double slope); /* slope for x < 0, e.g. 0.01 */
GLIA_API glia_tensor glia_elu(glia_tensor x, double alpha);        /* Clevert 2016; alpha, e.g. 1 */
GLIA_API glia_tensor glia_selu(glia_tensor x);                     /* Klambauer 2017 */
GLIA_API glia_tensor glia_gelu(glia_tensor x);                     /* Hendrycks 2016, exact, by erf */
GLIA_API glia_tensor glia_gelu_tanh(glia_tensor x);                /* its tanh approximation, as GPT-2 uses */
GLIA_API glia_tensor glia_silu(glia_tensor x);                     /* x sigmoid(x) */
GLIA_API glia_tensor glia_softplus(glia_tensor x);
/* x limited to [low, high] (numpy.clip); gradient 1 in [low, high], as in PyTorch. */
GLIA_API glia_tensor glia_clip(glia_tensor x, double low, double high);
GLIA_API glia_tensor glia_softmax(glia_tensor x, int axis);
GLIA_API glia_tensor glia_log_softmax(glia_tensor x, int axis);

GLIA_API glia_tensor glia_cast(glia_tensor x, glia_dtype dtype);
GLIA_API glia_tensor glia_stop_gradient(glia_tensor x);
/* The value y with a surrogate gradient: it flows into x only, multiplied by `slope` (broadcast to the shape of x and
 * y). It does not depend on how y is computed. */
GLIA_API glia_tensor glia_custom_gradient(glia_tensor y, glia_tensor x, glia_tensor slope);
GLIA_API glia_tensor glia_straight_through(glia_tensor y, glia_tensor x);    /* slope 1 (Bengio et al. 2013) */
GLIA_API glia_tensor glia_reverse_gradient(glia_tensor x, double scale);      /* x, slope -scale (Ganin 2015) */

/* Reductions over the listed axes (rank 0: over all). keep: reduced dimensions are kept, with size 1. */
GLIA_API glia_tensor glia_sum(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_mean(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_variance(glia_tensor x, glia_shape axes, bool keep); /* mean of (x - mean)^2 */
GLIA_API glia_tensor glia_max(glia_tensor x, glia_shape axes, bool keep); /* gradient of ties: shared equally */
GLIA_API glia_tensor glia_min(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_prod(glia_tensor x, glia_shape axes, bool keep);
GLIA_API glia_tensor glia_argmax(glia_tensor x, int axis); /* i32, axis removed; NaN first, else the first of ties */
GLIA_API glia_tensor glia_cumsum(glia_tensor x, int axis, bool exclusive, bool reverse);

GLIA_API glia_tensor glia_reshape(glia_tensor x, glia_shape shape); /* one dimension may be 0: computed */
GLIA_API glia_tensor glia_flatten(glia_tensor x);                   /* (N, ...) -> (N, F) */
GLIA_API glia_tensor glia_permute(glia_tensor x, glia_shape order); /* output axis i is input axis order.dim[i] */
GLIA_API glia_tensor glia_transpose(glia_tensor x);                 /* the last two axes swapped */
GLIA_API glia_tensor glia_broadcast(glia_tensor x, glia_shape shape);
/* x[start : stop : step] on every axis; a rank of 0 means from 0, to the end, by 1; a stop of INT64_MAX means the end
 * and negative ones count from it. On a batch axis start and stop are 0 or multiples of GLIA_BATCH. */
GLIA_API glia_tensor glia_slice(glia_tensor x, glia_shape start, glia_shape stop, glia_shape step);
/* Adds `before` and `after` elements of `value` around each axis, and `between` them (rank 0: none). */
GLIA_API glia_tensor glia_pad(glia_tensor x, glia_shape before, glia_shape after, glia_shape between, double value);
GLIA_API glia_tensor glia_concat(const glia_tensor *xs, int n, int axis);
/* As numpy.take: x (A..., K, B...), indices (I...) of i32 or i64 -> (A..., I..., B...). Negative indices count from the
 * end. An index outside [-K, K) is an error if it is a constant; otherwise it gives zeros and no gradient, like the
 * product with glia_one_hot(indices). */
GLIA_API glia_tensor glia_gather(glia_tensor x, glia_tensor indices, int axis);
/* A tensor with the dimension `size` at `axis`, zero except for the updates added at `indices`: gather's adjoint.
 * Indices count as in gather; out-of-range ones add nothing. */
GLIA_API glia_tensor glia_scatter_add(glia_tensor updates, glia_tensor indices, int axis, int64_t size);
/* numpy.take_along_axis: x (A..., K, B...), indices (A..., I, B...) -> (A..., I, B...). Negative indices count from the
 * end; out-of-range ones give 0 and no gradient, as in glia_gather(). */
GLIA_API glia_tensor glia_take_along_axis(glia_tensor x, glia_tensor indices, int axis);
/* Its adjoint: zeros with `size` elements along the axis, to which the updates are added. */
GLIA_API glia_tensor glia_add_along_axis(glia_tensor updates, glia_tensor indices, int axis, int64_t size);
/* x with `update`, of x's shape except for a shorter `axis`, written over it from `position` (a scalar i32 or i64) on,
 * which is clamped so that it fits. */
GLIA_API glia_tensor glia_write(glia_tensor x, glia_tensor update, glia_tensor position, int axis);
/* For updates of a few rows of a table (size, B...), without forming a whole table as glia_scatter_add() does. Each of
 * rows (I..., B...) becomes the sum of all rows with the same index, as scatter_add would give it. */
GLIA_API glia_tensor glia_row_sums(glia_tensor rows, glia_tensor indices, int64_t size);
/* x (K, B...) with row indices[i] replaced by rows[i]; the last of equal indices wins. As the value of glia_update() of
 * x itself only these rows are written. */
GLIA_API glia_tensor glia_put_rows(glia_tensor x, glia_tensor indices, glia_tensor rows);
GLIA_API glia_tensor glia_one_hot(glia_tensor indices, int classes, glia_dtype dtype); /* (...) -> (..., classes) */
/* 0, 1, 2, ... along axis */
GLIA_API glia_tensor glia_iota(glia_graph *graph, glia_dtype dtype, glia_shape shape, int axis);

/* (..., M, K) x (..., K, N) -> (..., M, N); leading axes broadcast. transpose_a: a is (..., K, M). */
GLIA_API glia_tensor glia_matmul(glia_tensor a, glia_tensor b);
GLIA_API glia_tensor glia_matmul_transposed(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b);
/* The same result; says that most of a is zeros (spikes, counts of words): where few elements of it are not, only their
 * products are computed, here and in the gradient of b. */
GLIA_API glia_tensor glia_matmul_sparse(glia_tensor a, bool transpose_a, glia_tensor b, bool transpose_b);

/* Uniform [0, 1) and N(0, 1): functions of the seed, the step and the node's stream, independent of the number of
 * threads. */
GLIA_API glia_tensor glia_random_uniform(glia_graph *graph, glia_shape shape);
GLIA_API glia_tensor glia_random_normal(glia_graph *graph, glia_shape shape);
/* Uniform integers in [low, high), i32 or i64; at most 2^24 different ones, none beyond 2^24. */
GLIA_API glia_tensor glia_random_integers(glia_graph *graph, glia_dtype dtype, glia_shape shape, int64_t low,
                                          int64_t high);
/* Draws from softmax(logits): (..., K) -> i32 (...). */
GLIA_API glia_tensor glia_random_categorical(glia_tensor logits);

/* Convolution (cross-correlation, as in other frameworks). x (N, C, spatial...), kernel (K, C/groups, spatial...),
 * result (N, K, spatial...); one to three spatial axes, by x's rank. */
typedef enum glia_padding {
    GLIA_VALID,   /* no padding */
    GLIA_SAME,    /* ceil(size / stride) outputs, an odd element of padding at the end (TensorFlow's rule) */
    GLIA_EXPLICIT /* pad and pad_after */
} glia_padding;

typedef struct glia_conv_window {
    glia_padding padding;
    int stride, dilation;                                /* for every axis; 0: 1 */
    int pad;                                             /* both sides of every axis; implies GLIA_EXPLICIT */
    int strides[3], dilations[3], pads[3], pads_after[3]; /* by axis; override the above if not 0 */
    int groups;                                          /* 0: 1; C: depthwise */
} glia_conv_window;

GLIA_API glia_tensor glia_conv(glia_tensor x, glia_tensor kernel, glia_conv_window window);
/* The adjoint of glia_conv by x ("deconvolution"). x (N, K, spatial...), kernel (K, C/groups, spatial...), result (N,
 * C, spatial...). output: the result's spatial sizes, rank 0: (in - 1) stride - pads + dilation (kernel - 1) + 1. */
GLIA_API glia_tensor glia_conv_transposed(glia_tensor x, glia_tensor kernel, glia_conv_window window,
                                          glia_shape output);

typedef struct glia_pool_opts {
    int size;          /* of the window, every axis; 0: 2 */
    int stride;        /* 0: size */
    glia_padding padding;
    int pad;           /* both sides of every axis, smaller than the window; implies GLIA_EXPLICIT */
    int sizes[3], strides[3], pads[3], pads_after[3]; /* by axis, where not 0 */
    bool count_padding; /* average pooling divides by the whole window, not by its part inside (PyTorch's default) */
} glia_pool_opts;

/* Pooling of (N, C, spatial...), one to three spatial axes. Gradient of ties in max: to the first. */
GLIA_API glia_tensor glia_max_pool(glia_tensor x, glia_pool_opts opts);
GLIA_API glia_tensor glia_avg_pool(glia_tensor x, glia_pool_opts opts);
GLIA_API glia_tensor glia_global_max_pool(glia_tensor x); /* (N, C, ...) -> (N, C) */
GLIA_API glia_tensor glia_global_avg_pool(glia_tensor x);

/* Upsampling of images by `factor`. nearest: (N, C, spatial...), one to three spatial axes; bilinear: (N, C, H, W),
 * pixel centres as with PyTorch's align_corners=False. pixel_shuffle (Shi et al. 2016): (N, C factor factor, H, W) ->
 * (N, C, H factor, W factor), channel c factor factor + i factor + j to place (i, j) of the pixel. */
GLIA_API glia_tensor glia_upsample_nearest(glia_tensor x, int factor);
GLIA_API glia_tensor glia_upsample_bilinear(glia_tensor x, int factor);
GLIA_API glia_tensor glia_pixel_shuffle(glia_tensor x, int factor);
/* (N, C, H, W) -> (N, C, height, width), larger or smaller, interpolated at pixel centres: PyTorch's
 * interpolate(size=(height, width), mode="bilinear", align_corners=False). Nothing is averaged when it gets smaller. */
GLIA_API glia_tensor glia_resize_bilinear(glia_tensor x, int height, int width);

/* ==== sparse matrices and segments ========================================================== */
/* A CSR matrix (R, K) with E entries: values (E), columns (E), offsets (R + 1), where the entries of row r are those
 * from offsets[r] up to offsets[r + 1]; offsets are non-decreasing from 0 to E. Indices are i32 or i64. Entries of a
 * row may be in any order, and of one column more than one. For messages along the edges of a graph a row is a node,
 * its entries are the edges that end there, and their columns the nodes from which they come.
 *
 * Values may be (E, H) instead: H matrices with the same entries, for heads of attention. Rows of x and of the result
 * then have H parts of U numbers, and matrix h is multiplied with part h: x (K, H, U) -> (R, H, U).
 *
 * Threads share the rows of a result, and each number is summed by one thread in the order of the entries, so results
 * are bitwise equal for any number of threads. */

/* A CSR matrix as constants. */
typedef struct glia_csr {
    glia_tensor values, columns, offsets;
} glia_csr;
/* From n entries (row, column, value) in any order, as scipy.sparse.csr_array((values, (row, column))) and PyTorch's
 * COO tensors have them: links of a graph, words of documents. values NULL: ones. Entries of a row keep their order;
 * two of the same place are both kept, and so add up in products. dtype: of the values, f32 or f64. A row outside [0,
 * rows), or a negative column, is a mistake. The arrays are copied. */
GLIA_API glia_csr glia_csr_constant(glia_graph *graph, glia_dtype dtype, int64_t rows, int64_t n, const int32_t *row,
                                    const int32_t *column, const double *values);
/* x (K, F) -> (R, F), y[r] = sum of values[e] x[columns[e]] over the entries e of row r. Transposed: x (R, F) ->
 * (size, F), where size is K, y[k] = sum of values[e] x[row of e] over the entries of column k. Values (E, H): x is
 * (K, H, U) or (R, H, U). Gradients: each is the other's by x, and csr_dot by the values. */
GLIA_API glia_tensor glia_csr_matmul(glia_tensor values, glia_tensor columns, glia_tensor offsets, glia_tensor x);
GLIA_API glia_tensor glia_csr_matmul_transposed(glia_tensor values, glia_tensor columns, glia_tensor offsets,
                                                glia_tensor x, int64_t size);
/* a (R, F), b (K, F) -> (E): a[r] . b[columns[e]] for each entry e of row r: scores of edges. Of parts, a (R, H, U) and
 * b (K, H, U) -> (E, H): one score for each head. */
GLIA_API glia_tensor glia_csr_dot(glia_tensor a, glia_tensor b, glia_tensor columns, glia_tensor offsets);
/* Over the segments offsets[r] to offsets[r + 1] of the first axis: x (E, ...) -> (R, ...), such as (E, H) -> (R, H).
 * Empty ones give 0. */
GLIA_API glia_tensor glia_segment_sum(glia_tensor x, glia_tensor offsets);
GLIA_API glia_tensor glia_segment_mean(glia_tensor x, glia_tensor offsets);
GLIA_API glia_tensor glia_segment_max(glia_tensor x, glia_tensor offsets); /* gradient of ties: shared equally */
GLIA_API glia_tensor glia_segment_softmax(glia_tensor x, glia_tensor offsets); /* (E, ...) -> (E, ...) */
/* x (R, ...) -> (edges, ...): each element of a segment gets its row; those in no segment get 0. */
GLIA_API glia_tensor glia_segment_spread(glia_tensor x, glia_tensor offsets, int64_t edges);

/* ==== gradients ============================================================================= */

/* d sum(y) / d xs[i] as new tensors of the same graph, which can be used and differentiated like any other. An x that y
 * does not depend on gets zeros. Gradients of any order follow the mode that is compiled: those through batch norm in
 * inference treat the running statistics as constants. */
GLIA_API void glia_grad(glia_tensor y, const glia_tensor *xs, int n, glia_tensor *gradients);
/* The same from a given dL/dy (a vector-Jacobian product). */
GLIA_API void glia_vjp(glia_tensor y, glia_tensor dy, const glia_tensor *xs, int n, glia_tensor *gradients);

#ifdef __cplusplus
}
#endif

#endif
