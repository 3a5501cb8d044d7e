/* resize.c - images of another size: by repeating pixels, by interpolating between them, by moving channels into space.
 * All in terms of other operations, so gradients and kernels come from there. */
#include <math.h>
#include <stdlib.h>

#include "core/ops/ops.h"

static glia_tensor fail_shape(const char *what, glia_tensor x, const char *wanted) {
    char text[GLIA_SHAPE_TEXT];
    return glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s of %s: x must be %s", what, glia_shape_format(x->shape, text),
                           wanted);
}

/* The adjoint of a depthwise convolution with a kernel of ones and stride `factor` writes each pixel `factor` times
 * along each axis; convolutions choose the memory layout of channels that suits their kernels. */
glia_tensor glia_upsample_nearest(glia_tensor x, int factor) {
    if (glia_is_bad(x)) return x;
    const int axes = x->shape.rank - 2;
    if (axes < 1 || axes > 3 || x->shape.dim[1] < 1) return fail_shape("upsample_nearest", x, "(N, C, spatial...)");
    if (factor < 1) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "upsample_nearest: the factor is %d, not 1 or more", factor);
    }
    const int64_t channels = x->shape.dim[1];
    glia_shape kernel = { .rank = axes + 2, .dim = { channels, 1 } };
    for (int i = 0; i < axes; i++) kernel.dim[i + 2] = factor;
    glia_tensor ones = glia_broadcast(glia_scalar(x->graph, x->dtype, 1), kernel);
    glia_conv_window window = { .stride = factor, .groups = (int)channels };
    return glia_conv_transposed(x, ones, window, GLIA_SCALAR);
}

/* Rows of weights (to, from): of the pixels `from`, whose borders go on outside, at the centres of the pixels `to`,
 * which cover the same length (align_corners=False). NULL: out of memory. */
static double *bilinear_weights(int64_t from, int64_t to) {
    double *w = calloc((size_t)(to * from), sizeof *w);
    for (int64_t i = 0; w && i < to; i++) {
        double at = ((double)i + 0.5) * (double)from / (double)to - 0.5;
        at = GLIA_MIN(GLIA_MAX(at, 0), (double)(from - 1));
        const int64_t left = GLIA_MIN((int64_t)at, from - 1), right = GLIA_MIN(left + 1, from - 1);
        w[i * from + left] += 1 - (at - (double)left);
        w[i * from + right] += at - (double)left;
    }
    return w;
}

static glia_tensor bilinear_matrix(glia_tensor x, int64_t from, int64_t to) {
    double *weights = bilinear_weights(from, to);
    if (!weights) return glia_graph_fail_nomem(x->graph);
    glia_tensor matrix = glia_constant(x->graph, x->dtype, GLIA_SHAPE(to, from), weights);
    free(weights);
    return matrix;
}

/* Interpolation along each axis is a product with a matrix of weights. */
static glia_tensor resize(glia_tensor x, int64_t height, int64_t width) {
    glia_tensor rows = glia_matmul(bilinear_matrix(x, x->shape.dim[2], height), x);
    return glia_matmul_transposed(rows, false, bilinear_matrix(x, x->shape.dim[3], width), true);
}

glia_tensor glia_upsample_bilinear(glia_tensor x, int factor) {
    if (glia_is_bad(x)) return x;
    if (x->shape.rank != 4 || x->shape.dim[2] < 1 || x->shape.dim[3] < 1) {
        return fail_shape("upsample_bilinear", x, "(N, C, H, W)");
    }
    if (factor < 1) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "upsample_bilinear: the factor is %d, not 1 or more", factor);
    }
    return resize(x, x->shape.dim[2] * factor, x->shape.dim[3] * factor);
}

glia_tensor glia_resize_bilinear(glia_tensor x, int height, int width) {
    if (glia_is_bad(x)) return x;
    if (x->shape.rank != 4 || x->shape.dim[2] < 1 || x->shape.dim[3] < 1) {
        return fail_shape("resize_bilinear", x, "(N, C, H, W)");
    }
    if (height < 1 || width < 1) {
        return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "resize_bilinear: the size is %d x %d, not 1 x 1 or more",
                               height, width);
    }
    return resize(x, height, width);
}

glia_tensor glia_pixel_shuffle(glia_tensor x, int factor) {
    if (glia_is_bad(x)) return x;
    const glia_shape s = x->shape;
    const int64_t r = factor;
    if (s.rank != 4 || r < 1 || s.dim[1] < 1 || s.dim[1] % (r * r)) {
        return fail_shape("pixel_shuffle", x, "(N, C factor factor, H, W)");
    }
    glia_tensor parts = glia_reshape(x, GLIA_SHAPE(s.dim[0], s.dim[1] / (r * r), r, r, s.dim[2], s.dim[3]));
    parts = glia_permute(parts, GLIA_SHAPE(0, 1, 4, 2, 5, 3));
    return glia_reshape(
        parts, GLIA_SHAPE(s.dim[0], s.dim[1] / (r * r), glia_dim_times(s.dim[2], r), glia_dim_times(s.dim[3], r)));
}
