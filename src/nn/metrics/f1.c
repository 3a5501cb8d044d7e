/* f1.c - the harmonic mean of precision and recall (van Rijsbergen 1979): 2 hits / (predicted + actual). */
#include "nn/metrics/metrics.h"

static double ratio(glia_hits t) { return t.hits ? 2 * (double)t.hits / (double)(t.predicted + t.actual) : 0; }

static double of_class(const glia_metric *m, int64_t label) { return ratio(glia_hits_of(m, label)); }

static double result(const glia_metric *m) { return glia_hits_average(m, ratio); }

const glia_metric_rule glia_metric_rule_f1 = { .name = "f1",
                                               .summary = "harmonic mean of precision and recall",
                                               .larger = true,
                                               .options = GLIA_OPTION_AVERAGE | GLIA_OPTION_THRESHOLD,
                                               .shape = glia_hits_shape,
                                               .add = glia_hits_add,
                                               .result = result,
                                               .of_class = of_class };
