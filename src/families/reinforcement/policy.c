/* policy.c - distributions of actions and the losses of policies. */
#include <math.h>

#include "base/base.h"
#include "core/graph/graph.h"
#include "glia/ops.h"
#include "glia/reinforcement.h"

static const double log_2_pi = 1.8378770664093453;

static glia_tensor sum_actions(glia_tensor x) { return glia_sum(x, GLIA_SHAPE(1), false); }

glia_tensor glia_categorical_log_prob(glia_tensor logits, glia_tensor actions) {
    if (glia_is_bad(logits)) return logits;
    if (logits->shape.rank != 2) {
        return glia_graph_fail(logits->graph, GLIA_E_SHAPE, "glia_categorical_log_prob: logits must be (N, A)");
    }
    glia_tensor chosen = glia_one_hot(actions, (int)logits->shape.dim[1], GLIA_F32);
    return sum_actions(glia_mul(glia_log_softmax(logits, 1), chosen));
}

glia_tensor glia_categorical_entropy(glia_tensor logits) {
    return glia_neg(sum_actions(glia_mul(glia_softmax(logits, 1), glia_log_softmax(logits, 1))));
}

glia_tensor glia_gaussian_log_prob(glia_tensor mean, glia_tensor log_std, glia_tensor actions) {
    glia_tensor z = glia_mul(glia_sub(actions, mean), glia_exp(glia_neg(log_std)));
    glia_tensor each = glia_add(glia_mul_scalar(glia_square(z), 0.5), glia_add_scalar(log_std, log_2_pi / 2));
    return glia_neg(sum_actions(each));
}

glia_tensor glia_gaussian_entropy(glia_tensor mean, glia_tensor log_std) {
    glia_tensor each = glia_add(glia_like(mean, 0), glia_add_scalar(log_std, (log_2_pi + 1) / 2));
    return sum_actions(each);
}

glia_tensor glia_policy_loss(glia_tensor log_prob, glia_tensor old_log_prob, glia_tensor advantages, double clip) {
    if (clip == 0) return glia_neg(glia_mul(log_prob, advantages));
    glia_tensor ratio = glia_exp(glia_sub(log_prob, old_log_prob));
    glia_tensor clipped = glia_clip(ratio, 1 - clip, 1 + clip);
    return glia_neg(glia_minimum(glia_mul(ratio, advantages), glia_mul(clipped, advantages)));
}
