/* unary.c - elementwise functions of one tensor. Each has its formula, its derivative, and samples away from kinks. */
#include <math.h>

#include "ops/ops.h"

/* An eval that sets y from x for every element. */
#define EVAL(op_name, formula)                                                              \
    static void op_name##_eval(const glia_node *n, const double *const *in, double *out) { \
        int64_t count = glia_shape_count(n->shape);                                      \
        for (int64_t i = 0; i < count; i++) {                                            \
            const double x = in[0][i];                                                   \
            out[i] = (formula);                                                          \
        }                                                                                \
    }

/* A vjp whose gradient is an expression of x (the input), y (the node itself) and dy. */
#define VJP(op_name, gradient)                                                  \
    static void op_name##_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { \
        const glia_tensor x = y->in[0];                                      \
        (void)x, (void)y;                                                    \
        dx[0] = (gradient);                                                  \
    }

#define RECORD(op_name, formula, gradient)                                                              \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = formula, .arity = 1,               \
                                        .flags = GLIA_OP_ELEMENTWISE, .infer = glia_infer_float,        \
                                        .eval = op_name##_eval, .vjp = gradient };                      \
    glia_tensor glia_##op_name(glia_tensor x) { return glia_node1(&glia_op_##op_name, x, NULL); }

/* One sample of 2 x 3 x 5 in [from, to). */
#define SAMPLE(op_name, sample_kind, from, to)                                                                     \
    const glia_sample glia_samples_##op_name[] = {                                                                 \
        { .name = "plain", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 5), .kind = sample_kind, .low = from, .high = to } } }, \
        { 0 },                                                                                                     \
    };

EVAL(neg, -x)
VJP(neg, glia_neg(dy))
RECORD(neg, "-x", neg_vjp)
SAMPLE(neg, GLIA_SAMPLE_UNIFORM, -3, 3)

EVAL(exp, exp(x))
VJP(exp, glia_mul(dy, y))
RECORD(exp, "e^x", exp_vjp)
SAMPLE(exp, GLIA_SAMPLE_UNIFORM, -4, 4)
