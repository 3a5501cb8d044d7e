/* write.c - a tensor with a range of an axis replaced, at a position given at run time:
 *
 *     write  x (A..., K, B...), u (A..., M, B...), position ()  ->  x with y[a, position + m, b] = u[a, m, b]
 *
 * The position is clamped to [0, K - M]. Caches grow by this op. If the old x is not used afterwards, it runs in place
 * and touches only the range.
 */
#include <string.h>

#include "core/ops/ops.h"

static bool write_infer(glia_node *n) {
    const glia_axis_attrs *a = n->attrs;
    const glia_node *x = n->in[0], *u = n->in[1], *position = n->in[2];
    glia_infer_same(n);
    if (position->dtype != GLIA_I32 && position->dtype != GLIA_I64)
        return glia_node_fail(n, "the position must be i32 or i64");
    if (position->shape.rank != 0) return glia_node_fail(n, "the position must be one number, a scalar");
    if (u->dtype != x->dtype) return glia_node_fail(n, "the update must have the dtype of x");
    if (a->axis < 0 || a->axis >= x->shape.rank)
        return glia_node_fail(n, "the axis %lld is outside", (long long)a->axis);
    bool fits = u->shape.rank == x->shape.rank;
    for (int i = 0; fits && i < x->shape.rank; i++) {
        int64_t had = x->shape.dim[i], has = u->shape.dim[i];
        fits = i != a->axis ? had == has : had > 0 && has > 0 && has <= had;
    }
    return fits || glia_node_fail(n, "the update must have the shape of x, except for a shorter axis %d of fixed size",
                                  (int)a->axis);
}

static void write_eval(const glia_node *n, const double *const *in, double *out) {
    int64_t axis = ((const glia_axis_attrs *)n->attrs)->axis, strides[GLIA_MAX_RANK];
    int64_t size = n->shape.dim[axis], m = n->in[1]->shape.dim[axis], count = glia_shape_count(n->shape);
    glia_shape_strides(n->shape, strides);
    int64_t inner = strides[axis], outer = count / (size * inner), at = in[2][0] > 0 ? (int64_t)in[2][0] : 0;
    at = GLIA_MIN(at, size - m);
    memcpy(out, in[0], (size_t)count * sizeof *out);
    for (int64_t a = 0; a < outer; a++)
        memcpy(out + (a * size + at) * inner, in[1] + a * m * inner, (size_t)(m * inner) * sizeof *out);
}

/* Indices position ... position + m - 1, with the position clamped as in write. */
static glia_tensor stretch(glia_tensor position, int64_t size, int64_t m) {
    glia_tensor inside =
        glia_minimum(glia_maximum(position, glia_like(position, 0)), glia_like(position, (double)(size - m)));
    return glia_add(glia_iota(position->graph, position->dtype, GLIA_SHAPE(m), 0), inside);
}

static void write_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    int axis = (int)((const glia_axis_attrs *)y->attrs)->axis;
    int64_t size = y->shape.dim[axis], m = y->in[1]->shape.dim[axis];
    dx[0] = glia_write(dy, glia_like(y->in[1], 0), y->in[2], axis);
    dx[1] = glia_gather(dy, stretch(y->in[2], size, m), axis);
}

static const glia_field axis_fields[] = { GLIA_FIELD(INT, glia_axis_attrs, axis), GLIA_FIELDS_END };

const glia_op glia_op_write = { .name = "write",
                                .summary = "x with a range of an axis replaced, from a position on",
                                .arity = 3,
                                .flags = GLIA_OP_OVERWRITES,
                                .attr_size = sizeof(glia_axis_attrs),
                                .fields = axis_fields,
                                .infer = write_infer,
                                .eval = write_eval,
                                .vjp = write_vjp };

#define POSITION(type, from, below)                                                                                    \
    { .dtype = type, .kind = GLIA_SAMPLE_INTEGER, .low = from, .high = below, .constant = true }
#define AXIS(k)                                                                                                        \
    .attrs = &(const glia_axis_attrs) { k }
const glia_op_sample glia_samples_write[] = {
    { .name = "middle",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(2, 6, 3) }, { .shape = GLIA_DIMS(2, 2, 3) }, POSITION(GLIA_I32, 1, 4) },
      AXIS(1) },
    { .name = "first axis",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(5, 4) }, { .shape = GLIA_DIMS(1, 4) }, POSITION(GLIA_I64, 0, 5) },
      AXIS(0) },
    { .name = "beyond the end",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(3, 5) }, { .shape = GLIA_DIMS(3, 2) }, POSITION(GLIA_I32, 7, 9) },
      AXIS(1) },
    { .name = "before the beginning",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(3, 5) }, { .shape = GLIA_DIMS(3, 2) }, POSITION(GLIA_I32, -9, -2) },
      AXIS(1) },
    { .name = "the whole",
      .n = 3,
      .in = { { .shape = GLIA_DIMS(3, 2) }, { .shape = GLIA_DIMS(3, 2) }, POSITION(GLIA_I32, 0, 1) },
      AXIS(1) },
    { 0 },
};

glia_tensor glia_write(glia_tensor x, glia_tensor update, glia_tensor position, int axis) {
    glia_tensor in[3] = { x, update, position };
    int inside = x ? glia_axis_normalize(axis, x->shape.rank) : 0;
    return glia_node_create(glia_graph_of(in, 3), &glia_op_write, in, 3,
                            &(glia_axis_attrs){ inside < 0 ? axis : inside });
}
