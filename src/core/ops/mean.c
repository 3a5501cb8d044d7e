/* mean.c - the mean over axes: the sum divided by the count.
 *
 * While the batch is symbolic the count is an operation too (count.c), so the mean over a batch is correct for every
 * batch size.
 */
#include "core/ops/ops.h"

static bool mean_infer(glia_node *n) { return glia_infer_float(n) && glia_op_sum.infer(n); }

static glia_tensor mean_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    const glia_reduce_attrs *a = n->attrs;
    if (n->in[0]->shape.rank == 0) return in[0];
    return glia_div(glia_sum(in[0], a->axes, a->keep), glia_count_of(in[0], a->axes));
}

static void mean_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_reduce_attrs *a = y->attrs;
    glia_tensor x = y->in[0];
    dx[0] = x->shape.rank == 0 ? dy : glia_expand_reduced(glia_div(dy, glia_count_of(x, a->axes)), a, x->shape);
}

static const glia_field mean_fields[] = { GLIA_FIELD(INTS, glia_reduce_attrs, axes),
                                          GLIA_FIELD(BOOL, glia_reduce_attrs, keep), GLIA_FIELDS_END };

const glia_op glia_op_mean = { .name = "mean",
                               .summary = "sum over axes / number of elements",
                               .arity = 1,
                               .flags = GLIA_OP_COMPOSITE,
                               .attr_size = sizeof(glia_reduce_attrs),
                               .fields = mean_fields,
                               .infer = mean_infer,
                               .vjp = mean_vjp,
                               .expand = mean_expand };

#define AXES(kept, ...) .attrs = &(const glia_reduce_attrs){ GLIA_DIMS(__VA_ARGS__), kept }
const glia_op_sample glia_samples_mean[] = {
    { .name = "all", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } }, AXES(false, 0, 1, 2) },
    { .name = "last", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 5) } }, AXES(false, 2) },
    { .name = "outer_kept", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } }, AXES(true, 0, 2) },
    { 0 },
};

glia_tensor glia_mean(glia_tensor x, glia_shape axes, bool keep) {
    glia_reduce_attrs attrs = { .keep = keep };
    if (!glia_is_bad(x) && !glia_axes_normalize(axes, x->shape.rank, &attrs.axes)) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "mean of %s: an axis is outside",
                               glia_shape_format(x->shape, text));
    }
    return glia_node1(&glia_op_mean, x, &attrs);
}
