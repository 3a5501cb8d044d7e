/* max_pool.c - max pooling, its derivative as an operation, and the adjoint of that.
 *
 * For each window w of x let m(w) be the position of its maximum: the first in row-major order, never in the padding;
 * NaN counts as the largest, so it appears in the result. m is piecewise constant in x, therefore
 *
 *     max_pool(x)[w]             = x[m(w)]
 *     max_pool_scatter(x, dy)[i] = sum of dy[w] over the windows with m(w) = i      its derivative by x, applied to dy
 *     max_pool_gather(x, u)[w]   = u[m(w)]                                          the adjoint of scatter by dy
 *
 * are linear in dy and u and have no derivative by x: the family is closed under differentiation. Positions are not
 * stored but recomputed from x, which costs no more than reading them.
 */
#include <math.h>
#include <string.h>

#include "core/ops/pool.h"

static bool without_size(glia_node *n) {
    const glia_pool_attrs *a = n->attrs;
    return a->size.rank == 0 || glia_node_fail(n, "has no attribute size");
}

static bool max_pool_infer(glia_node *n) {
    return without_size(n) && glia_pool_dtype(n) && glia_pool_infer_shape(n, &n->in[0]->shape, &n->shape);
}

static bool max_pool_scatter_infer(glia_node *n) {
    glia_shape y;
    n->shape = n->in[0]->shape;
    if (!without_size(n) || !glia_pool_dtype(n) || !glia_pool_infer_shape(n, &n->in[0]->shape, &y)) return false;
    char text[GLIA_SHAPE_TEXT];
    return glia_shape_equal(y, n->in[1]->shape) ||
           glia_node_fail(n, "the pooling of x is %s", glia_shape_format(y, text));
}

static bool max_pool_gather_infer(glia_node *n) {
    if (!without_size(n) || !glia_pool_dtype(n) || !glia_pool_infer_shape(n, &n->in[0]->shape, &n->shape)) return false;
    return glia_shape_equal(n->in[0]->shape, n->in[1]->shape) || glia_node_fail(n, "both must have the same shape");
}

/* m(w): the position in its plane of the maximum of the window at `place`; elements of the plane have stride `step`. */
static int64_t place_of_max(const glia_pool_range *r, const double *plane, int64_t step, int64_t place) {
    int64_t from[3], to[3], best = -1;
    glia_pool_bounds(r, place, from, to);
    for (int64_t d = from[0]; d < to[0]; d++) {
        for (int64_t h = from[1]; h < to[1]; h++) {
            for (int64_t w = from[2]; w < to[2]; w++) {
                int64_t i = (d * r->size[1] + h) * r->size[2] + w;
                double x = plane[i * step], most = best < 0 ? 0 : plane[best * step];
                if (best < 0 || x > most || (isnan(x) && !isnan(most))) best = i;
            }
        }
    }
    return best;
}

/* max_pool and max_pool_gather: the elements of `values` at the maxima of x. */
static void take(const glia_pool_attrs *a, glia_shape x_shape, glia_shape y_shape, const double *x,
                 const double *values, double *y) {
    glia_pool_range r = glia_pool_range_of(a, x_shape, y_shape);
    int64_t size = r.size[0] * r.size[1] * r.size[2], out = r.out[0] * r.out[1] * r.out[2], step = glia_pool_step(&r);
    for (int64_t p = 0; p < r.planes; p++) {
        int64_t at_x = glia_pool_plane(&r, p, size), at_y = glia_pool_plane(&r, p, out);
        for (int64_t o = 0; o < out; o++)
            y[at_y + o * step] = values[at_x + place_of_max(&r, x + at_x, step, o) * step];
    }
}

static void max_pool_eval(const glia_node *n, const double *const *in, double *out) {
    take(n->attrs, n->in[0]->shape, n->shape, in[0], in[0], out);
}

static void max_pool_gather_eval(const glia_node *n, const double *const *in, double *out) {
    take(n->attrs, n->in[0]->shape, n->shape, in[0], in[1], out);
}

static void max_pool_scatter_eval(const glia_node *n, const double *const *in, double *dx) {
    glia_pool_range r = glia_pool_range_of(n->attrs, n->shape, n->in[1]->shape);
    int64_t size = r.size[0] * r.size[1] * r.size[2], out = r.out[0] * r.out[1] * r.out[2], step = glia_pool_step(&r);
    memset(dx, 0, (size_t)(r.planes * size) * sizeof *dx);
    for (int64_t p = 0; p < r.planes; p++) {
        int64_t at_x = glia_pool_plane(&r, p, size), at_y = glia_pool_plane(&r, p, out);
        for (int64_t o = 0; o < out; o++)
            dx[at_x + place_of_max(&r, in[0] + at_x, step, o) * step] += in[1][at_y + o * step];
    }
}

static void max_pool_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[0] = glia_node2(&glia_op_max_pool_scatter, y->in[0], dy, y->attrs);
}

static void max_pool_scatter_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[1] = glia_node2(&glia_op_max_pool_gather, y->in[0], dy, y->attrs);
}

static void max_pool_gather_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    dx[1] = glia_node2(&glia_op_max_pool_scatter, y->in[0], dy, y->attrs);
}

#define RECORD(op_name, inputs, text)                                                                                  \
    const glia_op glia_op_##op_name = { .name = #op_name,                                                              \
                                        .summary = text,                                                               \
                                        .arity = inputs,                                                               \
                                        .attr_size = sizeof(glia_pool_attrs),                                          \
                                        .fields = glia_pool_fields,                                                    \
                                        .infer = op_name##_infer,                                                      \
                                        .eval = op_name##_eval,                                                        \
                                        .vjp = op_name##_vjp };

RECORD(max_pool, 1, "largest element of each window; of equal ones the first counts")
RECORD(max_pool_scatter, 2, "dy added where x has the maxima of its windows: max_pool's gradient")
RECORD(max_pool_gather, 2, "u where x has the maxima of its windows: max_pool_scatter's gradient")

/* Columns: channels last, window, stride, pad, pad_after, x, y. Overlapping windows share maxima: gradients add up. */
#define CASES(CASE)                                                                                                    \
    CASE(plain, false, (2, 2), (2, 2), (0, 0), (0, 0), (2, 3, 4, 6), (2, 3, 2, 3))                                     \
    CASE(rest, false, (2, 2), (2, 2), (0, 0), (0, 0), (1, 2, 5, 7), (1, 2, 2, 3))                                      \
    CASE(overlapping, false, (3, 3), (2, 2), (1, 1), (1, 1), (2, 2, 7, 6), (2, 2, 4, 3))                               \
    CASE(uneven, false, (3, 2), (1, 3), (0, 1), (2, 0), (1, 2, 5, 6), (1, 2, 5, 2))                                    \
    CASE(line, false, (3), (2), (1), (1), (2, 2, 7), (2, 2, 4))                                                        \
    CASE(volume, false, (2, 2, 3), (1, 2, 2), (0, 1, 1), (1, 0, 1), (1, 2, 3, 4, 5), (1, 2, 3, 2, 3))                  \
    CASE(plain_last, true, (2, 2), (2, 2), (0, 0), (0, 0), (2, 5, 6, 3), (2, 2, 3, 3))                                 \
    CASE(overlapping_last, true, (3, 3), (2, 2), (1, 1), (1, 1), (2, 7, 6, 2), (2, 4, 3, 2))                           \
    CASE(wide_last, true, (3, 2), (1, 3), (0, 1), (2, 0), (1, 5, 6, 19), (1, 5, 2, 19))                                \
    CASE(line_last, true, (3), (2), (1), (1), (2, 7, 2), (2, 4, 2))                                                    \
    CASE(volume_last, true, (2, 2, 3), (1, 2, 2), (0, 1, 1), (1, 0, 1), (1, 3, 4, 5, 2), (1, 3, 2, 3, 2))

#define LIST(...) GLIA_DIMS(__VA_ARGS__)
#define ATTRS(id, last, w, s, p, q, x, y)                                                                              \
    static const glia_pool_attrs id##_attrs = { LIST w, LIST s, LIST p, LIST q, false, { 0 }, last };
CASES(ATTRS)

#define DISTINCT(dims)                                                                                                 \
    { .shape = LIST dims, .kind = GLIA_SAMPLE_DISTINCT, .low = -2, .high = 2 }
#define OF_POOL(id, last, w, s, p, q, x, y)                                                                            \
    { .name = #id, .n = 1, .in = { DISTINCT(x) }, .attrs = &id##_attrs, .no_golden = last },
#define OF_SCATTER(id, last, w, s, p, q, x, y)                                                                         \
    { .name = #id, .n = 2, .in = { DISTINCT(x), { .shape = LIST y } }, .attrs = &id##_attrs, .no_golden = last },
#define OF_GATHER(id, last, w, s, p, q, x, y)                                                                          \
    { .name = #id, .n = 2, .in = { DISTINCT(x), { .shape = LIST x } }, .attrs = &id##_attrs, .no_golden = last },

const glia_op_sample glia_samples_max_pool[] = { CASES(OF_POOL){ 0 } };
const glia_op_sample glia_samples_max_pool_scatter[] = { CASES(OF_SCATTER){ 0 } };
const glia_op_sample glia_samples_max_pool_gather[] = { CASES(OF_GATHER){ 0 } };

glia_tensor glia_max_pool(glia_tensor x, glia_pool_opts opts) {
    glia_pool_attrs a = { 0 };
    if (!glia_pool_resolve("max_pool", x, &opts, &a)) return x->graph->bad;
    a.count_padding = false; /* has no effect on maxima */
    return glia_node1(&glia_op_max_pool, x, &a);
}

glia_tensor glia_global_max_pool(glia_tensor x) {
    glia_pool_attrs a = { 0 };
    if (glia_is_bad(x)) return glia_node1(&glia_op_max_pool, x, &a);
    int axes = GLIA_MIN(GLIA_MAX(x->shape.rank - 2, 0), GLIA_SPATIAL_AXES);
    a.window.rank = a.stride.rank = a.pad.rank = a.pad_after.rank = axes;
    for (int i = 0; i < axes; i++) a.window.dim[i] = x->shape.dim[i + 2], a.stride.dim[i] = 1;
    glia_tensor y = glia_node1(&glia_op_max_pool, x, &a);
    return glia_reshape(y, GLIA_SHAPE(x->shape.dim[0], x->shape.dim[1]));
}
