/* softmax.c - softmax and its logarithm along one axis.
 *
 * Both subtract the maximum m first. This does not change the result and keeps every exponential in [0, 1]. For the
 * same reason no gradient flows through m.
 *
 *     z = x - m        softmax = e^z / sum e^z        log_softmax = z - log sum e^z
 */
#include "core/ops/ops.h"

static const glia_field axis_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };

static glia_shape axis_of(const glia_node *n) { return GLIA_SHAPE(((const glia_axis_attrs *)n->attrs)->axis); }

static bool softmax_infer(glia_node *n) {
    int64_t axis = axis_of(n).dim[0];
    if (!glia_infer_float(n)) return false;
    return (axis >= 0 && axis < n->shape.rank) || glia_node_fail(n, "there is no axis %lld", (long long)axis);
}

static glia_tensor shifted(glia_tensor x, glia_shape axis) {
    return glia_sub(x, glia_stop_gradient(glia_max(x, axis, true)));
}

glia_tensor glia_softmax_parts(glia_tensor x, int64_t axis) {
    glia_tensor e = glia_exp(shifted(x, GLIA_SHAPE(axis)));
    return glia_div(e, glia_sum(e, GLIA_SHAPE(axis), true));
}

static glia_tensor softmax_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    return glia_softmax_parts(in[0], axis_of(n).dim[0]);
}

/* y (dy - sum of dy y). */
static void softmax_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_mul(y, glia_sub(dy, glia_sum(glia_mul(dy, y), axis_of(y), true)));
}

static glia_tensor log_softmax_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    (void)mode;
    glia_tensor z = shifted(in[0], axis_of(n));
    return glia_sub(z, glia_log(glia_sum(glia_exp(z), axis_of(n), true)));
}

/* dy - softmax times the sum of dy. */
static void log_softmax_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_sub(dy, glia_mul(glia_exp(y), glia_sum(dy, axis_of(y), true)));
}

#define RECORD(op_name, text)                                                                                      \
    const glia_op glia_op_##op_name = { .name = #op_name, .summary = text, .arity = 1, .flags = GLIA_OP_COMPOSITE, \
                                        .attr_size = sizeof(glia_axis_attrs), .fields = axis_fields,               \
                                        .infer = softmax_infer, .vjp = op_name##_vjp, .expand = op_name##_expand }; \
    glia_tensor glia_##op_name(glia_tensor x, int axis) { return along(&glia_op_##op_name, x, axis); }

#define CASE(id, from, to, along, ...)                                                                               \
    { .name = id,                                                                                                    \
      .n = 1,                                                                                                        \
      .in = { { .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_DISTINCT, .low = from, .high = to } },          \
      .attrs = &(const glia_axis_attrs){ along } }
#define SAMPLES(op_name)                                                                                               \
    const glia_op_sample glia_samples_##op_name[] = {                                                                  \
        CASE("last", -3, 3, 1, 3, 5),                                                                                  \
        CASE("channels", -2, 2, 1, 2, 4, 3),                                                                           \
        CASE("first", -2, 2, 0, 4, 3),                                                                                 \
        CASE("far", 800, 810, 1, 2, 3),                                                                                \
        { 0 },                                                                                                         \
    };

static glia_tensor along(const glia_op *op, glia_tensor x, int axis) {
    glia_axis_attrs attrs = { axis };
    if (!glia_is_bad(x) && axis < 0) attrs.axis += x->shape.rank;
    return glia_node1(op, x, &attrs);
}

RECORD(softmax, "e^x / sum of e^x along an axis")
SAMPLES(softmax)

RECORD(log_softmax, "x - log sum of e^x along an axis")
SAMPLES(log_softmax)
