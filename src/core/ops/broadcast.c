/* broadcast.c - broadcasting to a larger shape by NumPy's rule: shapes are aligned at their last axes; an axis of size
 * 1, or a missing one, is repeated. Its adjoint is the sum over those axes. */
#include "core/ops/ops.h"

static bool broadcast_infer(glia_node *n) {
    n->dtype = n->in[0]->dtype;
    n->shape = ((const glia_shape_attrs *)n->attrs)->shape;
    char s[GLIA_SHAPE_TEXT];
    if (!glia_shape_valid(n->shape)) return glia_node_fail(n, "%s is not a shape", glia_shape_format(n->shape, s));
    return glia_shape_broadcasts_to(n->in[0]->shape, n->shape) ||
           glia_node_fail(n, "it does not broadcast to %s", glia_shape_format(n->shape, s));
}

static void broadcast_eval(const glia_node *n, const double *const *in, double *out) {
    glia_shape from = n->in[0]->shape;
    int64_t strides[GLIA_MAX_RANK], count = glia_shape_count(n->shape);
    glia_shape_strides(from, strides);
    glia_walk w = { .shape = n->shape };
    int lead = n->shape.rank - from.rank;
    for (int i = 0; i < from.rank; i++) w.stride[lead + i] = from.dim[i] == 1 ? 0 : strides[i];
    for (int64_t i = 0; i < count; i++, glia_walk_step(&w)) out[i] = in[0][w.offset];
}

static void broadcast_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { dx[0] = glia_sum_to(dy, y->in[0]->shape); }

static const glia_field shape_fields[] = { GLIA_FIELD(SHAPE, glia_shape_attrs, shape), GLIA_FIELDS_END };

const glia_op glia_op_broadcast = { .name = "broadcast",
                                    .summary = "repeated along axes of 1 and missing leading ones",
                                    .arity = 1,
                                    .attr_size = sizeof(glia_shape_attrs),
                                    .fields = shape_fields,
                                    .infer = broadcast_infer,
                                    .eval = broadcast_eval,
                                    .vjp = broadcast_vjp };

#define SHAPE(...) .attrs = &(const glia_shape_attrs){ GLIA_DIMS(__VA_ARGS__) }
const glia_op_sample glia_samples_broadcast[] = {
    { .name = "scalar", .n = 1, .in = { { .shape = { 0 } } }, SHAPE(2, 3) },
    { .name = "bias", .n = 1, .in = { { .shape = GLIA_DIMS(5) } }, SHAPE(3, 5) },
    { .name = "channels", .n = 1, .in = { { .shape = GLIA_DIMS(3, 1, 1) } }, SHAPE(2, 3, 4, 2) },
    { .name = "middle", .n = 1, .in = { { .shape = GLIA_DIMS(2, 1, 3) } }, SHAPE(2, 4, 3) },
    { 0 },
};

glia_tensor glia_broadcast(glia_tensor x, glia_shape shape) {
    if (!glia_is_bad(x) && glia_shape_equal(x->shape, shape)) return x;
    return glia_node1(&glia_op_broadcast, x, &(glia_shape_attrs){ shape });
}
