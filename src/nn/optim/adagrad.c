/* adagrad.c - AdaGrad (Duchi et al. 2011, section 1.3, the diagonal form), as in torch.optim.Adagrad:
 *
 *     s = s + g^2;   w = w - lr g / (sqrt(s) + epsilon)
 *
 * State: GROUP/square/NAME, from zero.
 */
#include "nn/optim/optim.h"

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    glia_tensor sum = glia_rule_state(s, "square", name, w);
    sum = glia_rule_keep(s, sum, glia_add(sum, glia_square(g)));
    return glia_sub(w, glia_div(glia_mul(g, s->lr), glia_add_scalar(glia_sqrt(sum), s->opt->epsilon)));
}

const glia_rule glia_rule_adagrad = { .name = "adagrad", .lr = 0.01, .epsilon = 1e-10, .next = next };
