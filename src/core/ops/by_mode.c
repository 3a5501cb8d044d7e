/* by_mode.c - one of two values, chosen by the mode in which a program is compiled.
 *
 * Autodiff uses it for a modal operation without a vjp. Such an operation is differentiated through its expansion,
 * which is known only at compilation. So both expansions are differentiated, and by_mode selects the gradient of the
 * one that is compiled. The other is unused and removed.
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
