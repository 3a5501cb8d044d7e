/* tokens.c - cross-entropy and accuracy over tokens: the mean over those that have a label.
 *
 * Sequences of a batch are padded to one length, and a masked language model learns from a few positions only. Labels
 * outside [0, K) (by convention -1) mark the other tokens, which are excluded from the sum and the count, as with
 * PyTorch's ignore_index.
 */
#include "core/ops/class.h"

/* Converts a mean over all labels into the mean over valid ones; 0 if none is valid. */
static glia_tensor of_known(glia_tensor mean, glia_tensor scores, glia_tensor labels) {
    if (glia_is_bad(mean)) return mean;
    glia_tensor known = glia_class_known(labels, scores->shape.dim[scores->shape.rank - 1], mean->dtype);
    if (glia_is_bad(known)) return known;
    glia_tensor all = glia_count_of(known, GLIA_SCALAR), n = glia_sum(known, GLIA_SCALAR, false);
    return glia_mul(mean, glia_div(all, glia_maximum(n, glia_like(n, 1))));
}

glia_tensor glia_cross_entropy_tokens(glia_tensor logits, glia_tensor labels, double label_smoothing) {
    return of_known(glia_cross_entropy(logits, labels, label_smoothing), logits, labels);
}

glia_tensor glia_accuracy_tokens(glia_tensor scores, glia_tensor labels) {
    return of_known(glia_accuracy(scores, labels), scores, labels);
}
