/* lenet.c - LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, section II.B).
 *
 *   (1, 28, 28) padded to 32x32 -> conv 6@28x28 -> pool 6@14x14 -> conv 16@10x10 -> pool 16@5x5 -> 120 -> 84 -> classes
 *
 * Three differences from the paper, as is usual today: relu instead of the scaled tanh, max pooling instead of
 * trainable subsampling, and each map of the second convolution is connected to all six of the first (the paper's
 * table I connects only some). The 28x28 images are padded with two zeros on each side to the paper's 32x32.
 * Parameters: 61,706.
 */
#include "builders.h"

glia_tensor glia_build_lenet5(glia_tensor x, int outputs) {
    x = glia_conv2d(x, "c1", (glia_conv_opts){ .filters = 6, .kernel = 5, .pad = 2, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "c3", (glia_conv_opts){ .filters = 16, .kernel = 5, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_dense(glia_flatten(x), "c5", (glia_dense_opts){ .units = 120, .activation = GLIA_RELU });
    x = glia_dense(x, "f6", (glia_dense_opts){ .units = 84, .activation = GLIA_RELU });
    return glia_dense(x, "logits", (glia_dense_opts){ .units = outputs });
}
