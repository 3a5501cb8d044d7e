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

/* ---- reservoirs ------------------------------------------------------------------------------------- */

enum { UNITS = 300, WINDOWS = 6 };

/* A random matrix of this size has a spectral radius near `radius` (Girko 1985). */
static glia_init random_of_radius(double radius) {
    return (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = radius / 17.320508075688775 }; /* sqrt(UNITS) */
}

/* What is read: means of the states (N, T, UNITS) over WINDOWS parts of the time. */
static void read_states(glia_model *model, glia_tensor states, int classes) {
    const int64_t steps = glia_tensor_shape(states).dim[1], length = steps > WINDOWS ? steps / WINDOWS : 1;
    glia_tensor parts[WINDOWS];
    for (int64_t i = 0; i < WINDOWS; i++) {
        const int64_t last = i == WINDOWS - 1 ? steps : (i + 1) * length;
        parts[i] = glia_slice(states, GLIA_SHAPE(0, i * length, 0), GLIA_SHAPE(GLIA_BATCH, last, UNITS), GLIA_SCALAR);
        parts[i] = glia_mean(parts[i], GLIA_SHAPE(1), false);
    }
    glia_tensor all = glia_concat(parts, WINDOWS, 1);
    glia_model_output(model, "logits", glia_dense(all, "readout", (glia_dense_opts){ .units = classes }));
    glia_model_output(model, "states", all);
}

/* x (N, T, F); the rows of a grey picture are steps. */
static glia_tensor sequence(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    if (sample.rank != 3 || sample.dim[0] != 1) return x;
    return glia_reshape(x, GLIA_SHAPE(GLIA_BATCH, sample.dim[1], sample.dim[2]));
}

void glia_build_lsm(glia_model *model, glia_shape sample, int classes) {
    glia_tensor x = sequence(model, sample);
    const glia_init in = { .kind = GLIA_INIT_UNIFORM, .low = -0.25, .high = 0.25 };
    const glia_dense_opts dense = { .units = UNITS, .no_bias = true, .kernel_init = in };
    const glia_spiking_opts liquid = { .beta = 0.9, .recurrent = true, .to_zero = true };
    read_states(model, glia_spiking_dense(x, "liquid", dense, liquid), classes);
}

void glia_build_esn(glia_model *model, glia_shape sample, int classes) {
    const double leak = 0.3;
    glia_tensor x = sequence(model, sample);
    const glia_init in = { .kind = GLIA_INIT_UNIFORM, .low = -0.5, .high = 0.5 };
    const glia_dense_opts from_input = { .units = UNITS, .no_bias = true, .kernel_init = in };
    glia_tensor drive = glia_dense(x, "input", from_input), all;
    glia_tensor kernel = glia_parameter(glia_model_graph(model), "echo/kernel", GLIA_F32, GLIA_SHAPE(UNITS, UNITS),
                                        random_of_radius(0.9));
    glia_loop *loop = glia_loop_begin(glia_model_graph(model), (glia_loop_opts){ 0 });
    glia_tensor u = glia_loop_input(loop, drive), h = glia_loop_state_zeros(loop, GLIA_SHAPE(UNITS));
    glia_tensor next = glia_tanh(glia_add(u, glia_matmul_transposed(h, false, kernel, true)));
    next = glia_add(glia_mul_scalar(h, 1 - leak), glia_mul_scalar(next, leak));
    glia_loop_next(loop, h, next);
    glia_loop_end(loop, &next, 1, &all);
    read_states(model, all, classes);
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
