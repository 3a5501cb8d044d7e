/* argmax.c - the index of the largest element along an axis. NaN counts as larger than any number, as for max. */
#include "core/ops/ops.h"

static bool argmax_infer(glia_node *n) {
    const glia_axis_attrs *a = n->attrs;
    glia_shape in = n->in[0]->shape;
    if (a->axis < 0 || a->axis >= in.rank) return glia_node_fail(n, "the axis %lld is outside", (long long)a->axis);
    n->dtype = GLIA_I32;
    n->shape.rank = 0;
    for (int i = 0; i < in.rank; i++) {
        if (i != a->axis) n->shape.dim[n->shape.rank++] = in.dim[i];
    }
    return true;
}

static void argmax_eval(const glia_node *n, const double *const *in, double *out) {
    int axis = (int)((const glia_axis_attrs *)n->attrs)->axis;
    glia_shape s = n->in[0]->shape;
    int64_t strides[GLIA_MAX_RANK], length = s.dim[axis], count = glia_shape_count(n->shape);
    glia_shape_strides(s, strides);
    int64_t inner = strides[axis];
    for (int64_t i = 0; i < count; i++) {
        const double *x = in[0] + i / inner * inner * length + i % inner;
        int64_t best = 0;
        double most = x[0];
        for (int64_t k = 1; k < length && most == most; k++) {
            if (!(x[k * inner] <= most)) most = x[k * inner], best = k;
        }
        out[i] = (double)best;
    }
}

static const glia_field axis_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };

const glia_op glia_op_argmax = { .name = "argmax",
                                 .summary = "index of the largest along an axis, NaN above all, the first of ties; i32",
                                 .arity = 1,
                                 .attr_size = sizeof(glia_axis_attrs),
                                 .fields = axis_fields,
                                 .infer = argmax_infer,
                                 .eval = argmax_eval };

#define AXIS(k) .attrs = &(const glia_axis_attrs){ k }
const glia_op_sample glia_samples_argmax[] = {
    { .name = "last", .n = 1, .in = { { .shape = GLIA_DIMS(4, 7), .kind = GLIA_SAMPLE_DISTINCT } }, AXIS(1) },
    { .name = "middle", .n = 1, .in = { { .shape = GLIA_DIMS(2, 5, 3), .kind = GLIA_SAMPLE_DISTINCT } }, AXIS(1) },
    { .name = "ties",
      .n = 1,
      .in = { { .shape = GLIA_DIMS(5, 8), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 3 } },
      AXIS(1) },
    { 0 },
};

glia_tensor glia_argmax(glia_tensor x, int axis) {
    int inside = x ? glia_axis_normalize(axis, x->shape.rank) : 0;
    return glia_node1(&glia_op_argmax, x, &(glia_axis_attrs){ inside < 0 ? axis : inside });
}
