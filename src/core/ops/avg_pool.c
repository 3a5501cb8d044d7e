/* avg_pool.c - average pooling and its adjoint.
 *
 *     avg_pool(x)[w]       = sum of x over the part of window w inside x / d(w)
 *     avg_pool_grad(dy)[i] = sum of dy[w] / d(w) over the windows w that contain i
 *
 * d(w) is the number of elements inside x or, with count_padding, of the whole window (PyTorch's default). Both are
 * linear, and each is the gradient of the other.
 */
#include <string.h>

#include "core/ops/pool.h"

static bool avg_pool_infer(glia_node *n) {
    const glia_pool_attrs *a = n->attrs;
    if (a->size.rank != 0) return glia_node_fail(n, "has no attribute size");
    return glia_pool_dtype(n) && glia_pool_infer_shape(n, &n->in[0]->shape, &n->shape);
}

static bool avg_pool_grad_infer(glia_node *n) {
    const glia_pool_attrs *a = n->attrs;
    glia_shape y;
    n->shape = a->size;
    if (!glia_pool_dtype(n) || !glia_pool_infer_shape(n, &a->size, &y)) return false;
    char x_text[GLIA_SHAPE_TEXT], text[GLIA_SHAPE_TEXT];
    return glia_shape_equal(y, n->in[0]->shape) ||
           glia_node_fail(n, "the pooling of %s is %s", glia_shape_format(a->size, x_text), glia_shape_format(y, text));
}

/* The bounds of the window at place o, and its divisor. */
static double divisor_of(const glia_pool_range *r, bool count_padding, int64_t o, int64_t from[3], int64_t to[3]) {
    glia_pool_bounds(r, o, from, to);
    if (count_padding) return (double)(r->taps[0] * r->taps[1] * r->taps[2]);
    return (double)((to[0] - from[0]) * (to[1] - from[1]) * (to[2] - from[2]));
}

/* Both evals: y from x, or dx from dy. */
static void spread(const glia_pool_attrs *a, glia_shape x_shape, glia_shape y_shape, const double *from_y, double *x,
                   const double *from_x, double *y) {
    glia_pool_range r = glia_pool_range_of(a, x_shape, y_shape);
    int64_t size = r.size[0] * r.size[1] * r.size[2], out = r.out[0] * r.out[1] * r.out[2], step = glia_pool_step(&r);
    for (int64_t p = 0; p < r.planes; p++) {
        int64_t at_x = glia_pool_plane(&r, p, size), at_y = glia_pool_plane(&r, p, out);
        for (int64_t o = 0; o < out; o++, at_y += step) {
            int64_t from[3], to[3];
            double divisor = divisor_of(&r, a->count_padding, o, from, to), sum = 0;
            double share = from_y ? from_y[at_y] / divisor : 0;
            for (int64_t d = from[0]; d < to[0]; d++) {
                for (int64_t h = from[1]; h < to[1]; h++) {
                    for (int64_t w = from[2]; w < to[2]; w++) {
                        int64_t i = at_x + ((d * r.size[1] + h) * r.size[2] + w) * step;
                        if (from_y)
                            x[i] += share;
                        else
                            sum += from_x[i];
                    }
                }
            }
            if (!from_y) y[at_y] = sum / divisor;
        }
    }
}

static void avg_pool_eval(const glia_node *n, const double *const *in, double *out) {
    spread(n->attrs, n->in[0]->shape, n->shape, NULL, NULL, in[0], out);
}

static void avg_pool_grad_eval(const glia_node *n, const double *const *in, double *dx) {
    memset(dx, 0, (size_t)glia_shape_count(n->shape) * sizeof *dx);
    spread(n->attrs, n->shape, n->in[0]->shape, in[0], dx, NULL, NULL);
}

static void avg_pool_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_pool_attrs a = *(const glia_pool_attrs *)y->attrs;
    a.size = y->in[0]->shape;
    dx[0] = glia_node1(&glia_op_avg_pool_grad, dy, &a);
}

static void avg_pool_grad_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_pool_attrs a = *(const glia_pool_attrs *)y->attrs;
    a.size = GLIA_SCALAR;
    dx[0] = glia_node1(&glia_op_avg_pool, dy, &a);
}

#define RECORD(op_name, text)                                                                                          \
    const glia_op glia_op_##op_name = { .name = #op_name,                                                              \
                                        .summary = text,                                                               \
                                        .arity = 1,                                                                    \
                                        .attr_size = sizeof(glia_pool_attrs),                                          \
                                        .fields = glia_pool_fields,                                                    \
                                        .infer = op_name##_infer,                                                      \
                                        .eval = op_name##_eval,                                                        \
                                        .vjp = op_name##_vjp };

RECORD(avg_pool, "mean of each window")
RECORD(avg_pool_grad, "dy's elements spread evenly over their windows: avg_pool's gradient")

/* Columns: channels last, window, stride, pad, pad_after, count_padding, x, y. */
#define CASES(CASE)                                                                                                    \
    CASE(plain, false, (2, 2), (2, 2), (0, 0), (0, 0), false, (2, 3, 4, 6), (2, 3, 2, 3))                              \
    CASE(rest, false, (2, 2), (2, 2), (0, 0), (0, 0), false, (1, 2, 5, 7), (1, 2, 2, 3))                               \
    CASE(overlapping, false, (3, 3), (2, 2), (1, 1), (1, 1), false, (2, 2, 7, 6), (2, 2, 4, 3))                        \
    CASE(counting, false, (3, 3), (2, 2), (1, 1), (1, 1), true, (2, 2, 7, 6), (2, 2, 4, 3))                            \
    CASE(uneven, false, (3, 2), (1, 3), (0, 1), (2, 0), false, (1, 2, 5, 6), (1, 2, 5, 2))                             \
    CASE(uneven_counting, false, (3, 2), (1, 3), (0, 1), (2, 0), true, (1, 2, 5, 6), (1, 2, 5, 2))                     \
    CASE(line, false, (3), (2), (1), (1), true, (2, 2, 7), (2, 2, 4))                                                  \
    CASE(volume, false, (2, 2, 3), (1, 2, 2), (1, 1, 1), (1, 0, 1), false, (1, 2, 3, 4, 5), (1, 2, 4, 2, 3))           \
    CASE(plain_last, true, (2, 2), (2, 2), (0, 0), (0, 0), false, (2, 5, 6, 3), (2, 2, 3, 3))                          \
    CASE(overlapping_last, true, (3, 3), (2, 2), (1, 1), (1, 1), false, (2, 7, 6, 2), (2, 4, 3, 2))                    \
    CASE(counting_last, true, (3, 2), (1, 3), (0, 1), (2, 0), true, (1, 5, 6, 19), (1, 5, 2, 19))                      \
    CASE(line_last, true, (3), (2), (1), (1), true, (2, 7, 2), (2, 4, 2))

#define LIST(...) GLIA_DIMS(__VA_ARGS__)
#define ATTRS(id, last, w, s, p, q, count, x, y)                                                                       \
    static const glia_pool_attrs id##_attrs = { LIST w, LIST s, LIST p, LIST q, count, { 0 }, last },                  \
                                 id##_grad_attrs = { LIST w, LIST s, LIST p, LIST q, count, LIST x, last };
CASES(ATTRS)

#define OF_POOL(id, last, w, s, p, q, count, x, y)                                                                     \
    { .name = #id, .n = 1, .in = { { .shape = LIST x } }, .attrs = &id##_attrs, .no_golden = last },
#define OF_GRAD(id, last, w, s, p, q, count, x, y)                                                                     \
    { .name = #id, .n = 1, .in = { { .shape = LIST y } }, .attrs = &id##_grad_attrs, .no_golden = last },

const glia_op_sample glia_samples_avg_pool[] = { CASES(OF_POOL){ 0 } };
const glia_op_sample glia_samples_avg_pool_grad[] = { CASES(OF_GRAD){ 0 } };

glia_tensor glia_avg_pool(glia_tensor x, glia_pool_opts opts) {
    glia_pool_attrs a = { 0 };
    if (!glia_pool_resolve("avg_pool", x, &opts, &a)) return x->graph->bad;
    return glia_node1(&glia_op_avg_pool, x, &a);
}

glia_tensor glia_global_avg_pool(glia_tensor x) {
    if (glia_is_bad(x)) return x;
    if (x->shape.rank < 3) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(x->graph, GLIA_E_SHAPE, "global_avg_pool needs (N, C, spatial...), not %s",
                               glia_shape_format(x->shape, text));
    }
    glia_shape axes = { .rank = x->shape.rank - 2 };
    for (int i = 0; i < axes.rank; i++) axes.dim[i] = i + 2;
    return glia_mean(x, axes, false);
}
