/* spiking.c - the worker of bench/spiking.py: runs training steps of a spiking net, or shows samples to the cells of
 * Diehl and Cook, for as long as it is told.
 *
 *     bench_spiking constant|spikes|stdp
 *
 * constant: a step of 784-1000-10 units, T = 25, batch 128, Adam, with an input that is the same in each step. spikes:
 * the input is a spike train, new in each run. stdp: samples of drawn digits, 100 cells, 350 ms in steps of 0.5.
 * The protocol is that of worker.h.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"
#include "worker.h"

enum { BATCH = 128, STEPS = 25, HIDDEN = 1000, CLASSES = 10, SAMPLES = 100 };

/* ---- gradients ------------------------------------------------------------------------------------- */

static glia_session *make_step(bool spikes, glia_error *error) {
    glia_graph *g = glia_graph_create();
    const glia_shape shape = spikes ? GLIA_SHAPE(GLIA_BATCH, STEPS, 784) : GLIA_SHAPE(GLIA_BATCH, 784);
    glia_tensor x = glia_input(g, "x", GLIA_F32, shape);
    glia_tensor y = glia_input(g, "y", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    const glia_spiking_opts units = { .beta = 0.95, .steps = spikes ? 0 : STEPS }, out = { .beta = 0.95 };
    glia_tensor h = glia_spiking_dense(x, "hidden", (glia_dense_opts){ .units = HIDDEN }, units), membrane = NULL;
    glia_spiking_opts last = out;
    last.membrane = &membrane;
    glia_spiking_dense(h, "output", (glia_dense_opts){ .units = CLASSES }, last);
    glia_tensor loss = glia_mul_scalar(glia_spike_loss_of(membrane, y, GLIA_SPIKE_LOSS_RATE), STEPS);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 5e-4 }, NULL, NULL);
    glia_backend *backend = glia_backend_open("cpu", 1, error);
    glia_store *store = glia_store_create(g, 1, error);
    glia_program *program = glia_compile(
        g, backend, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH }, error);
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    if (!session) return NULL;
    float *data = glia_session_input(session, "x", NULL, error);
    int32_t *labels = glia_session_input(session, "y", NULL, error);
    const int64_t n = spikes ? BATCH * STEPS * 784 : BATCH * 784;
    for (int64_t i = 0; data && i < n; i++) {
        const float u = (float)((i * 7919) % 1000) / 1000;
        data[i] = spikes ? (u < 0.1f ? 1.0f : 0.0f) : u;
    }
    for (int i = 0; labels && i < BATCH; i++) labels[i] = i % CLASSES;
    return data && labels ? session : NULL;
}

/* ---- spike times ----------------------------------------------------------------------------------- */

static glia_status show_samples(glia_error *error) {
    glia_dataset *data = glia_data_strokes(SAMPLES, 1, error);
    glia_model *model = glia_recipe_build(glia_recipe_find("snn-stdp"), GLIA_SHAPE(1, 28, 28), CLASSES, error);
    const glia_fit_opts how = { .batch = SAMPLES, .threads = 1 };
    glia_status status = data && model ? glia_train(model, data, "stdp", "label_samples=1", how, error) : GLIA_E_NOMEM;
    glia_model_free(model);
    glia_data_free(data);
    return status;
}

/* ---- runs ------------------------------------------------------------------------------------------- */

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "bench_spiking: %s\n", error->message);
    exit(1);
}

/* A step of the session, or samples if there is none. */
static long run(void *session) {
    glia_error error = { 0 };
    check(session ? glia_session_run(session, &error) : show_samples(&error), &error);
    return session ? 1 : SAMPLES;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "constant";
    glia_error error = { 0 };
    glia_session *session = NULL;
    const bool spikes = strcmp(mode, "spikes") == 0;
    if (spikes || strcmp(mode, "constant") == 0) {
        session = make_step(spikes, &error);
        check(session ? GLIA_OK : GLIA_E_ARGUMENT, &error);
        run(session);
    } else if (strcmp(mode, "stdp") != 0) {
        fprintf(stderr, "bench_spiking: the mode is constant, spikes or stdp, not %s\n", mode);
        return 1;
    }
    serve(run, session);
    return 0;
}
