/* loss.c - losses of two tensors of one shape: the mean over all elements of a function of the pair.
 *
 * Each is given by that function and its two derivatives, as graph. Kinks have the derivative 0.
 */
#include "core/ops/losses.h"

static bool pair_infer(glia_node *n) {
    if (!glia_infer_float(n)) return false;
    n->shape = GLIA_SCALAR;
    return true;
}

static glia_tensor mean_of(glia_tensor x) { return glia_mean(x, GLIA_SCALAR, false); }

/* dy / number of elements. */
static glia_tensor each_of(const glia_node *n, glia_tensor dy) {
    return n->in[0]->shape.rank == 0 ? dy : glia_div(dy, glia_count_of(n->in[0], GLIA_SCALAR));
}

/* Gradients in the first and the second input that differ only in sign. */
static void opposite(glia_tensor gradient, glia_tensor *dx) {
    dx[0] = gradient;
    dx[1] = glia_neg(gradient);
}

#define RECORD(op_name, text, ...)                                                                                 \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = text, .arity = 2, .flags = GLIA_OP_COMPOSITE, \
                                        .infer = op_name##_infer, .vjp = op_name##_vjp,                            \
                                        .expand = op_name##_expand, __VA_ARGS__ };

#define OF(...) { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = -2, .high = 2 }
/* Two inputs whose differences stay away from 0 and 1. */
#define BETWEEN(from, to) { .shape = GLIA_DIMS(4, 3), .low = from, .high = to }
#define APART(low_a, high_a, low_b, high_b) { BETWEEN(low_a, high_a), BETWEEN(low_b, high_b) }

/* ---- mean squared error --------------------------------------------------------------------- */

#define mse_infer pair_infer

glia_tensor glia_mse_values(glia_tensor prediction, glia_tensor target) {
    glia_tensor d = glia_sub(prediction, target);
    return glia_mul(d, d);
}

static glia_tensor mse_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return mean_of(glia_mse_values(in[0], in[1]));
}

static void mse_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    opposite(glia_mul(glia_sub(y->in[0], y->in[1]), glia_mul_scalar(each_of(y, dy), 2)), dx);
}

RECORD(mse, "mean of (prediction - target)^2", .attr_size = 0)
const glia_sample glia_samples_mse[] = {
    { .name = "plain", .n = 2, .in = { OF(4, 3), OF(4, 3) } },
    { .name = "scalar", .n = 2, .in = { { .shape = { 0 } }, { .shape = { 0 } } } },
    { 0 },
};
glia_tensor glia_mse(glia_tensor prediction, glia_tensor target) {
    return glia_node2(&glia_op_mse, prediction, target, NULL);
}

/* ---- mean absolute error -------------------------------------------------------------------- */

#define mae_infer pair_infer

glia_tensor glia_mae_values(glia_tensor prediction, glia_tensor target) {
    return glia_abs(glia_sub(prediction, target));
}

static glia_tensor mae_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return mean_of(glia_mae_values(in[0], in[1]));
}

static void mae_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    opposite(glia_abs_gradient(glia_sub(y->in[0], y->in[1]), each_of(y, dy)), dx);
}

RECORD(mae, "mean of |prediction - target|", .attr_size = 0)
const glia_sample glia_samples_mae[] = {
    { .name = "above", .n = 2, .in = APART(1, 2, -1, 0.5) },
    { .name = "below", .n = 2, .in = APART(-2, 0, 0.5, 1) },
    { 0 },
};
glia_tensor glia_mae(glia_tensor prediction, glia_tensor target) {
    return glia_node2(&glia_op_mae, prediction, target, NULL);
}

/* ---- Huber ---------------------------------------------------------------------------------- */

typedef struct huber_attrs { double delta; } huber_attrs;
static const glia_field huber_fields[] = { GLIA_FIELD(FLOAT, huber_attrs, delta), GLIA_FIELDS_END };

static double delta_of(const glia_node *n) { return ((const huber_attrs *)n->attrs)->delta; }

static bool huber_infer(glia_node *n) {
    return pair_infer(n) && (delta_of(n) > 0 || glia_node_fail(n, "delta must be positive, not %g", delta_of(n)));
}

/* With m = min(|d|, delta) both branches are m (|d| - m / 2). */
glia_tensor glia_huber_values(glia_tensor prediction, glia_tensor target, double delta) {
    glia_tensor a = glia_abs(glia_sub(prediction, target)), m = glia_minimum(a, glia_like(a, delta));
    return glia_mul(m, glia_sub(a, glia_mul_scalar(m, 0.5)));
}

static glia_tensor huber_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return mean_of(glia_huber_values(in[0], in[1], delta_of(n)));
}

static void huber_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor d = glia_sub(y->in[0], y->in[1]);
    glia_tensor clipped = glia_maximum(glia_minimum(d, glia_like(d, delta_of(y))), glia_like(d, -delta_of(y)));
    opposite(glia_mul(clipped, each_of(y, dy)), dx);
}

RECORD(huber, "mean of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2)", .attr_size = sizeof(huber_attrs),
       .fields = huber_fields)
const glia_sample glia_samples_huber[] = {
    { .name = "near", .n = 2, .in = APART(0.1, 0.4, -0.4, 0), .attrs = &(const huber_attrs){ 1 } },
    { .name = "far", .n = 2, .in = APART(2, 3, -1, 0.5), .attrs = &(const huber_attrs){ 1 } },
    { .name = "far_below", .n = 2, .in = APART(-2, -1, 0, 1), .attrs = &(const huber_attrs){ 0.5 } },
    { 0 },
};
glia_tensor glia_huber(glia_tensor prediction, glia_tensor target, double delta) {
    return glia_node2(&glia_op_huber, prediction, target, &(huber_attrs){ delta == 0 ? 1 : delta });
}

/* ---- hinge ---------------------------------------------------------------------------------- */

#define hinge_infer pair_infer

/* 1 - score target. */
static glia_tensor margin(glia_tensor score, glia_tensor target) {
    glia_tensor product = glia_mul(score, target);
    return glia_sub(glia_like(product, 1), product);
}

glia_tensor glia_hinge_values(glia_tensor score, glia_tensor target) {
    glia_tensor m = margin(score, target);
    return glia_maximum(m, glia_like(m, 0));
}

static glia_tensor hinge_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return mean_of(glia_hinge_values(in[0], in[1]));
}

static void hinge_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor score = y->in[0], target = y->in[1], m = margin(score, target), zero = glia_like(m, 0);
    glia_tensor active = glia_greater(m, zero), each = glia_neg(each_of(y, dy));
    dx[0] = glia_select(active, glia_mul(target, each), zero);
    dx[1] = glia_select(active, glia_mul(score, each), zero);
}

RECORD(hinge, "mean of max(0, 1 - score target)", .attr_size = 0)
const glia_sample glia_samples_hinge[] = {
    { .name = "inside", .n = 2, .in = APART(-0.9, 0.9, -1, 1) },
    { .name = "outside", .n = 2, .in = APART(1.5, 3, 1, 2) },
    { .name = "wrong", .n = 2, .in = APART(0.5, 2, -2, -1) },
    { 0 },
};
glia_tensor glia_hinge(glia_tensor score, glia_tensor target) {
    return glia_node2(&glia_op_hinge, score, target, NULL);
}

/* ---- binary cross-entropy of logits --------------------------------------------------------- */

#define binary_cross_entropy_infer pair_infer

/* -t log s(x) - (1 - t) log(1 - s(x)) = softplus(x) - x t, which is finite for every finite logit. */
glia_tensor glia_binary_cross_entropy_values(glia_tensor logits, glia_tensor target) {
    return glia_sub(glia_softplus(logits), glia_mul(logits, target));
}

static glia_tensor binary_cross_entropy_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)n, (void)mode;
    return mean_of(glia_binary_cross_entropy_values(in[0], in[1]));
}

static void binary_cross_entropy_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0], each = each_of(y, dy);
    dx[0] = glia_mul(glia_sub(glia_sigmoid(x), y->in[1]), each);
    dx[1] = glia_mul(x, glia_neg(each));
}

RECORD(binary_cross_entropy, "mean of log(1 + e^x) - x target", .attr_size = 0)
const glia_sample glia_samples_binary_cross_entropy[] = {
    { .name = "plain",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(4, 3), .kind = GLIA_SAMPLE_NONZERO, .low = -3, .high = 3 },
              { .shape = GLIA_DIMS(4, 3), .low = 0, .high = 1 } } },
    { .name = "large",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(2, 3), .low = 700, .high = 900 },
              { .shape = GLIA_DIMS(2, 3), .low = 0, .high = 1 } } },
    { 0 },
};
glia_tensor glia_binary_cross_entropy(glia_tensor logits, glia_tensor target) {
    return glia_node2(&glia_op_binary_cross_entropy, logits, target, NULL);
}
