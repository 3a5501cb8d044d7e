/* adam.c - Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019, algorithm 2):
 *
 *     m = beta1 m + (1 - beta1) g                c1 = 1 - beta1^t
 *     v = beta2 v + (1 - beta2) g^2              c2 = 1 - beta2^t       t = 1, 2, ...
 *     w = w - lr (m / c1) / (sqrt(v / c2) + epsilon)
 *
 * Epsilon is added after the root of the corrected v, as in the paper and in PyTorch (TensorFlow's "epsilon hat" is
 * added before the correction). The two differ in weight decay alone (optim.c): in Adam it joins the gradient, in
 * AdamW it shrinks w first. States: GROUP/m/NAME, GROUP/v/NAME, GROUP/step.
 *
 * The corrections are scalars: 1 - beta^t = -expm1(t log beta), which keeps all digits where beta^t is near 1 as well as
 * where it vanishes (from where on it does not matter that f32 cannot tell t from t + 1); a product carried from step to
 * step would drift.
 */
#include <math.h>

#include "optim/optim.h"

static glia_tensor correction(glia_tensor steps, double beta) {
    return glia_neg(glia_expm1(glia_mul_scalar(steps, log(beta))));
}

/* rate = lr / c1, scale = 1 / sqrt(c2). */
static void share(glia_rule_scope *s, glia_tensor steps) {
    s->rate = glia_div(s->lr, correction(steps, s->opt->beta1));
    s->scale = glia_rsqrt(correction(steps, s->opt->beta2));
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_state(s, "m", name, w), v = glia_rule_state(s, "v", name, w);
    m = glia_rule_keep(s, m, glia_add(glia_mul_scalar(m, o->beta1), glia_mul_scalar(g, 1 - o->beta1)));
    v = glia_rule_keep(s, v, glia_add(glia_mul_scalar(v, o->beta2), glia_mul_scalar(glia_square(g), 1 - o->beta2)));
    glia_tensor root = glia_add_scalar(glia_mul(glia_sqrt(v), s->scale), o->epsilon);
    return glia_sub(w, glia_div(glia_mul(m, s->rate), root));
}

const glia_rule glia_rule_adam = { .name = "adam", .lr = 0.001, .epsilon = 1e-8, .share = share, .next = next };
const glia_rule glia_rule_adamw = {
    .name = "adamw", .lr = 0.001, .epsilon = 1e-8, .decoupled = true, .share = share, .next = next
};
