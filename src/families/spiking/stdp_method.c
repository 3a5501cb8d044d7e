/* stdp_method.c - the method "stdp": cells that inhibit each other learn without labels (Diehl and Cook 2015).
 *
 * The model has an input "x" (N, ...) of values in [0, 1], the parameter "cells/weights" (inputs, cells) and the states
 * "cells/theta" (cells) and "cells/response" (cells, classes). There is no graph to run: competition.c simulates the
 * network.
 *
 * The optimiser's learning rate, the only one of its options that counts, is a factor on both rates of plasticity;
 * 0: 1.
 *
 * Samples are learned one after the other; a step is a batch of them. At the end of an epoch the responses of the cells
 * to samples of the training data are measured, while nothing is learned: mean spikes by class. They say what a sample
 * is:
 *
 *     class   a cell has the class to which it responds most; the class whose cells fire most, on average (the paper)
 *     share   each spike counts for all classes, in proportion to the cell's responses
 *     bayes   the product over spikes of these proportions, each plus 0.02
 *
 * Nothing lasts from sample to sample but weights and theta, and the random numbers of a sample are those of its
 * number, so a checkpoint is the model, and samples that are not learned from are shown by all threads.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "core/program/store.h"
#include "families/spiking/competition.h"
#include "families/spiking/check_data.h"
#include "train/run/training.h"

enum { PIECE = 50, MOST_CLASSES = 1000 }; /* samples shown by one thread at a time */
enum { STREAM_LEARN = 1, STREAM_LABEL, STREAM_TEST };
enum { BY_CLASS, BY_SHARE, BY_BAYES, READOUTS };

typedef struct stdp {
    /* settings */
    glia_competition_rules rules;
    int64_t label_samples, shown;
    int readout;
    /* training */
    glia_competition net;
    glia_competition_run *run;
    glia_pool *pool;
    int32_t *counts;
    float *response; /* (cells, classes) */
    int classes;
    int spikes_mean, operations_mean, accuracy;
} stdp;

#define RULE(field) offsetof(stdp, rules) + offsetof(glia_competition_rules, field)
static const glia_setting settings[] = {
    { "dt", GLIA_SETTING_REAL, RULE(dt), 0.5, 0.01, 1, NULL, "step of the cells, ms" },
    { "presentation", GLIA_SETTING_REAL, RULE(shown), 350, 1, 10000, NULL, "time that a sample is shown, ms" },
    { "pause", GLIA_SETTING_REAL, RULE(rest), 150, 0, 10000, NULL, "time without input after it, ms" },
    { "rate", GLIA_SETTING_REAL, RULE(rate), 31.875, 0.001, 1000, NULL,
      "rate of an input of 1 at intensity 1, Hz (255 / 8)" },
    { "intensity", GLIA_SETTING_REAL, RULE(intensity), 2, 0.1, 30, NULL, "factor on the rates, at first" },
    { "least_spikes", GLIA_SETTING_INT, RULE(least), 5, 0, 1000, NULL,
      "with fewer spikes a sample is shown again, with the intensity raised by 1" },
    { "rate_pre", GLIA_SETTING_REAL, RULE(rate_pre), 1e-4, 0, 1, NULL, "learning rate at presynaptic spikes" },
    { "rate_post", GLIA_SETTING_REAL, RULE(rate_post), 0.01, 0, 1, NULL, "learning rate at postsynaptic spikes" },
    { "tau_pre", GLIA_SETTING_REAL, RULE(tau_pre), 20, 0.1, 1e4, NULL, "trace of presynaptic spikes, ms" },
    { "tau_post1", GLIA_SETTING_REAL, RULE(tau_post1), 20, 0.1, 1e4, NULL, "fast trace of postsynaptic spikes, ms" },
    { "tau_post2", GLIA_SETTING_REAL, RULE(tau_post2), 40, 0.1, 1e4, NULL, "slow trace of postsynaptic spikes, ms" },
    { "norm", GLIA_SETTING_REAL, RULE(norm), 78, 0.01, 1e6, NULL, "sum of a cell's weights" },
    { "theta_plus", GLIA_SETTING_REAL, RULE(theta_plus), 0.05, 0, 10, NULL,
      "growth of a cell's threshold with each of its spikes, mV" },
    { "tau_theta", GLIA_SETTING_REAL, RULE(tau_theta), 1e7, 1, 1e12, NULL, "decay of that, ms" },
    { "excitation", GLIA_SETTING_REAL, RULE(excitation), 10.4, 0, 1000, NULL,
      "weight of a cell to its inhibitory one" },
    { "inhibition", GLIA_SETTING_REAL, RULE(inhibition), 17, 0, 1000, NULL,
      "weight of an inhibitory cell to the others" },
    { "spike_loss", GLIA_SETTING_REAL, RULE(loss), 0, 0, 1, NULL, "part of the input spikes that are lost" },
    { "jitter", GLIA_SETTING_REAL, RULE(jitter), 0, 0, 1000, NULL, "deviation of the input spikes' times, ms" },
    { "label_samples", GLIA_SETTING_INT, offsetof(stdp, label_samples), 10000, 0, 1e9, NULL,
      "training samples by which the responses of the cells are measured; 0: all" },
    { "readout", GLIA_SETTING_CHOICE, offsetof(stdp, readout), 0, 0, 0, "class|share|bayes",
      "how the spikes of the cells say a class" },
    { "shown", GLIA_SETTING_INT, offsetof(stdp, shown), 100, 1, 1024, NULL, "cells whose weights are shown" },
};

/* ---- the model -------------------------------------------------------------------------------------- */

static const char *const wanted =
    "the method stdp needs a model with an input 'x', a parameter 'cells/weights' (inputs, cells) and states "
    "'cells/theta' (cells) and 'cells/response' (cells, classes)";

/* Fills in net and responses from the model's values. */
static glia_status take(stdp *m, glia_model *model, glia_error *error) {
    glia_array weights, theta, response;
    const glia_node *x = glia_graph_find_leaf(model->graph, "x");
    if (!x || !glia_store_look(model->store, "cells/weights", &weights) ||
        !glia_store_look(model->store, "cells/theta", &theta) ||
        !glia_store_look(model->store, "cells/response", &response))
        return glia_fail(error, GLIA_E_ARGUMENT, "%s", wanted);
    const int64_t inputs = glia_shape_count(x->shape) / x->shape.dim[0];
    if (weights.shape.rank != 2 || response.shape.rank != 2 || weights.dtype != GLIA_F32 || theta.dtype != GLIA_F32 ||
        response.dtype != GLIA_F32 || weights.shape.dim[0] != inputs || response.shape.dim[0] != weights.shape.dim[1] ||
        !glia_shape_equal(theta.shape, GLIA_SHAPE(weights.shape.dim[1])) || response.shape.dim[1] > MOST_CLASSES)
        return glia_fail(error, GLIA_E_SHAPE, "%s", wanted);
    m->net = (glia_competition){
        .rules = m->rules, .inputs = inputs, .n = weights.shape.dim[1], .weights = weights.data, .theta = theta.data
    };
    m->response = response.data;
    m->classes = (int)response.shape.dim[1];
    return GLIA_OK;
}

static glia_status check_data(const stdp *m, const glia_dataset *data, glia_error *error) {
    return glia_spiking_check_data(data, "stdp", m->net.inputs, m->classes, error);
}

static glia_status check_sample(const float *x, int64_t n, glia_error *error) {
    for (int64_t i = 0; i < n; i++) {
        if (x[i] >= 0 && x[i] <= 1) continue;
        return glia_fail(
            error, GLIA_E_ARGUMENT,
            "the method stdp: a sample has the value %g; rates are made of values in [0, 1] (not normalised)",
            (double)x[i]);
    }
    return GLIA_OK;
}

static glia_status begin(glia_training *t, glia_error *error) {
    stdp *m = t->memory;
    glia_error reason = { 0 };
    glia_status status = glia_training_plain_sgd(t, error);
    if (status == GLIA_OK) status = glia_model_ready(t->model, t->opts.seed, error);
    if (status == GLIA_OK) status = take(m, t->model, error);
    if (status == GLIA_OK) status = check_data(m, t->data, error);
    if (status == GLIA_OK && t->opts.validation) status = check_data(m, t->opts.validation, error);
    if (status != GLIA_OK) return status;
    m->run = glia_competition_run_create(&m->net);
    m->counts = malloc((size_t)m->net.n * sizeof *m->counts);
    m->pool = m->run && m->counts ? glia_pool_create(t->opts.threads, &reason) : NULL;
    if (!m->run || !m->counts) return glia_fail_nomem(error);
    if (!m->pool) return glia_fail(error, reason.status, "%s", reason.message);
    t->full_lr = t->opts.optimizer.lr > 0 ? t->opts.optimizer.lr : 1;
    status = glia_training_load(t, false, error);
    if (status != GLIA_OK) return status;
    glia_competition_normalize(&m->net);
    glia_store_touch(t->model->store);
    t->parameter_bytes = (size_t)(m->net.n * (m->net.inputs + 1)) * sizeof(float);
    m->spikes_mean = glia_training_mean(t, "spikes");
    m->operations_mean = glia_training_mean(t, "synaptic_operations");
    if (t->opts.validation) m->accuracy = glia_training_figure(t, "val_accuracy");
    return GLIA_OK;
}

static void end(glia_training *t) {
    stdp *m = t->memory;
    glia_competition_run_free(m->run);
    glia_pool_free(m->pool);
    free(m->counts);
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    stdp *m = t->memory;
    double spikes = 0;
    m->net.rules.rate_pre = m->rules.rate_pre * t->progress.lr;
    m->net.rules.rate_post = m->rules.rate_post * t->progress.lr;
    for (int64_t i = 0; i < batch->n; i++) {
        const float *x = batch->x + i * m->net.inputs;
        glia_status status = check_sample(x, m->net.inputs, error);
        if (status != GLIA_OK) return status;
        const uint64_t stream = (uint64_t)(t->done * t->opts.batch + i) * 4 + STREAM_LEARN;
        const glia_competition_told told =
            glia_competition_show(&m->net, m->run, x, t->opts.seed, stream, true, m->counts);
        if (told.failed) return glia_fail_nomem(error);
        spikes += (double)told.spikes;
        glia_training_add(t, m->spikes_mean, (double)told.spikes, 1);
        glia_training_add(t, m->operations_mean, (double)told.operations, 1);
    }
    glia_store_touch(t->model->store);
    t->samples += batch->n;
    t->progress.loss = spikes / (double)batch->n;
    return GLIA_OK;
}

/* ---- samples that are not learned from --------------------------------------------------------------- */

/* Shows `count` samples of the data, evenly chosen, to the cells. */
typedef struct showing {
    stdp *m;
    const glia_dataset *data;
    int64_t count;
    uint64_t seed, stream;
    int classes;
    bool votes;                  /* by the labels of the cells; else `responses` are added up */
    int64_t *responses;          /* (workers, n, classes) */
    int64_t *samples;            /* (workers, classes) */
    int64_t *right;              /* (workers) */
    glia_competition_told *told; /* (workers) */
    glia_competition_run **runs;
    glia_status *status; /* (workers) */
    glia_error *errors;
} showing;

/* A cell's class: that to which it responds most; -1 if it never fired. */
static int class_of(const stdp *m, int64_t j) {
    int best = -1;
    for (int c = 0; c < m->classes; c++) {
        const float r = m->response[j * m->classes + c];
        if (r > (best < 0 ? 0 : m->response[j * m->classes + best])) best = c;
    }
    return best;
}

/* Scores of the classes by one readout. */
static void score(const stdp *m, const int32_t *counts, int readout, double *scores, int64_t *cells) {
    for (int c = 0; c < m->classes; c++) scores[c] = 0, cells[c] = 0;
    for (int64_t j = 0; j < m->net.n; j++) {
        const float *r = m->response + j * m->classes;
        const int own = class_of(m, j);
        if (own < 0) continue;
        cells[own]++;
        if (readout == BY_CLASS) scores[own] += counts[j];
        double sum = 0;
        for (int c = 0; c < m->classes; c++) sum += (double)r[c];
        for (int c = 0; readout != BY_CLASS && counts[j] > 0 && c < m->classes; c++) {
            const double share = (double)r[c] / sum;
            scores[c] += counts[j] * (readout == BY_SHARE ? share : log(share + 0.02));
        }
    }
    for (int c = 0; readout == BY_CLASS && c < m->classes; c++)
        scores[c] = cells[c] ? scores[c] / (double)cells[c] : -1;
}

/* The class with the highest score; ties go to the first. */
static int vote(const stdp *m, const int32_t *counts, int readout) {
    double scores[MOST_CLASSES];
    int64_t cells[MOST_CLASSES];
    score(m, counts, readout, scores, cells);
    int best = 0;
    for (int c = 1; c < m->classes; c++) {
        if (scores[c] > scores[best]) best = c;
    }
    return best;
}

static glia_status show_sample(const showing *s, int64_t i, int worker, float *x, int32_t *counts) {
    stdp *m = s->m;
    const int64_t index = i * glia_data_count(s->data) / s->count, n = m->net.n;
    int32_t y = 0;
    glia_status status = glia_data_get(s->data, index, x, &y, &s->errors[worker]);
    if (status == GLIA_OK) status = check_sample(x, m->net.inputs, &s->errors[worker]);
    if (status != GLIA_OK) return status;
    const glia_competition_told told =
        glia_competition_show(&m->net, s->runs[worker], x, s->seed, (uint64_t)index * 4 + s->stream, false, counts);
    if (told.failed) return glia_fail_nomem(&s->errors[worker]);
    s->told[worker].spikes += told.spikes;
    s->told[worker].input_spikes += told.input_spikes;
    s->told[worker].operations += told.operations;
    if (y < 0 || y >= m->classes) return GLIA_OK;
    s->samples[worker * m->classes + y]++;
    for (int k = 0; s->votes && k < READOUTS; k++) s->right[worker * READOUTS + k] += vote(m, counts, k) == y;
    for (int64_t j = 0; !s->votes && j < n; j++) s->responses[(worker * n + j) * m->classes + y] += counts[j];
    return GLIA_OK;
}

static void show_piece(void *context, int64_t piece, int worker) {
    const showing *s = context;
    float *x = malloc((size_t)s->m->net.inputs * sizeof *x);
    int32_t *counts = malloc((size_t)s->m->net.n * sizeof *counts);
    if (!s->runs[worker]) s->runs[worker] = glia_competition_run_create(&s->m->net);
    if (!x || !counts || !s->runs[worker]) s->status[worker] = glia_fail_nomem(&s->errors[worker]);
    for (int64_t i = piece * PIECE; i < GLIA_MIN((piece + 1) * PIECE, s->count) && s->status[worker] == GLIA_OK; i++)
        s->status[worker] = show_sample(s, i, worker, x, counts);
    free(x);
    free(counts);
}

/* Adds up what the workers counted, in the first worker's place. */
static void add_up(const showing *s, int workers) {
    for (int w = 1; w < workers; w++) {
        for (int64_t k = 0; !s->votes && k < s->m->net.n * s->m->classes; k++)
            s->responses[k] += s->responses[w * s->m->net.n * s->m->classes + k];
        for (int c = 0; c < s->m->classes; c++) s->samples[c] += s->samples[w * s->m->classes + c];
        for (int k = 0; k < READOUTS; k++) s->right[k] += s->right[w * READOUTS + k];
        s->told[0].spikes += s->told[w].spikes;
        s->told[0].input_spikes += s->told[w].input_spikes;
        s->told[0].operations += s->told[w].operations;
    }
}

static void free_showing(const showing *s, int workers) {
    for (int w = 0; s->runs && w < workers; w++) glia_competition_run_free(s->runs[w]);
    void *const blocks[] = { s->responses, s->samples, s->right, s->told, (void *)s->runs, s->status, s->errors };
    for (int i = 0; i < GLIA_COUNT(blocks); i++) free(blocks[i]);
}

static glia_status show_all(showing *s, glia_pool *pool, glia_error *error) {
    const size_t workers = (size_t)glia_pool_size(pool), classes = (size_t)s->m->classes;
    s->responses = calloc(s->votes ? 1 : workers * (size_t)s->m->net.n * classes, sizeof *s->responses);
    s->samples = calloc(workers * classes, sizeof *s->samples);
    s->right = calloc(workers * READOUTS, sizeof *s->right);
    s->told = calloc(workers, sizeof *s->told);
    s->runs = calloc(workers, sizeof *s->runs);
    s->status = calloc(workers, sizeof *s->status);
    s->errors = calloc(workers, sizeof *s->errors);
    if (!s->responses || !s->samples || !s->right || !s->told || !s->runs || !s->status || !s->errors)
        return glia_fail_nomem(error);
    glia_parallel_for(pool, (s->count + PIECE - 1) / PIECE, show_piece, s);
    for (size_t w = 0; w < workers; w++) {
        if (s->status[w] != GLIA_OK) return glia_fail(error, s->status[w], "%s", s->errors[w].message);
    }
    add_up(s, (int)workers);
    return GLIA_OK;
}

/* Mean spikes by cell and class. */
static void keep_responses(const showing *s) {
    const stdp *m = s->m;
    for (int64_t j = 0; j < m->net.n; j++) {
        for (int c = 0; c < m->classes; c++) {
            const double sum = (double)s->responses[j * m->classes + c];
            m->response[j * m->classes + c] = (float)(s->samples[c] ? sum / (double)s->samples[c] : 0);
        }
    }
}

static int64_t samples_seen(const showing *s) {
    int64_t n = 0;
    for (int c = 0; c < s->m->classes; c++) n += s->samples[c];
    return n;
}

static glia_status measure_responses(glia_training *t, glia_error *error) {
    stdp *m = t->memory;
    const int64_t all = glia_data_count(t->data);
    showing s = { .m = m,
                  .data = t->data,
                  .count = m->label_samples ? GLIA_MIN(m->label_samples, all) : all,
                  .seed = t->opts.seed,
                  .stream = STREAM_LABEL };
    glia_status status = show_all(&s, m->pool, error);
    if (status == GLIA_OK) keep_responses(&s);
    free_showing(&s, glia_pool_size(m->pool));
    glia_store_touch(t->model->store);
    return status;
}

/* Shows samples and counts the right votes. The caller frees `s`. */
static glia_status test(showing *s, glia_pool *pool, double *accuracy, glia_error *error) {
    s->votes = true;
    s->stream = STREAM_TEST;
    glia_status status = show_all(s, pool, error);
    *accuracy =
        status == GLIA_OK ? (double)s->right[s->m->readout] / (double)GLIA_MAX(samples_seen(s), (int64_t)1) : NAN;
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    stdp *m = t->memory;
    glia_status status = measure_responses(t, error);
    if (status == GLIA_OK) status = glia_training_validation(t, true, error);
    const glia_dataset *data = t->opts.validation;
    if (status == GLIA_OK && data) {
        showing s = { .m = m, .data = data, .count = glia_data_count(data), .seed = t->opts.seed };
        status = test(&s, m->pool, &t->figures[m->accuracy].value, error);
        free_showing(&s, glia_pool_size(m->pool));
    }
    glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

/* ---- figures of a trained model ---------------------------------------------------------------------- */

/* Published energies of a 45 nm chip (Horowitz 2014): addition, and multiplication with addition, of f32 numbers. */
#define ADDITION_PJ 0.9
#define PRODUCT_PJ  4.6

static void add_figures(const showing *s, double accuracy, glia_assessment *out) {
    const double n = (double)s->count, operations = (double)s->told[0].operations / n;
    const double twin = (double)(s->m->net.inputs * s->m->net.n);
    static const char *const names[READOUTS] = { "accuracy_class", "accuracy_share", "accuracy_bayes" };
    glia_assessment_add(out, "accuracy", accuracy);
    for (int k = 0; k < READOUTS; k++)
        glia_assessment_add(out, names[k], (double)s->right[k] / (double)GLIA_MAX(samples_seen(s), (int64_t)1));
    glia_assessment_add(out, "input_spikes", (double)s->told[0].input_spikes / n);
    glia_assessment_add(out, "spikes", (double)s->told[0].spikes / n);
    glia_assessment_add(out, "synaptic_operations", operations);
    glia_assessment_add(out, "energy_nj", operations * ADDITION_PJ / 1000);
    glia_assessment_add(out, "dense_energy_nj", twin * PRODUCT_PJ / 1000);
    snprintf(
        out->note, sizeof out->note,
        "responses of the cells are from training data; energies are estimates for a 45 nm chip (Horowitz 2014: 0.9 pJ "
        "an addition, 4.6 pJ a product), without memory; dense: one product by the same weights");
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    stdp m = *(const stdp *)memory;
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = take(&m, model, error);
    if (status == GLIA_OK) status = check_data(&m, opts->data, error);
    if (status != GLIA_OK) return status;
    glia_pool *pool = glia_pool_create(opts->threads, &reason);
    if (!pool) return glia_fail(error, reason.status, "%s", reason.message);
    const int64_t all = glia_data_count(opts->data);
    showing s = {
        .m = &m, .data = opts->data, .count = opts->count > 0 ? GLIA_MIN(opts->count, all) : all, .seed = opts->seed
    };
    double accuracy;
    status = test(&s, pool, &accuracy, error);
    if (status == GLIA_OK) add_figures(&s, accuracy, out);
    free_showing(&s, glia_pool_size(pool));
    glia_pool_free(pool);
    return status;
}

/* ---- what is shown ------------------------------------------------------------------------------------ */

/* A drawing of the cells' spikes while samples are shown one after the other. */
enum { RASTER_SAMPLES = 8, SAMPLE_WIDTH = 100, ROW_HEIGHT = 4, LEFT = 40, TOP = 24, BOTTOM = 36 };

typedef struct raster {
    glia_text *text;
    size_t began; /* length of the text before this sample */
    int64_t last; /* step of the last spike */
    double left, scale;
} raster;

static void mark(void *context, int64_t step, int64_t cell) {
    raster *r = context;
    if (step < r->last && r->text->bytes) { /* it is shown again: what came before does not count */
        r->text->length = r->began;
        r->text->bytes[r->began] = 0;
    }
    r->last = step;
    glia_text_printf(r->text, "<circle cx=\"%.1f\" cy=\"%lld\" r=\"2\"/>\n", r->left + r->scale * (double)step,
                     (long long)(TOP + cell * ROW_HEIGHT + ROW_HEIGHT / 2));
}

/* A name as text of an SVG. */
static void put_name(glia_text *text, const char *name) {
    for (; *name; name++) {
        if (strchr("<>&", *name))
            glia_text_printf(text, "&#%d;", *name);
        else
            glia_text_append(text, name, 1);
    }
}

static glia_status draw_sample(stdp *m, const glia_training *t, int64_t index, float *x, glia_text *text,
                               glia_error *error) {
    int32_t y = 0;
    glia_status status = glia_data_get(t->data, index, x, &y, error);
    if (status != GLIA_OK) return status;
    const double left = LEFT + (double)index * SAMPLE_WIDTH, height = (double)m->net.n * ROW_HEIGHT;
    glia_text_printf(text, "<path d=\"M%.0f %d v%.0f\" stroke=\"#bbb\"/><text x=\"%.0f\" y=\"16\">", left, TOP, height,
                     left + 4);
    if (y >= 0 && y < m->classes) put_name(text, glia_data_class_name(t->data, y));
    glia_text_printf(text, "</text>\n");
    raster r = { .text = text,
                 .began = text->length,
                 .left = left,
                 .scale = SAMPLE_WIDTH * m->rules.dt / (m->rules.shown + m->rules.rest) };
    glia_competition_watch(m->run, mark, &r);
    const glia_competition_told told =
        glia_competition_show(&m->net, m->run, x, t->opts.seed, STREAM_TEST, false, m->counts);
    glia_competition_watch(m->run, NULL, NULL);
    return told.failed ? glia_fail_nomem(error) : GLIA_OK;
}

/* Cells are rows; above, the classes of the samples. */
static glia_status show_raster(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    stdp *m = t->memory;
    const int64_t samples = GLIA_MIN((int64_t)RASTER_SAMPLES, glia_data_count(t->data));
    const long long width = LEFT + samples * SAMPLE_WIDTH + 10, height = m->net.n * ROW_HEIGHT;
    float *x = malloc((size_t)m->net.inputs * sizeof *x);
    glia_text text = { 0 };
    glia_status status = x ? GLIA_OK : glia_fail_nomem(error);
    glia_text_printf(
        &text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%lld\" height=\"%lld\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        width, TOP + height + BOTTOM);
    for (int64_t i = 0; status == GLIA_OK && i < samples; i++) status = draw_sample(m, t, i, x, &text, error);
    glia_text_printf(&text,
                     "<text x=\"%d\" y=\"%lld\">time; a sample takes %.0f ms</text>\n"
                     "<text x=\"-%lld\" y=\"16\" transform=\"rotate(-90)\">%lld cells</text>\n</svg>\n",
                     LEFT, TOP + height + 20, m->rules.shown + m->rules.rest, TOP + height, (long long)m->net.n);
    if (status == GLIA_OK && text.failed) status = glia_fail_nomem(error);
    const glia_shown shown = { .name = "raster", .kind = GLIA_SHOWN_DRAWING, .n = 1, .text = text.bytes };
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(text.bytes);
    free(x);
    return status;
}

/* The weights of the first cells as pictures, the largest weight of each white. */
static glia_status show_fields(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const stdp *m = t->memory;
    const glia_node *x = glia_graph_find_leaf(t->model->graph, "x");
    if (x->shape.rank != 4 || (x->shape.dim[1] != 1 && x->shape.dim[1] != 3)) return GLIA_OK;
    const int64_t n = GLIA_MIN(m->shown, m->net.n), inputs = m->net.inputs;
    float *fields = malloc((size_t)(n * inputs) * sizeof *fields);
    if (!fields) return glia_fail_nomem(error);
    for (int64_t j = 0; j < n; j++) {
        float most = 1e-9f;
        for (int64_t i = 0; i < inputs; i++) most = fmaxf(most, m->net.weights[i * m->net.n + j]);
        for (int64_t i = 0; i < inputs; i++) fields[j * inputs + i] = m->net.weights[i * m->net.n + j] / most;
    }
    const glia_shown shown = { .name = "fields",
                               .kind = GLIA_SHOWN_PICTURES,
                               .n = n,
                               .sample = GLIA_SHAPE(x->shape.dim[1], x->shape.dim[2], x->shape.dim[3]),
                               .values = fields };
    glia_status status = show_one(context, &shown, error);
    free(fields);
    return status;
}

/* What each cell fires for: class and threshold. */
static glia_status show_labels(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const stdp *m = t->memory;
    glia_text text = { 0 };
    for (int64_t j = 0; j < m->net.n; j++) {
        const int own = class_of(m, j);
        glia_text_printf(&text, "cell %lld  theta %.2f mV  %s\n", (long long)j, (double)m->net.theta[j],
                         own < 0 ? "-" : glia_data_class_name(t->data, own));
    }
    const glia_shown shown = { .name = "cells", .kind = GLIA_SHOWN_TEXT, .n = 1, .text = text.bytes };
    glia_status status = text.failed ? glia_fail_nomem(error) : show_one(context, &shown, error);
    free(text.bytes);
    return status;
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    glia_status status = show_fields(t, show_one, context, error);
    if (status == GLIA_OK) status = show_raster(t, show_one, context, error);
    return status == GLIA_OK ? show_labels(t, show_one, context, error) : status;
}

const glia_method glia_method_stdp = {
    .about = { .name = "stdp",
               .summary = "cells that inhibit each other learn without labels, by spike times",
               .paper = "Diehl and Cook 2015",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_DATA | GLIA_USES_VALIDATION | GLIA_USES_AUGMENT | GLIA_USES_OPTIMIZER |
                       GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(stdp),
    .begin = begin,
    .step = step,
    .measure = measure,
    .show = show,
    .end = end,
    .assess = assess,
};
