/* select.c - elementwise choice between two values by a condition. */
#include "core/ops/ops.h"

static bool select_infer(glia_node *n) {
    const glia_node *condition = n->in[0], *yes = n->in[1], *no = n->in[2];
    n->dtype = yes->dtype;
    n->shape = yes->shape;
    if (condition->dtype != GLIA_BOOL) return glia_node_fail(n, "the condition must be bool");
    if (yes->dtype != no->dtype) return glia_node_fail(n, "the dtypes differ; glia_cast() makes them one");
    if (glia_shape_equal(condition->shape, yes->shape) && glia_shape_equal(yes->shape, no->shape)) return true;
    return glia_node_fail(n, "the shapes differ");
}

static void select_eval(const glia_node *n, const double *const *in, double *out) {
    int64_t count = glia_shape_count(n->shape);
    for (int64_t i = 0; i < count; i++) out[i] = in[0][i] != 0 ? in[1][i] : in[2][i];
}

static void select_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor zero = glia_like(dy, 0);
    dx[1] = glia_select(y->in[0], dy, zero);
    dx[2] = glia_select(y->in[0], zero, dy);
}

const glia_op glia_op_select = { .name = "select", .summary = "yes where the condition holds, else no", .arity = 3,
                                 .flags = GLIA_OP_ELEMENTWISE, .infer = select_infer, .eval = select_eval,
                                 .vjp = select_vjp };

#define CONDITION(...)                                                                                                 \
    {                                                                                                                  \
        .dtype = GLIA_BOOL, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 2,         \
        .constant = true                                                                                               \
    }
const glia_op_sample glia_samples_select[] = {
    { .name = "plain",
      .n = 3,
      .in = { CONDITION(2, 3, 5), { .shape = GLIA_DIMS(2, 3, 5) }, { .shape = GLIA_DIMS(2, 3, 5) } } },
    { 0 },
};

glia_tensor glia_select(glia_tensor condition, glia_tensor yes, glia_tensor no) {
    glia_tensor in[3] = { condition, yes, no };
    glia_graph *g = glia_graph_of(in, 3);
    if (glia_broadcast_pair("select", &in[1], &in[2]) && !glia_is_bad(condition)) {
        glia_shape both;
        if (glia_shape_broadcast(condition->shape, in[1]->shape, &both)) {
            for (int i = 0; i < 3; i++) in[i] = glia_broadcast(in[i], both);
        }
    }
    return glia_node_create(g, &glia_op_select, in, 3, NULL);
}
