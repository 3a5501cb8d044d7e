/* memory_methods.c - the methods "som" and "hopfield": memories that learn from samples one by one.
 *
 * som: the model has an input "x" (N, ...) and a parameter "map/weights" (rows, columns, features). The optimiser's
 * learning rate, the only one of its options that counts, is the first rate of the map; 0: 0.5.
 *
 * hopfield: an input "x" and a parameter "memory/weights" (units, units). What is above 1/2 in a sample is 1, the rest
 * -1. Each sample is stored once, in one epoch. The figure is the part of the units that are right after
 * recall from samples with `noise` of their units turned.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/program/store.h"
#include "families/spiking/check_data.h"
#include "glia/spiking.h"
#include "train/run/training.h"

enum { MOST_MEASURED = 1000 };

typedef struct memories {
    /* settings */
    double sigma, noise;
    int64_t measured;
    /* training */
    glia_som som;
    float *weights;
    int64_t features;
    float *held; /* (measured, features): samples by which it is measured */
    int first, second;
} memories;

static const glia_setting som_settings[] = {
    { "sigma", GLIA_SETTING_REAL, offsetof(memories, sigma), 2, 0.01, 1000, NULL,
      "width of the neighbourhood at first, in units" },
    { "measured", GLIA_SETTING_INT, offsetof(memories, measured), 1000, 1, 100000, NULL,
      "training samples by which errors are measured" },
};
static const glia_setting hopfield_settings[] = {
    { "noise", GLIA_SETTING_REAL, offsetof(memories, noise), 0.1, 0, 0.5, NULL,
      "part of the units turned before recall" },
    { "measured", GLIA_SETTING_INT, offsetof(memories, measured), 20, 1, MOST_MEASURED, NULL,
      "training samples that are recalled after an epoch" },
};

/* ---- what both need --------------------------------------------------------------------------------- */

/* Finds the parameter and makes the loader. */
static glia_status begin_with(glia_training *t, const char *name, glia_array *weights, glia_error *error) {
    memories *m = t->memory;
    glia_status status = glia_model_ready(t->model, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    const glia_node *x = glia_graph_find_leaf(t->model->graph, "x");
    if (!x || !glia_store_look(t->model->store, name, weights) || weights->dtype != GLIA_F32)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s needs a model with an input 'x' and a parameter '%s'",
                         t->method->about.name, name);
    m->features = glia_shape_count(x->shape) / x->shape.dim[0];
    m->weights = weights->data;
    status = glia_spiking_check_data(t->data, t->method->about.name, m->features, 0, error);
    if (status != GLIA_OK) return status;
    m->measured = GLIA_MIN(m->measured, glia_data_count(t->data));
    m->held = malloc((size_t)(m->measured * m->features) * sizeof *m->held);
    if (!m->held) return glia_fail_nomem(error);
    for (int64_t i = 0; i < m->measured && status == GLIA_OK; i++)
        status = glia_data_get(t->data, i, m->held + i * m->features, NULL, error);
    if (status != GLIA_OK) return status;
    t->parameter_bytes = (size_t)glia_shape_count(weights->shape) * sizeof(float);
    return glia_training_load(t, false, error);
}

static void end(glia_training *t) {
    const memories *m = t->memory;
    free(m->held);
}

/* ---- som -------------------------------------------------------------------------------------------- */

static glia_status begin_som(glia_training *t, glia_error *error) {
    memories *m = t->memory;
    glia_array w;
    glia_status status = glia_training_plain_sgd(t, error);
    if (status == GLIA_OK) status = begin_with(t, "map/weights", &w, error);
    if (status != GLIA_OK) return status;
    t->full_lr = t->opts.optimizer.lr > 0 ? t->opts.optimizer.lr : 0.5;
    if (w.shape.rank != 3 || w.shape.dim[2] != m->features)
        return glia_fail(error, GLIA_E_SHAPE, "the method som: 'map/weights' must be (rows, columns, %lld)",
                         (long long)m->features);
    m->som = (glia_som){ w.shape.dim[0], w.shape.dim[1], w.shape.dim[2], w.data };
    m->first = glia_training_figure(t, "quantization_error");
    m->second = glia_training_figure(t, "topographic_error");
    return GLIA_OK;
}

static glia_status step_som(glia_training *t, const glia_batch *batch, glia_error *error) {
    memories *m = t->memory;
    const glia_som_opts opts = { .rate = t->progress.lr,
                                 .sigma = m->sigma,
                                 .iterations = GLIA_MAX(t->total * t->opts.batch, (int64_t)1) };
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < batch->n && status == GLIA_OK; i++)
        status = glia_som_step(&m->som, batch->x + i * m->features, t->done * t->opts.batch + i, opts, error);
    glia_store_touch(t->model->store);
    t->samples += batch->n;
    t->progress.loss = 0;
    return status;
}

static glia_status measure_som(glia_training *t, glia_error *error) {
    const memories *m = t->memory;
    (void)error;
    t->figures[m->first].value = glia_som_quantization_error(&m->som, m->held, m->measured);
    t->figures[m->second].value = glia_som_topographic_error(&m->som, m->held, m->measured);
    return GLIA_OK;
}

/* The units of the map as pictures. */
static glia_status show_som(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const memories *m = t->memory;
    const glia_node *x = glia_graph_find_leaf(t->model->graph, "x");
    if (x->shape.rank != 4 || (x->shape.dim[1] != 1 && x->shape.dim[1] != 3)) return GLIA_OK;
    const glia_shown shown = { .name = "map",
                               .kind = GLIA_SHOWN_PICTURES,
                               .n = m->som.rows * m->som.columns,
                               .sample = GLIA_SHAPE(x->shape.dim[1], x->shape.dim[2], x->shape.dim[3]),
                               .values = m->weights };
    return show_one(context, &shown, error);
}

/* ---- hopfield --------------------------------------------------------------------------------------- */

static glia_status begin_hopfield(glia_training *t, glia_error *error) {
    memories *m = t->memory;
    glia_array w;
    if (t->opts.epochs > 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method hopfield stores each sample once: 1 epoch, not %lld",
                         (long long)t->opts.epochs);
    glia_status status = begin_with(t, "memory/weights", &w, error);
    if (status != GLIA_OK) return status;
    t->full_lr = 1;
    if (w.shape.rank != 2 || w.shape.dim[0] != m->features || w.shape.dim[1] != m->features)
        return glia_fail(error, GLIA_E_SHAPE, "the method hopfield: 'memory/weights' must be (%lld, %lld)",
                         (long long)m->features, (long long)m->features);
    m->first = glia_training_figure(t, "recall");
    return GLIA_OK;
}

static void to_signs(const float *x, int64_t n, float *signs) {
    for (int64_t i = 0; i < n; i++) signs[i] = x[i] > 0.5f ? 1.0f : -1.0f;
}

static glia_status step_hopfield(glia_training *t, const glia_batch *batch, glia_error *error) {
    const memories *m = t->memory;
    float *signs = malloc((size_t)(batch->n * m->features) * sizeof *signs);
    if (!signs) return glia_fail_nomem(error);
    to_signs(batch->x, batch->n * m->features, signs);
    glia_status status = glia_hopfield_store(m->weights, m->features, signs, batch->n, error);
    free(signs);
    glia_store_touch(t->model->store);
    t->samples += batch->n;
    t->progress.loss = 0;
    return status;
}

static glia_status measure_hopfield(glia_training *t, glia_error *error) {
    enum { STREAM = 0x6E6F69 };
    const memories *m = t->memory;
    const int64_t n = m->features;
    float *signs = malloc((size_t)n * sizeof *signs), *state = malloc((size_t)n * sizeof *state);
    glia_status status = signs && state ? GLIA_OK : glia_fail_nomem(error);
    int64_t right = 0;
    for (int64_t k = 0; k < m->measured && status == GLIA_OK; k++) {
        glia_rng rng = { .seed = t->opts.seed, .stream = STREAM + (uint64_t)k };
        to_signs(m->held + k * n, n, signs);
        for (int64_t i = 0; i < n; i++) state[i] = glia_rng_uniform(&rng) < m->noise ? -signs[i] : signs[i];
        const glia_hopfield_opts opts = { .seed = t->opts.seed + (uint64_t)k };
        if (glia_hopfield_recall(m->weights, n, opts, state, error) < 0) status = GLIA_E_NOMEM;
        for (int64_t i = 0; i < n; i++) right += state[i] == signs[i];
    }
    t->figures[m->first].value = (double)right / (double)(m->measured * n);
    free(signs);
    free(state);
    return status;
}

const glia_method glia_method_som = {
    .about = { .name = "som",
               .summary = "a self-organising map of the samples",
               .paper = "Kohonen 1982",
               .settings = som_settings,
               .n_settings = GLIA_COUNT(som_settings),
               .uses = GLIA_USES_DATA | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH },
    .bytes = sizeof(memories),
    .begin = begin_som,
    .step = step_som,
    .measure = measure_som,
    .show = show_som,
    .end = end,
};

const glia_method glia_method_hopfield = {
    .about = { .name = "hopfield",
               .summary = "an associative memory that stores samples by Hebb's rule",
               .paper = "Hopfield 1982",
               .settings = hopfield_settings,
               .n_settings = GLIA_COUNT(hopfield_settings),
               .uses = GLIA_USES_DATA | GLIA_USES_BATCH },
    .bytes = sizeof(memories),
    .begin = begin_hopfield,
    .step = step_hopfield,
    .measure = measure_hopfield,
    .end = end,
};
