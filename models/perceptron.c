/* perceptron.c - one layer of units, each a weighted sum of the whole picture.
 *
 * Rosenblatt 1958 trained such units by correcting mistakes (glia/perceptron.h has his rule); here the units share a
 * softmax and follow the gradient of the cross-entropy, which also works where the classes are not separable. On
 * MNIST it is the classic baseline: 7 to 8 % of the test digits wrong.
 */
#include "builders.h"

glia_tensor glia_build_perceptron(glia_tensor x, int outputs) {
    return glia_dense(glia_flatten(x), "units", (glia_dense_opts){ .units = outputs });
}
