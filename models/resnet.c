/* resnet.c - deep residual nets (He, Zhang, Ren and Sun 2016): each block learns a residual for its input.
 *
 * A basic block is  relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))  without biases, because batch norm has
 * shifts. A bottleneck has convolutions of 1x1, 3x3 and 1x1, the last with four times as many channels. Where a stage
 * reduces the pixels and increases the channels, the shortcut must change the shape too. The paper gives these options:
 *
 *   option A   every other pixel, and zero-padded channels: no parameters. Used for CIFAR, as in the paper. Half of the
 *              zero channels come before the others and half after, the odd one after; the paper does not specify it.
 *   option B   a 1x1 convolution of the same stride, with batch norm. Used for ImageNet, as in the paper.
 *
 * The stride of a bottleneck is that of its 3x3 convolution ("v1.5", as in torchvision), where the paper has it at the
 * first 1x1. Version 2 (He et al. 2016, "Identity mappings in deep residual networks") normalises and rectifies before
 * each convolution: nothing changes the sum on its way from block to block, and a last norm follows all of them. Plain
 * nets have no shortcuts.
 *
 * Names are those of torchvision, of the nets for CIFAR those of akamaster/pytorch_resnet_cifar10. Kernels are
 * initialised as in He et al. 2015, as in the paper.
 */
#include "builders.h"
#include "pieces.h"

typedef enum shortcut { SHORTCUT_NONE, SHORTCUT_ZEROS, SHORTCUT_PROJECTION } shortcut;

typedef struct plan {
    int blocks[4]; /* of each stage; 0: there is no such stage */
    int filters;   /* of the first stage; each later one doubles them and halves the pixels */
    bool bottleneck, before; /* before: version 2 */
    shortcut shortcut;
} plan;

/* Option A: strided x, zero-padded in the channels. */
static glia_tensor pad_channels(glia_tensor x, int filters, int stride) {
    int missing = filters - (int)glia_tensor_shape(x).dim[1];
    x = glia_slice(x, GLIA_SCALAR, GLIA_SCALAR, GLIA_SHAPE(1, 1, stride, stride));
    return glia_pad(x, GLIA_SHAPE(0, missing / 2, 0, 0), GLIA_SHAPE(0, missing - missing / 2, 0, 0), GLIA_SCALAR, 0);
}

/* x in the shape of the block's result. */
static glia_tensor shorten(glia_tensor x, const plan *p, const char *path, int filters, int stride) {
    if (stride == 1 && glia_tensor_shape(x).dim[1] == filters) return x;
    if (p->shortcut == SHORTCUT_ZEROS) return pad_channels(x, filters, stride);
    x = glia_piece_conv(x, glia_name_part("%s/downsample/0", path).name,
                       (glia_piece_conv_opts){ .filters = filters, .kernel = 1, .stride = stride });
    return p->before ? x : glia_piece_norm(x, glia_name_part("%s/downsample/1", path).name);
}

/* The convolutions of a block. */
static glia_tensor residual(glia_tensor y, const plan *p, const char *path, int filters, int stride) {
    const int n = p->bottleneck ? 3 : 2;
    for (int i = 1; i <= n; i++) {
        const bool wide = p->bottleneck && i == n, small = p->bottleneck && i != 2;
        const bool strided = i == (p->bottleneck ? 2 : 1);
        const glia_part_name conv = glia_name_part("%s/conv%d", path, i), norm = glia_name_part("%s/bn%d", path, i);
        if (p->before && i > 1) y = glia_relu(glia_piece_norm(y, norm.name));
        y = glia_piece_conv(y, conv.name,
                           (glia_piece_conv_opts){ .filters = wide ? 4 * filters : filters,
                                                  .kernel = small ? 1 : 3,
                                                  .stride = strided ? stride : 1 });
        if (p->before) continue;
        y = glia_piece_norm(y, norm.name);
        if (i < n) y = glia_relu(y);
    }
    return y;
}

static glia_tensor block(glia_tensor x, const plan *p, const char *path, int filters, int stride) {
    const int out = p->bottleneck ? 4 * filters : filters;
    if (p->before) {
        const bool changes = stride != 1 || glia_tensor_shape(x).dim[1] != out;
        glia_tensor y = glia_relu(glia_piece_norm(x, glia_name_part("%s/bn1", path).name));
        glia_tensor kept = changes ? shorten(y, p, path, out, stride) : x;
        return glia_add(residual(y, p, path, filters, stride), kept);
    }
    glia_tensor y = residual(x, p, path, filters, stride);
    if (p->shortcut != SHORTCUT_NONE) y = glia_add(y, shorten(x, p, path, out, stride));
    return glia_relu(y);
}

/* All stages, then global average pooling and one dense layer. */
static glia_tensor stages(glia_tensor x, const plan *p, const char *head, int outputs) {
    int filters = p->filters;
    for (int stage = 0; stage < 4 && p->blocks[stage]; stage++, filters *= 2) {
        for (int i = 0; i < p->blocks[stage]; i++) {
            const glia_part_name path = glia_name_part("layer%d/%d", stage + 1, i);
            x = block(x, p, path.name, filters, stage > 0 && i == 0 ? 2 : 1);
        }
    }
    if (p->before) x = glia_relu(glia_piece_norm(x, "norm"));
    return glia_piece_dense(glia_global_avg_pool(x), head, outputs, GLIA_LINEAR);
}

/* Section 4.2: (3, 32, 32) -> 16@32x32 -> n blocks each of 16@32x32, 32@16x16, 64@8x8 -> 64 -> 10; 6 n + 2 layers. */
static glia_tensor small(glia_tensor x, int outputs, int n, shortcut how) {
    const plan p = { .blocks = { n, n, n }, .filters = 16, .shortcut = how };
    x = glia_relu(
        glia_piece_conv_norm(x, "conv1", "bn1", (glia_piece_conv_opts){ .filters = 16, .kernel = 3, .stride = 1 }));
    return stages(x, &p, "linear", outputs);
}

glia_tensor glia_build_resnet20(glia_tensor x, int outputs) { return small(x, outputs, 3, SHORTCUT_ZEROS); }
glia_tensor glia_build_resnet32(glia_tensor x, int outputs) { return small(x, outputs, 5, SHORTCUT_ZEROS); }
glia_tensor glia_build_resnet44(glia_tensor x, int outputs) { return small(x, outputs, 7, SHORTCUT_ZEROS); }
glia_tensor glia_build_resnet56(glia_tensor x, int outputs) { return small(x, outputs, 9, SHORTCUT_ZEROS); }
glia_tensor glia_build_resnet110(glia_tensor x, int outputs) { return small(x, outputs, 18, SHORTCUT_ZEROS); }
glia_tensor glia_build_plain20(glia_tensor x, int outputs) { return small(x, outputs, 3, SHORTCUT_NONE); }
glia_tensor glia_build_plain32(glia_tensor x, int outputs) { return small(x, outputs, 5, SHORTCUT_NONE); }
glia_tensor glia_build_plain44(glia_tensor x, int outputs) { return small(x, outputs, 7, SHORTCUT_NONE); }
glia_tensor glia_build_plain56(glia_tensor x, int outputs) { return small(x, outputs, 9, SHORTCUT_NONE); }
glia_tensor glia_build_plain110(glia_tensor x, int outputs) { return small(x, outputs, 18, SHORTCUT_NONE); }

/* Table 1: (3, 224, 224) -> 64@112x112 -> 64@56x56 -> four stages, down to 7x7 -> 1000. Smaller pictures are not
 * resized. */
static glia_tensor large(glia_tensor x, int outputs, plan p) {
    p.filters = 64;
    p.shortcut = SHORTCUT_PROJECTION;
    x = glia_piece_conv(x, "conv1", (glia_piece_conv_opts){ .filters = 64, .kernel = 7, .stride = 2 });
    if (!p.before) x = glia_relu(glia_piece_norm(x, "bn1"));
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 3, .stride = 2, .pad = 1 });
    return stages(x, &p, "fc", outputs);
}

#define LARGE(name, ...)                                                     \
    glia_tensor glia_build_##name(glia_tensor x, int outputs) {              \
        return large(x, outputs, (plan){ .blocks = __VA_ARGS__ }); \
    }
#define BLOCKS(a, b, c, d) { a, b, c, d }
LARGE(resnet18, BLOCKS(2, 2, 2, 2))
LARGE(resnet34, BLOCKS(3, 4, 6, 3))
LARGE(resnet50, BLOCKS(3, 4, 6, 3), .bottleneck = true)
LARGE(resnet101, BLOCKS(3, 4, 23, 3), .bottleneck = true)
LARGE(resnet152, BLOCKS(3, 8, 36, 3), .bottleneck = true)
LARGE(resnet18_v2, BLOCKS(2, 2, 2, 2), .before = true)
LARGE(resnet34_v2, BLOCKS(3, 4, 6, 3), .before = true)
LARGE(resnet50_v2, BLOCKS(3, 4, 6, 3), .bottleneck = true, .before = true)
LARGE(resnet101_v2, BLOCKS(3, 4, 23, 3), .bottleneck = true, .before = true)
LARGE(resnet152_v2, BLOCKS(3, 8, 36, 3), .bottleneck = true, .before = true)
