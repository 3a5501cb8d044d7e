/* cumsum.c - cumulative sums along an axis. The adjoint is the cumulative sum from the other end. */
#include "core/ops/ops.h"

static bool cumsum_infer(glia_node *n) {
    const glia_cumsum_attrs *a = n->attrs;
    if (a->axis < 0 || a->axis >= n->in[0]->shape.rank) {
        return glia_node_fail(n, "the axis %lld is outside", (long long)a->axis);
    }
    return glia_infer_numeric(n);
}

static void cumsum_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_cumsum_attrs *a = n->attrs;
    int64_t strides[GLIA_MAX_RANK], length = n->shape.dim[a->axis], count = glia_shape_count(n->shape);
    glia_shape_strides(n->shape, strides);
    int64_t inner = strides[a->axis];
    for (int64_t row = 0; row < count / length; row++) {
        int64_t start = row / inner * inner * length + row % inner;
        double sum = 0;
        for (int64_t k = 0; k < length; k++) {
            int64_t at = start + (a->reverse ? length - 1 - k : k) * inner;
            double x = in[0][at];
            out[at] = a->exclusive ? sum : sum + x;
            sum += x;
        }
    }
}

static void cumsum_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_cumsum_attrs *a = y->attrs;
    dx[0] = glia_cumsum(dy, (int)a->axis, a->exclusive, !a->reverse);
}

static const glia_field cumsum_fields[] = { GLIA_FIELD(INT, glia_cumsum_attrs, axis),
                                            GLIA_FIELD(BOOL, glia_cumsum_attrs, exclusive),
                                            GLIA_FIELD(BOOL, glia_cumsum_attrs, reverse), GLIA_FIELDS_END };

const glia_op glia_op_cumsum = {
    .name = "cumsum",
    .arity = 1,
    .attr_size = sizeof(glia_cumsum_attrs),
    .fields = cumsum_fields,
    .summary = "running sum along an axis; exclusive: without the element itself; reverse: from the end",
    .infer = cumsum_infer,
    .eval = cumsum_eval,
    .vjp = cumsum_vjp
};

#define ATTRS(...) .attrs = &(const glia_cumsum_attrs){ __VA_ARGS__ }
const glia_op_sample glia_samples_cumsum[] = {
    { .name = "last", .n = 1, .in = { { .shape = GLIA_DIMS(3, 5) } }, ATTRS(1, false, false) },
    { .name = "exclusive", .n = 1, .in = { { .shape = GLIA_DIMS(2, 5, 3) } }, ATTRS(1, true, false) },
    { .name = "reverse", .n = 1, .in = { { .shape = GLIA_DIMS(5, 3) } }, ATTRS(0, false, true) },
    { .name = "reverse, exclusive", .n = 1, .in = { { .shape = GLIA_DIMS(2, 5) } }, ATTRS(1, true, true) },
    { 0 },
};

glia_tensor glia_cumsum(glia_tensor x, int axis, bool exclusive, bool reverse) {
    int inside = x ? glia_axis_normalize(axis, x->shape.rank) : 0;
    return glia_node1(&glia_op_cumsum, x, &(glia_cumsum_attrs){ inside < 0 ? axis : inside, exclusive, reverse });
}
