/* adamax.c - Adamax (Kingma and Ba 2015, algorithm 2), Adam with the largest gradient instead of the mean square:
 *
 *     m = beta1 m + (1 - beta1) g;   u = max(beta2 u, |g| + epsilon)
 *     w = w - lr / (1 - beta1^t) m / u
 *
 * The paper has no epsilon; it is placed as in PyTorch and keeps u above zero. States: GROUP/m/NAME, GROUP/u/NAME,
 * GROUP/step.
 */
#include "nn/optim/optim.h"

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    (void)carried;
    s->common[0] = glia_div(s->lr, glia_rule_correction(steps, s->dtype, s->opt->beta1));
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_mean(s, "m", name, o->beta1, g), u = glia_rule_state(s, "u", name, w);
    glia_tensor size = glia_add_scalar(glia_abs(g), o->epsilon);
    u = glia_rule_keep(s, u, glia_maximum(glia_mul_scalar(u, o->beta2), size));
    return glia_sub(w, glia_div(glia_mul(m, s->common[0]), u));
}

const glia_rule glia_rule_adamax = { .name = "adamax", .lr = 0.002, .epsilon = 1e-8, .share = share, .next = next };
