/* unary.c - elementwise functions of one tensor. Each has its formula, its derivative, and samples away from kinks. */
#include <math.h>

#include "core/ops/ops.h"

/* Defines an eval that computes y from x for every element. */
#define EVAL(op_name, formula)                                                             \
    static void op_name##_eval(const glia_node *n, const double *const *in, double *out) { \
        int64_t count = glia_shape_count(n->shape);                                        \
        for (int64_t i = 0; i < count; i++) {                                              \
            const double x = in[0][i];                                                     \
            out[i] = (formula);                                                            \
        }                                                                                  \
    }

/* Defines a vjp as an expression of x (the input), y (the node itself) and dy. */
#define VJP(op_name, gradient)                                                 \
    static void op_name##_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { \
        const glia_tensor x = y->in[0];                                        \
        (void)x, (void)y;                                                      \
        dx[0] = (gradient);                                                    \
    }

#define RECORD(op_name, formula, infer_function, gradient)                                       \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = formula, .arity = 1,        \
                                        .flags = GLIA_OP_ELEMENTWISE, .infer = infer_function,   \
                                        .eval = op_name##_eval, .vjp = gradient };               \
    glia_tensor glia_##op_name(glia_tensor x) { return glia_node1(&glia_op_##op_name, x, NULL); }

/* One sample of 2 x 3 x 5 in [from, to). */
#define SAMPLE(op_name, kind_, from, to)                                                         \
    const glia_op_sample glia_samples_##op_name[] = {                                               \
        { .name = "plain",                                                                       \
          .n = 1,                                                                                \
          .in = { { .shape = GLIA_DIMS(2, 3, 5), .kind = kind_, .low = from, .high = to } } },   \
        { 0 },                                                                                   \
    };

/* ---- signs ---------------------------------------------------------------------------------- */

EVAL(neg, -x)
VJP(neg, glia_neg(dy))
RECORD(neg, "-x", glia_infer_numeric, neg_vjp)
SAMPLE(neg, GLIA_SAMPLE_UNIFORM, -3, 3)

EVAL(sign, x > 0 ? 1 : x < 0 ? -1 : x) /* 0 and NaN are unchanged */
RECORD(sign, "-1, 0 or 1", glia_infer_numeric, NULL)
SAMPLE(sign, GLIA_SAMPLE_NONZERO, -2, 2)

EVAL(abs, fabs(x))
VJP(abs, glia_abs_gradient(x, dy))
RECORD(abs, "|x|; gradient at 0 and NaN: 0", glia_infer_numeric, abs_vjp)
SAMPLE(abs, GLIA_SAMPLE_NONZERO, -3, 3)

/* ---- exponentials and logarithms ------------------------------------------------------------ */

EVAL(exp, exp(x))
VJP(exp, glia_mul(dy, y))
RECORD(exp, "e^x", glia_infer_float, exp_vjp)
SAMPLE(exp, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(expm1, expm1(x))
VJP(expm1, glia_mul(dy, glia_add_scalar(y, 1)))
RECORD(expm1, "e^x - 1, exact near 0", glia_infer_float, expm1_vjp)
SAMPLE(expm1, GLIA_SAMPLE_UNIFORM, -2, 2)

EVAL(log, log(x))
VJP(log, glia_div(dy, x))
RECORD(log, "natural logarithm", glia_infer_float, log_vjp)
SAMPLE(log, GLIA_SAMPLE_UNIFORM, 0.2, 4)

EVAL(log1p, log1p(x))
VJP(log1p, glia_div(dy, glia_add_scalar(x, 1)))
RECORD(log1p, "log(1 + x), exact near 0", glia_infer_float, log1p_vjp)
SAMPLE(log1p, GLIA_SAMPLE_UNIFORM, -0.7, 4)

/* ---- roots ---------------------------------------------------------------------------------- */

EVAL(sqrt, sqrt(x))
VJP(sqrt, glia_div(glia_mul_scalar(dy, 0.5), y))
RECORD(sqrt, "x^(1/2)", glia_infer_float, sqrt_vjp)
SAMPLE(sqrt, GLIA_SAMPLE_UNIFORM, 0.2, 4)

EVAL(rsqrt, 1 / sqrt(x))
VJP(rsqrt, glia_mul(glia_mul_scalar(dy, -0.5), glia_mul(y, glia_mul(y, y))))
RECORD(rsqrt, "x^(-1/2)", glia_infer_float, rsqrt_vjp)
SAMPLE(rsqrt, GLIA_SAMPLE_UNIFORM, 0.2, 4)

/* ---- trigonometric and sigmoid ------------------------------------------------------------- */

EVAL(sin, sin(x))
VJP(sin, glia_mul(dy, glia_cos(x)))
RECORD(sin, "sine, of radians", glia_infer_float, sin_vjp)
SAMPLE(sin, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(cos, cos(x))
VJP(cos, glia_neg(glia_mul(dy, glia_sin(x))))
RECORD(cos, "cosine, of radians", glia_infer_float, cos_vjp)
SAMPLE(cos, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(tanh, tanh(x))
VJP(tanh, glia_mul(dy, glia_sub(glia_like(y, 1), glia_mul(y, y))))
RECORD(tanh, "(e^x - e^-x) / (e^x + e^-x)", glia_infer_float, tanh_vjp)
SAMPLE(tanh, GLIA_SAMPLE_UNIFORM, -3, 3)

/* 1 / (1 + e^-x), with exponentials of negative numbers only, so that nothing overflows. */
static double sigmoid(double x) {
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
EVAL(sigmoid, sigmoid(x))
VJP(sigmoid, glia_mul(dy, glia_mul(y, glia_sub(glia_like(y, 1), y))))
RECORD(sigmoid, "1 / (1 + e^-x)", glia_infer_float, sigmoid_vjp)
SAMPLE(sigmoid, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(erf, erf(x))
VJP(erf, glia_mul(dy, glia_mul_scalar(glia_exp(glia_neg(glia_mul(x, x))), M_2_SQRTPI)))
RECORD(erf, "2/sqrt(pi) times the integral of e^(-t^2) from 0 to x", glia_infer_float, erf_vjp)
SAMPLE(erf, GLIA_SAMPLE_UNIFORM, -3, 3)

/* ---- rounding and tests -------------------------------------------------------------------- */

EVAL(floor, floor(x))
RECORD(floor, "the largest integer not above x", glia_infer_float, NULL)
SAMPLE(floor, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(ceil, ceil(x))
RECORD(ceil, "the smallest integer not below x", glia_infer_float, NULL)
SAMPLE(ceil, GLIA_SAMPLE_UNIFORM, -4, 4)

EVAL(round, rint(x))
RECORD(round, "the nearest integer, ties to even", glia_infer_float, NULL)
SAMPLE(round, GLIA_SAMPLE_UNIFORM, -4, 4)

static bool is_finite_infer(glia_node *n) {
    if (!glia_dtype_is_float(n->in[0]->dtype)) return glia_node_fail(n, "it takes a float dtype");
    n->dtype = GLIA_BOOL;
    n->shape = n->in[0]->shape;
    return true;
}
EVAL(is_finite, isfinite(x) ? 1 : 0)
RECORD(is_finite, "neither infinite nor NaN", is_finite_infer, NULL)
SAMPLE(is_finite, GLIA_SAMPLE_UNIFORM, -4, 4)

static bool not_infer(glia_node *n) {
    return glia_infer_same(n) && (n->dtype == GLIA_BOOL || glia_node_fail(n, "it takes bool"));
}
EVAL(not, x == 0 ? 1 : 0)
RECORD(not, "true where x is false", not_infer, NULL)
const glia_op_sample glia_samples_not[] = {
    { .name = "plain",
      .n = 1,
      .in = { { .dtype = GLIA_BOOL, .shape = GLIA_DIMS(3, 5), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 2 } } },
    { 0 },
};

/* ---- composed of others -------------------------------------------------------------------- */

glia_tensor glia_square(glia_tensor x) { return glia_mul(x, x); }
glia_tensor glia_reciprocal(glia_tensor x) { return glia_div(glia_like(x, 1), x); }
