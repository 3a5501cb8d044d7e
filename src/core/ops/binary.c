/* binary.c - elementwise arithmetic of two tensors of one dtype and one shape.
 *
 * The public functions broadcast their inputs as NumPy does, with explicit `broadcast` nodes. So kernels and gradients
 * never see unequal shapes, and broadcast's vjp sums the gradient of a broadcast input.
 */
#include <math.h>

#include "core/ops/ops.h"

/* Defines an eval that computes the result from a and b for every element; integers wrap to their width. */
#define EVAL(op_name, formula)                                                             \
    static void op_name##_eval(const glia_node *n, const double *const *in, double *out) { \
        int64_t count = glia_shape_count(n->shape);                                        \
        for (int64_t i = 0; i < count; i++) {                                              \
            const double a = in[0][i], b = in[1][i];                                       \
            out[i] = (formula);                                                            \
            if (!glia_dtype_is_float(n->dtype)) out[i] = glia_round_to(n->dtype, out[i]);  \
        }                                                                                  \
    }

/* Defines a vjp by expressions of a, b (the inputs), y (the node itself) and dy. */
#define VJP(op_name, gradient_a, gradient_b)                                   \
    static void op_name##_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) { \
        const glia_tensor a = y->in[0], b = y->in[1];                          \
        (void)a, (void)b;                                                      \
        dx[0] = (gradient_a);                                                  \
        dx[1] = (gradient_b);                                                  \
    }

#define RECORD(op_name, formula, infer_function, extra_flags)                                                      \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = formula, .arity = 2,                          \
                                        .flags = GLIA_OP_ELEMENTWISE | (extra_flags), .infer = infer_function,     \
                                        .eval = op_name##_eval, .vjp = op_name##_vjp };                            \
    glia_tensor glia_##op_name(glia_tensor a, glia_tensor b) { return glia_node2_broadcast(&glia_op_##op_name, a, b); }

#define IN(from, to, ...) { .shape = GLIA_DIMS(__VA_ARGS__), .low = from, .high = to }
#define DISTINCT(...) { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = -3, .high = 3 }
#define WHOLE(...)                                                                                                     \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = -9, .high = 9 }

EVAL(add, a + b)
VJP(add, dy, dy)
RECORD(add, "a + b", glia_infer_numeric, GLIA_OP_COMMUTES)
const glia_sample glia_samples_add[] = {
    { .name = "plain", .n = 2, .in = { IN(-3, 3, 2, 3, 5), IN(-3, 3, 2, 3, 5) } },
    { .name = "integers", .n = 2, .in = { WHOLE(4, 3), WHOLE(4, 3) } },
    { 0 },
};

EVAL(sub, a - b)
VJP(sub, dy, glia_neg(dy))
RECORD(sub, "a - b", glia_infer_numeric, 0)
const glia_sample glia_samples_sub[] = {
    { .name = "plain", .n = 2, .in = { IN(-3, 3, 2, 3, 5), IN(-3, 3, 2, 3, 5) } },
    { .name = "integers", .n = 2, .in = { WHOLE(4, 3), WHOLE(4, 3) } },
    { 0 },
};

EVAL(mul, a * b)
VJP(mul, glia_mul(dy, b), glia_mul(dy, a))
RECORD(mul, "a b", glia_infer_numeric, GLIA_OP_COMMUTES)
const glia_sample glia_samples_mul[] = {
    { .name = "plain", .n = 2, .in = { IN(-3, 3, 2, 3, 5), IN(-3, 3, 2, 3, 5) } },
    { .name = "integers", .n = 2, .in = { WHOLE(4, 3), WHOLE(4, 3) } },
    { 0 },
};

/* d(a/b)/db = -a/b^2 = -y/b */
EVAL(div, a / b)
VJP(div, glia_div(dy, b), glia_neg(glia_mul(dy, glia_div(y, b))))
RECORD(div, "a / b", glia_infer_float, 0)
const glia_sample glia_samples_div[] = {
    { .name = "plain", .n = 2, .in = { IN(-3, 3, 2, 3, 5), IN(0.5, 3, 2, 3, 5) } },
    { .name = "negative", .n = 2, .in = { IN(-3, 3, 7), IN(-3, -0.5, 7) } },
    { 0 },
};

/* By the base: b a^(b-1), and 0 where b is 0. By the exponent: y log a, and 0 where a is 0 and b is not negative. The
 * branches that select drops get arguments without poles, so second derivatives are finite there too. */
static void pow_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor a = y->in[0], b = y->in[1];
    glia_tensor zero = glia_like(a, 0), one = glia_like(a, 1), nothing = glia_like(dy, 0);
    glia_tensor constant = glia_equal(b, zero);
    glia_tensor slope = glia_mul(b, glia_pow(a, glia_select(constant, one, glia_sub(b, one))));
    dx[0] = glia_select(constant, nothing, glia_mul(dy, slope));
    glia_tensor flat = glia_and(glia_equal(a, zero), glia_greater_equal(b, zero));
    glia_tensor log_a = glia_log(glia_select(flat, one, a));
    dx[1] = glia_select(flat, nothing, glia_mul(dy, glia_mul(y, log_a)));
}
EVAL(pow, pow(a, b))
RECORD(pow, "a^b; gradient in b: 0 where a = 0 and b >= 0, NaN where a < 0", glia_infer_float, 0)
const glia_sample glia_samples_pow[] = {
    { .name = "plain", .n = 2, .in = { IN(0.3, 3, 2, 3, 5), IN(-3, 3, 2, 3, 5) } },
    { .name = "negative base", .n = 2, .in = { IN(-3, -0.3, 7),
        { .shape = GLIA_DIMS(7), .kind = GLIA_SAMPLE_INTEGER, .low = 1, .high = 4, .constant = true } } },
    { 0 },
};

/* The gradient of a maximum or minimum by one input: 0 where that input `loses`, half of dy where both are equal, else
 * dy. Where one of them is NaN, both get dy. */
static glia_tensor share(glia_tensor loses, glia_tensor tie, glia_tensor dy) {
    return glia_select(loses, glia_like(dy, 0), glia_select(tie, glia_mul_scalar(dy, 0.5), dy));
}

EVAL(maximum, a > b || a != a ? a : b) /* NaN if an input is NaN */
VJP(maximum, share(glia_less(a, b), glia_equal(a, b), dy), share(glia_greater(a, b), glia_equal(a, b), dy))
RECORD(maximum, "the larger of a and b, NaN if one is; gradient of ties: half each", glia_infer_numeric,
       GLIA_OP_COMMUTES)
const glia_sample glia_samples_maximum[] = {
    { .name = "plain",
      .n = 2,
      .in = { DISTINCT(2, 3, 5),
              { .shape = GLIA_DIMS(2, 3, 5), .kind = GLIA_SAMPLE_DISTINCT, .low = -2.95, .high = 3.11 } } },
    { .name = "integers", .n = 2, .in = { WHOLE(4, 3), WHOLE(4, 3) } },
    { 0 },
};

EVAL(minimum, a < b || a != a ? a : b)
VJP(minimum, share(glia_greater(a, b), glia_equal(a, b), dy), share(glia_less(a, b), glia_equal(a, b), dy))
RECORD(minimum, "the smaller of a and b, NaN if one is; gradient of ties: half each", glia_infer_numeric,
       GLIA_OP_COMMUTES)
const glia_sample glia_samples_minimum[] = {
    { .name = "plain",
      .n = 2,
      .in = { DISTINCT(2, 3, 5),
              { .shape = GLIA_DIMS(2, 3, 5), .kind = GLIA_SAMPLE_DISTINCT, .low = -2.95, .high = 3.11 } } },
    { .name = "integers", .n = 2, .in = { WHOLE(4, 3), WHOLE(4, 3) } },
    { 0 },
};

glia_tensor glia_add_scalar(glia_tensor x, double value) { return glia_add(x, glia_like(x, value)); }
glia_tensor glia_mul_scalar(glia_tensor x, double value) { return glia_mul(x, glia_like(x, value)); }
