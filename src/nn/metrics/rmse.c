/* rmse.c - root mean squared error; with several values the mean of their roots, as in scikit-learn. */
#include <math.h>

#include "nn/metrics/metrics.h"

static void shape(glia_metric *m) { m->n_sums = m->classes; }

static void add(glia_metric *m, const float *values, const float *truth) {
    for (int64_t k = 0; k < m->classes; k++) {
        double off = (double)values[k] - (double)truth[k];
        glia_exact_add(&m->sums[k], off * off);
    }
}

static double of_value(const glia_metric *m, int64_t k) {
    return sqrt(glia_exact_value(&m->sums[k]) / (double)m->samples);
}

static double result(const glia_metric *m) {
    double total = 0;
    for (int64_t k = 0; k < m->classes; k++) total += of_value(m, k);
    return total / (double)m->classes;
}

const glia_metric_rule glia_metric_rule_rmse = { .name = "rmse",
                                                 .summary = "root of the mean squared error",
                                                 .values = true,
                                                 .shape = shape,
                                                 .add_values = add,
                                                 .result = result,
                                                 .of_class = of_value };
