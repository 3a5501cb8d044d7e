/* pad.c - padding with one value before, after and between the elements of x. Its adjoint is slice.
 *
 *     before 2, after 1, between 1:     a b c   ->   . . a . b . c .
 *
 * On a symbolic axis before and after are 0 or multiples of the same size, and nothing goes between.
 */
#include "core/ops/ops.h"

static bool pad_infer(glia_node *n) {
    const glia_pad_attrs *a = n->attrs;
    glia_infer_same(n);
    int rank = n->shape.rank;
    if (a->before.rank != rank || a->after.rank != rank || a->between.rank != rank) {
        return glia_node_fail(n, "before, after and between need an entry for each axis");
    }
    const int64_t most = (int64_t)1 << 40;
    for (int i = 0; i < rank; i++) {
        int64_t size = n->shape.dim[i], before = a->before.dim[i], after = a->after.dim[i], between = a->between.dim[i];
        const bool symbolic = size < 0;
        if (before > most || after > most || between > most / (size > 0 ? size : 1)) {
            return glia_node_fail(n, "axis %d becomes too large", i);
        }
        const int64_t all = glia_dim_plus(glia_dim_plus(before, size), after);
        if (symbolic ? all == GLIA_DIM_NONE || between != 0 : before < 0 || after < 0 || between < 0) {
            char first[GLIA_DIM_TEXT], last[GLIA_DIM_TEXT];
            return glia_node_fail(n, "axis %d cannot take %s before, %s after and %lld between", i,
                                  glia_dim_format(before, first), glia_dim_format(after, last), (long long)between);
        }
        n->shape.dim[i] = symbolic ? all : all + between * (size - 1);
    }
    return true;
}

static void pad_eval(const glia_node *n, const double *const *in, double *out) {
    const glia_pad_attrs *a = n->attrs;
    glia_shape from = n->in[0]->shape;
    int64_t strides[GLIA_MAX_RANK], count = glia_shape_count(n->shape), taken = glia_shape_count(from);
    double value = glia_round_to(n->dtype, a->value);
    glia_shape_strides(n->shape, strides);
    for (int64_t i = 0; i < count; i++) out[i] = value;
    glia_walk w = { .shape = from };
    for (int i = 0; i < from.rank; i++) {
        w.stride[i] = strides[i] * (1 + a->between.dim[i]);
        w.offset += strides[i] * a->before.dim[i];
    }
    for (int64_t i = 0; i < taken; i++, glia_walk_step(&w)) out[w.offset] = in[0][i];
}

static void pad_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    const glia_pad_attrs *a = y->attrs;
    glia_shape stop = a->before, step = a->between, x = y->in[0]->shape;
    for (int i = 0; i < x.rank; i++) {
        step.dim[i]++;
        stop.dim[i] = glia_dim_plus(stop.dim[i], x.dim[i] < 0 ? x.dim[i] : (x.dim[i] - 1) * step.dim[i] + 1);
    }
    dx[0] = glia_slice(dy, a->before, stop, step);
}

static const glia_field pad_fields[] = { GLIA_FIELD(SHAPE, glia_pad_attrs, before),
                                         GLIA_FIELD(SHAPE, glia_pad_attrs, after),
                                         GLIA_FIELD(INTS, glia_pad_attrs, between),
                                         GLIA_FIELD(FLOAT, glia_pad_attrs, value), GLIA_FIELDS_END };

const glia_op glia_op_pad = { .name = "pad",
                              .summary = "elements of one value before, after and between those of x",
                              .arity = 1,
                              .attr_size = sizeof(glia_pad_attrs),
                              .fields = pad_fields,
                              .infer = pad_infer,
                              .eval = pad_eval,
                              .vjp = pad_vjp };

const glia_op_sample glia_samples_pad[] = {
    { .name = "plain", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3) } },
      .attrs = &(const glia_pad_attrs){ GLIA_DIMS(1, 0), GLIA_DIMS(0, 2), GLIA_DIMS(0, 0), 0.5 } },
    { .name = "between", .n = 1, .in = { { .shape = GLIA_DIMS(2, 3, 4) } },
      .attrs = &(const glia_pad_attrs){ GLIA_DIMS(0, 2, 1), GLIA_DIMS(0, 1, 0), GLIA_DIMS(0, 1, 2), 0 } },
    { 0 },
};

glia_tensor glia_pad(glia_tensor x, glia_shape before, glia_shape after, glia_shape between, double value) {
    if (glia_is_bad(x)) return glia_node1(&glia_op_pad, x, NULL);
    glia_pad_attrs a = { before, after, between, value };
    if (between.rank == 0) a.between = (glia_shape){ .rank = x->shape.rank };
    bool nothing = before.rank == x->shape.rank && after.rank == x->shape.rank && a.between.rank == x->shape.rank;
    for (int i = 0; nothing && i < x->shape.rank; i++) nothing = !before.dim[i] && !after.dim[i] && !a.between.dim[i];
    return nothing ? x : glia_node1(&glia_op_pad, x, &a);
}
