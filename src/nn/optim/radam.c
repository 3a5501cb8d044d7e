/* radam.c - rectified Adam (Liu et al. 2020, algorithm 2), as in torch.optim.RAdam. The mean square of the first few
 * gradients is unreliable, so the first steps use momentum alone; later steps are Adam's times a factor r that grows to
 * 1:
 *
 *     m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2;   c = 1 - beta^t as for Adam
 *     p = 2 / (1 - beta2) - 1;   p_t = p - 2 t beta2^t / (1 - beta2^t)
 *     p_t > 5     r = sqrt((p_t - 4) (p_t - 2) p / ((p - 4) (p - 2) p_t))
 *                 w = w - lr r (m / c1) sqrt(c2) / (sqrt(v) + epsilon)
 *     otherwise   w = w - lr m / c1
 *
 * Both cases are w - rate m (few + many / (sqrt(v) + epsilon)), where one of the scalars `few` and `many` is zero. They
 * are computed in f64, since p_t is a small difference of large numbers. States: GROUP/m/NAME, GROUP/v/NAME,
 * GROUP/step.
 */
#include <math.h>

#include "nn/optim/optim.h"

enum { RATE, FEW, MANY };

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    (void)carried;
    const double beta2 = s->opt->beta2, p = 2 / (1 - beta2) - 1;
    glia_graph *g = s->graph;
    glia_tensor zero = glia_scalar(g, GLIA_F64, 0), one = glia_scalar(g, GLIA_F64, 1);
    glia_tensor t = glia_cast(steps, GLIA_F64);
    glia_tensor tail = glia_div(glia_mul_scalar(t, 2), glia_expm1(glia_mul_scalar(t, -log(beta2))));
    glia_tensor pt = glia_add_scalar(glia_neg(tail), p);
    glia_tensor enough = glia_greater(pt, glia_scalar(g, GLIA_F64, 5));
    glia_tensor safe = glia_maximum(pt, glia_scalar(g, GLIA_F64, 5)); /* keeps the root real in both cases */
    glia_tensor grown = glia_div(glia_mul(glia_add_scalar(safe, -4), glia_add_scalar(safe, -2)), safe);
    glia_tensor c2 = glia_rule_correction(steps, GLIA_F64, beta2);
    const double full = p > 5 ? p / ((p - 4) * (p - 2)) : 0; /* if p is not, pt never is */
    glia_tensor many = glia_sqrt(glia_mul(glia_mul_scalar(grown, full), c2));
    s->common[RATE] = glia_div(s->lr, glia_rule_correction(steps, s->dtype, s->opt->beta1));
    s->common[FEW] = glia_cast(glia_select(enough, zero, one), s->dtype);
    s->common[MANY] = glia_cast(glia_select(enough, many, zero), s->dtype);
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_mean(s, "m", name, o->beta1, g);
    glia_tensor v = glia_rule_mean(s, "v", name, o->beta2, glia_square(g));
    glia_tensor adapted = glia_div(s->common[MANY], glia_add_scalar(glia_sqrt(v), o->epsilon));
    return glia_sub(w, glia_mul(glia_mul(m, s->common[RATE]), glia_add(adapted, s->common[FEW])));
}

const glia_rule glia_rule_radam = { .name = "radam", .lr = 0.001, .epsilon = 1e-8, .share = share, .next = next };
