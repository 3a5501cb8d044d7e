/* balanced_accuracy.c - the mean recall over the classes that occur (Brodersen et al. 2010). */
#include <math.h>

#include "nn/metrics/metrics.h"

static double of_class(const glia_metric *m, int64_t label) {
    glia_hits t = glia_hits_of(m, label);
    return t.actual ? (double)t.hits / (double)t.actual : NAN;
}

static double result(const glia_metric *m) {
    double total = 0;
    int64_t there = 0;
    for (int64_t k = 0; k < m->labels; k++) {
        double recall = of_class(m, k);
        if (isnan(recall)) continue;
        total += recall;
        there++;
    }
    return total / (double)there;
}

const glia_metric_rule glia_metric_rule_balanced_accuracy = { .name = "balanced-accuracy",
                                                              .summary = "mean recall over the classes",
                                                              .larger = true,
                                                              .options = GLIA_OPTION_THRESHOLD,
                                                              .shape = glia_hits_shape,
                                                              .add = glia_hits_add,
                                                              .result = result,
                                                              .of_class = of_class };
