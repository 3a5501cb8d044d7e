/* mobilenet.c - MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018): inverted residuals.
 *
 * A block widens its maps by a 1x1 convolution, filters each map by itself (3x3, depthwise) and narrows them again
 * without an activation; it adds its input where the shapes are equal. Activations are relu6. Names and parameters
 * (3,504,872) are torchvision's.
 */
#include "builders.h"
#include "pieces.h"

static glia_tensor relu6(glia_tensor x) { return glia_clip(x, 0, 6); }

/* Convolution, norm and relu6: the modules PATH.0 and PATH.1. */
static glia_tensor conv(glia_tensor x, const char *path, int filters, int kernel, int stride, int groups) {
    return relu6(glia_piece_conv_norm(
        x, glia_name_part("%s/0", path).name, glia_name_part("%s/1", path).name,
        (glia_piece_conv_opts){ .filters = filters, .kernel = kernel, .stride = stride, .groups = groups }));
}

static glia_tensor inverted_residual(glia_tensor x, int index, int widen, int filters, int stride) {
    const int maps = (int)glia_tensor_shape(x).dim[1], wide = maps * widen;
    const glia_part_name path = glia_name_part("features/%d/conv", index);
    glia_tensor y = x;
    int at = 0;
    if (widen != 1) y = conv(y, glia_name_part("%s/%d", path.name, at++).name, wide, 1, 1, 1);
    y = conv(y, glia_name_part("%s/%d", path.name, at++).name, wide, 3, stride, wide);
    y = glia_piece_conv_norm(y, glia_name_part("%s/%d", path.name, at).name,
                            glia_name_part("%s/%d", path.name, at + 1).name,
                            (glia_piece_conv_opts){ .filters = filters, .kernel = 1, .stride = 1 });
    return stride == 1 && maps == filters ? glia_add(x, y) : y;
}

/* Table 2. */
glia_tensor glia_build_mobilenet_v2(glia_tensor x, int outputs) {
    static const struct {
        int widen, filters, blocks, stride;
    } rows[] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 },  { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
                 { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };
    int index = 0;
    x = conv(x, glia_name_part("features/%d", index++).name, 32, 3, 2, 1);
    for (int row = 0; row < 7; row++) {
        for (int i = 0; i < rows[row].blocks; i++)
            x = inverted_residual(x, index++, rows[row].widen, rows[row].filters, i ? 1 : rows[row].stride);
    }
    x = conv(x, glia_name_part("features/%d", index).name, 1280, 1, 1, 1);
    return glia_piece_dense(glia_dropout(glia_global_avg_pool(x), 0.2), "classifier/1", outputs, GLIA_LINEAR);
}
