/* concat.c - tensors one after the other along an axis. The axis is fixed in all of them, or a multiple of one
 * symbolic size in all of them. */
#include <string.h>

#include "core/ops/ops.h"

static bool concat_infer(glia_node *n) {
    int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis, size = 0;
    glia_infer_same(n);
    if (axis < 0 || axis >= n->shape.rank) return glia_node_fail(n, "the axis %lld is outside", (long long)axis);
    for (int i = 0; i < n->n_in; i++) {
        glia_shape s = n->in[i]->shape, first = n->in[0]->shape;
        if (n->in[i]->dtype != n->dtype) return glia_node_fail(n, "the dtypes differ; glia_cast() makes them one");
        if (s.rank != first.rank) return glia_node_fail(n, "the ranks differ");
        size = glia_dim_plus(size, s.dim[axis]);
        if (size == GLIA_DIM_NONE) {
            return glia_node_fail(n, "fixed sizes and multiples of N, V and E cannot be added to each other");
        }
        s.dim[axis] = first.dim[axis];
        if (!glia_shape_equal(s, first)) return glia_node_fail(n, "the other axes differ");
    }
    n->shape.dim[axis] = size;
    return true;
}

static void concat_eval(const glia_node *n, const double *const *in, double *out) {
    int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis, outer = 1;
    for (int i = 0; i < axis; i++) outer *= n->shape.dim[i];
    for (int64_t row = 0; row < outer; row++) {
        for (int k = 0; k < n->n_in; k++) {
            int64_t length = glia_shape_count(n->in[k]->shape) / outer;
            memcpy(out, in[k] + row * length, (size_t)length * sizeof *out);
            out += length;
        }
    }
}

static void concat_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    int64_t axis = ((const glia_axis_attrs *)y->attrs)->axis;
    glia_shape start = { .rank = y->shape.rank }, stop = y->shape;
    for (int i = 0; i < y->n_in; i++) {
        stop.dim[axis] = glia_dim_plus(start.dim[axis], y->in[i]->shape.dim[axis]);
        dx[i] = glia_slice(dy, start, stop, GLIA_SCALAR);
        start.dim[axis] = stop.dim[axis];
    }
}

static const glia_field axis_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };

const glia_op glia_op_concat = { .name = "concat", .summary = "tensors concatenated along an axis", .arity = -1,
                                 .attr_size = sizeof(glia_axis_attrs), .fields = axis_fields,
                                 .infer = concat_infer, .eval = concat_eval, .vjp = concat_vjp };

#define AXIS(k) .attrs = &(const glia_axis_attrs){ k }
const glia_op_sample glia_samples_concat[] = {
    { .name = "rows", .n = 2, .in = { { .shape = GLIA_DIMS(2, 3) }, { .shape = GLIA_DIMS(4, 3) } }, AXIS(0) },
    { .name = "channels",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(2, 1, 3) }, { .shape = GLIA_DIMS(2, 2, 3) }, { .shape = GLIA_DIMS(2, 3, 3) } },
      AXIS(1) },
    { .name = "one", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3) } }, AXIS(1) },
    { 0 },
};

glia_tensor glia_concat(const glia_tensor *xs, int n, int axis) {
    glia_graph *g = glia_graph_of(xs, n);
    int inside = g && xs[0] ? glia_axis_normalize(axis, xs[0]->shape.rank) : 0;
    return glia_node_create(g, &glia_op_concat, xs, n, &(glia_axis_attrs){ inside < 0 ? axis : inside });
}
