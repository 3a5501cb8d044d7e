/* mae.c - mean absolute error, over samples and values. */
#include <math.h>

#include "nn/metrics/metrics.h"

static void add(glia_metric *m, const float *values, const float *truth) {
    for (int64_t k = 0; k < m->classes; k++) glia_exact_add(&m->sums[0], fabs((double)values[k] - (double)truth[k]));
}

static double result(const glia_metric *m) { return glia_mean_result(m) / (double)m->classes; }

const glia_metric_rule glia_metric_rule_mae = { .name = "mae",
                                                .summary = "mean absolute error",
                                                .values = true,
                                                .shape = glia_mean_shape,
                                                .add_values = add,
                                                .result = result };
