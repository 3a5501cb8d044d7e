/* along_axis.c - elements selected along an axis, each by its own index (numpy.take_along_axis, torch.gather), and the
 * adjoint. The other axes have equal sizes:
 *
 *     take_along_axis   x (A..., K, B...), indices (A..., I, B...) -> (A..., I, B...)
 *                           y[a, i, b] = x[a, indices[a, i, b], b]
 *     add_along_axis    u (A..., I, B...), indices alike -> (A..., size, B...)
 *                           y[a, indices[a, i, b], b] += u[a, i, b]
 *
 * Negative indices count from the end. An index outside [-K, K) selects no element, as in gather.c: take_along_axis
 * gives 0, add_along_axis adds nothing.
 */
#include "core/ops/ops.h"

static bool check_pair(glia_node *n, int64_t axis) {
    const glia_node *x = n->in[0], *at = n->in[1];
    if (at->dtype != GLIA_I32 && at->dtype != GLIA_I64) return glia_node_fail(n, "the indices must be i32 or i64");
    if (axis < 0 || axis >= x->shape.rank) return glia_node_fail(n, "the axis %lld is outside", (long long)axis);
    bool fits = at->shape.rank == x->shape.rank;
    for (int i = 0; fits && i < x->shape.rank; i++) fits = i == axis || x->shape.dim[i] == at->shape.dim[i];
    return fits || glia_node_fail(n, "the indices must have x's shape but for axis %lld", (long long)axis);
}

static bool take_infer(glia_node *n) {
    if (!check_pair(n, ((const glia_axis_attrs *)n->attrs)->axis)) return false;
    n->dtype = n->in[0]->dtype;
    n->shape = n->in[1]->shape;
    return true;
}

/* The offset in the whole, (A, size, B), of element e of `part`, (A, I, B), for this index; -1: out of range. */
static int64_t place_of(int64_t e, double index, glia_shape part, int64_t axis, int64_t size) {
    int64_t strides[GLIA_MAX_RANK];
    glia_shape_strides(part, strides);
    const int64_t inner = strides[axis], outer = e / (inner * part.dim[axis]);
    const int64_t row = glia_index_row(index, size);
    return row < 0 ? -1 : (outer * size + row) * inner + e % inner;
}

static void take_eval(const glia_node *n, const double *const *in, double *out) {
    const int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis, size = n->in[0]->shape.dim[axis];
    for (int64_t e = 0; e < glia_shape_count(n->shape); e++) {
        const int64_t at = place_of(e, in[1][e], n->shape, axis, size);
        out[e] = at < 0 ? 0 : in[0][at];
    }
}

static void take_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const int64_t axis = ((const glia_axis_attrs *)y->attrs)->axis;
    dx[0] = glia_add_along_axis(dy, y->in[1], (int)axis, y->in[0]->shape.dim[axis]);
}

static const glia_field take_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };
const glia_op glia_op_take_along_axis = { .name = "take_along_axis",
                                          .summary = "elements of x along an axis, each by its own index",
                                          .arity = 2,
                                          .attr_size = sizeof(glia_axis_attrs),
                                          .fields = take_fields,
                                          .infer = take_infer,
                                          .eval = take_eval,
                                          .vjp = take_vjp };

#define INDICES(below, ...)                                                                                            \
    { .dtype = GLIA_I32, .shape = GLIA_DIMS(__VA_ARGS__), .kind = GLIA_SAMPLE_INTEGER, .high = below, .constant = true }
#define AXIS(k)                                                                                                        \
    .attrs = &(const glia_axis_attrs) { k }
const glia_op_sample glia_samples_take_along_axis[] = {
    { .name = "last", .n = 2, .in = { { .shape = GLIA_DIMS(3, 5) }, INDICES(5, 3, 2) }, AXIS(1) },
    { .name = "middle", .n = 2, .in = { { .shape = GLIA_DIMS(2, 4, 3) }, INDICES(4, 2, 6, 3) }, AXIS(1) },
    { .name = "first", .n = 2, .in = { { .shape = GLIA_DIMS(4, 3) }, INDICES(4, 2, 3) }, AXIS(0) },
    { 0 },
};

static bool add_infer(glia_node *n) {
    const glia_scatter_attrs *a = n->attrs;
    if (!check_pair(n, a->axis)) return false;
    if (!glia_shape_equal(n->in[0]->shape, n->in[1]->shape))
        return glia_node_fail(n, "the updates need the indices' shape");
    n->dtype = n->in[0]->dtype;
    if (n->dtype != GLIA_F32 && n->dtype != GLIA_F64) return glia_node_fail(n, "the updates must be f32 or f64");
    if (a->size.rank != 1) return glia_node_fail(n, "the size is one number");
    n->shape = n->in[0]->shape;
    n->shape.dim[a->axis] = a->size.dim[0];
    return true;
}

static void add_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_scatter_attrs *a = n->attrs;
    const glia_shape part = n->in[0]->shape;
    for (int64_t i = 0; i < glia_shape_count(n->shape); i++) out[i] = 0;
    for (int64_t e = 0; e < glia_shape_count(part); e++) {
        const int64_t at = place_of(e, in[1][e], part, a->axis, n->shape.dim[a->axis]);
        if (at >= 0) out[at] += in[0][e];
    }
}

static void add_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_take_along_axis(dy, y->in[1], (int)((const glia_scatter_attrs *)y->attrs)->axis);
}

static const glia_field add_fields[] = { GLIA_FIELD(INT, glia_scatter_attrs, axis),
                                         GLIA_FIELD(SHAPE, glia_scatter_attrs, size), GLIA_FIELDS_END };
const glia_op glia_op_add_along_axis = { .name = "add_along_axis",
                                         .summary = "zeros to which elements are added, each placed by its own index",
                                         .arity = 2,
                                         .attr_size = sizeof(glia_scatter_attrs),
                                         .fields = add_fields,
                                         .infer = add_infer,
                                         .eval = add_eval,
                                         .vjp = add_vjp };

#define INTO(k, n)                                                                                                     \
    .attrs = &(const glia_scatter_attrs) { k, GLIA_DIMS(n) }
const glia_op_sample glia_samples_add_along_axis[] = {
    { .name = "last", .n = 2, .in = { { .shape = GLIA_DIMS(3, 6) }, INDICES(4, 3, 6) }, INTO(1, 4) },
    { .name = "first", .n = 2, .in = { { .shape = GLIA_DIMS(5, 2) }, INDICES(3, 5, 2) }, INTO(0, 3) },
    { 0 },
};

glia_tensor glia_take_along_axis(glia_tensor x, glia_tensor indices, int axis) {
    glia_tensor in[2] = { x, indices };
    int inside = x ? glia_axis_normalize(axis, x->shape.rank) : 0;
    return glia_node_create(glia_graph_of(in, 2), &glia_op_take_along_axis, in, 2,
                            &(glia_axis_attrs){ inside < 0 ? axis : inside });
}

glia_tensor glia_add_along_axis(glia_tensor updates, glia_tensor indices, int axis, int64_t size) {
    glia_tensor in[2] = { updates, indices };
    int inside = updates ? glia_axis_normalize(axis, updates->shape.rank) : 0;
    glia_scatter_attrs attrs = { inside < 0 ? axis : inside, GLIA_SHAPE(size) };
    return glia_node_create(glia_graph_of(in, 2), &glia_op_add_along_axis, in, 2, &attrs);
}
