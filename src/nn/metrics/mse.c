/* mse.c - mean squared error, over samples and values. */
#include "nn/metrics/metrics.h"

static void add(glia_metric *m, const float *values, const float *truth) {
    for (int64_t k = 0; k < m->classes; k++) {
        double off = (double)values[k] - (double)truth[k];
        glia_exact_add(&m->sums[0], off * off);
    }
}

static double result(const glia_metric *m) { return glia_mean_result(m) / (double)m->classes; }

const glia_metric_rule glia_metric_rule_mse = { .name = "mse",
                                                .summary = "mean squared error",
                                                .values = true,
                                                .shape = glia_mean_shape,
                                                .add_values = add,
                                                .result = result };
