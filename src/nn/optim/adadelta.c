/* adadelta.c - Adadelta (Zeiler 2012, algorithm 1), as in torch.optim.Adadelta:
 *
 *     s = rho s + (1 - rho) g^2
 *     u = g sqrt(d + epsilon) / sqrt(s + epsilon)
 *     d = rho d + (1 - rho) u^2;   w = w - lr u
 *
 * In the paper lr is 1. States: GROUP/square/NAME, GROUP/delta/NAME, from zero.
 */
#include "nn/optim/optim.h"

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    const glia_optimizer *o = s->opt;
    glia_tensor square = glia_rule_mean(s, "square", name, o->rho, glia_square(g));
    glia_tensor before = glia_add_scalar(glia_rule_state(s, "delta", name, w), o->epsilon);
    glia_tensor u = glia_mul(g, glia_sqrt(glia_div(before, glia_add_scalar(square, o->epsilon))));
    glia_rule_mean(s, "delta", name, o->rho, glia_square(u));
    return glia_sub(w, glia_mul(u, s->lr));
}

const glia_rule glia_rule_adadelta = { .name = "adadelta", .lr = 1, .epsilon = 1e-6, .next = next };
