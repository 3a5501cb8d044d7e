/* pieces.c - convolutions with norms, dense layers, adaptive pooling. See pieces.h. */
#include "pieces.h"

#include <stdarg.h>
#include <stdio.h>

static const glia_init he = { .kind = GLIA_INIT_HE_NORMAL };

glia_part_name glia_name_part(const char *format, ...) {
    glia_part_name part;
    va_list args;
    va_start(args, format);
    vsnprintf(part.name, sizeof part.name, format, args);
    va_end(args);
    return part;
}

glia_tensor glia_piece_conv(glia_tensor x, const char *name, glia_piece_conv_opts opts) {
    return glia_conv2d(x, name,
                       (glia_conv_opts){ .filters = opts.filters,
                                         .kernel = opts.kernel,
                                         .stride = opts.stride,
                                         .groups = opts.groups,
                                         .pad = opts.kernel / 2,
                                         .no_bias = !opts.bias,
                                         .kernel_init = he });
}

glia_tensor glia_piece_norm(glia_tensor x, const char *name) {
    return glia_batch_norm(x, name, (glia_norm_opts){ 0 });
}

glia_tensor glia_piece_conv_norm(glia_tensor x, const char *conv, const char *norm, glia_piece_conv_opts opts) {
    return glia_piece_norm(glia_piece_conv(x, conv, opts), norm);
}

glia_tensor glia_piece_dense(glia_tensor x, const char *name, int units, glia_activation activation) {
    return glia_dense(x, name, (glia_dense_opts){ .units = units, .activation = activation, .kernel_init = he });
}

glia_tensor glia_piece_adaptive_pool(glia_tensor x, int size) {
    const glia_shape shape = glia_tensor_shape(x);
    const int64_t side = shape.rank == 4 && shape.dim[2] == shape.dim[3] ? shape.dim[2] : 0;
    if (side == size) return x;
    if (side > 0 && side < size && size % side == 0) return glia_upsample_nearest(x, size / (int)side);
    return glia_avg_pool2d(x, (glia_pool_opts){ .size = side > size ? (int)side / size : size });
}
