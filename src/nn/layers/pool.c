/* pool.c - pooling layers for images. They have no parameters; an x that is not (N, C, H, W) is an error. */
#include "nn/layers/layers.h"

static bool is_image(glia_tensor x, const char *what) {
    if (glia_is_bad(x) || x->shape.rank == 4) return true;
    char text[GLIA_SHAPE_TEXT];
    glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s of %s: x must be (N, C, H, W)", what,
                    glia_shape_format(x->shape, text));
    return false;
}

glia_tensor glia_max_pool2d(glia_tensor x, glia_pool_opts opts) {
    return is_image(x, "max_pool2d") ? glia_max_pool(x, opts) : glia_layer_bad(x);
}

glia_tensor glia_avg_pool2d(glia_tensor x, glia_pool_opts opts) {
    return is_image(x, "avg_pool2d") ? glia_avg_pool(x, opts) : glia_layer_bad(x);
}
