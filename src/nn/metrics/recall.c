/* recall.c - the fraction of a class's samples that are predicted correctly; 0 without samples. */
#include "nn/metrics/metrics.h"

static double recall(glia_hits t) { return t.actual ? (double)t.hits / (double)t.actual : 0; }

const glia_metric_rule glia_metric_rule_recall = { .name = "recall",
                                                   .summary = "fraction of a class's samples that are found",
                                                   .larger = true,
                                                   .options = GLIA_OPTION_AVERAGE | GLIA_OPTION_THRESHOLD,
                                                   .shape = glia_hits_shape,
                                                   .add = glia_hits_add,
                                                   .ratio = recall,
                                                   .result = glia_hits_result,
                                                   .of_class = glia_hits_of_class };
