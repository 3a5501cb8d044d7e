/* adam.c - Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019, algorithm 2):
 *
 *     m = beta1 m + (1 - beta1) g                c1 = 1 - beta1^t
 *     v = beta2 v + (1 - beta2) g^2              c2 = 1 - beta2^t       t = 1, 2, ...
 *     w = w - lr (m / c1) / (sqrt(v / c2) + epsilon)
 *
 * Epsilon is added after the root of the corrected v, as in the paper and in PyTorch (TensorFlow's "epsilon hat" is
 * added before the correction). The two differ only in weight decay (optim.c): Adam adds it to the gradient, AdamW
 * first scales w down. With `amsgrad` (Reddi et al. 2018, algorithm 2) the last line uses the largest v so far,
 * bias-corrected like v as in PyTorch (the paper does not correct it).
 *
 * States: GROUP/m/NAME, GROUP/v/NAME, GROUP/vmax/NAME, GROUP/step.
 */
#include "nn/optim/optim.h"

enum { RATE, SCALE }; /* lr / c1, 1 / sqrt(c2) */

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    (void)carried;
    s->common[RATE] = glia_div(s->lr, glia_rule_correction(steps, s->dtype, s->opt->beta1));
    s->common[SCALE] = glia_rsqrt(glia_rule_correction(steps, s->dtype, s->opt->beta2));
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_mean(s, "m", name, o->beta1, g);
    glia_tensor v = glia_rule_mean(s, "v", name, o->beta2, glia_square(g));
    if (o->amsgrad) {
        glia_tensor largest = glia_rule_state(s, "vmax", name, w);
        v = glia_rule_keep(s, largest, glia_maximum(largest, v));
    }
    glia_tensor root = glia_add_scalar(glia_mul(glia_sqrt(v), s->common[SCALE]), o->epsilon);
    return glia_sub(w, glia_div(glia_mul(m, s->common[RATE]), root));
}

const glia_rule glia_rule_adam = { .name = "adam", .lr = 0.001, .epsilon = 1e-8, .share = share, .next = next };
const glia_rule glia_rule_adamw = {
    .name = "adamw", .lr = 0.001, .epsilon = 1e-8, .decay = GLIA_DECAY_APART, .share = share, .next = next
};
