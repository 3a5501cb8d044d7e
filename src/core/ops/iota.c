/* iota.c - 0, 1, 2, ... along an axis: positions, masks, class indices. */
#include "core/ops/ops.h"

static bool iota_infer(glia_node *n) {
    const glia_iota_attrs *a = n->attrs;
    n->dtype = a->dtype;
    n->shape = a->shape;
    if ((unsigned)a->dtype >= GLIA_DTYPE_COUNT || a->dtype == GLIA_BOOL) {
        return glia_node_fail(n, "it needs a dtype of numbers");
    }
    return (a->axis >= 0 && a->axis < a->shape.rank) ||
           glia_node_fail(n, "the axis %lld is outside", (long long)a->axis);
}

static void iota_eval(const glia_node *n, const double *const *in, double *out) {
    (void)in;
    const glia_iota_attrs *a = n->attrs;
    int64_t strides[GLIA_MAX_RANK], count = glia_shape_count(n->shape);
    glia_shape_strides(n->shape, strides);
    for (int64_t i = 0; i < count; i++) {
        out[i] = glia_round_to(a->dtype, (double)(i / strides[a->axis] % n->shape.dim[a->axis]));
    }
}

static const glia_field iota_fields[] = { GLIA_FIELD(DTYPE, glia_iota_attrs, dtype),
                                          GLIA_FIELD(SHAPE, glia_iota_attrs, shape),
                                          GLIA_FIELD(INT, glia_iota_attrs, axis), GLIA_FIELDS_END };

const glia_op glia_op_iota = { .name = "iota", .summary = "0, 1, 2, ... along an axis", .arity = 0,
                               .flags = GLIA_OP_STATIC,
                               .attr_size = sizeof(glia_iota_attrs), .fields = iota_fields,
                               .infer = iota_infer, .eval = iota_eval };

const glia_op_sample glia_samples_iota[] = {
    { .name = "i32", .n = 0, .attrs = &(const glia_iota_attrs){ GLIA_I32, GLIA_DIMS(7), 0 } },
    { .name = "f32", .n = 0, .attrs = &(const glia_iota_attrs){ GLIA_F32, GLIA_DIMS(2, 3, 4), 1 } },
    { 0 },
};

glia_tensor glia_iota(glia_graph *g, glia_dtype dtype, glia_shape shape, int axis) {
    int inside = glia_axis_normalize(axis, shape.rank);
    return glia_node_create(g, &glia_op_iota, NULL, 0, &(glia_iota_attrs){ dtype, shape, inside < 0 ? axis : inside });
}
