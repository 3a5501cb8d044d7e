/* reinforcement.c - nets of agents: an input of observations and the features to which a method adds its heads. */
#include "builders.h"

/* Dense layers that begin as torch.nn's. Random biases spread the bends of the units over the range of observations:
 * with zeros all units bend at 0, and MountainCar's positions, which are not centred there, are told apart late. */
static glia_tensor spread(glia_tensor x, const char *name, int units) {
    const glia_init kernel = { .kind = GLIA_INIT_FAN_IN_UNIFORM };
    const glia_init bias = { .kind = GLIA_INIT_FAN_IN_UNIFORM, .fan_in = (double)glia_tensor_shape(x).dim[1] };
    const glia_dense_opts opts = {
        .units = units, .activation = GLIA_RELU, .kernel_init = kernel, .bias_init = bias
    };
    return glia_dense(x, name, opts);
}

/* Two hidden layers under this name. */
static glia_tensor hidden(glia_tensor x, const char *first, const char *second, int units, glia_activation activation,
                          glia_init init) {
    const glia_dense_opts opts = { .units = units, .activation = activation, .kernel_init = init };
    return glia_dense(glia_dense(glia_flatten(x), first, opts), second, opts);
}

void glia_build_dqn(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_model_output(model, "features", spread(spread(glia_flatten(x), "dense1", 128), "dense2", 128));
}

/* MinAtar's net (Young and Tian 2019, section 4): 16 filters of 3x3, then 128 units. */
void glia_build_dqn_conv(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_tensor y = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 16, .kernel = 3, .activation = GLIA_RELU });
    y = glia_dense(glia_flatten(y), "dense", (glia_dense_opts){ .units = 128, .activation = GLIA_RELU });
    glia_model_output(model, "features", y);
}

/* Policy and values have nets of their own, with orthogonal kernels (Andrychowicz et al. 2021). */
void glia_build_ppo(glia_model *model, glia_shape sample) {
    const glia_init init = { .kind = GLIA_INIT_ORTHOGONAL, .value = 1.4142135623730951 };
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_model_output(model, "features", hidden(x, "dense1", "dense2", 64, GLIA_TANH, init));
    glia_model_output(model, "value_features", hidden(x, "value1", "value2", 64, GLIA_TANH, init));
}

/* The table of the methods "q-table" and "sarsa" is a layer over the one-hot states themselves. */
void glia_build_q_table(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_model_output(model, "features", glia_flatten(x));
}

void glia_build_sac(glia_model *model, glia_shape sample) {
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    glia_model_output(model, "features", hidden(x, "dense1", "dense2", 64, GLIA_RELU, (glia_init){ 0 }));
}
