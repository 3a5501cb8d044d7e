/* vgg.c - AlexNet (Krizhevsky, Sutskever and Hinton 2012) and VGG (Simonyan and Zisserman 2015): convolutions and
 * pooling, then three dense layers that have most of the parameters.
 *
 * `alexnet` is torchvision's, Krizhevsky 2014 ("One weird trick"): one tower of 64-192-384-256-256 maps.
 * `alexnet-two-towers` is that of 2012, with 96-256-384-384-256 maps: its second, fourth and fifth convolutions have
 * two groups, which were on two GPUs, and the first two are followed by normalisation over neighbouring maps. The
 * paper's pictures of 224x224 are padded so that 55x55 maps result, as its text has them.
 */
#include "builders.h"
#include "pieces.h"

static glia_tensor conv(glia_tensor x, const char *name, glia_conv_opts opts) {
    opts.activation = GLIA_RELU;
    opts.kernel_init = (glia_init){ .kind = GLIA_INIT_HE_NORMAL };
    return glia_conv2d(x, name, opts);
}

/* Two layers of 4096 units and the last one, with dropout before (AlexNet) or after (VGG) the two. */
static glia_tensor classify(glia_tensor x, bool dropout_first, int outputs) {
    x = glia_flatten(x);
    for (int i = 0; i < 2; i++) {
        if (dropout_first) x = glia_dropout(x, 0.5);
        x = glia_piece_dense(x, glia_name_part("classifier/%d", 3 * i + dropout_first).name, 4096, GLIA_RELU);
        if (!dropout_first) x = glia_dropout(x, 0.5);
    }
    return glia_piece_dense(x, "classifier/6", outputs, GLIA_LINEAR);
}

/* ---- AlexNet -------------------------------------------------------------------------------- */

static glia_tensor pool3(glia_tensor x) { return glia_max_pool2d(x, (glia_pool_opts){ .size = 3, .stride = 2 }); }

/* (3, 224, 224) -> 64@55x55 -> 192@27x27 -> 384@13x13 -> 256 -> 256@6x6 -> 4096 -> 4096 -> 1000. Parameters:
 * 61,100,840. */
glia_tensor glia_build_alexnet(glia_tensor x, int outputs) {
    x = pool3(conv(x, "features/0", (glia_conv_opts){ .filters = 64, .kernel = 11, .stride = 4, .pad = 2 }));
    x = pool3(conv(x, "features/3", (glia_conv_opts){ .filters = 192, .kernel = 5, .pad = 2 }));
    x = conv(x, "features/6", (glia_conv_opts){ .filters = 384, .kernel = 3, .pad = 1 });
    x = conv(x, "features/8", (glia_conv_opts){ .filters = 256, .kernel = 3, .pad = 1 });
    x = pool3(conv(x, "features/10", (glia_conv_opts){ .filters = 256, .kernel = 3, .pad = 1 }));
    return classify(glia_piece_adaptive_pool(x, 6), true, outputs);
}

/* Section 3.3: x / (2 + 1e-4 sum of the squares in 5 neighbouring maps)^0.75. */
static glia_tensor normalise_maps(glia_tensor x) {
    const int64_t maps = glia_tensor_shape(x).dim[1];
    const glia_shape two = GLIA_SHAPE(0, 2, 0, 0);
    glia_tensor squares = glia_pad(glia_square(x), two, two, GLIA_SCALAR, 0), sum = NULL;
    for (int i = 0; i < 5; i++) {
        glia_tensor shifted = glia_slice(squares, GLIA_SHAPE(0, i, 0, 0),
                                         GLIA_SHAPE(INT64_MAX, i + maps, INT64_MAX, INT64_MAX), GLIA_SCALAR);
        sum = sum ? glia_add(sum, shifted) : shifted;
    }
    glia_tensor base = glia_add_scalar(glia_mul_scalar(sum, 1e-4), 2);
    return glia_mul(x, glia_pow(base, glia_like(base, -0.75)));
}

/* Parameters: 60,965,224. */
glia_tensor glia_build_alexnet_two_towers(glia_tensor x, int outputs) {
    x = conv(x, "features/0", (glia_conv_opts){ .filters = 96, .kernel = 11, .stride = 4, .pad = 2 });
    x = pool3(normalise_maps(x));
    x = conv(x, "features/4", (glia_conv_opts){ .filters = 256, .kernel = 5, .pad = 2, .groups = 2 });
    x = pool3(normalise_maps(x));
    x = conv(x, "features/8", (glia_conv_opts){ .filters = 384, .kernel = 3, .pad = 1 });
    x = conv(x, "features/10", (glia_conv_opts){ .filters = 384, .kernel = 3, .pad = 1, .groups = 2 });
    x = conv(x, "features/12", (glia_conv_opts){ .filters = 256, .kernel = 3, .pad = 1, .groups = 2 });
    return classify(glia_piece_adaptive_pool(pool3(x), 6), true, outputs);
}

/* ---- VGG ------------------------------------------------------------------------------------ */

/* Table 1: five blocks of 64, 128, 256, 512 and 512 maps with `sizes` convolutions of 3x3, each followed by pooling. */
static glia_tensor vgg(glia_tensor x, int outputs, const char *sizes, bool norm) {
    int at = 0;
    for (int block = 0; block < 5; block++) {
        const int filters = block < 3 ? 64 << block : 512;
        for (int i = '0'; i < sizes[block]; i++) {
            x = glia_piece_conv(x, glia_name_part("features/%d", at++).name,
                               (glia_piece_conv_opts){ .filters = filters, .kernel = 3, .stride = 1, .bias = true });
            if (norm) x = glia_piece_norm(x, glia_name_part("features/%d", at++).name);
            x = glia_relu(x);
            at++;
        }
        x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
        at++;
    }
    return classify(glia_piece_adaptive_pool(x, 7), false, outputs);
}

glia_tensor glia_build_vgg11(glia_tensor x, int outputs) { return vgg(x, outputs, "11222", false); }
glia_tensor glia_build_vgg13(glia_tensor x, int outputs) { return vgg(x, outputs, "22222", false); }
glia_tensor glia_build_vgg16(glia_tensor x, int outputs) { return vgg(x, outputs, "22333", false); }
glia_tensor glia_build_vgg19(glia_tensor x, int outputs) { return vgg(x, outputs, "22444", false); }
glia_tensor glia_build_vgg11_bn(glia_tensor x, int outputs) { return vgg(x, outputs, "11222", true); }
glia_tensor glia_build_vgg13_bn(glia_tensor x, int outputs) { return vgg(x, outputs, "22222", true); }
glia_tensor glia_build_vgg16_bn(glia_tensor x, int outputs) { return vgg(x, outputs, "22333", true); }
glia_tensor glia_build_vgg19_bn(glia_tensor x, int outputs) { return vgg(x, outputs, "22444", true); }
