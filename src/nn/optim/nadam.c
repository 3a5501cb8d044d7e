/* nadam.c - NAdam (Dozat 2016), Adam with Nesterov's momentum, as in torch.optim.NAdam:
 *
 *     mu_t = beta1 (1 - 0.96^(0.004 t) / 2);   P_t = mu_1 mu_2 ... mu_t
 *     m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
 *     w = w - lr ((1 - mu_t) / (1 - P_t) g + mu_(t+1) / (1 - P_(t+1)) m) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *
 * States: GROUP/m/NAME, GROUP/v/NAME, GROUP/step, and GROUP/product, which is P. It decays like beta1^t, so f32 is
 * enough for 1 - P.
 */
#include <math.h>

#include "nn/optim/optim.h"

enum { OF_G, OF_M, SCALE };

static glia_tensor momentum_at(glia_tensor steps, double beta1) {
    glia_tensor decay = glia_exp(glia_mul_scalar(steps, 0.004 * log(0.96)));
    return glia_add_scalar(glia_mul_scalar(decay, -beta1 / 2), beta1);
}

/* P before this step. */
static glia_tensor carry(glia_graph *g, const glia_optimizer *o, const char *group, glia_tensor steps) {
    const char *name = glia_arena_printf(&g->arena, "%s/product", group);
    if (!name) return glia_graph_fail_nomem(g);
    const glia_init one = { .kind = GLIA_INIT_CONSTANT, .value = 1 };
    glia_tensor product = glia_state(g, name, GLIA_F32, GLIA_SCALAR, one);
    glia_update(product, glia_mul(product, momentum_at(glia_cast(steps, GLIA_F32), o->beta1)), group);
    return product;
}

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    glia_tensor t = glia_cast(steps, s->dtype), before = glia_cast(carried, s->dtype),
                one = glia_scalar(s->graph, s->dtype, 1);
    glia_tensor now = momentum_at(t, s->opt->beta1), later = momentum_at(glia_add(t, one), s->opt->beta1);
    glia_tensor product = glia_mul(before, now);
    s->common[OF_G] = glia_mul(s->lr, glia_div(glia_sub(one, now), glia_sub(one, product)));
    s->common[OF_M] = glia_mul(s->lr, glia_div(later, glia_sub(one, glia_mul(product, later))));
    s->common[SCALE] = glia_rsqrt(glia_rule_correction(steps, s->dtype, s->opt->beta2));
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor m = glia_rule_mean(s, "m", name, o->beta1, g);
    glia_tensor v = glia_rule_mean(s, "v", name, o->beta2, glia_square(g));
    glia_tensor root = glia_add_scalar(glia_mul(glia_sqrt(v), s->common[SCALE]), o->epsilon);
    glia_tensor step = glia_add(glia_mul(g, s->common[OF_G]), glia_mul(m, s->common[OF_M]));
    return glia_sub(w, glia_div(step, root));
}

const glia_rule glia_rule_nadam = {
    .name = "nadam", .lr = 0.002, .epsilon = 1e-8, .carry = carry, .share = share, .next = next
};
