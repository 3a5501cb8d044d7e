/* power_iteration.c - the singular vectors of a matrix that belong to its largest singular value.
 *
 * In training, from the left vector u of the pass before (Miyato et al. 2018, algorithm 1), `iterations` times:
 *
 *     v = W^T u / max(|W^T u|, epsilon)        u = W v / max(|W v|, epsilon)
 *
 * The result holds both, and each forward pass moves the states to them. Passes that share the states follow each
 * other: a second one begins with the vectors that the first has found (core/passes/statistics.c). Inference takes the
 * states as they are; if no training pass has moved them yet, which v = 0 tells, it iterates too.
 *
 * The vectors count as constants in gradients, as in the paper.
 */
#include "core/ops/ops.h"

static const glia_field power_iteration_fields[] = { GLIA_FIELD(INT, glia_power_iteration_attrs, iterations),
                                                     GLIA_FIELD(FLOAT, glia_power_iteration_attrs, epsilon),
                                                     GLIA_FIELDS_END };

static bool power_iteration_infer(glia_node *n) {
    const glia_power_iteration_attrs *a = n->attrs;
    const glia_node *w = n->in[0];
    if (w->dtype != GLIA_F32 && w->dtype != GLIA_F64) return glia_node_fail(n, "the matrix must be f32 or f64");
    if (w->shape.rank != 2 || w->shape.dim[0] < 1 || w->shape.dim[1] < 1)
        return glia_node_fail(n, "the matrix must be (K, M) of fixed size");
    for (int i = 0; i < 2; i++) {
        const glia_node *x = n->in[1 + i];
        if (x->dtype != w->dtype || x->shape.rank != 1 || x->shape.dim[0] != w->shape.dim[i])
            return glia_node_fail(n, "%s should be %s(%lld)", i ? "v" : "u", glia_dtype_name(w->dtype),
                                  (long long)w->shape.dim[i]);
    }
    if (a->iterations < 1 || a->iterations > 1000)
        return glia_node_fail(n, "there are 1 to 1000 iterations, not %lld", (long long)a->iterations);
    if (!(a->epsilon >= 0)) return glia_node_fail(n, "epsilon cannot be %g", a->epsilon);
    n->dtype = w->dtype;
    n->shape = GLIA_SHAPE(w->shape.dim[0] + w->shape.dim[1]);
    return true;
}

/* x / max(|x|, epsilon), as a vector. */
static glia_tensor normalized(glia_tensor x, double epsilon) {
    if (glia_is_bad(x)) return x;
    glia_tensor length = glia_sqrt(glia_sum(glia_square(x), GLIA_SCALAR, false));
    return glia_div(glia_reshape(x, GLIA_SHAPE(glia_shape_count(x->shape))),
                    glia_maximum(length, glia_like(length, epsilon)));
}

static void iterate(const glia_node *n, const glia_tensor *in, glia_tensor *u, glia_tensor *v) {
    const glia_power_iteration_attrs *a = n->attrs;
    const int64_t rows = n->in[0]->shape.dim[0], columns = n->in[0]->shape.dim[1];
    *u = in[1];
    for (int64_t i = 0; i < a->iterations; i++) {
        *v = normalized(glia_matmul(glia_reshape(*u, GLIA_SHAPE(1, rows)), in[0]), a->epsilon);
        *u = normalized(glia_matmul(in[0], glia_reshape(*v, GLIA_SHAPE(columns, 1))), a->epsilon);
    }
}

static glia_tensor power_iteration_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    glia_tensor found[2], kept[2] = { in[1], in[2] };
    iterate(n, in, &found[0], &found[1]);
    glia_tensor both = glia_concat(found, 2, 0);
    if (mode == GLIA_INFER && !glia_is_bad(both)) {
        glia_tensor size = glia_sum(glia_square(in[2]), GLIA_SCALAR, false);
        glia_tensor moved = glia_greater(size, glia_like(size, 0));
        both = glia_select(glia_broadcast(moved, both->shape), glia_concat(kept, 2, 0), both);
    }
    return glia_stop_gradient(both);
}

static void power_iteration_moves(const glia_node *n, const glia_tensor *in, glia_tensor *next) {
    iterate(n, in, &next[1], &next[2]);
}

/* No gradient. */
static void power_iteration_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { (void)y, (void)dy, (void)dx; }

const glia_op glia_op_power_iteration = { .name = "power_iteration",
                                          .summary =
                                              "u, then v, of the largest singular value: by power iteration from the "
                                              "states in training, the states in inference",
                                          .arity = 3,
                                          .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
                                          .attr_size = sizeof(glia_power_iteration_attrs),
                                          .fields = power_iteration_fields,
                                          .infer = power_iteration_infer,
                                          .vjp = power_iteration_vjp,
                                          .expand = power_iteration_expand,
                                          .moves = power_iteration_moves };

#define FIXED(...)                                                                                                     \
    { .shape = GLIA_DIMS(__VA_ARGS__), .constant = true }
const glia_op_sample glia_samples_power_iteration[] = {
    { .name = "plain",
      .n = 3,
      .in = { FIXED(3, 5), FIXED(3), FIXED(5) },
      .attrs = &(const glia_power_iteration_attrs){ 1, 1e-12 } },
    { .name = "three iterations",
      .n = 3,
      .in = { FIXED(4, 2), FIXED(4), FIXED(2) },
      .attrs = &(const glia_power_iteration_attrs){ 3, 1e-12 } },
    { .name = "not moved yet",
      .n = 3,
      .in = { FIXED(3, 5), FIXED(3), { .shape = GLIA_DIMS(5), .low = 0, .high = 1e-300, .constant = true } },
      .attrs = &(const glia_power_iteration_attrs){ 1, 1e-12 } },
    { 0 },
};

glia_tensor glia_power_iteration_of(glia_tensor matrix, glia_tensor u, glia_tensor v,
                                    glia_power_iteration_attrs attrs) {
    glia_tensor in[3] = { matrix, u, v };
    return glia_node_create(glia_graph_of(in, 3), &glia_op_power_iteration, in, 3, &attrs);
}
