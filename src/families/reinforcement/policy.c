/* policy.c - distributions of actions and the losses of policies. */
#include <math.h>

#include "base/base.h"
#include "core/graph/graph.h"
#include "glia/losses.h"
#include "glia/ops.h"
#include "glia/reinforcement.h"

static glia_tensor sum_actions(glia_tensor x) { return glia_sum(x, GLIA_SHAPE(1), false); }

glia_tensor glia_gaussian_log_prob(glia_tensor mean, glia_tensor log_std, glia_tensor actions) {
    return sum_actions(glia_normal_log_prob(actions, mean, log_std));
}

glia_tensor glia_gaussian_entropy(glia_tensor mean, glia_tensor log_std) {
    return sum_actions(glia_add(glia_like(mean, 0), glia_normal_entropy(log_std)));
}

glia_tensor glia_policy_loss(glia_tensor log_prob, glia_tensor old_log_prob, glia_tensor advantages, double clip) {
    if (clip == 0) return glia_neg(glia_mul(log_prob, advantages));
    glia_tensor ratio = glia_exp(glia_sub(log_prob, old_log_prob));
    glia_tensor clipped = glia_clip(ratio, 1 - clip, 1 + clip);
    return glia_neg(glia_minimum(glia_mul(ratio, advantages), glia_mul(clipped, advantages)));
}
