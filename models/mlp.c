/* mlp.c - multilayer perceptrons: stacks of fully connected layers.
 *
 * Rumelhart, Hinton and Williams 1986 trained them by back-propagation; the 784-300-10 net for MNIST is from
 * LeCun et al. 1998 (section III.C). Images are flattened.
 */
#include "builders.h"

static glia_tensor hidden(glia_tensor x, const char *name, int units) {
    return glia_dense(x, name, (glia_dense_opts){ .units = units, .activation = GLIA_RELU });
}

static glia_tensor logits(glia_tensor x, int outputs) {
    return glia_dense(x, "logits", (glia_dense_opts){ .units = outputs });
}

glia_tensor glia_build_mlp(glia_tensor x, int outputs) {
    x = hidden(glia_flatten(x), "hidden", 300);
    return logits(x, outputs);
}

glia_tensor glia_build_mlp_512(glia_tensor x, int outputs) {
    x = hidden(glia_flatten(x), "hidden1", 512);
    x = hidden(x, "hidden2", 512);
    return logits(x, outputs);
}

glia_tensor glia_build_dnn(glia_tensor x, int outputs) {
    x = hidden(glia_flatten(x), "hidden1", 64);
    x = hidden(x, "hidden2", 32);
    return logits(x, outputs);
}
