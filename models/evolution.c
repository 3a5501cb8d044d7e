/* evolution.c - where evolution begins: methods of evolution replace this net by the best that they find. */
#include "builders.h"

void glia_build_evolved(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_model_output(model, "policy", glia_dense(glia_flatten(x), "first", (glia_dense_opts){ .units = 1 }));
}
