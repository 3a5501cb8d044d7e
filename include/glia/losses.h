/* losses.h - losses, and accuracy. */
#ifndef GLIA_LOSSES_H
#define GLIA_LOSSES_H

#include "glia/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loss is a scalar: the mean over the batch (and over all other axes). Labels and logits may have more axes, (..., K)
 * and (...). A label outside [0, K) adds nothing to the loss, but counts in the mean. */

/* (N, K), i32 (N) */
GLIA_API glia_tensor glia_cross_entropy(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* The same, but labels outside [0, K) are also excluded from the mean (PyTorch's ignore_index): padding, unmasked
 * words. 0 if no label is valid. (N, T, K), i32 (N, T) */
GLIA_API glia_tensor glia_cross_entropy_tokens(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* (N, K) x2 */
GLIA_API glia_tensor glia_cross_entropy_one_hot(glia_tensor logits, glia_tensor target, double label_smoothing);
GLIA_API glia_tensor glia_nll(glia_tensor log_probabilities, glia_tensor labels);     /* (N, K), i32 (N) */
/* Same shapes; target in [0, 1] */
GLIA_API glia_tensor glia_binary_cross_entropy(glia_tensor logits, glia_tensor target);
GLIA_API glia_tensor glia_mse(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_mae(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_huber(glia_tensor prediction, glia_tensor target, double delta); /* 0: 1 */
/* target -1 or 1: mean max(0, 1 - ts) */
GLIA_API glia_tensor glia_hinge(glia_tensor score, glia_tensor target);
/* (N, K): mean over N of sum p (log p - log q) */
GLIA_API glia_tensor glia_kl_divergence(glia_tensor log_q, glia_tensor p);
/* (N, K), i32 (N): the fraction of samples whose argmax is the label */
GLIA_API glia_tensor glia_accuracy(glia_tensor scores, glia_tensor labels);
/* (N, T, K), i32 (N, T): the same over labels in [0, K) */
GLIA_API glia_tensor glia_accuracy_tokens(glia_tensor scores, glia_tensor labels);

typedef enum glia_loss {
    GLIA_LOSS_DEFAULT, /* cross-entropy for integer labels (by token, if they are (N, T)), MSE for others */
    GLIA_CROSS_ENTROPY,
    GLIA_CROSS_ENTROPY_ONE_HOT,
    GLIA_BINARY_CROSS_ENTROPY,
    GLIA_MSE,
    GLIA_MAE,
    GLIA_HUBER,
    GLIA_HINGE,
    GLIA_NLL,
    GLIA_KL,
    GLIA_CROSS_ENTROPY_TOKENS, /* targets (N, T); negative ones are ignored */
    GLIA_LOSS_COUNT
} glia_loss;

#ifdef __cplusplus
}
#endif

#endif
