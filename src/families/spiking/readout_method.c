/* readout_method.c - the method "readout": a net of random weights stays as it is, and a linear layer learns to read
 * its states: echo state nets (Jaeger 2001), liquid state machines (Maass, Natschläger and Markram 2002).
 *
 * The model has an input "x" (N, ...), an output "states" (N, features) and the parameters "readout/kernel" (classes,
 * features) and "readout/bias" (classes), which only its output of classes uses.
 *
 *     batch ──► states ──► sums of products ──(end of an epoch)──► ridge regression of the classes, 1 or 0
 *
 * The least squares are exact, so one epoch is enough where x are the same in each; further ones add their sums. A
 * checkpoint has the sums. The optimiser is not used.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"
#include "families/spiking/check_data.h"
#include "families/spiking/ridge.h"
#include "glia/program.h"
#include "train/run/training.h"

typedef struct readout {
    /* settings */
    double ridge;
    /* training */
    glia_function *states;
    glia_pool *pool;
    glia_ridge sums;
    glia_array kernel, bias;
    glia_shape x; /* of a sample */
    float *targets;
    int accuracy;
} readout;

static const glia_setting settings[] = {
    { "ridge", GLIA_SETTING_REAL, offsetof(readout, ridge), 1, 1e-9, 1e9, NULL,
      "penalty on the squares of the read-out's weights" },
};

static glia_status take(readout *m, glia_training *t, glia_error *error) {
    const glia_node *x = glia_graph_find_leaf(t->model->graph, "x");
    glia_tensor states = glia_graph_find_output(t->model->graph, "states");
    if (!x || !states || states->shape.rank != 2 || !glia_store_look(t->model->store, "readout/kernel", &m->kernel) ||
        !glia_store_look(t->model->store, "readout/bias", &m->bias) || m->kernel.shape.rank != 2 ||
        m->kernel.dtype != GLIA_F32 || m->bias.dtype != GLIA_F32 || m->kernel.shape.dim[1] != states->shape.dim[1] ||
        !glia_shape_equal(m->bias.shape, GLIA_SHAPE(m->kernel.shape.dim[0])))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "the method readout needs a model with an input 'x', an output 'states' (N, features) and the "
                         "parameters 'readout/kernel' (classes, features) and 'readout/bias'");
    m->x = x->shape;
    const glia_function_opts opts = { .outputs = &states, .n_outputs = 1, .mode = GLIA_INFER };
    glia_error reason = { 0 };
    m->states = glia_function_create(t->model->graph, t->backend, t->model->store, opts, &reason);
    return m->states ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static glia_status check_data(const readout *m, const glia_dataset *data, glia_error *error) {
    return glia_spiking_check_data(data, "readout", glia_shape_count(m->x) / m->x.dim[0], m->kernel.shape.dim[0],
                                   error);
}

static glia_status begin(glia_training *t, glia_error *error) {
    readout *m = t->memory;
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(t->model, t->opts.seed, error);
    if (status == GLIA_OK) status = take(m, t, error);
    if (status == GLIA_OK) status = check_data(m, t->data, error);
    if (status == GLIA_OK && t->opts.validation) status = check_data(m, t->opts.validation, error);
    const int64_t classes = status == GLIA_OK ? m->kernel.shape.dim[0] : 0;
    if (status == GLIA_OK) status = glia_ridge_open(&m->sums, m->kernel.shape.dim[1], classes, error);
    if (status != GLIA_OK) return status;
    m->targets = malloc((size_t)(t->opts.batch * classes) * sizeof *m->targets);
    if (!m->targets) return glia_fail_nomem(error);
    m->pool = glia_pool_create(t->opts.threads, &reason);
    if (!m->pool) return glia_fail(error, reason.status, "%s", reason.message);
    status = glia_training_load(t, false, error);
    if (status != GLIA_OK) return status;
    t->full_lr = 1;
    t->parameter_bytes = (size_t)(glia_shape_count(m->kernel.shape) + classes) * sizeof(float);
    if (t->opts.validation) m->accuracy = glia_training_figure(t, "val_accuracy");
    return GLIA_OK;
}

static void end(glia_training *t) {
    readout *m = t->memory;
    glia_function_free(m->states);
    glia_pool_free(m->pool);
    glia_ridge_close(&m->sums);
    free(m->targets);
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    readout *m = t->memory;
    glia_shape shape = m->x;
    shape.dim[0] = batch->n;
    const glia_array x = { .name = "x", .dtype = GLIA_F32, .shape = shape, .data = (void *)(uintptr_t)batch->x };
    glia_array states;
    glia_status status = glia_function_call(m->states, &x, 1, &states, error);
    if (status != GLIA_OK) return status;
    const int64_t classes = m->sums.outputs;
    memset(m->targets, 0, (size_t)(batch->n * classes) * sizeof *m->targets);
    for (int64_t i = 0; i < batch->n; i++) {
        const int32_t y = ((const int32_t *)batch->y)[i];
        if (y >= 0 && y < classes) m->targets[i * classes + y] = 1;
    }
    glia_ridge_add(&m->sums, states.data, m->targets, batch->n, m->pool);
    t->samples += batch->n;
    t->progress.loss = 0;
    return GLIA_OK;
}

static glia_status measure(glia_training *t, glia_error *error) {
    const readout *m = t->memory;
    const int64_t features = m->sums.features, classes = m->sums.outputs;
    float *w = malloc((size_t)(classes * (features + 1)) * sizeof *w), *kernel = m->kernel.data, *bias = m->bias.data;
    if (!w) return glia_fail_nomem(error);
    glia_status status = glia_ridge_solve(&m->sums, m->ridge, w, error);
    for (int64_t c = 0; status == GLIA_OK && c < classes; c++) {
        memcpy(kernel + c * features, w + c * (features + 1), (size_t)features * sizeof *kernel);
        bias[c] = w[c * (features + 1) + features];
    }
    free(w);
    if (status != GLIA_OK) return status;
    glia_store_touch(t->model->store);
    if (!t->opts.validation) return GLIA_OK;
    glia_scores scores;
    status = glia_evaluate(t->model, t->opts.validation, (glia_evaluate_opts){ .backend = t->backend }, &scores, error);
    if (status == GLIA_OK) t->figures[m->accuracy].value = scores.accuracy;
    return status;
}

static int arrays(glia_training *t, glia_array *out, int capacity) {
    const readout *m = t->memory;
    const int64_t f = m->sums.features + 1;
    if (capacity < 2) return 0;
    out[0] = (glia_array){ .name = "readout/a", .dtype = GLIA_F64, .shape = GLIA_SHAPE(f, f), .data = m->sums.a };
    out[1] = (glia_array){
        .name = "readout/b", .dtype = GLIA_F64, .shape = GLIA_SHAPE(m->sums.outputs, f), .data = m->sums.b
    };
    return 2;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    glia_scores scores;
    (void)memory;
    const glia_evaluate_opts how = { .backend = opts->backend, .threads = opts->threads };
    glia_status status = glia_evaluate(model, opts->data, how, &scores, error);
    if (status == GLIA_OK) glia_assessment_add(out, "accuracy", scores.accuracy);
    return status;
}

const glia_method glia_method_readout = {
    .about = { .name = "readout",
               .summary = "a linear layer learns to read the states of a random net",
               .paper = "Jaeger 2001, Maass, Natschläger and Markram 2002",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(readout),
    .begin = begin,
    .step = step,
    .measure = measure,
    .arrays = arrays,
    .end = end,
    .assess = assess,
};
