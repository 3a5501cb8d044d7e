/* precision.c - the fraction of a class's predictions that are correct; 0 without predictions. */
#include "nn/metrics/metrics.h"

static double precision(glia_hits t) { return t.predicted ? (double)t.hits / (double)t.predicted : 0; }

const glia_metric_rule glia_metric_rule_precision = { .name = "precision",
                                                      .summary = "fraction of a class's predictions that are correct",
                                                      .larger = true,
                                                      .options = GLIA_OPTION_AVERAGE | GLIA_OPTION_THRESHOLD,
                                                      .shape = glia_hits_shape,
                                                      .add = glia_hits_add,
                                                      .ratio = precision,
                                                      .result = glia_hits_result,
                                                      .of_class = glia_hits_of_class };
