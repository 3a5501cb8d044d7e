/* reshape.c - the same elements in the same order with another shape. Nothing is copied: the result is an alias. */
#include <string.h>

#include "core/ops/ops.h"

#define CROSSED "the elements of %s are no multiple of one size (N, V or E), so their number is not known"

static bool reshape_infer(glia_node *n) {
    const glia_shape_attrs *a = n->attrs;
    int64_t had = glia_shape_count(n->in[0]->shape), wanted = glia_shape_count(a->shape);
    n->dtype = n->in[0]->dtype;
    n->shape = a->shape;
    char s[GLIA_SHAPE_TEXT];
    for (int i = 0; i < a->shape.rank && i < GLIA_MAX_RANK; i++) {
        if (a->shape.dim[i] == 0) {
            if (had == GLIA_DIM_NONE) return glia_node_fail(n, CROSSED, glia_shape_format(n->in[0]->shape, s));
            return glia_node_fail(n, "no size in place of the 0 fits: %s", glia_shape_format(a->shape, s));
        }
    }
    if (!glia_shape_valid(a->shape)) return glia_node_fail(n, "%s is not a shape", glia_shape_format(a->shape, s));
    if (had == wanted && (had != GLIA_DIM_NONE || glia_shape_equal(n->in[0]->shape, a->shape))) return true;
    if (had == GLIA_DIM_NONE) return glia_node_fail(n, CROSSED, glia_shape_format(n->in[0]->shape, s));
    if (wanted == GLIA_DIM_NONE) return glia_node_fail(n, CROSSED, glia_shape_format(a->shape, s));
    return glia_node_fail(n, "%s has another number of elements", glia_shape_format(a->shape, s));
}

static void reshape_eval(const glia_node *n, const double *const *in, double *out) {
    memcpy(out, in[0], (size_t)glia_shape_count(n->shape) * sizeof *out);
}

static void reshape_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { dx[0] = glia_reshape(dy, y->in[0]->shape); }

static const glia_field shape_fields[] = { GLIA_FIELD(SHAPE, glia_shape_attrs, shape), GLIA_FIELDS_END };

const glia_op glia_op_reshape = { .name = "reshape", .summary = "the same elements with another shape", .arity = 1,
                                  .flags = GLIA_OP_ALIAS, .attr_size = sizeof(glia_shape_attrs), .fields = shape_fields,
                                  .infer = reshape_infer, .eval = reshape_eval, .vjp = reshape_vjp };

const glia_op_sample glia_samples_reshape[] = {
    { .name = "plain",
      .n = 1,
      .in = { { .shape = GLIA_DIMS(2, 3, 4) } },
      .attrs = &(const glia_shape_attrs){ GLIA_DIMS(6, 4) } },
    { .name = "to rank 5",
      .n = 1,
      .in = { { .shape = GLIA_DIMS(8, 3) } },
      .attrs = &(const glia_shape_attrs){ GLIA_DIMS(2, 1, 4, 3, 1) } },
    { 0 },
};

/* Infers the one dimension that is 0, if it can be inferred. */
static glia_shape completed(glia_shape shape, int64_t count) {
    int64_t rest = 1;
    int open = -1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == 0 && open >= 0) return shape;
        if (shape.dim[i] == 0)
            open = i;
        else
            rest = glia_dim_times(rest, shape.dim[i]);
    }
    const int64_t missing = open >= 0 ? glia_dim_over(count, rest) : GLIA_DIM_NONE;
    if (missing != GLIA_DIM_NONE) shape.dim[open] = missing;
    return shape;
}

glia_tensor glia_reshape(glia_tensor x, glia_shape shape) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_reshape, x, NULL);
    if (shape.rank < 0 || shape.rank > GLIA_MAX_RANK) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "reshape: a rank of %d is outside 0 to %d", shape.rank,
                               GLIA_MAX_RANK);
    }
    shape = completed(shape, glia_shape_count(x->shape));
    return glia_shape_equal(shape, x->shape) ? x : glia_node1(&glia_op_reshape, x, &(glia_shape_attrs){ shape });
}

glia_tensor glia_flatten(glia_tensor x) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_reshape, x, NULL);
    if (x->shape.rank < 1) return glia_graph_fail(x->graph, GLIA_E_SHAPE, "flatten: a scalar has no batch axis");
    return glia_reshape(x, GLIA_SHAPE(x->shape.dim[0], 0));
}
