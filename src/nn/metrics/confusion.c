/* confusion.c - the confusion matrix; its result is the fraction on the diagonal, the accuracy. */
#include <math.h>

#include "nn/metrics/metrics.h"

static double of_class(const glia_metric *m, int64_t label) {
    int64_t actual = 0;
    for (int64_t k = 0; k < m->labels; k++) actual += m->counts[label * m->labels + k];
    return actual ? (double)m->counts[label * m->labels + label] / (double)actual : NAN;
}

static double result(const glia_metric *m) {
    int64_t hits = 0;
    for (int64_t k = 0; k < m->labels; k++) hits += m->counts[k * m->labels + k];
    return (double)hits / (double)m->samples;
}

const glia_metric_rule glia_metric_rule_confusion = { .name = "confusion",
                                                      .summary = "table of true and predicted classes; accuracy",
                                                      .larger = true,
                                                      .options = GLIA_OPTION_THRESHOLD,
                                                      .shape = glia_table_shape,
                                                      .add = glia_table_add,
                                                      .result = result,
                                                      .of_class = of_class };
