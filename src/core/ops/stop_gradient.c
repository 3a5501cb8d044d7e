/* stop_gradient.c - identity without a gradient: for targets, baselines, straight-through estimators. */
#include <string.h>

#include "core/ops/ops.h"

static void stop_gradient_eval(const glia_node *n, const double *const *in, double *out) {
    memcpy(out, in[0], (size_t)glia_shape_count(n->shape) * sizeof *out);
}

const glia_op glia_op_stop_gradient = { .name = "stop_gradient", .summary = "x; gradient 0", .arity = 1,
                                        .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_GRADIENT_ONLY, .infer = glia_infer_same,
                                        .eval = stop_gradient_eval };

const glia_op_sample glia_samples_stop_gradient[] = {
    { .name = "plain", .n = 1, .in = { { .shape = GLIA_DIMS(3, 5) } } },
    { 0 },
};

glia_tensor glia_stop_gradient(glia_tensor x) { return glia_node1(&glia_op_stop_gradient, x, NULL); }
