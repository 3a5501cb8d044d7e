/* policy.c - densities of actions that are numbers, and the losses of policies. */
#include "base/base.h"
#include "core/graph/graph.h"
#include "glia/losses.h"
#include "glia/ops.h"
#include "glia/reinforcement.h"

glia_tensor glia_action_log_prob(glia_tensor mean, glia_tensor log_std, glia_tensor actions) {
    return glia_sum(glia_normal_log_prob(actions, mean, log_std), GLIA_SHAPE(1), false);
}

glia_tensor glia_action_entropy(glia_tensor mean, glia_tensor log_std) {
    return glia_sum(glia_add(glia_like(mean, 0), glia_normal_entropy(log_std)), GLIA_SHAPE(1), false);
}

glia_tensor glia_policy_loss(glia_tensor log_prob, glia_tensor old_log_prob, glia_tensor advantages, double clip) {
    if (clip == 0) return glia_neg(glia_mul(log_prob, advantages));
    glia_tensor ratio = glia_exp(glia_sub(log_prob, old_log_prob));
    glia_tensor clipped = glia_clip(ratio, 1 - clip, 1 + clip);
    return glia_neg(glia_minimum(glia_mul(ratio, advantages), glia_mul(clipped, advantages)));
}
