/* accuracy.c - the fraction of samples whose largest score is at the label. Among equal scores the first counts. */
#include "core/ops/class.h"

static glia_tensor accuracy_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    glia_tensor hit = glia_equal(glia_argmax(in[0], n->in[0]->shape.rank - 1), in[1]);
    return glia_mean(glia_cast(hit, n->dtype), GLIA_SCALAR, false);
}

/* No gradient: piecewise constant. */
static void accuracy_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { (void)y, (void)dy, (void)dx; }

const glia_op glia_op_accuracy = { .name = "accuracy",
                                   .summary = "fraction of samples whose largest score is at the label",
                                   .arity = 2,
                                   .flags = GLIA_OP_COMPOSITE,
                                   .infer = glia_class_infer,
                                   .vjp = accuracy_vjp,
                                   .expand = accuracy_expand };

#define SCORES(...)                                                                                                  \
    { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = -3, .high = 3, .constant = true }
#define LABELS(size, classes)                                                                                        \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(size), .kind = GLIA_SAMPLE_INTEGER, .high = classes, .constant = true }
const glia_op_sample glia_samples_accuracy[] = {
    { .name = "two", .n = 2, .in = { SCORES(20, 2), LABELS(20, 2) } },
    { .name = "four", .n = 2, .in = { SCORES(30, 4), LABELS(30, 4) } },
    { 0 },
};

glia_tensor glia_accuracy(glia_tensor scores, glia_tensor labels) {
    return glia_node2(&glia_op_accuracy, scores, labels, NULL);
}
