/* roc_auc.c - the area under the ROC curve: the probability that a positive sample ranks above a negative one, ties
 * counting half (Hanley and McNeil 1982). Computed in integers up to the final division. */
#include "nn/metrics/metrics.h"

static double area(const glia_ranked *samples, int64_t n, int64_t positives) {
    uint64_t twice = 0, above = 0; /* positives so far */
    for (int64_t i = 0; i < n;) {
        uint64_t hits = 0, alarms = 0;
        double score = samples[i].score;
        for (; i < n && samples[i].score == score; i++) {
            hits += samples[i].positive;
            alarms += !samples[i].positive;
        }
        twice += alarms * (2 * above + hits);
        above += hits;
    }
    return (double)twice / (2 * (double)positives * (double)(n - positives));
}

static double of_class(const glia_metric *m, int64_t label) { return glia_curve_area(m, label, area); }

static double result(const glia_metric *m) { return glia_curve_average(m, area); }

const glia_metric_rule glia_metric_rule_roc_auc = { .name = "roc-auc",
                                                    .summary = "area under the ROC curve; one class against the rest",
                                                    .larger = true,
                                                    .options = GLIA_OPTION_CURVES,
                                                    .shape = glia_curve_shape,
                                                    .add = glia_curve_add,
                                                    .result = result,
                                                    .of_class = of_class };
