/* compare.c - comparisons, which give bool, and logical operations on bools. They have no gradient. */
#include "core/ops/ops.h"

static bool compare_infer(glia_node *n) {
    if (!glia_infer_alike(n)) return false;
    n->dtype = GLIA_BOOL;
    return true;
}

static bool logic_infer(glia_node *n) {
    return glia_infer_alike(n) && (n->dtype == GLIA_BOOL || glia_node_fail(n, "it takes bool"));
}

#define OP(op_name, formula, expression, infer_function, extra_flags)                                            \
    static void op_name##_eval(const glia_node *n, const double *const *in, double *out) {                       \
        int64_t count = glia_shape_count(n->shape);                                                              \
        for (int64_t i = 0; i < count; i++) {                                                                    \
            const double a = in[0][i], b = in[1][i];                                                             \
            out[i] = (expression) ? 1 : 0;                                                                       \
        }                                                                                                        \
    }                                                                                                            \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = formula, .arity = 2,                        \
                                        .flags = GLIA_OP_ELEMENTWISE | (extra_flags), .infer = infer_function,   \
                                        .eval = op_name##_eval };                                                \
    glia_tensor glia_##op_name(glia_tensor a, glia_tensor b) { return glia_node2_broadcast(&glia_op_##op_name, a, b); }

/* Integers, so that equal ones occur. */
#define WHOLE(type, ...)                                                                                               \
    { .dtype = type, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = -2, .high = 3 }
#define COMPARE_SAMPLES(op_name)                                                            \
    const glia_op_sample glia_samples_##op_name[] = {                                          \
        { .name = "floats", .n = 2, .in = { WHOLE(GLIA_F32, 4, 6), WHOLE(GLIA_F32, 4, 6) } },   \
        { .name = "integers", .n = 2, .in = { WHOLE(GLIA_I32, 4, 6), WHOLE(GLIA_I32, 4, 6) } }, \
        { 0 },                                                                              \
    };

OP(equal, "a = b", a == b, compare_infer, GLIA_OP_COMMUTES)
COMPARE_SAMPLES(equal)
OP(not_equal, "a != b", a != b, compare_infer, GLIA_OP_COMMUTES)
COMPARE_SAMPLES(not_equal)
OP(less, "a < b", a < b, compare_infer, 0)
COMPARE_SAMPLES(less)
OP(less_equal, "a <= b", a <= b, compare_infer, 0)
COMPARE_SAMPLES(less_equal)
OP(greater, "a > b", a > b, compare_infer, 0)
COMPARE_SAMPLES(greater)
OP(greater_equal, "a >= b", a >= b, compare_infer, 0)
COMPARE_SAMPLES(greater_equal)

#define FLAGS(...)                                                                                                     \
    { .dtype = GLIA_BOOL, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 2 }
#define LOGIC_SAMPLES(op_name)                                               \
    const glia_op_sample glia_samples_##op_name[] = {                           \
        { .name = "plain", .n = 2, .in = { FLAGS(4, 6), FLAGS(4, 6) } },     \
        { 0 },                                                               \
    };

OP(and, "a and b, of bool", a != 0 && b != 0, logic_infer, GLIA_OP_COMMUTES)
LOGIC_SAMPLES(and)
OP(or, "a or b, of bool", a != 0 || b != 0, logic_infer, GLIA_OP_COMMUTES)
LOGIC_SAMPLES(or)
