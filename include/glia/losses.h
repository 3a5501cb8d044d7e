/* losses.h - losses, and accuracy. */
#ifndef GLIA_LOSSES_H
#define GLIA_LOSSES_H

#include "glia/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loss is a scalar: the mean over the batch (and over what else the shapes hold); glia_loss_value() below gives sums
 * and values for each sample, and weighs. Labels and logits may have more axes, (..., K) and (...). A label outside
 * [0, K) adds nothing to the loss, but counts in the mean. */

/* (N, K), i32 (N) */
GLIA_API glia_tensor glia_cross_entropy(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* The same, but labels outside [0, K) do not count in the mean either (PyTorch's ignore_index): padding, words that
 * are not asked for. 0 where no label is a class. (N, T, K), i32 (N, T) */
GLIA_API glia_tensor glia_cross_entropy_tokens(glia_tensor logits, glia_tensor labels, double label_smoothing);
/* (N, K) x2 */
GLIA_API glia_tensor glia_cross_entropy_one_hot(glia_tensor logits, glia_tensor target, double label_smoothing);
GLIA_API glia_tensor glia_nll(glia_tensor log_probabilities, glia_tensor labels);     /* (N, K), i32 (N) */
/* Same shapes; target in [0, 1] */
GLIA_API glia_tensor glia_binary_cross_entropy(glia_tensor logits, glia_tensor target);
GLIA_API glia_tensor glia_mse(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_mae(glia_tensor prediction, glia_tensor target);
GLIA_API glia_tensor glia_huber(glia_tensor prediction, glia_tensor target, double delta); /* 0: 1 */
/* Girshick 2015, PyTorch's smooth_l1_loss: d^2 / (2 beta) where |d| <= beta, else |d| - beta / 2; beta 0: 1 */
GLIA_API glia_tensor glia_smooth_l1(glia_tensor prediction, glia_tensor target, double beta);
/* Same shapes, variance also (N, 1) and the like; PyTorch's gaussian_nll_loss: mean of (log v + (target - mean)^2 / v)
 * / 2, where v is the variance, but at least `epsilon` (0: 1e-6). The gradient in the variance is that in v, so that
 * one that has become too small can grow again. */
GLIA_API glia_tensor glia_gaussian_nll(glia_tensor mean, glia_tensor target, glia_tensor variance, double epsilon);
/* target -1 or 1: mean max(0, 1 - ts) */
GLIA_API glia_tensor glia_hinge(glia_tensor score, glia_tensor target);
/* (N, K): mean over N of sum p (log p - log q) */
GLIA_API glia_tensor glia_kl_divergence(glia_tensor log_q, glia_tensor p);
/* (N, K), i32 (N): the fraction of samples whose argmax is the label */
GLIA_API glia_tensor glia_accuracy(glia_tensor scores, glia_tensor labels);
/* (N, T, K), i32 (N, T): the same over labels in [0, K) */
GLIA_API glia_tensor glia_accuracy_tokens(glia_tensor scores, glia_tensor labels);

/* Distributions, as in torch.distributions: terms for losses (policy gradients, VAEs), one value for each element of a
 * normal distribution, one for each row of logits. The log of the standard deviation is unbounded, so it can be the
 * output of a layer. Tensors of a normal distribution broadcast as NumPy does. */
GLIA_API glia_tensor glia_normal_log_prob(glia_tensor x, glia_tensor mean, glia_tensor log_std);
GLIA_API glia_tensor glia_normal_entropy(glia_tensor log_std);
/* KL(p || q) of p = N(mean, std^2) from q; other_mean and other_log_std NULL: from N(0, 1), as in a VAE. */
GLIA_API glia_tensor glia_normal_kl(glia_tensor mean, glia_tensor log_std, glia_tensor other_mean,
                                    glia_tensor other_log_std);
/* (..., K), i32 (...) -> (...): log softmax(logits) at the label; 0 for a label outside [0, K). */
GLIA_API glia_tensor glia_categorical_log_prob(glia_tensor logits, glia_tensor labels);
/* (..., K) -> (...). A logit may be -inf (an action that is not allowed): its class adds nothing. */
GLIA_API glia_tensor glia_categorical_entropy(glia_tensor logits);
/* (..., K) x2 -> (...): KL(softmax(logits) || softmax(other)). */
GLIA_API glia_tensor glia_categorical_kl(glia_tensor logits, glia_tensor other);

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
    GLIA_LOSS_OUTPUT, /* fits only: the model's output "loss", one floating-point number; an input "target" gets the
                       * targets */
    GLIA_LOSS_COUNT
} glia_loss;

/* What becomes of the losses of a batch. Each loss has a value for each label or distribution, (N) or (N, T), and the
 * losses of two tensors of one shape (MSE, MAE, Huber, hinge, binary cross-entropy) have one for each element. */
typedef enum glia_reduction {
    GLIA_REDUCE_MEAN,    /* a scalar, as the functions above give */
    GLIA_REDUCE_SUM,     /* a scalar */
    GLIA_REDUCE_SAMPLES, /* (N): for each sample the mean of its values; of tokens, of those that have a label */
    GLIA_REDUCE_NONE,    /* all values, PyTorch's reduction='none'; 0 for a label that is no class. KL: summed over K */
    GLIA_REDUCTION_COUNT
} glia_reduction;

typedef struct glia_loss_value_opts {
    glia_loss loss;
    glia_reduction reduction;
    double label_smoothing;      /* the cross-entropies: in [0, 1]; 0: none */
    double delta;                /* Huber; 0: 1 */
    const double *class_weights; /* the cross-entropies and NLL: K numbers of 0 or more, factors on the classes' terms,
                                  * PyTorch's `weight`; read during the call only; NULL: 1 each */
    glia_tensor weights;         /* factors on the values, of their shape or its first axes: (N) weighs samples, (N, T)
                                  * tokens (importance sampling, masks, advantages). Gradients flow into them: use
                                  * glia_stop_gradient() where they are no part of the loss. NULL: 1 each */
    bool weighted_mean;          /* MEAN and SAMPLES divide by the sum of the weights (of `weights`, and of each label's
                                  * class, as PyTorch's mean does) instead of the number of values; 0 where it is 0 */
} glia_loss_value_opts;

/* A loss with another reduction, and weights. Prediction and target as its function above takes them (cross-entropies:
 * logits). Without weights the mean is that function's, bit for bit. */
GLIA_API glia_tensor glia_loss_value(glia_tensor prediction, glia_tensor target, glia_loss_value_opts opts);

#ifdef __cplusplus
}
#endif

#endif
