/* densenet.c - densely connected nets (Huang, Liu, van der Maaten and Weinberger 2017): each layer reads the maps of
 * all layers before it in its block, and adds 32 of its own.
 *
 * A layer is  conv3x3(relu(bn(conv1x1(relu(bn(all so far))))))  with 128 maps between. Transitions between blocks halve
 * the maps, and the pixels by average pooling. Names and parameters are torchvision's.
 */
#include "builders.h"
#include "pieces.h"

enum { GROWTH = 32, BETWEEN = 4 * GROWTH, STEM = 64 };

static glia_tensor norm_relu_conv(glia_tensor x, const char *norm, const char *conv, int filters, int kernel) {
    x = glia_relu(glia_piece_norm(x, norm));
    return glia_piece_conv(x, conv, (glia_piece_conv_opts){ .filters = filters, .kernel = kernel, .stride = 1 });
}

static glia_tensor dense_layer(glia_tensor x, int block, int layer) {
    const glia_part_name path = glia_name_part("features/denseblock%d/denselayer%d", block, layer);
    glia_tensor y = norm_relu_conv(x, glia_name_part("%s/norm1", path.name).name,
                                   glia_name_part("%s/conv1", path.name).name, BETWEEN, 1);
    return norm_relu_conv(y, glia_name_part("%s/norm2", path.name).name, glia_name_part("%s/conv2", path.name).name,
                          GROWTH, 3);
}

/* Table 1: (3, 224, 224) -> 64@112x112 -> 64@56x56 -> four blocks, at 56, 28, 14 and 7 pixels -> 1000. */
static glia_tensor densenet(glia_tensor x, int outputs, const int layers[4]) {
    x = glia_piece_conv_norm(x, "features/conv0", "features/norm0",
                            (glia_piece_conv_opts){ .filters = STEM, .kernel = 7, .stride = 2 });
    x = glia_max_pool2d(glia_relu(x), (glia_pool_opts){ .size = 3, .stride = 2, .pad = 1 });
    for (int block = 1; block <= 4; block++) {
        for (int layer = 1; layer <= layers[block - 1]; layer++)
            x = glia_concat((const glia_tensor[]){ x, dense_layer(x, block, layer) }, 2, 1);
        if (block == 4) break;
        const int half = (int)glia_tensor_shape(x).dim[1] / 2;
        x = norm_relu_conv(x, glia_name_part("features/transition%d/norm", block).name,
                           glia_name_part("features/transition%d/conv", block).name, half, 1);
        x = glia_avg_pool2d(x, (glia_pool_opts){ .size = 2 });
    }
    x = glia_relu(glia_piece_norm(x, "features/norm5"));
    return glia_piece_dense(glia_global_avg_pool(x), "classifier", outputs, GLIA_LINEAR);
}

glia_tensor glia_build_densenet121(glia_tensor x, int outputs) {
    return densenet(x, outputs, (const int[]){ 6, 12, 24, 16 });
}

glia_tensor glia_build_densenet169(glia_tensor x, int outputs) {
    return densenet(x, outputs, (const int[]){ 6, 12, 32, 32 });
}

glia_tensor glia_build_densenet201(glia_tensor x, int outputs) {
    return densenet(x, outputs, (const int[]){ 6, 12, 48, 32 });
}
