/* spiking.c - spiking nets that see a picture for 25 steps: hidden units spike, and the membranes of the output units,
 * which do not, are the logits, as means over the steps (Neftci et al. 2019, section "supervised learning").
 */
#include "builders.h"

enum { STEPS = 25 };
static const glia_spiking_opts hidden = { .beta = 0.9 };

/* The logits of spikes (N, T, ...). */
static glia_tensor read_out(glia_tensor spikes, int outputs) {
    const glia_spiking_opts silent = { .beta = 0.9, .silent = true };
    glia_tensor membranes = glia_spiking_dense(spikes, "output", (glia_dense_opts){ .units = outputs }, silent);
    return glia_mean(membranes, GLIA_SHAPE(1), false);
}

glia_tensor glia_build_snn_mlp(glia_tensor x, int outputs) {
    glia_tensor current = glia_dense(glia_flatten(x), "hidden", (glia_dense_opts){ .units = 1000 });
    glia_spiking_opts units = hidden;
    units.steps = STEPS;
    return read_out(glia_lif(current, units), outputs);
}

/* A layer of spikes (T N, C, H, W) as (N, T, C H W). */
static glia_tensor flat(glia_tensor x) { return glia_unfold_steps(glia_flatten(x), STEPS); }

glia_tensor glia_build_snn_conv(glia_tensor x, int outputs) {
    glia_spiking_opts units = hidden;
    units.steps = STEPS;
    x = glia_conv2d(x, "c1", (glia_conv_opts){ .filters = 16, .kernel = 5 }); /* once: the same in each step */
    x = glia_lif(glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }), units);
    x = glia_conv2d(glia_fold_steps(x), "c2", (glia_conv_opts){ .filters = 32, .kernel = 5 });
    x = glia_unfold_steps(glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }), STEPS);
    return read_out(flat(glia_fold_steps(glia_lif(x, hidden))), outputs);
}
