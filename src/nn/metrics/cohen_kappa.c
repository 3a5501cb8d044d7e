/* cohen_kappa.c - agreement beyond chance (Cohen 1960): 1 - disagreement / disagreement expected of independent
 * answers. A disagreement between classes i and j has weight 1; linear: |i - j|; quadratic: (i - j)^2 (Cohen 1968). NaN
 * if the expected disagreement is 0: truth and predictions are all of one class. */
#include <math.h>

#include "nn/metrics/metrics.h"

static double weight(const glia_metric *m, int64_t i, int64_t j) {
    double apart = fabs((double)(i - j));
    return i == j ? 0 : m->power == 0 ? 1 : m->power == 1 ? apart : apart * apart;
}

static double result(const glia_metric *m) {
    double found = 0, expected = 0, *predicted = m->work;
    int64_t n = m->labels;
    for (int64_t j = 0; j < n; j++) {
        predicted[j] = 0;
        for (int64_t i = 0; i < n; i++) predicted[j] += (double)m->counts[i * n + j];
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t actual = 0;
        for (int64_t j = 0; j < n; j++) actual += m->counts[i * n + j];
        for (int64_t j = 0; j < n; j++) {
            found += weight(m, i, j) * (double)m->counts[i * n + j];
            expected += weight(m, i, j) * (double)actual * predicted[j];
        }
    }
    return 1 - found * (double)m->samples / expected;
}

const glia_metric_rule glia_metric_rule_cohen_kappa = { .name = "cohen-kappa",
                                                        .summary = "agreement of predicted and true beyond chance",
                                                        .larger = true,
                                                        .options = GLIA_OPTION_WEIGHTS | GLIA_OPTION_THRESHOLD,
                                                        .shape = glia_table_shape,
                                                        .add = glia_table_add,
                                                        .result = result };
