/* variance.c - the variance over axes: the mean of (x - mean)^2, divided by n, not n - 1.
 *
 * It is an operation of its own, although it can be composed of others, because a backend can compute it in one pass
 * over x where the definition needs two.
 */
#include "core/ops/ops.h"

static bool variance_infer(glia_node *n) { return glia_infer_float(n) && glia_op_sum.infer(n); }

static glia_tensor centred(glia_tensor x, glia_shape axes) { return glia_sub(x, glia_mean(x, axes, true)); }

static glia_tensor variance_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    const glia_reduce_attrs *a = n->attrs;
    if (glia_is_bad(in[0]) || in[0]->shape.rank == 0) return glia_mul_scalar(in[0], 0);
    return glia_mean(glia_square(centred(in[0], a->axes)), a->axes, a->keep);
}

/* 2 (x - mean) / n; the gradient through the mean cancels. */
static void variance_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_reduce_attrs *a = y->attrs;
    glia_tensor x = y->in[0];
    if (x->shape.rank == 0) {
        dx[0] = glia_mul_scalar(dy, 0);
        return;
    }
    glia_tensor each = glia_div(glia_mul_scalar(dy, 2), glia_count_of(x, a->axes));
    dx[0] = glia_mul(centred(x, a->axes), glia_expand_reduced(each, a, x->shape));
}

static const glia_field variance_fields[] = { GLIA_FIELD(INTS, glia_reduce_attrs, axes),
                                              GLIA_FIELD(BOOL, glia_reduce_attrs, keep), GLIA_FIELDS_END };

const glia_op glia_op_variance = { .name = "variance",
                                   .summary = "mean of (x - mean)^2 over axes",
                                   .arity = 1,
                                   .flags = GLIA_OP_COMPOSITE,
                                   .attr_size = sizeof(glia_reduce_attrs),
                                   .fields = variance_fields,
                                   .infer = variance_infer,
                                   .vjp = variance_vjp,
                                   .expand = variance_expand };

#define AXES(kept, ...) .attrs = &(const glia_reduce_attrs){ GLIA_DIMS(__VA_ARGS__), kept }
const glia_op_sample glia_samples_variance[] = {
    { .name = "all", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } }, AXES(false, 0, 1, 2) },
    { .name = "last", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 5) } }, AXES(false, 2) },
    { .name = "outer_kept", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } }, AXES(true, 0, 2) },
    { 0 },
};

glia_tensor glia_variance(glia_tensor x, glia_shape axes, bool keep) {
    glia_reduce_attrs attrs = { .keep = keep };
    if (!glia_is_bad(x) && !glia_axes_normalize(axes, x->shape.rank, &attrs.axes)) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "variance of %s: an axis is outside",
                               glia_shape_format(x->shape, text));
    }
    return glia_node1(&glia_op_variance, x, &attrs);
}
