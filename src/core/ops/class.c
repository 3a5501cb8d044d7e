/* class.c - what losses and metrics of class labels share: checks, and where the labels are. */
#include "core/ops/class.h"

/* `labels` with an axis of one behind. */
static glia_shape column_of(glia_tensor labels) {
    glia_shape column = labels->shape;
    if (column.rank < GLIA_MAX_RANK) column.dim[column.rank++] = 1;
    return column;
}

/* Labels as floats where that loses nothing: up to 2^24 they are exact, and larger ones stay too large. Comparing
 * floats fuses with the arithmetic around it; comparing integers does not. */
static glia_tensor comparable(glia_tensor labels, int64_t classes) {
    return classes <= 1 << 24 ? glia_cast(labels, GLIA_F32) : labels;
}

glia_tensor glia_class_hits(glia_tensor labels, int64_t classes) {
    labels = comparable(labels, classes);
    if (glia_is_bad(labels)) return labels;
    glia_tensor numbers = glia_iota(labels->graph, labels->dtype, GLIA_SHAPE(classes), 0);
    return glia_equal(glia_reshape(labels, column_of(labels)), numbers);
}

glia_tensor glia_class_known(glia_tensor labels, int64_t classes, glia_dtype dtype) {
    labels = comparable(labels, classes);
    if (glia_is_bad(labels)) return labels;
    glia_tensor below = glia_less(labels, glia_like(labels, (double)classes));
    glia_tensor known = glia_and(glia_greater_equal(labels, glia_like(labels, 0)), below);
    return glia_reshape(glia_cast(known, dtype), column_of(labels));
}

bool glia_class_infer(glia_node *n) {
    const glia_node *scores = n->in[0], *labels = n->in[1];
    glia_shape expected = scores->shape;
    n->dtype = scores->dtype;
    n->shape = GLIA_SCALAR;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "the scores must be f32 or f64");
    if (labels->dtype != GLIA_I32) {
        return glia_node_fail(n, "the labels must be i32, not %s", glia_dtype_name(labels->dtype));
    }
    if (expected.rank < 1) return glia_node_fail(n, "the scores need an axis of classes");
    if (expected.dim[--expected.rank] < 1) {
        return glia_node_fail(n, "the last axis is the classes and cannot be the batch");
    }
    char text[GLIA_SHAPE_TEXT];
    if (glia_shape_equal(labels->shape, expected)) return true;
    return glia_node_fail(n, "the labels should be %s: a class for each row", glia_shape_format(expected, text));
}
