/* by_mode.c - one of two values, by the mode that a program is compiled for.
 *
 * Autodiff needs it where a modal operation has no vjp of its own: such an operation is differentiated through its
 * expansion, which is not known before the graph is compiled. So both expansions are differentiated, and by_mode keeps
 * the gradient of the one that the program has. The other one is read by nothing and vanishes.
 */
#include "core/ops/ops.h"

static glia_tensor by_mode_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n;
    return in[mode == GLIA_TRAIN ? 0 : 1];
}

static void by_mode_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    (void)y;
    glia_tensor zero = glia_is_bad(dy) ? dy : glia_like(dy, 0);
    dx[0] = glia_node2(&glia_op_by_mode, dy, zero, NULL);
    dx[1] = glia_node2(&glia_op_by_mode, zero, dy, NULL);
}

const glia_op glia_op_by_mode = { .name = "by_mode",
                                  .summary = "a in training, b in inference",
                                  .arity = 2,
                                  .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_COMPOSITE | GLIA_OP_MODAL,
                                  .infer = glia_infer_float,
                                  .vjp = by_mode_vjp,
                                  .expand = by_mode_expand };

const glia_op_sample glia_samples_by_mode[] = {
    { .name = "plain",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(3, 5) }, { .shape = GLIA_DIMS(3, 5) } },
      .no_golden = true },
    { 0 },
};
