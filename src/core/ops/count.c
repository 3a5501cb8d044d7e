/* count.c - the number of elements of a tensor over some axes, in the tensor's dtype.
 *
 * A mean is a sum over a count; while an axis is symbolic the count is not known, and this op stands for it. Once the
 * sizes are fixed it is a constant, which folding makes of it.
 */
#include "core/ops/ops.h"

static bool count_infer(glia_node *n) {
    const glia_reduce_attrs *a = n->attrs;
    glia_shape sorted;
    if (!glia_axes_normalize(a->axes, n->in[0]->shape.rank, &sorted) || !glia_shape_equal(sorted, a->axes)) {
        return glia_node_fail(n, "the axes must be sorted, different and below the rank");
    }
    if (!glia_infer_float(n)) return false;
    n->shape = GLIA_SCALAR;
    return true;
}

static void count_eval(const glia_node *n, const double *const *in, double *out) {
    (void)in;
    const glia_reduce_attrs *a = n->attrs;
    *out = 1;
    for (int i = 0; i < a->axes.rank; i++) *out *= (double)n->in[0]->shape.dim[a->axes.dim[i]];
}

static const glia_field count_fields[] = { GLIA_FIELD(INTS, glia_reduce_attrs, axes), GLIA_FIELDS_END };

const glia_op glia_op_count_of = { .name = "count_of",
                                   .summary = "the number of elements over axes, as a scalar of x's dtype",
                                   .arity = 1,
                                   .flags = GLIA_OP_STATIC,
                                   .attr_size = sizeof(glia_reduce_attrs),
                                   .fields = count_fields,
                                   .infer = count_infer,
                                   .eval = count_eval };

const glia_op_sample glia_samples_count_of[] = {
    { .name = "outer two",
      .n = 1,
      .in = { { .shape = GLIA_DIMS(2, 3, 5) } },
      .attrs = &(const glia_reduce_attrs){ .axes = GLIA_DIMS(0, 2) } },
    { 0 },
};
