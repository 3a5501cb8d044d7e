/* cnn.c - plain convolutional nets: convolutions and pooling, then dense layers (LeCun et al. 1989). */
#include "builders.h"

static glia_tensor conv(glia_tensor x, const char *name, int filters, int kernel) {
    return glia_conv2d(x, name, (glia_conv_opts){ .filters = filters, .kernel = kernel, .activation = GLIA_RELU });
}

static glia_tensor pool(glia_tensor x) { return glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }); }

static glia_tensor dense(glia_tensor x, const char *name, int units) {
    return glia_dense(x, name, (glia_dense_opts){ .units = units, .activation = GLIA_RELU });
}

static glia_tensor logits(glia_tensor x, int outputs) {
    return glia_dense(x, "logits", (glia_dense_opts){ .units = outputs });
}

/* (1, 28, 28) -> 32@26x26 -> 32@13x13 -> 64@11x11 -> 64@5x5 -> 64@3x3 -> 64 -> 10. Parameters: 93,322. */
glia_tensor glia_build_keras_cnn(glia_tensor x, int outputs) {
    x = pool(conv(x, "conv1", 32, 3));
    x = pool(conv(x, "conv2", 64, 3));
    x = conv(x, "conv3", 64, 3);
    x = dense(glia_flatten(x), "dense1", 64);
    return logits(x, outputs);
}

/* (1, 28, 28) -> 32@13x13 -> 64@5x5 -> 128@1x1 -> 128 -> 10. Parameters: 110,474. */
glia_tensor glia_build_cnn3(glia_tensor x, int outputs) {
    x = pool(conv(x, "conv1", 32, 3));
    x = pool(conv(x, "conv2", 64, 3));
    x = pool(conv(x, "conv3", 128, 3));
    x = dense(glia_flatten(x), "dense1", 128);
    return logits(x, outputs);
}

/* Layers with torch.nn's default initialisation: kernel and bias U(-a, a), a = 1 / sqrt(fan_in). */
static const glia_init uniform = { .kind = GLIA_INIT_FAN_IN_UNIFORM };

static glia_init uniform_bias(int64_t fan_in) {
    return (glia_init){ .kind = GLIA_INIT_FAN_IN_UNIFORM, .fan_in = (double)fan_in };
}

static glia_tensor torch_conv(glia_tensor x, const char *name, int filters, int kernel) {
    int64_t fan_in = glia_tensor_shape(x).dim[1] * kernel * kernel;
    return glia_conv2d(x, name,
                       (glia_conv_opts){ .filters = filters,
                                         .kernel = kernel,
                                         .activation = GLIA_RELU,
                                         .kernel_init = uniform,
                                         .bias_init = uniform_bias(fan_in) });
}

static glia_tensor torch_dense(glia_tensor x, const char *name, int units, glia_activation activation) {
    int64_t fan_in = glia_tensor_shape(x).dim[1];
    return glia_dense(
        x, name,
        (glia_dense_opts){
            .units = units, .activation = activation, .kernel_init = uniform, .bias_init = uniform_bias(fan_in) });
}

/* (3, 32, 32) -> 6@28x28 -> 6@14x14 -> 16@10x10 -> 16@5x5 -> 120 -> 84 -> 10. Parameters: 62,006. */
glia_tensor glia_build_cifar_net(glia_tensor x, int outputs) {
    x = pool(torch_conv(x, "conv1", 6, 5));
    x = pool(torch_conv(x, "conv2", 16, 5));
    x = torch_dense(glia_flatten(x), "fc1", 120, GLIA_RELU);
    x = torch_dense(x, "fc2", 84, GLIA_RELU);
    return torch_dense(x, "logits", outputs, GLIA_LINEAR);
}

/* (3, 64, 64) -> 32@62x62 -> 32@31x31 -> 64@29x29 -> 128 -> classes. 6,910,282 parameters with ten classes,
 * most of them in the first dense layer. */
glia_tensor glia_build_cnn64(glia_tensor x, int outputs) {
    x = pool(conv(x, "conv1", 32, 3));
    x = conv(x, "conv2", 64, 3);
    x = dense(glia_flatten(x), "dense1", 128);
    return logits(x, outputs);
}

glia_tensor glia_build_feature_net(glia_tensor x, int outputs) { return glia_feature_net(x, outputs); }
