/* test_oom_spiking.c - fails every allocation (oom.h): cells, codes, spiking layers, conversion, networks by events,
 * memories, reservoirs, learning of spike times, and training by the methods. */
#include "glia/glia.h"
#include "oom.h"

static glia_status layers(glia_error *error) {
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_random_uniform(g, GLIA_SHAPE(GLIA_BATCH, 3)), membrane = NULL;
    const glia_spiking_opts recurrent = { .recurrent = true, .alpha = 0.5, .adapt = 0.1, .membrane = &membrane };
    x = glia_spiking_dense(glia_spikes_by_rate(x, 3), "a", (glia_dense_opts){ .units = 2 }, recurrent);
    glia_tensor loss = glia_add(glia_sum(glia_first_spike(x), GLIA_SCALAR, false), glia_spike_penalty(x, 1));
    loss = glia_add(loss, glia_sum(membrane, GLIA_SCALAR, false));
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD }, NULL, NULL);
    glia_status status = glia_graph_check(g, error);
    glia_backend *backend = status == GLIA_OK ? glia_backend_open("cpu", 1, error) : NULL;
    glia_store *store = backend ? glia_store_create(g, 1, error) : NULL;
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_program *program = store ? glia_compile(g, backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    status = session ? glia_session_run(session, error) : error->status;
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    return status;
}

static glia_status conversion(glia_error *error) {
    float x[4] = { 0.1f, 0.9f, 0.5f, 0.3f }, y[4];
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(2) }, error);
    glia_model *model = data ? glia_model_create("m", error) : NULL;
    glia_converted *c = NULL;
    if (model) {
        glia_tensor h = glia_dense(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2)), "a",
                                   (glia_dense_opts){ .units = 3, .activation = GLIA_RELU });
        glia_model_output(model, "y", glia_dense(h, "b", (glia_dense_opts){ .units = 2 }));
        c = glia_convert_to_spiking(model, data, (glia_convert_opts){ .threads = 1 }, error);
    }
    glia_status status = c ? glia_converted_run(c, x, 2, 3, y, NULL, error) : error->status;
    glia_converted_free(c);
    glia_model_free(model);
    glia_data_free(data);
    return status;
}

static glia_status events(glia_error *error) {
    const glia_stdp pair = { .rule = GLIA_STDP_PAIR };
    const glia_spike_event given[] = { { 1, 0 }, { 2, 1 }, { 3, 0 } };
    glia_spike_net *net = glia_spike_net_create(3, (glia_spike_cell){ 0 }, error);
    glia_status status = net ? GLIA_OK : error->status;
    for (int i = 0; i < 2 && status == GLIA_OK; i++) status = glia_spike_net_connect(net, i, 2, 0.7, 1, &pair, error);
    if (status == GLIA_OK) status = glia_spike_net_run(net, given, 3, 20, NULL, 0, NULL, error);
    glia_spike_net_free(net);
    return status;
}

static glia_status memories(glia_error *error) {
    const float patterns[8] = { 1, -1, 1, 1, -1, -1, 1, -1 }, y[2] = { 0, 1 };
    float weights[16] = { 0 }, state[4] = { 1, 1, 1, 1 }, w[5];
    double rows[4] = { 0.1, 0.2, 0.3, 0.4 }, x[4] = { 1, 2, 3, 4 };
    glia_status status = glia_hopfield_store(weights, 4, patterns, 2, error);
    if (status == GLIA_OK && glia_hopfield_recall(weights, 4, (glia_hopfield_opts){ 0 }, state, error) < 0)
        status = error->status;
    if (status == GLIA_OK) status = glia_modern_hopfield_recall(patterns, 2, 4, 1, 1, state, error);
    if (status == GLIA_OK) status = glia_hebbian_step(GLIA_SANGER, rows, 1, 4, x, 0.1, error);
    if (status == GLIA_OK) status = glia_ridge_fit(patterns, y, 2, 4, 1, 0.1, w, error);
    return status;
}

static glia_status times(glia_error *error) {
    double weights[12], input[2] = { 0, 3 }, target = 9, inputs[2] = { 0.8, 0.8 }, out;
    const glia_spike_event given[] = { { 1, 0 }, { 2, 1 } };
    glia_spikeprop net = { .inputs = 2, .hidden = 2, .outputs = 1, .delays = 2, .weights = weights };
    glia_kernel_cell cell = { .inputs = 2, .weights = inputs };
    glia_status status = glia_spikeprop_init(&net, 1, error);
    if (status == GLIA_OK) status = glia_spikeprop_run(&net, input, &out, error);
    if (status == GLIA_OK) status = glia_spikeprop_step(&net, input, &target, 0.1, NULL, NULL, error);
    if (status == GLIA_OK) status = glia_resume_step(&cell, given, 2, 20, &target, 1, 0.1, NULL, error);
    const glia_chronotron_opts chronotron = { .rate = 0.1 };
    if (status == GLIA_OK) status = glia_chronotron_step(&cell, given, 2, 20, &target, 1, chronotron, NULL, error);
    return status;
}

static glia_status reservoir(glia_error *error) {
    const float x[3] = { 1, 0, 1 };
    float states[12];
    glia_reservoir *r = glia_reservoir_create((glia_reservoir_opts){ .inputs = 1, .units = 4, .density = 0.5 }, error);
    glia_status status = r ? glia_reservoir_run(r, x, 3, states, NULL, error) : error->status;
    glia_reservoir_free(r);
    return status;
}

static glia_status codes(glia_error *error) {
    const double x[2] = { 0.1, 0.6 };
    int8_t spikes[4];
    return glia_encode(&(glia_code){ .kind = GLIA_CODE_RANK, .steps = 2 }, x, 2, spikes, error);
}

/* ---- methods ---------------------------------------------------------------------------------------- */

static glia_status look(void *context, const glia_shown *shown, glia_error *error) {
    (void)context, (void)shown, (void)error;
    return GLIA_OK;
}

static glia_status show(const glia_progress *p, void *context, glia_error *error) {
    return glia_training_show(p->training, look, context, error);
}

static glia_status train(const char *method, const char *settings, glia_error *error) {
    float x[8] = { 1, 0, 1, 0, 0, 1, 0, 1 };
    const int32_t y[2] = { 0, 1 };
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = 2, .x = x, .x_shape = GLIA_SHAPE(1, 2, 2), .y = y, .y_dtype = GLIA_I32 }, error);
    glia_model *model = data ? glia_model_create("m", error) : NULL;
    if (model) {
        glia_graph *g = glia_model_graph(model);
        glia_tensor in = glia_flatten(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 2, 2)));
        const glia_init half = { .kind = GLIA_INIT_CONSTANT, .value = 0.5 }, zeros = { .kind = GLIA_INIT_ZEROS };
        glia_parameter(g, "cells/weights", GLIA_F32, GLIA_SHAPE(4, 3), half);
        glia_state(g, "cells/theta", GLIA_F32, GLIA_SHAPE(3), half);
        glia_state(g, "cells/response", GLIA_F32, GLIA_SHAPE(3, 2), zeros);
        glia_parameter(g, "map/weights", GLIA_F32, GLIA_SHAPE(1, 2, 4), half);
        glia_model_output(model, "y",
                          glia_matmul(in, glia_parameter(g, "memory/weights", GLIA_F32, GLIA_SHAPE(4, 4), zeros)));
        glia_model_output(model, "classes", glia_dense(in, "readout", (glia_dense_opts){ .units = 4 }));
        glia_model_output(model, "states", in);
    }
    const glia_callback watch = { .epoch_end = show };
    const bool labelled = !strcmp(method, "stdp") || !strcmp(method, "readout");
    const glia_fit_opts o = {
        .batch = 1, .threads = 1, .callbacks = &watch, .n_callbacks = 1, .validation = labelled ? data : NULL
    };
    glia_status status = model ? glia_train(model, data, method, settings, o, error) : error->status;
    glia_assessment figures;
    if (status == GLIA_OK && labelled)
        status = glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &figures, error);
    glia_model_free(model);
    glia_data_free(data);
    return status;
}

static glia_status stdp(glia_error *error) {
    return train("stdp", "presentation=20 pause=10 rate=1000 norm=8 least_spikes=1", error);
}
static glia_status readout(glia_error *error) { return train("readout", NULL, error); }
static glia_status som(glia_error *error) { return train("som", NULL, error); }
static glia_status hopfield(glia_error *error) { return train("hopfield", NULL, error); }

#if GLIA_HAVE_HDF5 /* its own allocations do not fail: libhdf5 is a shared library, where nothing is wrapped */
static glia_status nir(glia_error *error) {
    glia_model *model = glia_model_create("units", error);
    if (!model) return error->status;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 2));
    x = glia_spiking_dense(glia_flatten(x), "d", (glia_dense_opts){ .units = 2 }, (glia_spiking_opts){ .steps = 3 });
    glia_model_output(model, "y", x);
    glia_status status = glia_model_init(model, 1, error);
    if (status == GLIA_OK) status = glia_model_export_nir(model, "oom.nir", 0, error);
    glia_model_free(model);
    return status;
}
#endif

static void every_failure_is_reported(void **state) {
    (void)state;
    every_allocation(layers, "spiking layers");
    every_allocation(conversion, "conversion");
    every_allocation(events, "events");
    every_allocation(memories, "memories");
    every_allocation(times, "spike times");
    every_allocation(reservoir, "reservoir");
    run(codes, 1, false, "codes");
    every_allocation(stdp, "stdp");
    every_allocation(readout, "readout");
    every_allocation(som, "som");
    every_allocation(hopfield, "hopfield");
#if GLIA_HAVE_HDF5
    every_allocation(nir, "nir");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_failure_is_reported) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
