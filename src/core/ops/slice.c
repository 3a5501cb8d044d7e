/* slice.c - a part of a tensor, every step-th element of a range along each axis: x[start : stop : step].
 *
 * On a symbolic axis (a multiple of a size) start and stop are 0 or multiples of that size too, and the step is 1: that
 * is what a concatenation of batches needs to be taken apart again. Its adjoint is pad, with the step as zeros between.
 */
#include "core/ops/ops.h"

/* The length of [from : to] on an axis; less than 1 and not symbolic: it is not inside. */
static int64_t taken(int64_t size, int64_t from, int64_t to, int64_t step) {
    if (size > 0) return from < 0 || to <= from || to > size || step < 1 ? 0 : (to - from - 1) / step + 1;
    if (step != 1 || from > 0 || to >= 0 || glia_dim_minus(size, to) == GLIA_DIM_NONE) return 0;
    const int64_t length = glia_dim_minus(to, from);
    return length == GLIA_DIM_NONE || length > 0 ? 0 : length;
}

static bool slice_infer(glia_node *n) {
    const glia_slice_attrs *a = n->attrs;
    glia_infer_same(n);
    int rank = n->shape.rank;
    if (a->start.rank != rank || a->stop.rank != rank || a->step.rank != rank) {
        return glia_node_fail(n, "start, stop and step need an entry for each axis");
    }
    for (int i = 0; i < rank; i++) {
        int64_t size = n->shape.dim[i], from = a->start.dim[i], to = a->stop.dim[i], step = a->step.dim[i];
        n->shape.dim[i] = taken(size, from, to, step);
        if (n->shape.dim[i]) continue;
        char start[GLIA_DIM_TEXT], stop[GLIA_DIM_TEXT];
        return glia_node_fail(n, "[%s : %s : %lld] is not in axis %d", glia_dim_format(from, start),
                              glia_dim_format(to, stop), (long long)step, i);
    }
    return true;
}

static void slice_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_slice_attrs *a = n->attrs;
    int64_t strides[GLIA_MAX_RANK], count = glia_shape_count(n->shape);
    glia_shape_strides(n->in[0]->shape, strides);
    glia_walk w = { .shape = n->shape };
    for (int i = 0; i < n->shape.rank; i++) {
        w.stride[i] = strides[i] * a->step.dim[i];
        w.offset += strides[i] * a->start.dim[i];
    }
    for (int64_t i = 0; i < count; i++, glia_walk_step(&w)) out[i] = in[0][w.offset];
}

static void slice_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_slice_attrs *a = y->attrs;
    glia_shape after = a->start, between = a->step, x = y->in[0]->shape;
    for (int i = 0; i < x.rank; i++) {
        const int64_t size = y->shape.dim[i], covered = size < 0 ? size : (size - 1) * a->step.dim[i] + 1;
        between.dim[i]--;
        after.dim[i] = glia_dim_minus(glia_dim_minus(x.dim[i], a->start.dim[i]), covered);
    }
    dx[0] = glia_pad(dy, a->start, after, between, 0);
}

static const glia_field slice_fields[] = { GLIA_FIELD(SHAPE, glia_slice_attrs, start),
                                           GLIA_FIELD(SHAPE, glia_slice_attrs, stop),
                                           GLIA_FIELD(INTS, glia_slice_attrs, step), GLIA_FIELDS_END };

const glia_op glia_op_slice = { .name = "slice", .summary = "x[start : stop : step] along every axis", .arity = 1,
                                .attr_size = sizeof(glia_slice_attrs), .fields = slice_fields,
                                .infer = slice_infer, .eval = slice_eval, .vjp = slice_vjp };

const glia_op_sample glia_samples_slice[] = {
    { .name = "plain", .n = 1, .in = { { .shape = GLIA_DIMS(4, 6) } },
      .attrs = &(const glia_slice_attrs){ GLIA_DIMS(1, 2), GLIA_DIMS(3, 6), GLIA_DIMS(1, 1) } },
    { .name = "steps", .n = 1, .in = { { .shape = GLIA_DIMS(2, 7, 8) } },
      .attrs = &(const glia_slice_attrs){ GLIA_DIMS(0, 1, 0), GLIA_DIMS(2, 7, 7), GLIA_DIMS(1, 2, 3) } },
    { .name = "one element", .n = 1, .in = { { .shape = GLIA_DIMS(3, 4) } },
      .attrs = &(const glia_slice_attrs){ GLIA_DIMS(2, 0), GLIA_DIMS(3, 1), GLIA_DIMS(1, 4) } },
    { 0 },
};

/* On a fixed axis a negative start or stop counts from the end; rank 0 means the whole axis, for all axes. */
glia_tensor glia_slice(glia_tensor x, glia_shape start, glia_shape stop, glia_shape step) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_slice, x, NULL);
    glia_slice_attrs a = { start, stop, step };
    if (start.rank == 0) a.start = (glia_shape){ .rank = x->shape.rank };
    if (stop.rank == 0) a.stop = x->shape;
    if (step.rank == 0) {
        a.step.rank = x->shape.rank;
        for (int i = 0; i < x->shape.rank; i++) a.step.dim[i] = 1;
    }
    bool whole = true;
    for (int i = 0; i < x->shape.rank && i < a.start.rank && i < a.stop.rank && i < a.step.rank; i++) {
        int64_t size = x->shape.dim[i];
        if (size > 0 && a.start.dim[i] < 0) a.start.dim[i] += size;
        if (a.stop.dim[i] == INT64_MAX) a.stop.dim[i] = size;
        else if (size > 0 && a.stop.dim[i] < 0) a.stop.dim[i] += size;
        whole &= a.start.dim[i] == 0 && a.stop.dim[i] == size && a.step.dim[i] == 1;
    }
    whole &= a.start.rank == x->shape.rank && a.stop.rank == x->shape.rank && a.step.rank == x->shape.rank;
    return whole ? x : glia_node1(&glia_op_slice, x, &a);
}
