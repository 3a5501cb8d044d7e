/* log_loss.c - cross-entropy: the mean of -log of the true class's probability, in nats; infinite for probability 0. */
#include "nn/metrics/metrics.h"

static void add(glia_metric *m, const float *scores, int32_t label) {
    glia_exact_add(&m->sums[0], -glia_metric_log_probability(m, scores, label));
}

const glia_metric_rule glia_metric_rule_log_loss = { .name = "log-loss",
                                                     .summary = "mean of -log of the true class's probability",
                                                     .needs_probabilities = true,
                                                     .shape = glia_mean_shape,
                                                     .add = add,
                                                     .result = glia_mean_result };
