/* gather.c - slices selected by index, and the adjoint, slices added by index: embeddings, labels, message passing.
 *
 *     gather       x (A..., K, B...), indices (I...) -> (A..., I..., B...)      y[a, i, b]  = x[a, indices[i], b]
 *     scatter_add  u (A..., I..., B...), indices (I...) -> (A..., size, B...)   y[a, indices[i], b] += u[a, i, b]
 *
 * A negative index counts from the end, as in numpy.take: -1 is K - 1. For an index outside [-K, K) gather gives zeros
 * and scatter_add adds nothing. So both are products with one_hot(indices) and each other's adjoint, and no input makes
 * a kernel access memory out of bounds. In constant indices it is an error.
 */
#include "core/ops/ops.h"

static bool check_indices(glia_node *n, int64_t axis, int rank) {
    glia_dtype t = n->in[1]->dtype;
    if (t != GLIA_I32 && t != GLIA_I64) return glia_node_fail(n, "the indices must be i32 or i64");
    if (axis < 0 || axis >= rank) return glia_node_fail(n, "the axis %lld is outside", (long long)axis);
    return true;
}

/* Reports constant indices out of range for `size` (less than 1: not known). */
static bool check_constant(glia_node *n, const char *what, int64_t axis, int64_t size) {
    if (!glia_is_constant(n->in[1]) || size < 1) return true;
    const glia_numbers values = ((const glia_constant_attrs *)n->in[1]->attrs)->values;
    for (int64_t i = 0; i < values.n; i++) {
        if (glia_index_row(values.v[i], size) >= 0) continue;
        return glia_node_fail(n, "index %.0f is outside axis %lld of %s, which has %lld", values.v[i], (long long)axis,
                              what, (long long)size);
    }
    return true;
}

/* ---- gather --------------------------------------------------------------------------------- */

static bool gather_infer(glia_node *n) {
    int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis;
    glia_shape x = n->in[0]->shape, at = n->in[1]->shape;
    if (!check_indices(n, axis, x.rank) || !check_constant(n, "x", axis, x.dim[axis])) return false;
    if (x.rank - 1 + at.rank > GLIA_MAX_RANK) {
        return glia_node_fail(n, "the result has more than %d axes", GLIA_MAX_RANK);
    }
    n->dtype = n->in[0]->dtype;
    n->shape.rank = 0;
    for (int i = 0; i < axis; i++) n->shape.dim[n->shape.rank++] = x.dim[i];
    for (int i = 0; i < at.rank; i++) n->shape.dim[n->shape.rank++] = at.dim[i];
    for (int i = (int)axis + 1; i < x.rank; i++) n->shape.dim[n->shape.rank++] = x.dim[i];
    return true;
}

static void gather_eval(const glia_node *n, const double *const *in, double *out) {
    int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis;
    int64_t strides[GLIA_MAX_RANK], size = n->in[0]->shape.dim[axis], picks = glia_shape_count(n->in[1]->shape);
    glia_shape_strides(n->in[0]->shape, strides);
    int64_t inner = strides[axis], outer = glia_shape_count(n->in[0]->shape) / (size * inner);
    for (int64_t a = 0; a < outer; a++) {
        for (int64_t i = 0; i < picks; i++) {
            const int64_t k = glia_index_row(in[1][i], size);
            const double *row = in[0] + (a * size + k) * inner;
            for (int64_t b = 0; b < inner; b++) *out++ = k < 0 ? 0 : row[b];
        }
    }
}

static void gather_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    int64_t axis = ((const glia_axis_attrs *)y->attrs)->axis;
    bool storage = y->dtype == GLIA_BF16 || y->dtype == GLIA_F16; /* accumulated in f32 */
    glia_tensor updates = storage ? glia_cast(dy, GLIA_F32) : dy;
    dx[0] = glia_cast(glia_scatter_add(updates, y->in[1], (int)axis, y->in[0]->shape.dim[axis]), y->dtype);
}

static const glia_field axis_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };

const glia_op glia_op_gather = { .name = "gather",
                                 .summary = "slices of x along an axis, by index, as numpy.take", .arity = 2,
                                 .attr_size = sizeof(glia_axis_attrs), .fields = axis_fields,
                                 .infer = gather_infer, .eval = gather_eval, .vjp = gather_vjp };

#define AXIS(k) .attrs = &(const glia_axis_attrs){ k }
#define INDICES(type, from, below, ...)                                                                       \
    { .dtype = type, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .low = from, .high = below, \
      .constant = true }
const glia_sample glia_samples_gather[] = {
    { .name = "rows", .n = 2, .in = { { .shape = GLIA_DIMS(5, 3) }, INDICES(GLIA_I32, 0, 5, 4) }, AXIS(0) },
    { .name = "columns", .n = 2, .in = { { .shape = GLIA_DIMS(3, 5) }, INDICES(GLIA_I64, -5, 5, 2, 3) }, AXIS(1) },
    { .name = "middle", .n = 2, .in = { { .shape = GLIA_DIMS(2, 4, 3) }, INDICES(GLIA_I32, -4, 4, 6) }, AXIS(1) },
    { 0 },
};

static int axis_of(glia_tensor x, int axis) {
    int inside = x ? glia_axis_normalize(axis, x->shape.rank) : 0;
    return inside < 0 ? axis : inside;
}

glia_tensor glia_gather(glia_tensor x, glia_tensor indices, int axis) {
    glia_tensor in[2] = { x, indices };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_gather, in, 2, &(glia_axis_attrs){ axis_of(x, axis) });
}

/* ---- scatter_add ---------------------------------------------------------------------------- */

static bool scatter_add_infer(glia_node *n) {
    const glia_scatter_attrs *a = n->attrs;
    glia_shape from = n->in[0]->shape, at = n->in[1]->shape;
    int rank = from.rank - at.rank + 1; /* rank of the result */
    n->dtype = n->in[0]->dtype;
    if (a->size.rank != 1) return glia_node_fail(n, "the size is one number");
    if (!check_indices(n, a->axis, rank) || !check_constant(n, "the result", a->axis, a->size.dim[0])) return false;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "the updates must be f32 or f64");
    for (int i = 0; i < at.rank; i++) {
        if (from.dim[a->axis + i] != at.dim[i]) {
            return glia_node_fail(n, "the updates do not have the indices' shape at axis %d", (int)a->axis);
        }
    }
    n->shape.rank = rank;
    for (int i = 0; i < rank; i++) {
        n->shape.dim[i] = i < a->axis ? from.dim[i] : i == a->axis ? a->size.dim[0] : from.dim[i + at.rank - 1];
    }
    return true;
}

static void scatter_add_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_scatter_attrs *a = n->attrs;
    int64_t strides[GLIA_MAX_RANK], size = n->shape.dim[a->axis], picks = glia_shape_count(n->in[1]->shape);
    int64_t count = glia_shape_count(n->shape);
    glia_shape_strides(n->shape, strides);
    int64_t inner = strides[a->axis], outer = count / (size * inner);
    for (int64_t i = 0; i < count; i++) out[i] = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < picks; i++) {
            const int64_t k = glia_index_row(in[1][i], size);
            if (k < 0) continue;
            double *row = out + (o * size + k) * inner;
            const double *from = in[0] + (o * picks + i) * inner;
            for (int64_t b = 0; b < inner; b++) row[b] += from[b];
        }
    }
}

static void scatter_add_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_gather(dy, y->in[1], (int)((const glia_scatter_attrs *)y->attrs)->axis);
}

static const glia_field scatter_fields[] = { GLIA_FIELD(INT, glia_scatter_attrs, axis),
                                             GLIA_FIELD(SHAPE, glia_scatter_attrs, size), GLIA_FIELDS_END };

const glia_op glia_op_scatter_add = { .name = "scatter_add",
                                      .summary = "zeros to which slices are added, placed by index",
                                      .arity = 2,
                                      .attr_size = sizeof(glia_scatter_attrs),
                                      .fields = scatter_fields,
                                      .infer = scatter_add_infer,
                                      .eval = scatter_add_eval,
                                      .vjp = scatter_add_vjp };

#define INTO(k, n) .attrs = &(const glia_scatter_attrs){ k, GLIA_DIMS(n) }
const glia_sample glia_samples_scatter_add[] = {
    { .name = "rows", .n = 2, .in = { { .shape = GLIA_DIMS(6, 3) }, INDICES(GLIA_I32, -4, 4, 6) }, INTO(0, 4) },
    { .name = "columns",
      .n = 2,
      .in = { { .shape = GLIA_DIMS(2, 2, 3) }, INDICES(GLIA_I64, -5, 5, 2, 3) },
      INTO(1, 5) },
    { .name = "middle", .n = 2, .in = { { .shape = GLIA_DIMS(2, 5, 3) }, INDICES(GLIA_I32, 0, 3, 5) }, INTO(1, 3) },
    { 0 },
};

glia_tensor glia_scatter_add(glia_tensor updates, glia_tensor indices, int axis, int64_t size) {
    glia_tensor in[2] = { updates, indices };
    int rank = updates && indices ? updates->shape.rank - indices->shape.rank + 1 : 0;
    int inside = rank > 0 ? glia_axis_normalize(axis, rank) : -1;
    glia_scatter_attrs attrs = { inside < 0 ? axis : inside, GLIA_SHAPE(size) };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_scatter_add, in, 2, &attrs);
}
