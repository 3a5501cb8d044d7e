/* custom_gradient.c - a value with a user-defined gradient.
 *
 *     custom_gradient   y, x, slope -> y;   dx = dy slope
 *
 * Forward it is y. Backward it pretends that y is a function of x whose derivative is `slope`: surrogate gradients of
 * spikes (Neftci et al. 2019), straight-through estimators (Bengio et al. 2013: slope 1), gradient reversal (Ganin and
 * Lempitsky 2015: y = x, slope -lambda). Nothing flows into y or slope through it, so that a slope may be any graph of
 * x. It vanishes when a program is compiled, as stop_gradient does.
 */
#include <string.h>

#include "core/ops/ops.h"

static void custom_gradient_eval(const glia_node *n, const double *const *in, double *out) {
    memcpy(out, in[0], (size_t)glia_shape_count(n->shape) * sizeof *out);
}

static void custom_gradient_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { dx[1] = glia_mul(dy, y->in[2]); }

const glia_op glia_op_custom_gradient = { .name = "custom_gradient",
                                          .summary = "y; the gradient in x is that of y times slope",
                                          .arity = 3,
                                          .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_GRADIENT_ONLY,
                                          .infer = glia_infer_float,
                                          .eval = custom_gradient_eval,
                                          .vjp = custom_gradient_vjp };

const glia_sample glia_samples_custom_gradient[] = {
    { .name = "plain",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(3, 5) }, { .shape = GLIA_DIMS(3, 5) }, { .shape = GLIA_DIMS(3, 5) } } },
    { 0 },
};

glia_tensor glia_custom_gradient(glia_tensor y, glia_tensor x, glia_tensor slope) {
    glia_tensor in[3] = { y, x, slope };
    glia_graph *g = glia_graph_of(in, 3);
    glia_graph_join(in, 3);
    if (!glia_is_bad(in[1]) && !glia_is_bad(in[2]) && !glia_shape_equal(in[2]->shape, in[1]->shape)) {
        in[2] = glia_broadcast(in[2], in[1]->shape);
    }
    return glia_node_create(g, &glia_op_custom_gradient, in, 3, NULL);
}

glia_tensor glia_straight_through(glia_tensor y, glia_tensor x) { return glia_custom_gradient(y, x, glia_like(x, 1)); }

glia_tensor glia_reverse_gradient(glia_tensor x, double scale) {
    return glia_custom_gradient(x, x, glia_like(x, -scale));
}
