/* layout.c - converts images to the backend's preferred layout, channels last.
 *
 * Models are written for (N, C, spatial...). Kernels run best on (N, spatial..., C): the channels of a pixel, which
 * every tap of a convolution sums over, are contiguous, and bias, normalisation and pooling work on vectors of them as
 * well. So convolutions and pooling are rewritten to that layout here, and so are the operations between them:
 *
 *     x ─ conv ─ add bias ─ relu ─ pool ─ flatten        permute to last, all four on it, permute to first
 *
 * A result in the new layout is represented in the new graph by its permutation back to the usual one. Operations that
 * support the new layout read the source of that permutation; if all readers do, the permutation is unused and removed.
 * Permutations that move no data, because the axes concerned have one element, become reshapes.
 */
#include "core/ops/ops.h"
#include "core/ops/window.h"
#include "core/passes/passes.h"

enum { DEEPEST = 4 }; /* depth of nodes above broadcasts that are converted with them */

/* The axis in (N, C, spatial...) of axis `i` of (N, spatial..., C). */
static int axis_of(int i, int rank) { return i == 0 ? 0 : i == rank - 1 ? 1 : i + 1; }

/* A list with one entry for each axis, in the order of the new layout. */
static glia_shape moved(glia_shape list) {
    glia_shape last = { .rank = list.rank };
    for (int i = 0; i < list.rank; i++) last.dim[i] = list.dim[axis_of(i, list.rank)];
    return last;
}

static glia_shape order_to_last(int rank) {
    glia_shape order = { .rank = rank };
    for (int i = 0; i < rank; i++) order.dim[i] = axis_of(i, rank);
    return order;
}

static glia_shape order_to_first(int rank) {
    glia_shape order = { .rank = rank };
    for (int i = 0; i < rank; i++) order.dim[axis_of(i, rank)] = i;
    return order;
}

/* Whether moving the channels past the spatial axes leaves every element in place. */
static bool moves_nothing(glia_shape first) {
    bool one_place = true;
    for (int i = 2; i < first.rank; i++) one_place = one_place && first.dim[i] == 1;
    return one_place || first.dim[1] == 1;
}

/* ---- a tensor in both layouts ----------------------------------------------------------------------- */

/* x, (N, spatial..., C), in the usual layout. */
static glia_tensor as_first(glia_tensor x) {
    if (glia_is_bad(x)) return x;
    glia_shape shape = glia_channels_first(x->shape, true);
    return moves_nothing(shape) ? glia_reshape(x, shape) : glia_permute(x, order_to_first(x->shape.rank));
}

/* Whether x has been computed channels last. */
static bool lies_last(const glia_node *x) {
    if (x->op != &glia_op_permute || x->shape.rank < 3) return false;
    return glia_shape_equal(((const glia_permute_attrs *)x->attrs)->order, order_to_first(x->shape.rank));
}

/* Whether the node works in either layout. */
static bool follows(const glia_node *n) {
    const glia_op *op = n->op;
    bool any = (op->flags & GLIA_OP_ELEMENTWISE) || op == &glia_op_slice || op == &glia_op_pad || op == &glia_op_concat;
    return any && n->n_in > 0 && n->n_in <= GLIA_SAMPLE_INPUTS;
}

/* Whether x is available channels last without moving data. */
static bool is_movable(const glia_node *x, int depth) {
    if (lies_last(x) || glia_is_constant_scalar(x, &(double){ 0 }) || moves_nothing(x->shape)) return true;
    if (x->op == &glia_op_broadcast) return x->in[0]->shape.rank < x->shape.rank || is_movable(x->in[0], depth);
    if (!follows(x) || depth == 0) return false;
    for (int i = 0; i < x->n_in; i++) {
        if (!is_movable(x->in[i], depth - 1)) return false;
    }
    return true;
}

static glia_tensor as_last(glia_tensor x, int depth);

/* A layout-independent node on these inputs, channels last. */
static glia_tensor follow(const glia_node *n, const glia_tensor *in, int depth) {
    glia_tensor last[GLIA_SAMPLE_INPUTS];
    for (int i = 0; i < n->n_in; i++) last[i] = as_last(in[i], depth);
    if (n->op == &glia_op_slice) {
        const glia_slice_attrs *a = n->attrs;
        glia_slice_attrs b = { moved(a->start), moved(a->stop), moved(a->step) };
        return glia_node1(n->op, last[0], &b);
    }
    if (n->op == &glia_op_pad) {
        const glia_pad_attrs *a = n->attrs;
        glia_pad_attrs b = { moved(a->before), moved(a->after), moved(a->between), a->value };
        return glia_node1(n->op, last[0], &b);
    }
    if (n->op == &glia_op_concat) {
        int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis;
        glia_axis_attrs b = { axis == 0 ? 0 : axis == 1 ? n->shape.rank - 1 : axis - 1 };
        return glia_node_create(last[0]->graph, n->op, last, n->n_in, &b);
    }
    return glia_node_create(last[0]->graph, n->op, last, n->n_in, n->attrs);
}

/* x, (N, C, spatial...), as (N, spatial..., C). */
static glia_tensor as_last(glia_tensor x, int depth) {
    if (glia_is_bad(x)) return x;
    if (lies_last(x)) return x->in[0];
    glia_shape shape = glia_channels_last(x->shape, true);
    double value;
    if (glia_is_constant_scalar(x, &value)) {
        glia_constant_attrs attrs = { x->dtype, shape, { &value, 1 } };
        return glia_node_create(x->graph, &glia_op_constant, NULL, 0, &attrs);
    }
    if (moves_nothing(x->shape)) return glia_reshape(x, shape);
    if (x->op == &glia_op_broadcast) {
        glia_shape full = { .rank = shape.rank };
        const glia_shape from = x->in[0]->shape;
        for (int i = 0; i < full.rank; i++) {
            int k = i - (full.rank - from.rank);
            full.dim[i] = k < 0 ? 1 : from.dim[k];
        }
        return glia_broadcast(as_last(glia_reshape(x->in[0], full), depth), shape);
    }
    if (follows(x) && is_movable(x, depth)) return follow(x, x->in, depth - 1);
    return glia_permute(x, order_to_last(x->shape.rank));
}

/* ---- rules --------------------------------------------------------------------------------------------- */

static glia_tensor conv_rule(const glia_node *n, const glia_tensor *in) {
    glia_conv_attrs a = *(const glia_conv_attrs *)n->attrs;
    a.channels_last = true;
    glia_tensor x = as_last(in[0], DEEPEST);
    if (n->op == &glia_op_conv_kernel_grad) return glia_node2(n->op, x, as_last(in[1], DEEPEST), &a);
    a.size = glia_channels_last(a.size, true);
    return as_first(glia_node2(n->op, x, in[1], &a));
}

static glia_tensor pool_rule(const glia_node *n, const glia_tensor *in) {
    glia_pool_attrs a = *(const glia_pool_attrs *)n->attrs;
    a.channels_last = true;
    a.size = glia_channels_last(a.size, true);
    glia_tensor x = as_last(in[0], DEEPEST);
    return as_first(n->n_in == 1 ? glia_node1(n->op, x, &a) : glia_node2(n->op, x, as_last(in[1], DEEPEST), &a));
}

static glia_tensor reduce_rule(const glia_node *n, const glia_tensor *in) {
    const glia_reduce_attrs *a = n->attrs;
    glia_reduce_attrs b = { .keep = true };
    int rank = in[0]->shape.rank;
    for (int i = 0; i < rank; i++) {
        if (glia_axes_contain(&a->axes, axis_of(i, rank))) b.axes.dim[b.axes.rank++] = i;
    }
    return glia_reshape(as_first(glia_node1(n->op, in[0]->in[0], &b)), n->shape);
}

/* Whether n exchanges the last two axes of three. */
static bool is_transpose(const glia_node *n) {
    return n->op == &glia_op_permute && n->shape.rank == 3 &&
           glia_shape_equal(((const glia_permute_attrs *)n->attrs)->order, GLIA_SHAPE(0, 2, 1));
}

/* Whether `flat` is (N, C, P) and `full` is (N, C, spatial...) with P places. */
static bool is_flattened(glia_shape flat, glia_shape full) {
    return flat.rank == 3 && full.rank > 3 && flat.dim[0] == full.dim[0] && flat.dim[1] == full.dim[1];
}

/* Images as sequences of pixels (N, P, C) and back, which are the same bytes channels last. NULL: n is neither. */
static glia_tensor sequence_rule(const glia_node *n, const glia_tensor *in) {
    const glia_node *x = in[0];
    if (is_transpose(n) && x->op == &glia_op_reshape && is_flattened(x->shape, x->in[0]->shape) && lies_last(x->in[0]))
        return glia_reshape(x->in[0]->in[0], n->shape);
    if (n->op == &glia_op_reshape && is_transpose(x) && is_flattened(x->shape, n->shape))
        return as_first(glia_reshape(x->in[0], glia_channels_last(n->shape, true)));
    return NULL;
}

static bool is_f32(const glia_node *n, const glia_tensor *in) {
    return n->dtype == GLIA_F32 && in[0]->dtype == GLIA_F32;
}

static glia_tensor rule(glia_graph *to, const glia_node *n, const glia_tensor *in, void *context) {
    (void)to;
    (void)context;
    const glia_op *op = n->op;
    if (op == &glia_op_conv || op == &glia_op_conv_input_grad || op == &glia_op_conv_kernel_grad) {
        return is_f32(n, in) && !((const glia_conv_attrs *)n->attrs)->channels_last ? conv_rule(n, in) : NULL;
    }
    if (op == &glia_op_max_pool || op == &glia_op_max_pool_scatter || op == &glia_op_max_pool_gather ||
        op == &glia_op_avg_pool || op == &glia_op_avg_pool_grad) {
        return is_f32(n, in) && !((const glia_pool_attrs *)n->attrs)->channels_last ? pool_rule(n, in) : NULL;
    }
    if (op == &glia_op_permute || op == &glia_op_reshape) return sequence_rule(n, in);
    bool any = false;
    for (int i = 0; i < n->n_in; i++) any = any || lies_last(in[i]);
    if (!any) return NULL;
    if (follows(n)) return as_first(follow(n, in, DEEPEST));
    bool reduces = op == &glia_op_sum || op == &glia_op_max || op == &glia_op_prod || op == &glia_op_variance;
    return reduces ? reduce_rule(n, in) : NULL;
}

glia_graph *glia_pass_layout(const glia_graph *graph, const glia_backend *backend, glia_error *error) {
    return glia_graph_rewrite(graph, backend->kind->channels_last ? rule : NULL, NULL, NULL, false, error);
}
