/* resnet.c - deep residual nets (He, Zhang, Ren and Sun 2016): each block learns a residual for its input.
 *
 * A basic block is  relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))  without biases, because batch norm has
 * shifts. Where a stage reduces the pixels and increases the channels, the shortcut must change the shape too. The
 * paper gives these options:
 *
 *   option A   every other pixel, and zero-padded channels: no parameters. Used for CIFAR, as in the paper. Half of the
 *              zero channels come before the others and half after, the odd one after; the paper does not specify it.
 *   option B   a 1x1 convolution of the same stride, with batch norm. Used for ImageNet, as in the paper.
 *
 * Kernels are initialised as in He et al. 2015, as in the paper.
 */
#include <stdio.h>

#include "builders.h"

enum { NAME_SIZE = 64 };

static glia_tensor conv_norm(glia_tensor x, const char *name, int filters, int kernel, int stride) {
    char part[NAME_SIZE + 8];
    glia_conv_opts conv = { .filters = filters,
                            .kernel = kernel,
                            .stride = stride,
                            .pad = kernel / 2,
                            .no_bias = true,
                            .kernel_init = { .kind = GLIA_INIT_HE_NORMAL } };
    snprintf(part, sizeof part, "%s/conv", name);
    x = glia_conv2d(x, part, conv);
    snprintf(part, sizeof part, "%s/norm", name);
    return glia_batch_norm(x, part, (glia_norm_opts){ 0 });
}

/* Option A: strided x, zero-padded in the channels. */
static glia_tensor shortcut_a(glia_tensor x, int filters, int stride) {
    int missing = filters - (int)glia_tensor_shape(x).dim[1];
    x = glia_slice(x, GLIA_SCALAR, GLIA_SCALAR, GLIA_SHAPE(1, 1, stride, stride));
    return glia_pad(x, GLIA_SHAPE(0, missing / 2, 0, 0), GLIA_SHAPE(0, missing - missing / 2, 0, 0), GLIA_SCALAR, 0);
}

static glia_tensor basic_block(glia_tensor x, const char *name, int filters, int stride, bool project) {
    char part[NAME_SIZE];
    snprintf(part, sizeof part, "%s/1", name);
    glia_tensor y = glia_relu(conv_norm(x, part, filters, 3, stride));
    snprintf(part, sizeof part, "%s/2", name);
    y = conv_norm(y, part, filters, 3, 1);
    if (stride != 1 || glia_tensor_shape(x).dim[1] != filters) {
        snprintf(part, sizeof part, "%s/shortcut", name);
        x = project ? conv_norm(x, part, filters, 1, stride) : shortcut_a(x, filters, stride);
    }
    return glia_relu(glia_add(y, x));
}

/* Stages of `blocks` blocks each, the first with `filters` channels; each later one halves the pixels and doubles the
 * channels. Then global average pooling and one dense layer. */
static glia_tensor stages(glia_tensor x, int n, int blocks, int filters, bool project, int outputs) {
    for (int stage = 1; stage <= n; stage++, filters *= 2) {
        for (int block = 1; block <= blocks; block++) {
            char name[NAME_SIZE / 2];
            snprintf(name, sizeof name, "stage%d/block%d", stage, block);
            x = basic_block(x, name, filters, stage > 1 && block == 1 ? 2 : 1, project);
        }
    }
    glia_init he = { .kind = GLIA_INIT_HE_NORMAL };
    return glia_dense(glia_global_avg_pool(x), "logits", (glia_dense_opts){ .units = outputs, .kernel_init = he });
}

/* Section 4.2 with n = 3: (3, 32, 32) -> 16@32x32 -> 3 blocks each of 16@32x32, 32@16x16, 64@8x8 -> 64 -> 10.
 * Parameters: 269,722, the paper's 0.27 million. */
glia_tensor glia_build_resnet20(glia_tensor x, int outputs) {
    x = glia_relu(conv_norm(x, "stem", 16, 3, 1));
    return stages(x, 3, 3, 16, false, outputs);
}

/* Table 1: (3, 224, 224) -> 64@112x112 -> 64@56x56 -> 2 blocks each of 64@56x56, 128@28x28, 256@14x14, 512@7x7 -> 512
 * -> 1000. Parameters: 11,689,512. Smaller images are not resized. */
glia_tensor glia_build_resnet18(glia_tensor x, int outputs) {
    x = glia_relu(conv_norm(x, "stem", 64, 7, 2));
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 3, .stride = 2, .pad = 1 });
    return stages(x, 4, 2, 64, true, outputs);
}
