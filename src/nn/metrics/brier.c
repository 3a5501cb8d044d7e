/* brier.c - the Brier score (1950): the mean squared difference between predicted probability and outcome. With one
 * score (p - y)^2, between 0 and 1; with several the sum of (p_k - y_k)^2 over classes, between 0 and 2, as in the
 * paper. */
#include "nn/metrics/metrics.h"

static void add(glia_metric *m, const float *scores, int32_t label) {
    const double *p = glia_metric_probabilities(m, scores);
    double total = 0;
    for (int64_t k = m->classes == 1; k < m->labels; k++) {
        double off = p[k] - (k == label ? 1 : 0);
        total += off * off;
    }
    glia_exact_add(&m->sums[0], total);
}

const glia_metric_rule glia_metric_rule_brier = { .name = "brier",
                                                  .summary = "mean squared difference of probabilities and outcomes",
                                                  .needs_probabilities = true,
                                                  .shape = glia_mean_shape,
                                                  .add = add,
                                                  .result = glia_mean_result };
