/* explainer.c - an explainer: a model or a function, a method and its settings; and the explanation that it fills. */
#include "deploy/explain/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "deploy/explain/explainers.h"
#include "train/model/model.h"
#include "train/run/method.h"

/* ---- creation --------------------------------------------------------------------------------- */

static glia_status take_background(glia_explainer *e, const glia_explain_opts *o, glia_error *error) {
    if (o->background && o->n_background < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: a background of %lld samples", (long long)o->n_background);
    }
    if (o->background && !(e->method->uses & GLIA_EXPLAIN_BACKGROUND)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: %s uses no background", e->method->about.name);
    }
    size_t bytes;
    e->n_background = o->background ? o->n_background : 1;
    e->given_background = o->background != NULL;
    if (!glia_mul_fits((size_t)e->n_background, (size_t)e->size * sizeof *e->background, &bytes)) {
        return glia_fail_nomem(error);
    }
    e->background = calloc(1, bytes);
    if (!e->background) return glia_fail_nomem(error);
    if (o->background) memcpy(e->background, o->background, bytes);
    return GLIA_OK;
}

static glia_status take_groups(glia_explainer *e, const glia_explain_opts *o, glia_error *error) {
    if (!o->groups) return GLIA_OK;
    if (!(e->method->uses & GLIA_EXPLAIN_GROUPS)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: %s uses no groups", e->method->about.name);
    }
    e->groups = malloc((size_t)e->size * sizeof *e->groups);
    if (!e->groups) return glia_fail_nomem(error);
    for (int64_t i = 0; i < e->size; i++) {
        e->groups[i] = o->groups[i];
        if (o->groups[i] < -1 || o->groups[i] >= e->size) {
            return glia_fail(error, GLIA_E_ARGUMENT, "explain: group %d of element %lld is not in [-1, %lld)",
                             (int)o->groups[i], (long long)i, (long long)e->size);
        }
        e->n_groups = GLIA_MAX(e->n_groups, o->groups[i] + 1);
    }
    return e->n_groups ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "explain: all groups are -1: nothing to explain");
}

static glia_status take_backend(glia_explainer *e, const glia_explain_opts *o, glia_error *error) {
    e->backend = o->backend;
    if (e->backend) return GLIA_OK;
    glia_error reason = { 0 };
    e->backend = glia_backend_open("cpu", o->threads, &reason);
    e->owns_backend = e->backend != NULL;
    return e->backend ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* The numbers in one row of an input or output (N, ...); 0: it is not of that form. */
static int64_t row_size(glia_tensor x, glia_shape *row) {
    const glia_shape s = glia_tensor_shape(x);
    if (s.rank < 1 || s.dim[0] != GLIA_BATCH) return 0;
    *row = (glia_shape){ .rank = s.rank - 1 };
    memcpy(row->dim, s.dim + 1, (size_t)row->rank * sizeof *row->dim);
    const int64_t n = glia_shape_count(*row);
    return n > 0 && n < INT32_MAX ? n : 0;
}

static glia_status take_model(glia_explainer *e, glia_model *model, glia_error *error) {
    glia_status status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    e->model = glia_model_copy(model, error);
    if (!e->model) return error ? error->status : GLIA_E_NOMEM;
    glia_shape row;
    glia_tensor x = e->input = glia_model_sample_input(e->model, error), y = glia_model_output_at(e->model, 0, NULL);
    if (!x) return error ? error->status : GLIA_E_ARGUMENT;
    e->size = row_size(x, &e->sample);
    e->outputs = (int)row_size(y, &row);
    if (e->size && e->outputs) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "explain: the model's input and first output must be (N, ...) of fixed size");
}

/* Whether the model's first output is a softmax already. */
static bool ends_with_softmax(const glia_explainer *e) {
    const glia_node *y = e->model ? glia_model_output_at(e->model, 0, NULL) : NULL;
    return y && strcmp(y->op->name, "softmax") == 0;
}

static glia_status begin(glia_explainer *e, const glia_explain_opts *o, glia_error *error) {
    const glia_method_info *about = &e->method->about;
    e->seed = o->seed;
    e->score = ends_with_softmax(e) ? GLIA_SCORE_OUTPUT : o->score;
    if (o->score != GLIA_SCORE_OUTPUT && o->score != GLIA_SCORE_PROBABILITY) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: there is no score %d", (int)o->score);
    }
    if (!e->model && (e->method->uses & GLIA_EXPLAIN_MODEL)) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "explain: %s needs a model, not a function of rows", about->name);
    }
    e->memory = calloc(1, e->method->bytes + 1);
    if (!e->memory) return glia_fail_nomem(error);
    const glia_setting_table table = { "method", about->name, about->settings, about->n_settings };
    glia_status status = glia_settings_parse(&table, o->settings, e->memory, &e->texts, error);
    if (status == GLIA_OK) status = take_background(e, o, error);
    if (status == GLIA_OK) status = take_groups(e, o, error);
    if (status == GLIA_OK && e->model) status = take_backend(e, o, error);
    if (status == GLIA_OK && e->method->begin) status = e->method->begin(e, error);
    return status;
}

static glia_explainer *create(const char *name, glia_explainer start, glia_model *model, const glia_explain_opts *opts,
                              glia_error *error) {
    start.method = glia_explain_method_named(name, error);
    if (!start.method) return NULL;
    glia_explainer *e = malloc(sizeof *e);
    if (!e) {
        glia_fail_nomem(error);
        return NULL;
    }
    *e = start;
    glia_error reason = { 0 };
    glia_status status = model ? take_model(e, model, &reason) : GLIA_OK;
    if (status == GLIA_OK) status = begin(e, opts, &reason);
    if (status == GLIA_OK) return e;
    glia_explainer_free(e);
    glia_fail(error, reason.status ? reason.status : status, "%s", reason.message);
    return NULL;
}

glia_explainer *glia_explainer_create(glia_model *model, const char *method, glia_explain_opts opts,
                                      glia_error *error) {
    if (model) return create(method, (glia_explainer){ 0 }, model, &opts, error);
    glia_fail_null(error, "model");
    return NULL;
}

glia_explainer *glia_explainer_of_function(glia_row_function function, void *context, glia_shape sample, int outputs,
                                           const char *method, glia_explain_opts opts, glia_error *error) {
    const int64_t size = glia_shape_count(sample);
    if (!function || outputs < 1 || size < 1 || size >= INT32_MAX) {
        glia_fail(error, GLIA_E_ARGUMENT, "explain: needs a function, the shape of its samples and one output or more");
        return NULL;
    }
    const glia_explainer start = {
        .function = function, .context = context, .sample = sample, .size = size, .outputs = outputs
    };
    return create(method, start, NULL, &opts, error);
}

void glia_explainer_free(glia_explainer *e) {
    if (!e) return;
    if (e->memory && e->method->end) e->method->end(e);
    glia_affine_free(e->affine);
    if (e->owns_backend) glia_backend_close(e->backend);
    glia_model_free(e->model);
    glia_arena_free(&e->texts);
    free(e->memory);
    free(e->background);
    free(e->groups);
    free(e);
}

/* ---- scores ----------------------------------------------------------------------------------- */

/* The score of an output of y (outputs). */
static double score_of(const glia_explainer *e, const double *y, int output) {
    if (e->score == GLIA_SCORE_OUTPUT) return y[output];
    double most = y[0], sum = 0;
    for (int i = 1; i < e->outputs; i++) most = fmax(most, y[i]);
    for (int i = 0; i < e->outputs; i++) sum += exp(y[i] - most);
    return exp(y[output] - most) / sum;
}

glia_status glia_explainer_score(const glia_explainer *e, const double *y, int output, double *score,
                                 glia_error *error) {
    *score = score_of(e, y, output);
    if (isfinite(*score)) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "explain: the score of a sample is not finite");
}

/* Outputs (n, outputs) of at most CHUNK rows. */
static glia_status outputs_of(glia_explainer *e, const float *rows, int64_t n, double *y, float *scratch,
                              glia_error *error) {
    e->evaluations += n;
    if (e->function) return e->function(rows, n, y, e->context, error);
    glia_status status = glia_predict(e->model, rows, n, scratch, e->backend, error);
    for (int64_t i = 0; status == GLIA_OK && i < n * e->outputs; i++) y[i] = (double)scratch[i];
    return status;
}

glia_status glia_explainer_values(glia_explainer *e, const float *rows, int64_t n, int output, double *values,
                                  glia_error *error) {
    enum { CHUNK = 1024 };
    const int64_t most = GLIA_MIN(n, CHUNK);
    double *y = malloc((size_t)(most * e->outputs) * sizeof *y + 1);
    float *scratch = malloc((size_t)(most * e->outputs) * sizeof *scratch + 1);
    glia_status status = y && scratch ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t first = 0; first < n && status == GLIA_OK; first += CHUNK) {
        const int64_t count = GLIA_MIN(n - first, CHUNK);
        status = outputs_of(e, rows + first * e->size, count, y, scratch, error);
        for (int64_t i = 0; status == GLIA_OK && i < count; i++) {
            status = glia_explainer_score(e, y + i * e->outputs, output, &values[first + i], error);
        }
    }
    free(y);
    free(scratch);
    return status;
}

static glia_status largest_output(glia_explainer *e, const float *x, int *output, glia_error *error) {
    double *y = malloc((size_t)e->outputs * sizeof *y);
    float *scratch = malloc((size_t)e->outputs * sizeof *scratch);
    glia_status status = y && scratch ? outputs_of(e, x, 1, y, scratch, error) : glia_fail_nomem(error);
    *output = 0;
    for (int i = 1; status == GLIA_OK && i < e->outputs; i++) {
        if (y[i] > y[*output]) *output = i;
    }
    free(y);
    free(scratch);
    return status;
}

glia_rng glia_explain_rng(const glia_explainer *e, uint64_t k) {
    enum { STREAM = 0x6578706c }; /* apart from other uses of the seed */
    return (glia_rng){ .seed = e->seed, .stream = (uint64_t)STREAM << 32 ^ k };
}

/* ---- explanations ----------------------------------------------------------------------------- */

glia_status glia_explanation_start(glia_explanation *out, glia_shape shape, bool errors, glia_error *error) {
    *out = (glia_explanation){ .shape = shape,
                               .n = glia_shape_count(shape),
                               .output_value = NAN,
                               .base_value = NAN,
                               .residual = NAN,
                               .r2 = NAN,
                               .local_value = NAN,
                               .converged = true };
    out->values = calloc((size_t)out->n + 1, sizeof *out->values);
    out->errors = errors ? calloc((size_t)out->n + 1, sizeof *out->errors) : NULL;
    return out->values && (out->errors || !errors) ? GLIA_OK : glia_fail_nomem(error);
}

void glia_explanation_finish(glia_explanation *out) {
    double sum = 0;
    for (int64_t i = 0; i < out->n; i++) sum += out->values[i];
    out->residual = out->output_value - out->base_value - sum;
    for (int64_t i = 0; out->errors && i < out->n; i++) out->error = fmax(out->error, out->errors[i]);
}

glia_status glia_explain(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    if (!e || !x || !out)
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: needs an explainer, a sample and a result");
    *out = (glia_explanation){ 0 };
    if (output != GLIA_LARGEST_OUTPUT && (output < 0 || output >= e->outputs)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "explain: there is no output %d; there are %d", output, e->outputs);
    }
    for (int64_t i = 0; i < e->size; i++) {
        if (!isfinite(x[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "explain: element %lld of the sample is not finite", (long long)i);
        }
    }
    e->evaluations = 0;
    glia_status status = output < 0 ? largest_output(e, x, &output, error) : GLIA_OK;
    if (status == GLIA_OK) status = e->method->run(e, x, output, out, error);
    if (status == GLIA_OK && e->groups && !out->groups) {
        out->groups = malloc((size_t)e->size * sizeof *out->groups);
        if (!out->groups) status = glia_fail_nomem(error);
        if (out->groups) memcpy(out->groups, e->groups, (size_t)e->size * sizeof *out->groups);
    }
    out->output = output;
    out->evaluations = e->evaluations;
    if (status != GLIA_OK) glia_explanation_free(out);
    return status;
}

void glia_explanation_free(glia_explanation *e) {
    if (!e) return;
    free(e->values);
    free(e->errors);
    free(e->groups);
    *e = (glia_explanation){ 0 };
}

glia_status glia_explanation_spread(const glia_explanation *e, glia_shape sample, double *values, glia_error *error) {
    if (!e || !e->values || !values) return glia_fail_null(error, "explanation");
    const int64_t size = glia_shape_count(sample);
    for (int64_t i = 0; e->groups && i < size; i++) {
        values[i] = e->groups[i] >= 0 && e->groups[i] < e->n ? e->values[e->groups[i]] : 0;
    }
    if (e->groups) return GLIA_OK;
    if (e->n < 1 || size % e->n) {
        return glia_fail(error, GLIA_E_SHAPE, "explain: %lld values do not fit a sample of %lld", (long long)e->n,
                         (long long)size);
    }
    for (int64_t i = 0; i < size; i++) values[i] = e->values[i % e->n];
    return GLIA_OK;
}
