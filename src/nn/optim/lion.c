/* lion.c - Lion (Chen et al. 2023, algorithm 2), found by program search:
 *
 *     u = sign(beta1 m + (1 - beta1) g);   m = beta2 m + (1 - beta2) g
 *     w = w - lr (u + weight_decay w)
 *
 * Every element moves by lr, so learning rates are three to ten times smaller than Adam's, and decay larger by the same
 * factor. beta2 defaults to 0.99. State: GROUP/m/NAME, from zero.
 */
#include "nn/optim/optim.h"

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const double beta1 = s->opt->beta1;
    glia_tensor m = glia_rule_state(s, "m", name, w);
    glia_tensor u = glia_sign(glia_add(glia_mul_scalar(m, beta1), glia_mul_scalar(g, 1 - beta1)));
    glia_rule_mean(s, "m", name, s->opt->beta2, g);
    return glia_sub(w, glia_mul(u, s->lr));
}

const glia_rule glia_rule_lion = {
    .name = "lion", .lr = 0.0001, .epsilon = 1e-8, .beta2 = 0.99, .decay = GLIA_DECAY_APART, .next = next
};
