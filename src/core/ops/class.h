/* class.h - what losses and metrics of class labels share. Scores are (..., K), labels i32 (...): mostly (N, K) and
 * (N). */
#ifndef GLIA_SRC_CORE_OPS_CLASS_H
#define GLIA_SRC_CORE_OPS_CLASS_H

#include "core/ops/ops.h"

/* infer of scores and labels: their shapes and dtypes fit; the result is a scalar of the scores' dtype. */
bool glia_class_infer(glia_node *node);
/* Bool (..., K): true at the label; all false for a label outside [0, K). */
glia_tensor glia_class_hits(glia_tensor labels, int64_t classes);
/* (..., 1) of this dtype: 1 for a label in [0, K), 0 for others. */
glia_tensor glia_class_known(glia_tensor labels, int64_t classes, glia_dtype dtype);

#endif
