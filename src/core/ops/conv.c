/* conv.c - convolution over one to three spatial axes, and its two adjoints.
 *
 * Let n be the sample, k the filter, c a channel of k's group, o an output position and t a tap of the kernel (o, t,
 * stride, dilation and pad have one component for each spatial axis). All three operations are one sum of products of
 * three tensors:
 *
 *     y[n, k, o]   x[n, c, o stride + t dilation - pad]   w[k, c, t]        summed over n, k, c, o, t; x is 0 outside
 *
 *     conv              y from x and w       y = sum over c, t of x w
 *     conv_input_grad   x from y and w       x = sum over k, o, t of y w     ("transposed convolution")
 *     conv_kernel_grad  w from x and y       w = sum over n, o of x y
 *
 * Each computes one tensor from the other two. The sum is linear in all three, so the gradients of each operation are
 * the other two, and derivatives of every order stay within the family. (Dumoulin and Visin 2016, "A guide to
 * convolution arithmetic for deep learning", has pictures.)
 */
#include <string.h>

#include "core/ops/ops.h"
#include "core/ops/window.h"

static const glia_field conv_fields[] = {
    GLIA_FIELD(INTS, glia_conv_attrs, stride),        GLIA_FIELD(INTS, glia_conv_attrs, dilation),
    GLIA_FIELD(INTS, glia_conv_attrs, pad),           GLIA_FIELD(INTS, glia_conv_attrs, pad_after),
    GLIA_FIELD(INT, glia_conv_attrs, groups),         GLIA_FIELD(SHAPE, glia_conv_attrs, size),
    GLIA_FIELD(BOOL, glia_conv_attrs, channels_last), GLIA_FIELD(BOOL, glia_conv_attrs, bf16),
    GLIA_FIELDS_END,
};

/* ---- shapes --------------------------------------------------------------------------------- */

/* Checks x, (N, C, spatial...), the kernel and the attributes; fills the shape of conv(x, kernel). */
static bool conv_shape_first(glia_node *n, const glia_shape *x, const glia_shape *kernel, glia_shape *y) {
    const glia_conv_attrs *a = n->attrs;
    int axes = x->rank - 2;
    if (axes < 1 || axes > GLIA_SPATIAL_AXES) {
        return glia_node_fail(n, a->channels_last ? "x must be (N, W, C), (N, H, W, C) or (N, D, H, W, C)"
                                                  : "x must be (N, C, W), (N, C, H, W) or (N, C, D, H, W)");
    }
    if (kernel->rank != x->rank) {
        return glia_node_fail(n, "the kernel has %d spatial axes, x has %d", kernel->rank - 2, axes);
    }
    int64_t filters = kernel->dim[0], channels = x->dim[1];
    if (a->groups < 1) return glia_node_fail(n, "groups cannot be %lld", (long long)a->groups);
    if (filters < 1 || filters % a->groups != 0) {
        return glia_node_fail(n, "%lld filters do not divide into %lld groups", (long long)filters,
                              (long long)a->groups);
    }
    if (channels < 1 || channels % a->groups != 0) {
        return glia_node_fail(n, "%lld channels do not divide into %lld groups", (long long)channels,
                              (long long)a->groups);
    }
    if (kernel->dim[1] != channels / a->groups) {
        return glia_node_fail(n, "the kernel takes %lld channels, x has %lld in each of %lld groups",
                              (long long)kernel->dim[1], (long long)(channels / a->groups), (long long)a->groups);
    }
    *y = (glia_shape){ .rank = x->rank, .dim = { x->dim[0], filters } };
    glia_window window = { "kernel",
                           axes,
                           x->dim + 2,
                           kernel->dim + 2,
                           .stride = &a->stride,
                           .dilation = &a->dilation,
                           .pad = &a->pad,
                           .pad_after = &a->pad_after };
    return glia_window_places(n, &window, y->dim + 2);
}

/* The same for x and y in the node's layout. */
static bool conv_shape(glia_node *n, const glia_shape *x, const glia_shape *kernel, glia_shape *y) {
    bool last = ((const glia_conv_attrs *)n->attrs)->channels_last;
    glia_shape first = glia_channels_first(*x, last);
    if (!conv_shape_first(n, &first, kernel, y)) return false;
    *y = glia_channels_last(*y, last);
    return true;
}

/* Both inputs have the same dtype, f32 or f64; the result has it too. */
static bool conv_dtype(glia_node *n) {
    glia_dtype t = n->in[0]->dtype;
    if (t != n->in[1]->dtype || (t != GLIA_F32 && t != GLIA_F64)) {
        return glia_node_fail(n, "both must be f32, or both f64");
    }
    n->dtype = t;
    return true;
}

/* Checks that dy has the shape of conv(x, kernel). */
static bool conv_gives(glia_node *n, const glia_shape *x, const glia_shape *kernel, const glia_shape *dy) {
    glia_shape y;
    if (!conv_shape(n, x, kernel, &y)) return false;
    if (glia_shape_equal(y, *dy)) return true;
    char xs[GLIA_SHAPE_TEXT], ys[GLIA_SHAPE_TEXT];
    return glia_node_fail(n, "an input %s gives %s, which does not match", glia_shape_format(*x, xs),
                          glia_shape_format(y, ys));
}

static bool conv_infer(glia_node *n) {
    const glia_conv_attrs *a = n->attrs;
    if (a->size.rank != 0) return glia_node_fail(n, "has no attribute size");
    return conv_dtype(n) && conv_shape(n, &n->in[0]->shape, &n->in[1]->shape, &n->shape);
}

static bool conv_input_grad_infer(glia_node *n) {
    const glia_conv_attrs *a = n->attrs;
    n->shape = a->size;
    return conv_dtype(n) && conv_gives(n, &a->size, &n->in[1]->shape, &n->in[0]->shape);
}

static bool conv_kernel_grad_infer(glia_node *n) {
    const glia_conv_attrs *a = n->attrs;
    n->shape = a->size;
    return conv_dtype(n) && conv_gives(n, &n->in[0]->shape, &a->size, &n->in[1]->shape);
}

/* ---- definitions ---------------------------------------------------------------------------- */

typedef struct geometry {
    int64_t samples, groups, channels, filters; /* the last two in each group */
    int64_t size[3], out[3], taps[3], stride[3], dilation[3], pad[3];
    int64_t x_channel, x_place, y_channel, y_place; /* offset from one channel, and from one position, to the next */
    bool bf16;
} geometry;

static geometry geometry_of(const glia_conv_attrs *a, glia_shape x, glia_shape kernel, glia_shape y) {
    geometry g = { .samples = x.dim[0], .groups = a->groups, .bf16 = a->bf16 };
    x = glia_channels_first(x, a->channels_last);
    y = glia_channels_first(y, a->channels_last);
    g.channels = kernel.dim[1];
    g.filters = kernel.dim[0] / a->groups;
    int axes = x.rank - 2;
    glia_spatial_three(x.dim + 2, axes, 1, g.size);
    glia_spatial_three(y.dim + 2, axes, 1, g.out);
    glia_spatial_three(kernel.dim + 2, axes, 1, g.taps);
    glia_spatial_three(a->stride.dim, axes, 1, g.stride);
    glia_spatial_three(a->dilation.dim, axes, 1, g.dilation);
    glia_spatial_three(a->pad.dim, axes, 0, g.pad);
    g.x_channel = a->channels_last ? 1 : g.size[0] * g.size[1] * g.size[2];
    g.x_place = a->channels_last ? x.dim[1] : 1;
    g.y_channel = a->channels_last ? 1 : g.out[0] * g.out[1] * g.out[2];
    g.y_place = a->channels_last ? y.dim[1] : 1;
    return g;
}

/* The three tensors; `sum` is the one being computed, whose own field is NULL. */
typedef struct operands {
    const double *x, *w, *y;
    double *sum;
} operands;

static double product(const geometry *g, double a, double b) {
    return g->bf16 ? glia_round_to(GLIA_BF16, a) * glia_round_to(GLIA_BF16, b) : a * b;
}

/* Filter k of sample n, its channel c, output position o: the products over the kernel's taps. x, w and y are the
 * indices of x[n, c, 0...], w[k, c, 0...] and y[n, k, o]. */
static void sum_taps(const geometry *g, operands t, const int64_t o[3], int64_t x, int64_t w, int64_t y) {
    for (int64_t i = 0; i < g->taps[0]; i++) {
        int64_t d = o[0] * g->stride[0] + i * g->dilation[0] - g->pad[0];
        if (d < 0 || d >= g->size[0]) continue;
        for (int64_t j = 0; j < g->taps[1]; j++) {
            int64_t r = o[1] * g->stride[1] + j * g->dilation[1] - g->pad[1];
            if (r < 0 || r >= g->size[1]) continue;
            for (int64_t k = 0; k < g->taps[2]; k++) {
                int64_t c = o[2] * g->stride[2] + k * g->dilation[2] - g->pad[2];
                if (c < 0 || c >= g->size[2]) continue;
                int64_t at_x = x + ((d * g->size[1] + r) * g->size[2] + c) * g->x_place;
                int64_t at_w = w + (i * g->taps[1] + j) * g->taps[2] + k;
                if (!t.y) {
                    t.sum[y] += product(g, t.x[at_x], t.w[at_w]);
                } else if (!t.x) {
                    t.sum[at_x] += product(g, t.y[y], t.w[at_w]);
                } else {
                    t.sum[at_w] += product(g, t.x[at_x], t.y[y]);
                }
            }
        }
    }
}

static void sum_products(const geometry *g, operands t) {
    int64_t size = g->size[0] * g->size[1] * g->size[2], places = g->out[0] * g->out[1] * g->out[2];
    int64_t window = g->taps[0] * g->taps[1] * g->taps[2], filters = g->groups * g->filters;
    for (int64_t n = 0; n < g->samples; n++) {
        for (int64_t k = 0; k < filters; k++) {
            int64_t first = k / g->filters * g->channels; /* among the group's channels */
            for (int64_t place = 0; place < places; place++) {
                int64_t y = n * filters * places + k * g->y_channel + place * g->y_place;
                int64_t o[3] = { place / (g->out[1] * g->out[2]), place / g->out[2] % g->out[1], place % g->out[2] };
                for (int64_t c = 0; c < g->channels; c++) {
                    int64_t x = n * g->groups * g->channels * size + (first + c) * g->x_channel;
                    sum_taps(g, t, o, x, (k * g->channels + c) * window, y);
                }
            }
        }
    }
}

static void clear(const glia_node *n, double *out) { memset(out, 0, (size_t)glia_shape_count(n->shape) * sizeof *out); }

static void conv_eval(const glia_node *n, const double *const *in, double *out) {
    geometry g = geometry_of(n->attrs, n->in[0]->shape, n->in[1]->shape, n->shape);
    clear(n, out);
    sum_products(&g, (operands){ .x = in[0], .w = in[1], .sum = out });
}

static void conv_input_grad_eval(const glia_node *n, const double *const *in, double *out) {
    geometry g = geometry_of(n->attrs, n->shape, n->in[1]->shape, n->in[0]->shape);
    clear(n, out);
    sum_products(&g, (operands){ .y = in[0], .w = in[1], .sum = out });
}

static void conv_kernel_grad_eval(const glia_node *n, const double *const *in, double *out) {
    geometry g = geometry_of(n->attrs, n->in[0]->shape, n->shape, n->in[1]->shape);
    clear(n, out);
    sum_products(&g, (operands){ .x = in[0], .y = in[1], .sum = out });
}

static double conv_work(glia_shape kernel, glia_shape y) {
    int64_t window = 1;
    for (int i = 1; i < kernel.rank; i++) window *= kernel.dim[i];
    return 2.0 * (double)window * (double)glia_shape_count(y);
}

static double conv_flops(const glia_node *n) { return conv_work(n->in[1]->shape, n->shape); }
static double conv_input_grad_flops(const glia_node *n) { return conv_work(n->in[1]->shape, n->in[0]->shape); }
static double conv_kernel_grad_flops(const glia_node *n) { return conv_work(n->shape, n->in[1]->shape); }

/* ---- gradients ------------------------------------------------------------------------------ */

static glia_tensor conv_of(const glia_node *n, glia_tensor x, glia_tensor kernel) {
    glia_conv_attrs a = *(const glia_conv_attrs *)n->attrs;
    a.size = GLIA_SCALAR;
    return glia_node2(&glia_op_conv, x, kernel, &a);
}

static glia_tensor input_grad_of(const glia_node *n, glia_tensor dy, glia_tensor kernel, glia_shape size) {
    glia_conv_attrs a = *(const glia_conv_attrs *)n->attrs;
    a.size = size;
    return glia_node2(&glia_op_conv_input_grad, dy, kernel, &a);
}

static glia_tensor kernel_grad_of(const glia_node *n, glia_tensor x, glia_tensor dy, glia_shape size) {
    glia_conv_attrs a = *(const glia_conv_attrs *)n->attrs;
    a.size = size;
    return glia_node2(&glia_op_conv_kernel_grad, x, dy, &a);
}

static void conv_vjp(glia_node *y, glia_tensor dy, glia_tensor *dx) {
    glia_tensor x = y->in[0], kernel = y->in[1];
    dx[0] = input_grad_of(y, dy, kernel, x->shape);
    dx[1] = kernel_grad_of(y, x, dy, kernel->shape);
}

static void conv_input_grad_vjp(glia_node *x, glia_tensor dx_in, glia_tensor *dx) {
    glia_tensor y = x->in[0], kernel = x->in[1];
    dx[0] = conv_of(x, dx_in, kernel);
    dx[1] = kernel_grad_of(x, dx_in, y, kernel->shape);
}

static void conv_kernel_grad_vjp(glia_node *kernel, glia_tensor dkernel, glia_tensor *dx) {
    glia_tensor x = kernel->in[0], y = kernel->in[1];
    dx[0] = input_grad_of(kernel, y, dkernel, x->shape);
    dx[1] = conv_of(kernel, x, dkernel);
}

/* ---- records -------------------------------------------------------------------------------- */

#define RECORD(op_name, text)                                                                                          \
    const glia_op glia_op_##op_name = { .name = #op_name,                                                              \
                                        .summary = text,                                                               \
                                        .arity = 2,                                                                    \
                                        .attr_size = sizeof(glia_conv_attrs),                                          \
                                        .fields = conv_fields,                                                         \
                                        .infer = op_name##_infer,                                                      \
                                        .eval = op_name##_eval,                                                        \
                                        .vjp = op_name##_vjp,                                                          \
                                        .flops = op_name##_flops };

RECORD(conv, "y[n,k,o] = sum of x[n,c,o s + t d - p] w[k,c,t] over c and t")
RECORD(conv_input_grad, "x[n,c,i] = sum of y[n,k,o] w[k,c,t] over k and o s + t d - p = i: transposed convolution")
RECORD(conv_kernel_grad, "w[k,c,t] = sum of x[n,c,o s + t d - p] y[n,k,o] over n and o")

/* Each case is a sample of all three operations. Columns: channels last, stride, dilation, pad, pad_after, groups, x,
 * kernel, y. The golden results have channels first; a test compares the two layouts. */
#define CASES(CASE)                                                                                                    \
    CASE(line, false, (1), (1), (0), (0), 1, (2, 3, 7), (4, 3, 3), (2, 4, 5))                                          \
    CASE(line_strided, false, (2), (1), (1), (1), 1, (2, 2, 8), (3, 2, 3), (2, 3, 4))                                  \
    CASE(line_causal, false, (1), (2), (4), (0), 1, (1, 2, 6), (2, 2, 3), (1, 2, 6))                                   \
    CASE(plain, false, (1, 1), (1, 1), (0, 0), (0, 0), 1, (2, 3, 5, 6), (4, 3, 3, 2), (2, 4, 3, 5))                    \
    CASE(pointwise, false, (1, 1), (1, 1), (0, 0), (0, 0), 1, (2, 3, 3, 4), (5, 3, 1, 1), (2, 5, 3, 4))                \
    CASE(strided, false, (2, 2), (1, 1), (1, 1), (1, 1), 1, (2, 2, 7, 6), (3, 2, 3, 3), (2, 3, 4, 3))                  \
    CASE(uneven_strides, false, (3, 2), (1, 1), (0, 1), (2, 0), 1, (1, 2, 6, 7), (2, 2, 3, 2), (1, 2, 2, 4))           \
    CASE(skipping, false, (3, 3), (1, 1), (0, 0), (0, 0), 1, (1, 1, 8, 7), (2, 1, 2, 1), (1, 2, 3, 3))                 \
    CASE(row_padding, false, (1, 1), (1, 1), (2, 0), (2, 0), 1, (2, 2, 4, 5), (3, 2, 3, 3), (2, 3, 6, 3))              \
    CASE(column_padding, false, (1, 1), (1, 1), (0, 2), (0, 2), 1, (2, 2, 4, 5), (3, 2, 3, 3), (2, 3, 2, 7))           \
    CASE(odd_padding, false, (2, 2), (1, 1), (0, 0), (1, 1), 1, (2, 2, 6, 6), (3, 2, 3, 3), (2, 3, 3, 3))              \
    CASE(dilated, false, (1, 1), (2, 3), (1, 2), (1, 2), 1, (1, 2, 7, 8), (3, 2, 3, 3), (1, 3, 5, 6))                  \
    CASE(grouped, false, (1, 1), (1, 1), (1, 1), (1, 1), 2, (2, 4, 4, 4), (6, 2, 3, 3), (2, 6, 4, 4))                  \
    CASE(depthwise, false, (2, 1), (1, 1), (1, 1), (1, 1), 3, (2, 3, 5, 4), (3, 1, 3, 3), (2, 3, 3, 4))                \
    CASE(multiplier, false, (1, 1), (1, 2), (0, 1), (0, 1), 2, (1, 2, 4, 6), (4, 1, 2, 3), (1, 4, 3, 4))               \
    CASE(whole, false, (1, 1), (1, 1), (0, 0), (0, 0), 1, (3, 2, 4, 3), (5, 2, 4, 3), (3, 5, 1, 1))                    \
    CASE(volume, false, (1, 1, 1), (1, 1, 1), (0, 0, 0), (0, 0, 0), 1, (1, 2, 3, 4, 3), (2, 2, 2, 2, 2),               \
         (1, 2, 2, 3, 2))                                                                                              \
    CASE(volume_strided, false, (2, 1, 2), (1, 2, 1), (1, 0, 0), (1, 0, 1), 1, (1, 2, 4, 5, 4), (2, 2, 3, 2, 2),       \
         (1, 2, 2, 3, 2))                                                                                              \
    CASE(line_last, true, (2), (1), (1), (1), 1, (2, 8, 2), (3, 2, 3), (2, 4, 3))                                      \
    CASE(plain_last, true, (1, 1), (1, 1), (0, 0), (0, 0), 1, (2, 5, 6, 3), (4, 3, 3, 2), (2, 3, 5, 4))                \
    CASE(pointwise_last, true, (1, 1), (1, 1), (0, 0), (0, 0), 1, (2, 3, 4, 3), (5, 3, 1, 1), (2, 3, 4, 5))            \
    CASE(strided_last, true, (2, 2), (1, 1), (1, 1), (1, 1), 1, (2, 7, 6, 2), (3, 2, 3, 3), (2, 4, 3, 3))              \
    CASE(dilated_last, true, (1, 1), (2, 3), (1, 2), (1, 2), 1, (1, 7, 8, 2), (3, 2, 3, 3), (1, 5, 6, 3))              \
    CASE(grouped_last, true, (1, 1), (1, 1), (1, 1), (1, 1), 2, (2, 4, 4, 4), (6, 2, 3, 3), (2, 4, 4, 6))              \
    CASE(depthwise_last, true, (2, 1), (1, 1), (1, 1), (1, 1), 3, (2, 5, 4, 3), (3, 1, 3, 3), (2, 3, 4, 3))            \
    CASE(wide_last, true, (1, 1), (1, 1), (1, 1), (1, 1), 1, (1, 3, 4, 18), (33, 18, 3, 3), (1, 3, 4, 33))             \
    CASE(volume_last, true, (2, 1, 2), (1, 2, 1), (1, 0, 0), (1, 0, 1), 1, (1, 4, 5, 4, 2), (2, 2, 3, 2, 2),           \
         (1, 2, 3, 2, 2))

#define LIST(...) GLIA_DIMS(__VA_ARGS__)

#define ATTRS(name, last, s, d, p, q, g, x, k, y)                                                                      \
    static const glia_conv_attrs name##_attrs = { LIST s, LIST d, LIST p, LIST q, g, { 0 }, last, false },             \
                                 name##_x_attrs = { LIST s, LIST d, LIST p, LIST q, g, LIST x, last, false },          \
                                 name##_k_attrs = { LIST s, LIST d, LIST p, LIST q, g, LIST k, last, false };
CASES(ATTRS)

#define SAMPLE(case, last, a, b, attributes)                                                                           \
    { .name = #case,                                                                                                   \
      .n = 2,                                                                                                          \
      .in = { { .shape = LIST a }, { .shape = LIST b } },                                                              \
      .attrs = &attributes,                                                                                            \
      .no_golden = last },
#define OF_CONV(name, last, s, d, p, q, g, x, k, y)        SAMPLE(name, last, x, k, name##_attrs)
#define OF_INPUT_GRAD(name, last, s, d, p, q, g, x, k, y)  SAMPLE(name, last, y, k, name##_x_attrs)
#define OF_KERNEL_GRAD(name, last, s, d, p, q, g, x, k, y) SAMPLE(name, last, x, y, name##_k_attrs)

const glia_op_sample glia_samples_conv[] = { CASES(OF_CONV){ 0 } };
const glia_op_sample glia_samples_conv_input_grad[] = { CASES(OF_INPUT_GRAD){ 0 } };
const glia_op_sample glia_samples_conv_kernel_grad[] = { CASES(OF_KERNEL_GRAD){ 0 } };

/* ---- constructors --------------------------------------------------------------------------- */

/* The attributes for a user's window with these taps over x of these sizes (GLIA_SAME computes the padding from them).
 * infer reports values out of range. */
static bool resolve(glia_graph *g, const char *what, const glia_conv_window *w, int axes, const int64_t *size,
                    const int64_t *taps, glia_conv_attrs *a) {
    bool pads = w->pad != 0;
    for (int i = 0; i < 3; i++) pads = pads || w->pads[i] || w->pads_after[i];
    if (pads && w->padding == GLIA_SAME) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: \"same\" padding is computed; pads cannot be given as well", what);
        return false;
    }
    a->groups = w->groups ? w->groups : 1;
    a->stride.rank = a->dilation.rank = a->pad.rank = a->pad_after.rank = axes;
    for (int i = 0; i < axes; i++) {
        a->stride.dim[i] = w->strides[i] ? w->strides[i] : w->stride ? w->stride : 1;
        a->dilation.dim[i] = w->dilations[i] ? w->dilations[i] : w->dilation ? w->dilation : 1;
        a->pad.dim[i] = w->pads[i] ? w->pads[i] : w->pad;
        a->pad_after.dim[i] = w->pads_after[i] ? w->pads_after[i] : w->pad;
        if (w->padding == GLIA_SAME) {
            glia_window_same(size[i], taps[i], a->stride.dim[i], a->dilation.dim[i], &a->pad.dim[i],
                             &a->pad_after.dim[i]);
        }
    }
    return true;
}

static bool spatial(glia_tensor x, glia_tensor kernel) {
    return x->shape.rank >= 3 && x->shape.rank <= 2 + GLIA_SPATIAL_AXES && kernel->shape.rank == x->shape.rank;
}

glia_tensor glia_conv(glia_tensor x, glia_tensor kernel, glia_conv_window window) {
    glia_conv_attrs a = { .groups = 1 };
    if (!glia_is_bad(x) && !glia_is_bad(kernel) && spatial(x, kernel) &&
        !resolve(x->graph, "conv", &window, x->shape.rank - 2, x->shape.dim + 2, kernel->shape.dim + 2, &a)) {
        return x->graph->bad;
    }
    return glia_node2(&glia_op_conv, x, kernel, &a);
}

glia_tensor glia_conv_transposed(glia_tensor x, glia_tensor kernel, glia_conv_window window, glia_shape output) {
    glia_conv_attrs a = { .groups = 1 };
    if (glia_is_bad(x) || glia_is_bad(kernel)) return glia_node2(&glia_op_conv_input_grad, x, kernel, &a);
    if (!spatial(x, kernel)) {
        return glia_graph_fail(x->graph, GLIA_E_SHAPE,
                               "conv_transposed: x (N, K, spatial...) has rank %d, the kernel %d", x->shape.rank,
                               kernel->shape.rank);
    }
    int axes = x->shape.rank - 2;
    if (output.rank != 0 && output.rank != axes) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "conv_transposed: %d output sizes for %d spatial axes",
                               output.rank, axes);
    }
    const int64_t *taps = kernel->shape.dim + 2, most = INT32_MAX;
    int64_t in[GLIA_SPATIAL_AXES], size[GLIA_SPATIAL_AXES];
    for (int i = 0; i < axes; i++) {
        /* so that products below fit; infer rejects such sizes */
        in[i] = GLIA_MAX(GLIA_MIN(x->shape.dim[i + 2], most), -1);
        int stride = window.strides[i] ? window.strides[i] : window.stride ? window.stride : 1;
        size[i] = output.rank ? output.dim[i] : in[i] * stride; /* for GLIA_SAME: in * stride */
    }
    if (!resolve(x->graph, "conv_transposed", &window, axes, size, taps, &a)) return x->graph->bad;
    a.size =
        (glia_shape){ .rank = axes + 2, .dim = { x->shape.dim[0], glia_dim_times(kernel->shape.dim[1], a.groups) } };
    for (int i = 0; i < axes; i++) {
        int64_t extent = a.dilation.dim[i] * (GLIA_MAX(GLIA_MIN(taps[i], most), 0) - 1) + 1;
        bool computed = !output.rank && window.padding != GLIA_SAME;
        a.size.dim[i + 2] =
            computed ? (in[i] - 1) * a.stride.dim[i] - a.pad.dim[i] - a.pad_after.dim[i] + extent : size[i];
    }
    return glia_node2(&glia_op_conv_input_grad, x, kernel, &a);
}
