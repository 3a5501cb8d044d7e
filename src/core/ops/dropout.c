/* dropout.c - dropout and its variants.
 *
 * dropout (Srivastava et al. 2014), inverted: when training, what is dropped becomes 0 and what is kept is divided by
 * 1 - rate. With `axes` only the first so many axes draw; what else they hold is dropped or kept together: (N, C) of
 * (N, C, H, W) are whole channels (spatial dropout, Tompson et al. 2015), (N) whole samples (stochastic depth, Huang et
 * al. 2016).
 *
 * alpha_dropout (Klambauer et al. 2017, section 3) is for what has mean 0 and variance 1, as selu's results have. What
 * is dropped becomes selu's limit at minus infinity, l = -1.7581, and then all is made a x + b, so that mean and
 * variance are kept: with q = 1 - rate,
 *
 *     a = (q + l^2 q rate)^(-1/2),   b = -a rate l
 *
 * Something is dropped where a uniform random number is below the rate. Those numbers are a function of the state "rng"
 * (seed and step) and this node's stream, so the gradient is the same operation with the same stream applied to dy: it
 * draws the same mask again instead of keeping it. That of alpha_dropout has the attribute `gradient`: without l and b.
 * In inference x passes unchanged.
 */
#include <math.h>

#include "core/ops/ops.h"

static const glia_dropout_attrs *attrs_of(const glia_node *n) { return n->attrs; }

static bool dropout_infer(glia_node *n) {
    const glia_node *x = n->in[0], *rng = n->in[1];
    n->dtype = x->dtype;
    n->shape = x->shape;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "x must be f32 or f64");
    if (rng->dtype != GLIA_I64 || rng->shape.rank != 1 || rng->shape.dim[0] != 2) {
        return glia_node_fail(n, "the state must be i64(2)");
    }
    int64_t stream = attrs_of(n)->stream, axes = attrs_of(n)->axes;
    if (stream < 0 || stream >= INT32_MAX) return glia_node_fail(n, "no such stream: %lld", (long long)stream);
    if (axes < 0 || axes > x->shape.rank) return glia_node_fail(n, "x has no %lld axes", (long long)axes);
    n->graph->n_streams = GLIA_MAX(n->graph->n_streams, (int)stream + 1); /* the next random node takes another */
    double rate = attrs_of(n)->rate;
    return (rate >= 0 && rate < 1) || glia_node_fail(n, "the rate must be in [0, 1), not %g", rate);
}

/* Which elements, channels, samples of x are kept. */
static glia_tensor kept_of(const glia_node *n, glia_tensor x, glia_tensor rng) {
    const glia_dropout_attrs *a = attrs_of(n);
    glia_random_attrs draw = { x->shape, a->stream };
    for (int i = (int)a->axes; a->axes > 0 && i < draw.shape.rank; i++) draw.shape.dim[i] = 1;
    glia_tensor u = glia_node1(&glia_op_random_uniform, rng, &draw);
    return glia_greater_equal(u, glia_is_bad(u) ? u : glia_like(u, a->rate));
}

static bool passes(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    return mode == GLIA_INFER || attrs_of(n)->rate == 0 || glia_is_bad(in[0]);
}

static glia_tensor dropout_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    if (passes(n, in, mode)) return in[0];
    glia_tensor scaled = glia_mul_scalar(in[0], 1 / (1 - attrs_of(n)->rate));
    return glia_select(kept_of(n, in[0], in[1]), scaled, glia_like(in[0], 0));
}

static void dropout_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_node2(&glia_op_dropout, dy, y->in[1], y->attrs);
}

static glia_tensor alpha_dropout_expand(const glia_node *n, const glia_tensor *in, glia_mode mode) {
    if (passes(n, in, mode)) return in[0];
    const double limit = -1.7580993408473766; /* of selu: minus its scale times its alpha */
    const double rate = attrs_of(n)->rate, a = 1 / sqrt((1 - rate) * (1 + limit * limit * rate));
    const double b = attrs_of(n)->gradient ? 0 : -a * rate * limit;
    glia_tensor dropped = glia_like(in[0], attrs_of(n)->gradient ? 0 : a * limit + b);
    return glia_select(kept_of(n, in[0], in[1]), glia_add_scalar(glia_mul_scalar(in[0], a), b), dropped);
}

static void alpha_dropout_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_dropout_attrs attrs = *attrs_of(y);
    attrs.gradient = true;
    dx[0] = glia_node2(&glia_op_alpha_dropout, dy, y->in[1], &attrs);
}

static const glia_field dropout_fields[] = { GLIA_FIELD(FLOAT, glia_dropout_attrs, rate),
                                             GLIA_FIELD(INT, glia_dropout_attrs, stream),
                                             GLIA_FIELD(INT, glia_dropout_attrs, axes), GLIA_FIELDS_END };
static const glia_field alpha_dropout_fields[] = { GLIA_FIELD(FLOAT, glia_dropout_attrs, rate),
                                                   GLIA_FIELD(INT, glia_dropout_attrs, stream),
                                                   GLIA_FIELD(BOOL, glia_dropout_attrs, gradient), GLIA_FIELDS_END };

#define RECORD(op, text)                                                                                               \
    const glia_op glia_op_##op = { .name = #op,                                                                        \
                                   .summary = text,                                                                    \
                                   .arity = 2,                                                                         \
                                   .flags = GLIA_OP_COMPOSITE | GLIA_OP_MODAL,                                         \
                                   .attr_size = sizeof(glia_dropout_attrs),                                            \
                                   .fields = op##_fields,                                                              \
                                   .infer = dropout_infer,                                                             \
                                   .vjp = op##_vjp,                                                                    \
                                   .expand = op##_expand };
RECORD(dropout, "x / (1 - rate) with probability 1 - rate, else 0; drawn for the first `axes` axes; x in inference")
RECORD(alpha_dropout,
       "a x + b with probability 1 - rate, else -1.758 a + b: mean 0 and variance 1 stay; x in inference")

#define STATE                                                                                                          \
    { .dtype = GLIA_I64, .shape = GLIA_DIMS(2), .kind = GLIA_SAMPLE_INTEGER, .low = 0, .high = 1000, .constant = true }
#define CASE(title, ...)                                                                                               \
    {                                                                                                                  \
        .name = title, .n = 2, .in = { { .shape = GLIA_DIMS(4, 5, 3) }, STATE },                                       \
        .attrs = &(const glia_dropout_attrs){ __VA_ARGS__ }, .no_golden = true                                         \
    }
const glia_sample glia_samples_dropout[] = {
    CASE("half", .rate = 0.5, .stream = 3),
    CASE("none", .stream = 0),
    CASE("channels", .rate = 0.5, .stream = 1, .axes = 2),
    CASE("samples", .rate = 0.25, .stream = 1, .axes = 1),
    { 0 },
};
const glia_sample glia_samples_alpha_dropout[] = {
    CASE("half", .rate = 0.5, .stream = 3),
    CASE("none", .stream = 0),
    CASE("gradient", .rate = 0.2, .stream = 1, .gradient = true),
    { 0 },
};
