/* permute.c - permutation of axes: output axis i is input axis order[i]. */
#include "core/ops/ops.h"

static bool permute_infer(glia_node *n) {
    const glia_permute_attrs *a = n->attrs;
    glia_shape in = n->in[0]->shape, sorted;
    if (a->order.rank != in.rank || !glia_axes_normalize(a->order, in.rank, &sorted) || sorted.rank != in.rank) {
        return glia_node_fail(n, "the order must hold every axis once");
    }
    glia_infer_same(n);
    for (int i = 0; i < in.rank; i++) {
        if (a->order.dim[i] < 0) return glia_node_fail(n, "the order must hold every axis once");
        n->shape.dim[i] = in.dim[a->order.dim[i]];
    }
    return true;
}

static void permute_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_permute_attrs *a = n->attrs;
    int64_t strides[GLIA_MAX_RANK], count = glia_shape_count(n->shape);
    glia_shape_strides(n->in[0]->shape, strides);
    glia_walk w = { .shape = n->shape };
    for (int i = 0; i < n->shape.rank; i++) w.stride[i] = strides[a->order.dim[i]];
    for (int64_t i = 0; i < count; i++, glia_walk_step(&w)) out[i] = in[0][w.offset];
}

static void permute_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_permute_attrs *a = y->attrs;
    glia_shape back = { .rank = a->order.rank };
    for (int i = 0; i < back.rank; i++) back.dim[a->order.dim[i]] = i;
    dx[0] = glia_permute(dy, back);
}

static const glia_field permute_fields[] = { GLIA_FIELD(INTS, glia_permute_attrs, order), GLIA_FIELDS_END };

const glia_op glia_op_permute = { .name = "permute",
                                  .summary = "axes in another order; output axis i is input axis order[i]",
                                  .arity = 1,
                                  .attr_size = sizeof(glia_permute_attrs),
                                  .fields = permute_fields,
                                  .infer = permute_infer,
                                  .eval = permute_eval,
                                  .vjp = permute_vjp };

#define ORDER(...) .attrs = &(const glia_permute_attrs){ GLIA_DIMS(__VA_ARGS__) }
const glia_op_sample glia_samples_permute[] = {
    { .name = "transpose", .n = 1, .in = { { .shape = GLIA_DIMS(3, 5) } }, ORDER(1, 0) },
    { .name = "channels last", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4, 5) } }, ORDER(0, 2, 3, 1) },
    { .name = "cycle", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } }, ORDER(2, 0, 1) },
    { 0 },
};

glia_tensor glia_permute(glia_tensor x, glia_shape order) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_permute, x, NULL);
    bool same = order.rank == x->shape.rank;
    for (int i = 0; i < order.rank && i < GLIA_MAX_RANK; i++) {
        if (order.dim[i] < 0) order.dim[i] += x->shape.rank;
        same &= order.dim[i] == i;
    }
    return same ? x : glia_node1(&glia_op_permute, x, &(glia_permute_attrs){ order });
}

glia_tensor glia_transpose(glia_tensor x) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_permute, x, NULL);
    int rank = x->shape.rank;
    if (rank < 2) {
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "transpose: it takes a rank of 2 or more, not %d", rank);
    }
    glia_shape order = { .rank = rank };
    for (int i = 0; i < rank; i++) order.dim[i] = i;
    order.dim[rank - 1] = rank - 2;
    order.dim[rank - 2] = rank - 1;
    return glia_permute(x, order);
}
