/* helpers.c - shared helpers: checks of dtypes and shapes, and broadcasting with its adjoint. */
#include "core/ops/ops.h"

bool glia_infer_same(glia_node *n) {
    n->dtype = n->in[0]->dtype;
    n->shape = n->in[0]->shape;
    return true;
}

bool glia_infer_alike(glia_node *n) {
    glia_infer_same(n);
    for (int i = 1; i < n->n_in; i++) {
        if (n->in[i]->dtype != n->dtype) return glia_node_fail(n, "the dtypes differ; glia_cast() makes them one");
        if (!glia_shape_equal(n->in[i]->shape, n->shape)) return glia_node_fail(n, "the shapes differ");
    }
    return true;
}

bool glia_infer_float(glia_node *n) {
    if (!glia_infer_alike(n)) return false;
    if (n->dtype == GLIA_F32 || n->dtype == GLIA_F64) return true;
    return glia_node_fail(n, "it takes f32 or f64; glia_cast() makes one of %s", glia_dtype_name(n->dtype));
}

bool glia_infer_numeric(glia_node *n) {
    if (!glia_infer_alike(n)) return false;
    if (n->dtype == GLIA_F32 || n->dtype == GLIA_F64 || n->dtype == GLIA_I32 || n->dtype == GLIA_I64) return true;
    return glia_node_fail(n, "it takes f32, f64, i32 or i64; glia_cast() makes one of %s", glia_dtype_name(n->dtype));
}

glia_graph *glia_graph_of(const glia_tensor *xs, int n) {
    for (int i = 0; xs && i < n; i++) {
        if (xs[i]) return xs[i]->graph;
    }
    return NULL;
}

bool glia_broadcast_pair(const char *what, glia_tensor *a, glia_tensor *b) {
    if (glia_is_bad(*a) || glia_is_bad(*b)) return false;
    glia_tensor both_in_one[2] = { *a, *b };
    glia_graph_join(both_in_one, 2);
    *a = both_in_one[0];
    *b = both_in_one[1];
    if (glia_is_bad(*a) || glia_is_bad(*b)) return false;
    glia_graph *g = (*a)->graph;
    char s[GLIA_SHAPE_TEXT], t[GLIA_SHAPE_TEXT];
    const char *label = g->label ? g->label : "", *colon = g->label ? ": " : "";
    if ((*a)->dtype != (*b)->dtype) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s%s%s of %s%s and %s%s: the dtypes differ; glia_cast() makes them one",
                        label, colon, what, glia_dtype_name((*a)->dtype), glia_shape_format((*a)->shape, s),
                        glia_dtype_name((*b)->dtype), glia_shape_format((*b)->shape, t));
        return false;
    }
    glia_shape both;
    if (!glia_shape_broadcast((*a)->shape, (*b)->shape, &both)) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s%s%s of %s and %s: the shapes do not broadcast to one", label, colon, what,
                        glia_shape_format((*a)->shape, s), glia_shape_format((*b)->shape, t));
        return false;
    }
    *a = glia_broadcast(*a, both);
    *b = glia_broadcast(*b, both);
    return !glia_is_bad(*a) && !glia_is_bad(*b);
}

glia_tensor glia_node2_broadcast(const glia_op *op, glia_tensor a, glia_tensor b) {
    glia_broadcast_pair(op->name, &a, &b); /* on failure the graph has the error, and creating gives the bad node */
    glia_tensor in[2] = { a, b };
    return glia_node_create(glia_graph_of(in, 2), op, in, 2, NULL);
}

glia_tensor glia_sum_to(glia_tensor x, glia_shape shape) {
    if (glia_is_bad(x) || glia_shape_equal(x->shape, shape)) return x;
    glia_shape axes = { 0 };
    int lead = x->shape.rank - shape.rank;
    for (int i = 0; i < x->shape.rank; i++) {
        if (i < lead || (shape.dim[i - lead] == 1 && x->shape.dim[i] != 1)) axes.dim[axes.rank++] = i;
    }
    if (axes.rank == 0) return glia_reshape(x, shape);
    bool storage = x->dtype == GLIA_BF16 || x->dtype == GLIA_F16; /* accumulated in f32 */
    glia_tensor sum = glia_sum(storage ? glia_cast(x, GLIA_F32) : x, axes, false);
    return glia_reshape(storage ? glia_cast(sum, x->dtype) : sum, shape);
}

glia_tensor glia_expand_reduced(glia_tensor x, const glia_reduce_attrs *attrs, glia_shape shape) {
    if (glia_is_bad(x)) return x;
    glia_shape kept = shape;
    for (int i = 0; i < attrs->axes.rank; i++) kept.dim[attrs->axes.dim[i]] = 1;
    return glia_broadcast(glia_reshape(x, kept), shape);
}

glia_tensor glia_count_of(glia_tensor x, glia_shape axes) {
    if (glia_is_bad(x)) return x;
    glia_reduce_attrs attrs = { .keep = false };
    if (!glia_axes_normalize(axes, x->shape.rank, &attrs.axes)) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "count: an axis is outside the tensor's rank, %d",
                               x->shape.rank);
    }
    int64_t count = 1;
    bool fixed = true;
    for (int i = 0; i < attrs.axes.rank; i++) {
        fixed &= x->shape.dim[attrs.axes.dim[i]] > 0;
        if (fixed) count = glia_dim_times(count, x->shape.dim[attrs.axes.dim[i]]);
    }
    return fixed ? glia_scalar(x->graph, x->dtype, (double)count) : glia_node1(&glia_op_count_of, x, &attrs);
}

glia_tensor glia_relu_gradient(glia_tensor y, glia_tensor dy) {
    if (glia_is_bad(y) || glia_is_bad(dy)) return dy;
    return glia_select(glia_less_equal(y, glia_like(y, 0)), glia_like(dy, 0), dy);
}

glia_tensor glia_abs_gradient(glia_tensor x, glia_tensor dy) {
    if (glia_is_bad(x) || glia_is_bad(dy)) return dy;
    glia_tensor zero = glia_like(x, 0), below = glia_select(glia_less(x, zero), glia_neg(dy), glia_like(dy, 0));
    return glia_select(glia_greater(x, zero), dy, below);
}

glia_tensor glia_part_of(glia_tensor packed, glia_part part) {
    glia_tensor piece =
        glia_slice(packed, GLIA_SHAPE(part.start), GLIA_SHAPE(glia_dim_plus(part.start, part.count)), GLIA_SHAPE(1));
    return glia_reshape(piece, part.shape);
}

glia_tensor glia_part_of_gradient(glia_tensor packed, glia_part part) {
    double value;
    if (glia_is_bad(packed)) return packed;
    if (glia_is_constant_scalar(packed, &value) && value == 0) return NULL;
    if (packed->op == &glia_op_add) {
        glia_tensor a = glia_part_of_gradient(packed->in[0], part), b = glia_part_of_gradient(packed->in[1], part);
        return a && b ? glia_add(a, b) : a ? a : b;
    }
    if (packed->op == &glia_op_pad) {
        const glia_pad_attrs *pad = packed->attrs;
        const int64_t from = glia_dim_of(pad->before.dim[0]).factor, start = glia_dim_of(part.start).factor;
        const int64_t to = from + glia_dim_of(packed->in[0]->shape.dim[0]).factor;
        const int64_t stop = start + glia_dim_of(part.count).factor; /* all in units of one size */
        if (pad->value == 0 && pad->between.dim[0] == 0) {
            if (to <= start || stop <= from) return NULL;
            if (from == start && to == stop) return glia_reshape(packed->in[0], part.shape);
        }
    }
    return glia_part_of(packed, part);
}
