/* perceptron.c - one dense layer: each unit is a weighted sum of all pixels.
 *
 * Rosenblatt 1958 trained such units with the perceptron rule (see glia/perceptron.h). Here the units share a softmax
 * and are trained by the gradient of the cross-entropy, which also works when the classes are not separable. On MNIST
 * this is the classic baseline: 7 to 8 % test error.
 */
#include "builders.h"

glia_tensor glia_build_perceptron(glia_tensor x, int outputs) {
    return glia_dense(glia_flatten(x), "units", (glia_dense_opts){ .units = outputs });
}
