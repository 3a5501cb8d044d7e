/* top_k.c - the fraction of samples whose true class is among the k largest scores. Of equal scores the lower class
 * ranks first, so top1 equals accuracy. */
#include "nn/metrics/metrics.h"

static void shape(glia_metric *m) { m->n_counts = 1; }

static void add(glia_metric *m, const float *scores, int32_t label) {
    if (m->classes == 1) {
        m->counts[0] += m->number > 1 || glia_metric_predicted(m, scores) == label;
        return;
    }
    int64_t before = 0;
    for (int64_t k = 0; k < m->classes; k++) {
        before += scores[k] > scores[label] || (scores[k] == scores[label] && k < label);
    }
    m->counts[0] += before < m->number;
}

static double result(const glia_metric *m) { return (double)m->counts[0] / (double)m->samples; }

const glia_metric_rule glia_metric_rule_top_k = { .name = "topk",
                                                  .summary = "fraction of samples whose true class is among the k best",
                                                  .larger = true,
                                                  .options = GLIA_OPTION_NUMBER,
                                                  .number = "k",
                                                  .number_default = 5,
                                                  .number_most = INT32_MAX,
                                                  .shape = shape,
                                                  .add = add,
                                                  .result = result };
