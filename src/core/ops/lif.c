/* lif.c - leaky integrate-and-fire units over all steps: their membranes, and the filter that is their gradient.
 *
 *     lif          current (N, T, ...), or (N, ...) if it is the same in all `steps`  ->  membrane u (N, T, ...)
 *     lif_filter   x (N, T, ...), u  ->  y (N, T, ...)
 *
 * A unit fires where its membrane exceeds the threshold: f = [u > threshold]. Membranes begin at 0:
 *
 *     u[t] = beta u[t-1] + current[t] - threshold f[t-1]        reset by subtraction
 *     u[t] = beta (1 - f[t-1]) u[t-1] + current[t]              reset to zero
 *     u[t] = beta u[t-1] + current[t]                           silent
 *
 * A spike has no derivative here: a surrogate's is that of glia_spike(u - threshold) outside. So with keep[t] = 1, or
 * 1 - f[t] for a reset to zero, the gradient of a loss in the currents is a filter of its gradient in the membranes,
 * which runs in reverse; the gradient of that filter runs forward:
 *
 *     y[t] = x[t] + beta keep[t] y[t+1]      reverse
 *     y[t] = x[t] + beta keep[t-1] y[t-1]    else
 */
#include "core/ops/ops.h"

static bool is_valid(glia_node *n) {
    const glia_lif_attrs *a = n->attrs;
    if (!(a->beta >= 0 && a->beta <= 1)) return glia_node_fail(n, "beta is %g, which is not in [0, 1]", a->beta);
    if (!(a->threshold > 0)) return glia_node_fail(n, "the threshold is %g, which is not positive", a->threshold);
    if (a->reset < 0 || a->reset >= GLIA_RESET_COUNT) return glia_node_fail(n, "there is no such reset");
    if (a->steps < 0 || a->steps > INT32_MAX) return glia_node_fail(n, "it has %lld steps", (long long)a->steps);
    return true;
}

static bool lif_infer(glia_node *n) {
    const glia_lif_attrs *a = n->attrs;
    if (!glia_infer_float(n) || !is_valid(n)) return false;
    if (n->shape.rank < (a->steps ? 1 : 2) || (a->steps && n->shape.rank == GLIA_MAX_RANK)) {
        return glia_node_fail(n, "the current should be %s", a->steps ? "(N, ...)" : "(N, T, ...)");
    }
    if (a->steps) {
        for (int i = n->shape.rank++; i > 1; i--) n->shape.dim[i] = n->shape.dim[i - 1];
        n->shape.dim[1] = a->steps;
    }
    return true;
}

static bool filter_infer(glia_node *n) {
    if (!glia_infer_float(n) || !is_valid(n)) return false;
    return n->shape.rank >= 2 || glia_node_fail(n, "the inputs should be (N, T, ...)");
}

static bool fires(const glia_lif_attrs *a, double u) { return a->reset != GLIA_RESET_NONE && u > a->threshold; }

/* The factor of a membrane in the next step. */
static double keep(const glia_lif_attrs *a, double u) {
    return a->reset == GLIA_RESET_TO_ZERO && fires(a, u) ? 0 : a->beta;
}

static void lif_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_lif_attrs *a = n->attrs;
    const int64_t steps = n->shape.dim[1], all = glia_shape_count(n->shape), size = all ? all / n->shape.dim[0] : 0;
    const int64_t width = all ? size / steps : 0;
    for (int64_t i = 0; i < all; i++) {
        const int64_t sample = i / size, unit = i % width;
        out[i] = in[0][a->steps ? sample * width + unit : i];
        if (i % size < width) continue;
        const double before = out[i - width];
        out[i] += keep(a, before) * before;
        if (a->reset == GLIA_RESET_SUBTRACT && fires(a, before)) out[i] -= a->threshold;
    }
}

static void filter_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_lif_attrs *a = n->attrs;
    const int64_t steps = n->shape.dim[1], all = glia_shape_count(n->shape), size = all ? all / n->shape.dim[0] : 0;
    const int64_t width = all ? size / steps : 0;
    for (int64_t k = 0; k < all; k++) {
        const int64_t i = a->reverse ? all - 1 - k : k, at = i % size;
        out[i] = in[0][i];
        if (a->reverse && at < size - width) out[i] += keep(a, in[1][i]) * out[i + width];
        if (!a->reverse && at >= width) out[i] += keep(a, in[1][i - width]) * out[i - width];
    }
}

static glia_tensor filter(glia_tensor x, glia_tensor u, glia_lif_attrs attrs, bool reverse) {
    glia_tensor in[2] = { x, u };
    attrs.steps = 0;
    attrs.reverse = reverse;
    return glia_node_create(glia_graph_of(in, 2), &glia_op_lif_filter, in, 2, &attrs);
}

static void lif_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_lif_attrs *a = y->attrs;
    dx[0] = filter(dy, y, *a, true);
    if (a->steps) dx[0] = glia_sum(dx[0], GLIA_SHAPE(1), false);
}

static void filter_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_lif_attrs *a = y->attrs;
    dx[0] = filter(dy, y->in[1], *a, !a->reverse);
}

static const char *const reset_names[] = { [GLIA_RESET_SUBTRACT] = "subtract",
                                           [GLIA_RESET_TO_ZERO] = "to_zero",
                                           [GLIA_RESET_NONE] = "silent",
                                           [GLIA_RESET_COUNT] = NULL };

static const glia_field lif_fields[] = { GLIA_FIELD(FLOAT, glia_lif_attrs, beta),
                                         GLIA_FIELD(FLOAT, glia_lif_attrs, threshold),
                                         GLIA_ENUM_FIELD(glia_lif_attrs, reset, reset_names),
                                         GLIA_FIELD(INT, glia_lif_attrs, steps),
                                         GLIA_FIELD(BOOL, glia_lif_attrs, reverse),
                                         GLIA_FIELDS_END };

const glia_op glia_op_lif = { .name = "lif",
                              .summary = "the membranes (N, T, ...) of leaky integrate-and-fire units",
                              .arity = 1,
                              .attr_size = sizeof(glia_lif_attrs),
                              .fields = lif_fields,
                              .infer = lif_infer,
                              .eval = lif_eval,
                              .vjp = lif_vjp };

const glia_op glia_op_lif_filter = { .name = "lif_filter",
                                     .summary = "x (N, T, ...) leaking as membranes do, which is lif's gradient",
                                     .arity = 2,
                                     .attr_size = sizeof(glia_lif_attrs),
                                     .fields = lif_fields,
                                     .infer = filter_infer,
                                     .eval = filter_eval,
                                     .vjp = filter_vjp };

#define ATTRS(...)                                                                                                     \
    .attrs = &(const glia_lif_attrs) { __VA_ARGS__ }
#define CURRENT(...) .n = 1, .in = { { .shape = GLIA_DIMS(__VA_ARGS__), .low = -0.5, .high = 1.5 } }
#define BOTH(...)                                                                                                      \
    .n = 2, .in = { { .shape = GLIA_DIMS(__VA_ARGS__) }, { .shape = GLIA_DIMS(__VA_ARGS__), .low = -1, .high = 3 } }
const glia_op_sample glia_samples_lif[] = {
    { .name = "subtract", CURRENT(2, 5, 3), ATTRS(0.9, 1, GLIA_RESET_SUBTRACT, 0, false) },
    { .name = "to zero", CURRENT(2, 5, 2, 2), ATTRS(0.8, 0.7, GLIA_RESET_TO_ZERO, 0, false) },
    { .name = "silent", CURRENT(3, 4), ATTRS(0.9, 1, GLIA_RESET_NONE, 0, false) },
    { .name = "the same in all steps", CURRENT(2, 20), ATTRS(0.9, 1, GLIA_RESET_SUBTRACT, 6, false) },
    { 0 },
};
const glia_op_sample glia_samples_lif_filter[] = {
    { .name = "reverse", BOTH(2, 5, 3), ATTRS(0.9, 1, GLIA_RESET_SUBTRACT, 0, true) },
    { .name = "reverse, to zero", BOTH(2, 5, 19), ATTRS(0.8, 0.7, GLIA_RESET_TO_ZERO, 0, true) },
    { .name = "forward, to zero", BOTH(2, 4, 18), ATTRS(0.8, 0.7, GLIA_RESET_TO_ZERO, 0, false) },
    { 0 },
};

glia_tensor glia_lif_of(glia_tensor current, glia_lif_attrs attrs) { return glia_node1(&glia_op_lif, current, &attrs); }
