/* lamb.c - LAMB (You et al. 2020, algorithm 2), for large batches: Adam with each parameter's step scaled to that
 * parameter's norm:
 *
 *     m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2;   c = 1 - beta^t as for Adam
 *     u = (m / c1) / (sqrt(v / c2) + epsilon) + weight_decay w
 *     w = w - lr (|w| / |u|) u            the ratio is 1 where |w| or |u| is 0
 *
 * Norms are over all elements of a parameter, summed in f32 (f64 for f64 parameters). States: GROUP/m/NAME,
 * GROUP/v/NAME, GROUP/step.
 */
#include "nn/optim/optim.h"

enum { RATE, SCALE }; /* 1 / c1, 1 / sqrt(c2) */

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    (void)carried;
    s->common[RATE] = glia_reciprocal(glia_rule_correction(steps, s->dtype, s->opt->beta1));
    s->common[SCALE] = glia_rsqrt(glia_rule_correction(steps, s->dtype, s->opt->beta2));
}

static glia_tensor norm_of(glia_tensor x) { return glia_sqrt(glia_sum(glia_square(x), GLIA_SCALAR, false)); }

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_mean(s, "m", name, o->beta1, g);
    glia_tensor v = glia_rule_mean(s, "v", name, o->beta2, glia_square(g));
    glia_tensor root = glia_add_scalar(glia_mul(glia_sqrt(v), s->common[SCALE]), o->epsilon);
    glia_tensor u = glia_div(glia_mul(m, s->common[RATE]), root);
    if (s->terms.weight_decay > 0) u = glia_add(u, glia_mul_scalar(w, s->terms.weight_decay));
    glia_tensor zero = glia_scalar(s->graph, s->dtype, 0), one = glia_scalar(s->graph, s->dtype, 1);
    glia_tensor size = norm_of(w), step = norm_of(u);
    glia_tensor both = glia_and(glia_greater(size, zero), glia_greater(step, zero));
    glia_tensor ratio = glia_select(both, glia_div(size, step), one);
    return glia_sub(w, glia_mul(u, glia_mul(ratio, s->lr)));
}

const glia_rule glia_rule_lamb = {
    .name = "lamb", .lr = 0.001, .epsilon = 1e-6, .decay = GLIA_DECAY_OWN, .share = share, .next = next
};
