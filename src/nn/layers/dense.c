/* dense.c - the fully connected layer: y = activation(x kernel^T + bias). */
#include "nn/layers/layers.h"

glia_tensor glia_dense(glia_tensor x, const char *name, glia_dense_opts opts) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "dense", name, x)) return glia_layer_bad(x);
    int last = x->shape.rank - 1;
    if (last < 1 || x->shape.dim[last] < 1) return glia_layer_fail(&layer, "x must be (N, ..., F) with a fixed F");
    if (opts.units < 1) return glia_layer_fail(&layer, "units must be at least 1, not %d", opts.units);
    int64_t features = x->shape.dim[last];
    glia_tensor kernel = glia_layer_parameter(&layer, "kernel", GLIA_SHAPE(opts.units, features), opts.kernel_init,
                                              GLIA_INIT_GLOROT_UNIFORM, 0);
    if (opts.spectral_norm) kernel = glia_spectral_norm(kernel, name, (glia_spectral_norm_opts){ 0 });
    glia_tensor y = opts.sparse ? glia_matmul_sparse(x, false, kernel, true)
                                : glia_matmul_transposed(x, false, kernel, true);
    if (!opts.no_bias) {
        glia_tensor bias = glia_layer_parameter(&layer, "bias", GLIA_SHAPE(opts.units), opts.bias_init, GLIA_INIT_ZEROS,
                                                (double)features);
        y = glia_layer_add_bias(y, bias, last);
    }
    return glia_layer_end(&layer, glia_layer_activate(y, opts.activation, last));
}
