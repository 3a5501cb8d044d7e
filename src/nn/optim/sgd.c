/* sgd.c - stochastic gradient descent (Robbins and Monro 1951) with momentum, as in torch.optim.SGD:
 *
 *     plain      w = w - lr g
 *     momentum   v = momentum v + g;   w = w - lr v                  (Polyak 1964; v begins at zero)
 *     nesterov   v = momentum v + g;   w = w - lr (g + momentum v)   (Sutskever et al. 2013, section 2, rewritten)
 *
 * The velocity does not contain the learning rate, so a schedule takes effect at once. State: GROUP/momentum/NAME.
 */
#include "nn/optim/optim.h"

static glia_tensor times_momentum(const glia_rule_scope *s, glia_tensor velocity) {
    return s->momentum ? glia_mul(velocity, s->momentum) : glia_mul_scalar(velocity, s->opt->momentum);
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    glia_tensor direction = g;
    if (s->opt->momentum > 0) {
        glia_tensor velocity = glia_rule_state(s, "momentum", name, w);
        velocity = glia_rule_keep(s, velocity, glia_add(times_momentum(s, velocity), g));
        direction = s->opt->nesterov ? glia_add(g, times_momentum(s, velocity)) : velocity;
    }
    return glia_sub(w, glia_mul(direction, s->lr));
}

const glia_rule glia_rule_sgd = { .name = "sgd", .lr = 0.01, .epsilon = 1e-8, .next = next };
