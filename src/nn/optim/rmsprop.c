/* rmsprop.c - RMSProp (Tieleman and Hinton 2012, lecture 6.5), as in torch.optim.RMSprop:
 *
 *     s = rho s + (1 - rho) g^2;   u = g / (sqrt(s) + epsilon)
 *     plain      w = w - lr u
 *     momentum   v = momentum v + u;   w = w - lr v
 *
 * Epsilon is outside the root (TensorFlow 1 has it inside). States: GROUP/square/NAME, GROUP/momentum/NAME, from zero.
 */
#include "nn/optim/optim.h"

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor square = glia_rule_mean(s, "square", name, o->rho, glia_square(g));
    glia_tensor direction = glia_div(g, glia_add_scalar(glia_sqrt(square), o->epsilon));
    if (o->momentum > 0) {
        glia_tensor velocity = glia_rule_state(s, "momentum", name, w);
        direction = glia_rule_keep(s, velocity, glia_add(glia_mul_scalar(velocity, o->momentum), direction));
    }
    return glia_sub(w, glia_mul(direction, s->lr));
}

const glia_rule glia_rule_rmsprop = { .name = "rmsprop", .lr = 0.01, .epsilon = 1e-8, .next = next };
