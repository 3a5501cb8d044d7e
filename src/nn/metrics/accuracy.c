/* accuracy.c - the fraction of samples whose predicted class is the true one. */
#include "nn/metrics/metrics.h"

static void shape(glia_metric *m) { m->n_counts = 1; }

static void add(glia_metric *m, const float *scores, int32_t label) {
    m->counts[0] += glia_metric_predicted(m, scores) == label;
}

static double result(const glia_metric *m) { return (double)m->counts[0] / (double)m->samples; }

const glia_metric_rule glia_metric_rule_accuracy = { .name = "accuracy",
                                                     .summary = "fraction of samples whose predicted class is correct",
                                                     .larger = true,
                                                     .options = GLIA_OPTION_THRESHOLD,
                                                     .shape = shape,
                                                     .add = add,
                                                     .result = result };
