/* f1.c - the harmonic mean of precision and recall (van Rijsbergen 1979): 2 hits / (predicted + actual). */
#include "nn/metrics/metrics.h"

static double f1(glia_hits t) { return t.hits ? 2 * (double)t.hits / (double)(t.predicted + t.actual) : 0; }

const glia_metric_rule glia_metric_rule_f1 = { .name = "f1",
                                               .summary = "harmonic mean of precision and recall",
                                               .larger = true,
                                               .options = GLIA_OPTION_AVERAGE | GLIA_OPTION_THRESHOLD,
                                               .shape = glia_hits_shape,
                                               .add = glia_hits_add,
                                               .ratio = f1,
                                               .result = glia_hits_result,
                                               .of_class = glia_hits_of_class };
