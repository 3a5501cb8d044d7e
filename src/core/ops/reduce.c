/* reduce.c - sum, maximum and product over axes. The minimum is the maximum of -x, negated. */
#include <math.h>
#include <string.h>

#include "core/ops/ops.h"

static const glia_reduce_attrs *attrs_of(const glia_node *n) { return n->attrs; }

/* Sorts and checks the axes; each becomes 1 or is removed. */
static bool reduce_infer(glia_node *n) {
    const glia_reduce_attrs *a = attrs_of(n);
    glia_shape in = n->in[0]->shape, sorted;
    if (!glia_infer_numeric(n)) return false;
    if (!glia_axes_normalize(a->axes, in.rank, &sorted) || !glia_shape_equal(sorted, a->axes)) {
        return glia_node_fail(n, "the axes must be sorted, different and below the rank");
    }
    n->shape.rank = 0;
    for (int i = 0; i < in.rank; i++) {
        bool reduced = glia_axes_contain(&a->axes, i);
        if (!reduced || a->keep) n->shape.dim[n->shape.rank++] = reduced ? 1 : in.dim[i];
    }
    for (int i = n->shape.rank; i < GLIA_MAX_RANK; i++) n->shape.dim[i] = 0;
    return true;
}

/* Iterates over x with the offset of the result's element. */
static glia_walk walk_reduced(const glia_node *n) {
    glia_walk w = { .shape = n->in[0]->shape };
    int64_t stride = 1;
    for (int i = w.shape.rank - 1; i >= 0; i--) {
        if (glia_axes_contain(&attrs_of(n)->axes, i)) continue;
        w.stride[i] = stride;
        stride *= w.shape.dim[i];
    }
    return w;
}

/* Defines an eval that starts at `initial` and combines y (so far) with x. */
#define EVAL(op_name, initial, joined)                                                     \
    static void op_name##_eval(const glia_node *n, const double *const *in, double *out) { \
        int64_t count = glia_shape_count(n->shape), steps = glia_shape_count(n->in[0]->shape); \
        for (int64_t i = 0; i < count; i++) out[i] = (initial);                            \
        glia_walk w = walk_reduced(n);                                                     \
        for (int64_t i = 0; i < steps; i++, glia_walk_step(&w)) {                          \
            const double x = in[0][i], y = out[w.offset];                                  \
            out[w.offset] = (joined);                                                      \
        }                                                                                  \
        if (glia_dtype_is_float(n->dtype)) return;                                         \
        for (int64_t i = 0; i < count; i++) out[i] = glia_round_to(n->dtype, out[i]);      \
    }

static const glia_field reduce_fields[] = { GLIA_FIELD(INTS, glia_reduce_attrs, axes),
                                            GLIA_FIELD(BOOL, glia_reduce_attrs, keep), GLIA_FIELDS_END };

#define RECORD(op_name, formula)                                                                                       \
    const glia_op glia_op_##op_name = { .name = #op_name,                                                              \
                                        .summary = formula,                                                            \
                                        .arity = 1,                                                                    \
                                        .attr_size = sizeof(glia_reduce_attrs),                                        \
                                        .fields = reduce_fields,                                                       \
                                        .infer = reduce_infer,                                                         \
                                        .eval = op_name##_eval,                                                        \
                                        .vjp = op_name##_vjp };                                                        \
    glia_tensor glia_##op_name(glia_tensor x, glia_shape axes, bool keep) {                                            \
        return reduce(&glia_op_##op_name, x, axes, keep);                                                              \
    }

#define OF(kind_, from, to, ...) { { .shape = GLIA_DIMS(__VA_ARGS__), .kind = kind_, .low = from, .high = to } }
#define OVER(is_kept, ...) &(const glia_reduce_attrs){ GLIA_DIMS(__VA_ARGS__), is_kept }
#define SAMPLES(name_, kind_, from, to)                                                                           \
    const glia_op_sample glia_samples_##name_[] = {                                                                  \
        { .name = "all", .n = 1, .in = OF(kind_, from, to, 2, 3, 4), .attrs = OVER(false, 0, 1, 2) },             \
        { .name = "last", .n = 1, .in = OF(kind_, from, to, 2, 3, 5), .attrs = OVER(false, 2) },                  \
        { .name = "first, kept", .n = 1, .in = OF(kind_, from, to, 4, 3, 2), .attrs = OVER(true, 0) },            \
        { .name = "outer two", .n = 1, .in = OF(kind_, from, to, 2, 3, 4), .attrs = OVER(false, 0, 2) },          \
        { 0 },                                                                                                    \
    };

static glia_tensor reduce(const glia_op *op, glia_tensor x, glia_shape axes, bool keep) {
    glia_reduce_attrs attrs = { .keep = keep };
    if (!glia_is_bad(x) && !glia_axes_normalize(axes, x->shape.rank, &attrs.axes)) {
        char s[GLIA_SHAPE_TEXT];
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "%s of %s: an axis is outside", op->name,
                               glia_shape_format(x->shape, s));
    }
    return glia_node1(op, x, &attrs);
}

/* ---- sum ------------------------------------------------------------------------------------ */

EVAL(sum, 0, y + x)

static void sum_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_expand_reduced(dy, attrs_of(y), y->in[0]->shape);
}

RECORD(sum, "sum over axes")
SAMPLES(sum, GLIA_SAMPLE_UNIFORM, -3, 3)

/* ---- max ------------------------------------------------------------------------------------ */

EVAL(max, -INFINITY, x > y || x != x ? x : y) /* NaN if an input is NaN */

/* Every position of the maximum gets dy divided by their number; if the maximum is NaN, every NaN does. */
static void max_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0];
    const glia_reduce_attrs *a = attrs_of(y);
    if (glia_is_bad(x) || glia_is_bad(dy)) return;
    glia_tensor wins = glia_or(glia_equal(x, glia_expand_reduced(y, a, x->shape)), glia_not_equal(x, x));
    glia_tensor ties = glia_sum(glia_cast(wins, x->dtype), a->axes, a->keep);
    glia_tensor share = glia_expand_reduced(glia_div(dy, ties), a, x->shape);
    dx[0] = glia_select(wins, share, glia_like(share, 0));
}

RECORD(max, "the largest over axes, NaN if there is one; gradient of ties: shared equally")
SAMPLES(max, GLIA_SAMPLE_DISTINCT, -3, 3)

glia_tensor glia_min(glia_tensor x, glia_shape axes, bool keep) { return glia_neg(glia_max(glia_neg(x), axes, keep)); }

/* ---- product -------------------------------------------------------------------------------- */

EVAL(prod, 1, y * x)

/* dx[k] = dy times the product of all x[i] except x[k], computed without dividing by x[k], so that it is correct where
 * x[k] is 0 and can be differentiated again there: for K factors a (K, K) matrix of them with diagonal 1 is multiplied
 * along rows. Costs K times the memory of x; products are short. */
static void prod_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0];
    const glia_reduce_attrs *a = attrs_of(y);
    glia_shape order = { .rank = x->shape.rank }, back = { .rank = x->shape.rank };
    int at = 0;
    int64_t outer = 1, factors = 1; /* either may be symbolic */
    for (int reduced = 0; reduced < 2; reduced++) {
        for (int i = 0; i < x->shape.rank; i++) {
            if (glia_axes_contain(&a->axes, i) != reduced) continue;
            int64_t *product = reduced ? &factors : &outer;
            *product = glia_dim_times(*product, x->shape.dim[i]);
            back.dim[i] = at;
            order.dim[at++] = i;
        }
    }
    glia_tensor moved = glia_permute(x, order);
    glia_tensor row = glia_reshape(moved, GLIA_SHAPE(outer, 1, factors));
    glia_shape square = GLIA_SHAPE(factors, factors);
    glia_tensor diagonal =
        glia_equal(glia_iota(x->graph, GLIA_I32, square, 0), glia_iota(x->graph, GLIA_I32, square, 1));
    glia_tensor others = glia_select(diagonal, glia_scalar(x->graph, x->dtype, 1), row);
    glia_tensor slope = glia_mul(glia_prod(others, GLIA_SHAPE(2), false), glia_reshape(dy, GLIA_SHAPE(outer, 1)));
    dx[0] = glia_permute(glia_reshape(slope, glia_tensor_shape(moved)), back);
}

RECORD(prod, "product over axes")
SAMPLES(prod, GLIA_SAMPLE_UNIFORM, -2, 2)
