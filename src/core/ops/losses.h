/* losses.h - losses before they are summed: what the ops' definitions and weighted losses share. The inputs fit, as
 * the ops of these names check.
 */
#ifndef GLIA_SRC_CORE_OPS_LOSSES_H
#define GLIA_SRC_CORE_OPS_LOSSES_H

#include "core/ops/ops.h"

/* Of two tensors of one shape: the loss of each element. */
glia_tensor glia_mse_values(glia_tensor prediction, glia_tensor target);
glia_tensor glia_mae_values(glia_tensor prediction, glia_tensor target);
glia_tensor glia_huber_values(glia_tensor prediction, glia_tensor target, double delta);
glia_tensor glia_hinge_values(glia_tensor score, glia_tensor target);
glia_tensor glia_binary_cross_entropy_values(glia_tensor logits, glia_tensor target);

/* Of classes: terms (..., K), whose negative sum over K is the loss of a label or distribution. Those of a label that
 * is no class are 0. */
glia_tensor glia_cross_entropy_terms(glia_tensor logits, glia_tensor labels, double smoothing);
glia_tensor glia_cross_entropy_one_hot_terms(glia_tensor logits, glia_tensor target, double smoothing);
glia_tensor glia_nll_terms(glia_tensor log_probabilities, glia_tensor labels);
glia_tensor glia_kl_divergence_terms(glia_tensor log_q, glia_tensor p);

#endif
