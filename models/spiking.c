/* spiking.c - spiking nets.
 *
 * By gradients: nets that see a picture for 25 steps; hidden units spike, and the membranes of the output units,
 * which do not, are the logits, as means over the steps (Neftci et al. 2019). By spike times: cells for the method
 * "stdp", in whose graph only the cells' parameters matter; the output is the drive of each cell by its inputs.
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

/* ---- spike times ------------------------------------------------------------------------------------ */

static void build_cells(glia_model *model, glia_shape sample, int64_t cells, int classes) {
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    const glia_shape connections = GLIA_SHAPE(glia_shape_count(sample), cells);
    const glia_init uniform = { .kind = GLIA_INIT_UNIFORM, .low = 0.003, .high = 0.303 };
    const glia_init theta = { .kind = GLIA_INIT_CONSTANT, .value = 20 }, zeros = { .kind = GLIA_INIT_ZEROS };
    glia_tensor weights = glia_parameter(g, "cells/weights", GLIA_F32, connections, uniform);
    glia_state(g, "cells/theta", GLIA_F32, GLIA_SHAPE(cells), theta);
    glia_state(g, "cells/response", GLIA_F32, GLIA_SHAPE(cells, classes), zeros);
    glia_model_output(model, "drive", glia_matmul(glia_flatten(x), weights));
}

void glia_build_snn_stdp(glia_model *model, glia_shape sample, int classes) {
    build_cells(model, sample, 100, classes);
}
void glia_build_snn_stdp_400(glia_model *model, glia_shape sample, int classes) {
    build_cells(model, sample, 400, classes);
}

/* ---- memories --------------------------------------------------------------------------------------- */

/* A map of 10 x 10 units; the output is the squared distance of each, without the square of x. */
void glia_build_som(glia_model *model, glia_shape sample) {
    enum { SIDE = 10 };
    const int64_t features = glia_shape_count(sample);
    glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, sample));
    const glia_init uniform = { .kind = GLIA_INIT_UNIFORM, .low = 0, .high = 1 };
    glia_tensor w =
        glia_parameter(glia_model_graph(model), "map/weights", GLIA_F32, GLIA_SHAPE(SIDE, SIDE, features), uniform);
    w = glia_reshape(w, GLIA_SHAPE(SIDE * SIDE, features));
    glia_tensor product = glia_mul_scalar(glia_matmul_transposed(x, false, w, true), -2);
    glia_model_output(model, "distance", glia_add(product, glia_sum(glia_square(w), GLIA_SHAPE(1), false)));
}

/* A memory of as many units as a sample has values; the output is the input of each unit. */
void glia_build_hopfield(glia_model *model, glia_shape sample) {
    const int64_t units = glia_shape_count(sample);
    glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, sample));
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    glia_tensor w =
        glia_parameter(glia_model_graph(model), "memory/weights", GLIA_F32, GLIA_SHAPE(units, units), zeros);
    glia_model_output(model, "fields", glia_matmul(x, w));
}
