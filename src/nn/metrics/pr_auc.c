/* pr_auc.c - average precision: the area under the precision-recall curve as a sum of steps, without interpolation,
 *
 *     sum over thresholds i of (recall_i - recall_(i-1)) precision_i
 */
#include "nn/metrics/metrics.h"

static double area(const glia_ranked *samples, int64_t n, int64_t positives) {
    double total = 0;
    int64_t found = 0;
    for (int64_t i = 0; i < n;) {
        int64_t hits = 0;
        double score = samples[i].score;
        for (; i < n && samples[i].score == score; i++) hits += samples[i].positive;
        found += hits;
        total += (double)hits * ((double)found / (double)i);
    }
    return total / (double)positives;
}

static double of_class(const glia_metric *m, int64_t label) { return glia_curve_area(m, label, area); }

static double result(const glia_metric *m) { return glia_curve_average(m, area); }

const glia_metric_rule glia_metric_rule_pr_auc = { .name = "pr-auc",
                                                   .summary = "average precision over all thresholds",
                                                   .larger = true,
                                                   .options = GLIA_OPTION_CURVES,
                                                   .shape = glia_curve_shape,
                                                   .add = glia_curve_add,
                                                   .result = result,
                                                   .of_class = of_class };
