/* perplexity.c - exp of the cross-entropy: the number of equally likely classes with the same uncertainty. */
#include <math.h>

#include "nn/metrics/metrics.h"

static void add(glia_metric *m, const float *scores, int32_t label) {
    glia_exact_add(&m->sums[0], -glia_metric_log_probability(m, scores, label));
}

static double result(const glia_metric *m) { return exp(glia_mean_result(m)); }

const glia_metric_rule glia_metric_rule_perplexity = { .name = "perplexity",
                                                       .summary =
                                                           "exp of the mean of -log of the true class's probability",
                                                       .needs_probabilities = true,
                                                       .shape = glia_mean_shape,
                                                       .add = add,
                                                       .result = result };
