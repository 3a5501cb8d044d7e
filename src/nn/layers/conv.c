/* conv.c - convolution layers over one, two or three spatial axes, forward and transposed.
 *
 * y = activation(conv(x, kernel) + bias). The kernel is (filters, C/groups, spatial...); a transposed layer, which
 * computes the adjoint of a convolution from `filters` channels to C, has (C, filters/groups, spatial...).
 */
#include "nn/layers/layers.h"

/* The window given by the options; the short fields override those of opts.window. */
static glia_conv_window window_of(const glia_conv_opts *o) {
    glia_conv_window w = o->window;
    if (o->padding) w.padding = o->padding;
    if (o->stride) w.stride = o->stride;
    if (o->dilation) w.dilation = o->dilation;
    if (o->groups) w.groups = o->groups;
    if (o->pad) w.pad = o->pad;
    if (w.groups == 0) w.groups = 1;
    return w;
}

/* Fills in the kernel's spatial sizes and returns their product; 0 after reporting an error. */
static double take_kernel(glia_layer *layer, const glia_conv_opts *o, int axes, glia_shape *kernel) {
    double taps = 1;
    kernel->rank = axes + 2;
    for (int i = 0; i < axes; i++) {
        int size = o->kernels[i] ? o->kernels[i] : o->kernel;
        if (size < 1) {
            glia_layer_fail(layer, "the kernel's size must be at least 1, not %d", size);
            return 0;
        }
        kernel->dim[i + 2] = size;
        taps *= size;
    }
    return taps;
}

static glia_tensor conv_layer(glia_tensor x, const char *name, glia_conv_opts o, int axes, bool transposed) {
    static const char *const kinds[2][3] = { { "conv1d", "conv2d", "conv3d" },
                                             { "conv1d_transposed", "conv2d_transposed", "conv3d_transposed" } };
    static const char *const shapes[3] = { "(N, C, W)", "(N, C, H, W)", "(N, C, D, H, W)" };
    glia_layer layer;
    if (!glia_layer_begin(&layer, kinds[transposed][axes - 1], name, x)) return glia_layer_bad(x);
    if (x->shape.rank != axes + 2 || x->shape.dim[1] < 1) {
        return glia_layer_fail(&layer, "x must be %s", shapes[axes - 1]);
    }
    if (o.filters < 1) return glia_layer_fail(&layer, "filters must be at least 1, not %d", o.filters);
    glia_conv_window window = window_of(&o);
    int64_t channels = x->shape.dim[1];
    if (window.groups < 1 || channels % window.groups != 0 || o.filters % window.groups != 0) {
        return glia_layer_fail(&layer, "%lld channels and %d filters do not both divide into %d groups",
                               (long long)channels, o.filters, window.groups);
    }
    glia_shape shape = { .dim = { transposed ? channels : o.filters,
                                  (transposed ? o.filters : channels) / window.groups } };
    double taps = take_kernel(&layer, &o, axes, &shape);
    if (taps == 0) return glia_layer_bad(x);
    glia_tensor kernel = glia_layer_parameter(&layer, "kernel", shape, o.kernel_init, GLIA_INIT_GLOROT_UNIFORM, 0);
    if (o.spectral_norm) kernel = glia_spectral_norm(kernel, name, (glia_spectral_norm_opts){ .axis = transposed });
    glia_tensor y = transposed ? glia_conv_transposed(x, kernel, window, GLIA_SCALAR) : glia_conv(x, kernel, window);
    if (!o.no_bias) {
        double fan_in = (double)shape.dim[1] * taps;
        glia_tensor bias =
            glia_layer_parameter(&layer, "bias", GLIA_SHAPE(o.filters), o.bias_init, GLIA_INIT_ZEROS, fan_in);
        y = glia_layer_add_bias(y, bias, 1);
    }
    return glia_layer_end(&layer, glia_layer_activate(y, o.activation, 1));
}

glia_tensor glia_conv1d(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 1, false);
}
glia_tensor glia_conv2d(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 2, false);
}
glia_tensor glia_conv3d(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 3, false);
}

glia_tensor glia_conv1d_transposed(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 1, true);
}
glia_tensor glia_conv2d_transposed(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 2, true);
}
glia_tensor glia_conv3d_transposed(glia_tensor x, const char *name, glia_conv_opts opts) {
    return conv_layer(x, name, opts, 3, true);
}
