/* activation.c - the nonlinearities that are more than one elementary function.
 *
 * Each has its definition (`expand`), written so that no intermediate value overflows where the result does not, and
 * its derivative in the form that is cheapest and keeps its digits. Where the derivative can be told from the result
 * (relu, leaky_relu, elu, selu) it is, so that the input need not be kept until the backward pass. Gradients at zero
 * and NaN are those of PyTorch: at zero the derivative from the left, so relu'(0) = 0; at NaN relu, elu and selu have
 * the derivative of positive x, leaky_relu that of negative x.
 */
#include <math.h>

#include "core/ops/ops.h"

typedef struct slope_attrs { double slope; } slope_attrs;
typedef struct alpha_attrs { double alpha; } alpha_attrs;
static const glia_field slope_fields[] = { GLIA_FIELD(FLOAT, slope_attrs, slope), GLIA_FIELDS_END };
static const glia_field alpha_fields[] = { GLIA_FIELD(FLOAT, alpha_attrs, alpha), GLIA_FIELDS_END };

static glia_tensor positive(glia_tensor x) { return glia_greater(x, glia_like(x, 0)); }
/* False for NaN. */
static glia_tensor not_positive(glia_tensor x) { return glia_less_equal(x, glia_like(x, 0)); }

/* An expand that is an expression of the input x and the attributes in n. */
#define EXPAND(op_name, expression)                                                                       \
    static glia_tensor op_name##_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {      \
        const glia_tensor x = in[0];                                                                      \
        (void)n, (void)mode;                                                                              \
        return (expression);                                                                              \
    }

/* A vjp whose gradient is an expression of x, the result y and dy. */
#define VJP(op_name, gradient)                                                 \
    static void op_name##_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { \
        const glia_tensor x = y->in[0];                                        \
        (void)x;                                                               \
        dx[0] = (gradient);                                                    \
    }

#define RECORD(op_name, text, ...)                                                                        \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = text, .arity = 1,                    \
                                        .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_COMPOSITE,                 \
                                        .infer = glia_infer_float, .vjp = op_name##_vjp,                  \
                                        .expand = op_name##_expand, __VA_ARGS__ };

#define WHERE(sample_kind, from, to) { { .shape = GLIA_DIMS(2, 3, 5), .kind = sample_kind, .low = from, .high = to } }
#define SAMPLE(op_name, sample_kind, from, to)                                                                     \
    const glia_sample glia_samples_##op_name[] = {                                                                 \
        { .name = "plain", .n = 1, .in = WHERE(sample_kind, from, to) },                                           \
        { .name = "scalar", .n = 1, .in = { { .shape = { 0 }, .kind = sample_kind, .low = from, .high = to } } },  \
        { 0 },                                                                                                     \
    };

/* ---- piecewise linear ----------------------------------------------------------------------- */

EXPAND(relu, glia_maximum(x, glia_like(x, 0)))
VJP(relu, glia_relu_gradient(y, dy))
RECORD(relu, "max(x, 0)", .attr_size = 0)
SAMPLE(relu, GLIA_SAMPLE_NONZERO, -2, 2)
glia_tensor glia_relu(glia_tensor x) { return glia_node1(&glia_op_relu, x, NULL); }

static double slope_of(const glia_node *n) { return ((const slope_attrs *)n->attrs)->slope; }

EXPAND(leaky_relu, glia_select(positive(x), x, glia_mul_scalar(x, slope_of(n))))
VJP(leaky_relu, glia_select(positive(slope_of(y) >= 0 ? y : x), dy, glia_mul_scalar(dy, slope_of(y))))
RECORD(leaky_relu, "x if x > 0, else slope x", .attr_size = sizeof(slope_attrs), .fields = slope_fields)
const glia_sample glia_samples_leaky_relu[] = {
    { .name = "plain", .n = 1, .in = WHERE(GLIA_SAMPLE_NONZERO, -2, 2), .attrs = &(const slope_attrs){ 0.01 } },
    { .name = "steep", .n = 1, .in = WHERE(GLIA_SAMPLE_NONZERO, -2, 2), .attrs = &(const slope_attrs){ 0.5 } },
    { .name = "falling", .n = 1, .in = WHERE(GLIA_SAMPLE_NONZERO, -2, 2), .attrs = &(const slope_attrs){ -0.25 } },
    { 0 },
};
glia_tensor glia_leaky_relu(glia_tensor x, double slope) {
    return glia_node1(&glia_op_leaky_relu, x, &(slope_attrs){ slope });
}

/* ---- exponential below zero ----------------------------------------------------------------- */

/* e^x - 1 for x < 0; its argument never exceeds 0, so the branch that select drops does not overflow. */
static glia_tensor expm1_below(glia_tensor x) { return glia_expm1(glia_minimum(x, glia_like(x, 0))); }

static double alpha_of(const glia_node *n) { return ((const alpha_attrs *)n->attrs)->alpha; }

/* Below zero the derivative is alpha e^x = y + alpha. */
EXPAND(elu, glia_select(positive(x), x, glia_mul_scalar(expm1_below(x), alpha_of(n))))
VJP(elu, glia_select(not_positive(alpha_of(y) >= 0 ? y : x), glia_mul(dy, glia_add_scalar(y, alpha_of(y))), dy))
RECORD(elu, "x if x > 0, else alpha (e^x - 1)", .attr_size = sizeof(alpha_attrs), .fields = alpha_fields)
const glia_sample glia_samples_elu[] = {
    { .name = "plain", .n = 1, .in = WHERE(GLIA_SAMPLE_NONZERO, -4, 4), .attrs = &(const alpha_attrs){ 1 } },
    { .name = "smaller", .n = 1, .in = WHERE(GLIA_SAMPLE_NONZERO, -4, 4), .attrs = &(const alpha_attrs){ 0.3 } },
    { 0 },
};
glia_tensor glia_elu(glia_tensor x, double alpha) { return glia_node1(&glia_op_elu, x, &(alpha_attrs){ alpha }); }

/* Klambauer et al. 2017, "Self-normalizing neural networks": these constants keep mean 0 and variance 1. */
static const double selu_alpha = 1.6732632423543772848170429916717, selu_scale = 1.0507009873554804934193349852946;

static glia_tensor selu_above(glia_tensor x) { return glia_mul_scalar(x, selu_scale); }
static glia_tensor selu_below(glia_tensor x) { return glia_mul_scalar(expm1_below(x), selu_scale * selu_alpha); }

EXPAND(selu, glia_select(positive(x), selu_above(x), selu_below(x)))
VJP(selu, glia_select(not_positive(y), glia_mul(dy, glia_add_scalar(y, selu_scale * selu_alpha)), selu_above(dy)))
RECORD(selu, "1.0507 x if x > 0, else 1.0507 1.6733 (e^x - 1)", .attr_size = 0)
SAMPLE(selu, GLIA_SAMPLE_NONZERO, -4, 4)
glia_tensor glia_selu(glia_tensor x) { return glia_node1(&glia_op_selu, x, NULL); }

/* ---- x times something like a step ---------------------------------------------------------- */

static glia_tensor one_minus(glia_tensor x) { return glia_sub(glia_like(x, 1), x); }

/* Phi(x), the normal distribution function, and its density. */
static glia_tensor normal_cdf(glia_tensor x) {
    return glia_mul_scalar(glia_add_scalar(glia_erf(glia_mul_scalar(x, M_SQRT1_2)), 1), 0.5);
}
static glia_tensor normal_pdf(glia_tensor x) {
    return glia_mul_scalar(glia_exp(glia_mul_scalar(glia_mul(x, x), -0.5)), M_2_SQRTPI * M_SQRT1_2 / 2);
}

/* Hendrycks and Gimpel 2016, "Gaussian error linear units". Its slope is an op, so that it can have a kernel; the
 * slope's own is (2 - x^2) times the density. */
EXPAND(gelu, glia_mul(x, normal_cdf(x)))
VJP(gelu, glia_mul(dy, glia_node1(&glia_op_gelu_slope, x, NULL)))
RECORD(gelu, "x Phi(x) = x (1 + erf(x / sqrt 2)) / 2", .attr_size = 0)
SAMPLE(gelu, GLIA_SAMPLE_UNIFORM, -4, 4)
glia_tensor glia_gelu(glia_tensor x) { return glia_node1(&glia_op_gelu, x, NULL); }

EXPAND(gelu_slope, glia_add(normal_cdf(x), glia_mul(x, normal_pdf(x))))
VJP(gelu_slope, glia_mul(dy, glia_mul(normal_pdf(x), glia_sub(glia_like(x, 2), glia_square(x)))))
RECORD(gelu_slope, "gelu's derivative, Phi(x) + x phi(x)", .attr_size = 0)
SAMPLE(gelu_slope, GLIA_SAMPLE_UNIFORM, -4, 4)

/* (1 + tanh u) / 2 = sigmoid(2u), which keeps its digits where tanh u is near -1. */
static const double gelu_linear = 1.5957691216057308, gelu_cubic = 0.044715; /* 2 sqrt(2 / pi) */

static glia_tensor gelu_gate(glia_tensor x) {
    glia_tensor polynomial = glia_add_scalar(glia_mul_scalar(glia_mul(x, x), gelu_cubic), 1);
    return glia_sigmoid(glia_mul_scalar(glia_mul(x, polynomial), gelu_linear));
}

EXPAND(gelu_tanh, glia_mul(x, gelu_gate(x)))
VJP(gelu_tanh, glia_mul(dy, glia_node1(&glia_op_gelu_tanh_slope, x, NULL)))
RECORD(gelu_tanh, "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2", .attr_size = 0)
SAMPLE(gelu_tanh, GLIA_SAMPLE_UNIFORM, -4, 4)
glia_tensor glia_gelu_tanh(glia_tensor x) { return glia_node1(&glia_op_gelu_tanh, x, NULL); }

/* s + x s (1 - s) 2u', whose own derivative is that of its expansion. */
static glia_tensor gelu_tanh_slope(glia_tensor x) {
    glia_tensor s = gelu_gate(x);
    glia_tensor inner =
        glia_mul_scalar(glia_add_scalar(glia_mul_scalar(glia_mul(x, x), 3 * gelu_cubic), 1), gelu_linear);
    return glia_add(s, glia_mul(glia_mul(x, inner), glia_mul(s, one_minus(s))));
}

EXPAND(gelu_tanh_slope, gelu_tanh_slope(x))
const glia_op glia_op_gelu_tanh_slope = { .name = "gelu_tanh_slope",
                                          .summary = "gelu_tanh's derivative",
                                          .arity = 1,
                                          .flags = GLIA_OP_ELEMENTWISE | GLIA_OP_COMPOSITE,
                                          .infer = glia_infer_float,
                                          .expand = gelu_tanh_slope_expand };
SAMPLE(gelu_tanh_slope, GLIA_SAMPLE_UNIFORM, -4, 4)

/* s + x s (1 - s). */
static glia_tensor silu_slope(glia_tensor x) {
    glia_tensor s = glia_sigmoid(x);
    return glia_add(s, glia_mul(glia_mul(x, s), one_minus(s)));
}

EXPAND(silu, glia_mul(x, glia_sigmoid(x)))
VJP(silu, glia_mul(dy, silu_slope(x)))
RECORD(silu, "x sigmoid(x)", .attr_size = 0)
SAMPLE(silu, GLIA_SAMPLE_UNIFORM, -4, 4)
glia_tensor glia_silu(glia_tensor x) { return glia_node1(&glia_op_silu, x, NULL); }

/* ---- softplus ------------------------------------------------------------------------------- */

/* The exponential's argument is never positive: no overflow, and x itself for large x. The derivative of the whole is
 * smooth, though those of |x| and max(x, 0) are not. */
EXPAND(softplus, glia_add(glia_maximum(x, glia_like(x, 0)), glia_log1p(glia_exp(glia_neg(glia_abs(x))))))
VJP(softplus, glia_mul(dy, glia_sigmoid(x)))
RECORD(softplus, "log(1 + e^x)", .attr_size = 0)
SAMPLE(softplus, GLIA_SAMPLE_NONZERO, -6, 6)
glia_tensor glia_softplus(glia_tensor x) { return glia_node1(&glia_op_softplus, x, NULL); }
