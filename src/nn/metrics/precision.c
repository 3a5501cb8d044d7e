/* precision.c - the fraction of a class's predictions that are correct; 0 without predictions. */
#include "nn/metrics/metrics.h"

static double ratio(glia_hits t) { return t.predicted ? (double)t.hits / (double)t.predicted : 0; }

static double of_class(const glia_metric *m, int64_t label) { return ratio(glia_hits_of(m, label)); }

static double result(const glia_metric *m) { return glia_hits_average(m, ratio); }

const glia_metric_rule glia_metric_rule_precision = { .name = "precision",
                                                      .summary = "fraction of a class's predictions that are correct",
                                                      .larger = true,
                                                      .options = GLIA_OPTION_AVERAGE | GLIA_OPTION_THRESHOLD,
                                                      .shape = glia_hits_shape,
                                                      .add = glia_hits_add,
                                                      .result = result,
                                                      .of_class = of_class };
