/* vae.c - see vae.h; and the likelihood of data under a model by importance sampling (Burda et al. 2016). */
#include "families/generative/vae.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/generative/batches.h"
#include "train/model/model.h"
#include "train/run/method.h"

enum { ROWS = 500, PIXEL_STREAM = 0x70697865, DRAW_STREAM = 0x76616564 };

/* ---- the functions ------------------------------------------------------------------------------ */

glia_status glia_vae_find(const glia_graph *g, glia_vae_ends *e, glia_error *error) {
    *e = (glia_vae_ends){ .x = glia_graph_find_leaf(g, "x"),
                          .z = glia_graph_find_leaf(g, "z"),
                          .y = glia_graph_find_leaf(g, "y"),
                          .mean = glia_graph_find_output(g, "mean"),
                          .logvar = glia_graph_find_output(g, "logvar"),
                          .decoded = glia_graph_find_output(g, "decoded") };
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (!e->x || !e->z || !e->mean || !e->decoded) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "the method vae needs a model with inputs 'x' and 'z' and outputs 'mean' and 'decoded'");
    }
    if (!glia_shape_equal(e->x->shape, e->decoded->shape)) {
        return glia_fail(error, GLIA_E_SHAPE, "the method vae: 'decoded' %s must have the shape of 'x' %s",
                         glia_shape_format(e->decoded->shape, a), glia_shape_format(e->x->shape, b));
    }
    if (e->z->shape.rank == 2 && glia_shape_equal(e->mean->shape, e->z->shape) &&
        (!e->logvar || glia_shape_equal(e->logvar->shape, e->z->shape)))
        return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the method vae: 'mean' %s and 'logvar' must be (N, Z) as 'z' %s is",
                     glia_shape_format(e->mean->shape, a), glia_shape_format(e->z->shape, b));
}

static glia_function *function_of(const glia_vae_nets *n, glia_model *model, glia_backend *backend,
                                  const glia_tensor *outputs, int count, glia_error *error) {
    const glia_function_opts opts = { .outputs = outputs, .n_outputs = count, .mode = GLIA_INFER };
    return glia_function_create(n->graph, backend, model->store, opts, error);
}

glia_status glia_vae_open(glia_vae_nets *n, glia_model *model, glia_vae_meaning means, glia_backend *backend,
                          glia_error *error) {
    *n = (glia_vae_nets){ .means = means };
    glia_error reason = { 0 };
    n->graph = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason);
    if (!n->graph) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = glia_vae_find(n->graph, &n->ends, &reason);
    if (status == GLIA_OK) {
        const glia_tensor code[] = { n->ends.mean, n->ends.logvar };
        const bool bernoulli = means.likelihood == GLIA_VAE_BERNOULLI;
        glia_tensor shown = bernoulli ? glia_sigmoid(n->ends.decoded) : n->ends.decoded;
        glia_tensor score =
            glia_vae_log_likelihood(n->ends.decoded, n->ends.x, (glia_vae_likelihood)means.likelihood, means.stddev);
        n->size = glia_shape_count(glia_one_of(n->ends.x));
        n->latent = n->ends.z->shape.dim[1];
        n->encode = function_of(n, model, backend, code, n->ends.logvar ? 2 : 1, &reason);
        n->decode = n->encode ? function_of(n, model, backend, &shown, 1, &reason) : NULL;
        n->score = n->decode ? function_of(n, model, backend, &score, 1, &reason) : NULL;
    }
    if (n->score) return GLIA_OK;
    glia_vae_close(n);
    return glia_fail(error, reason.status, "%s", reason.message);
}

void glia_vae_close(glia_vae_nets *n) {
    glia_function_free(n->encode);
    glia_function_free(n->decode);
    glia_function_free(n->score);
    glia_graph_free(n->graph);
    *n = (glia_vae_nets){ 0 };
}

static glia_array rows_of(const char *name, glia_tensor like, const float *values, int64_t n) {
    glia_array a = { .name = name, .dtype = GLIA_F32, .shape = like->shape, .data = (void *)(uintptr_t)values };
    a.shape.dim[0] = n;
    return a;
}

/* The classes; none for a model without. */
static int add_classes(const glia_vae_nets *n, const int32_t *y, int64_t count, glia_array *inputs, int at) {
    if (!n->ends.y) return at;
    inputs[at] =
        (glia_array){ .name = "y", .dtype = GLIA_I32, .shape = GLIA_SHAPE(count), .data = (void *)(uintptr_t)y };
    return at + 1;
}

glia_status glia_vae_encode(glia_vae_nets *n, const float *x, const int32_t *y, int64_t count, float *mean,
                            float *logvar, glia_error *error) {
    for (int64_t at = 0; at < count; at += ROWS) {
        const int64_t some = GLIA_MIN(count - at, (int64_t)ROWS);
        const size_t bytes = (size_t)(some * n->latent) * sizeof *mean;
        glia_array outputs[2], inputs[2] = { rows_of("x", n->ends.x, x + at * n->size, some) };
        const int n_inputs = add_classes(n, y ? y + at : NULL, some, inputs, 1);
        const glia_status status = glia_function_call(n->encode, inputs, n_inputs, outputs, error);
        if (status != GLIA_OK) return status;
        memcpy(mean + at * n->latent, outputs[0].data, bytes);
        if (logvar && n->ends.logvar) memcpy(logvar + at * n->latent, outputs[1].data, bytes);
    }
    return GLIA_OK;
}

glia_status glia_vae_decode(glia_vae_nets *n, const float *z, const int32_t *y, int64_t count, float *x,
                            glia_error *error) {
    const bool pictures = glia_are_pictures(n->ends.x);
    for (int64_t at = 0; at < count; at += ROWS) {
        const int64_t some = GLIA_MIN(count - at, (int64_t)ROWS);
        glia_array output, inputs[2] = { rows_of("z", n->ends.z, z + at * n->latent, some) };
        const int n_inputs = add_classes(n, y ? y + at : NULL, some, inputs, 1);
        const glia_status status = glia_function_call(n->decode, inputs, n_inputs, &output, error);
        if (status != GLIA_OK) return status;
        const float *from = output.data;
        for (int64_t i = 0; i < some * n->size; i++)
            x[at * n->size + i] = pictures ? fminf(fmaxf(from[i], 0), 1) : from[i];
    }
    return GLIA_OK;
}

/* ---- importance sampling -------------------------------------------------------------------------- */

void glia_vae_binarize(float *x, int64_t size, int64_t index, uint64_t seed) {
    glia_rng rng = { .seed = seed, .stream = (uint64_t)PIXEL_STREAM << 32 ^ (uint64_t)index };
    for (int64_t i = 0; i < size; i++) x[i] = glia_rng_uniform(&rng) < (double)x[i] ? 1 : 0;
}

/* Rows of draws in the making: `of[r]` is the sample of row r, weight[r] its log p(z) - log q(z | x). */
typedef struct draws {
    glia_vae_nets *nets;
    const float *x, *mean, *logvar;
    const int32_t *y;
    int64_t first, k;
    uint64_t seed;
    float *rows, *z; /* (ROWS, sample), (ROWS, latent) */
    int32_t *classes;
    double *normals, *weight; /* (latent), (ROWS) */
    double *scores, *logs;    /* of one sample's draws (k): log p(x | z), logarithms of the weights */
} draws;

/* Draw j of sample i into row r. */
static void make_row(const draws *d, int64_t i, int64_t j, int64_t r) {
    const int64_t latent = d->nets->latent, size = d->nets->size;
    glia_rng rng = { .seed = d->seed,
                     .stream = (uint64_t)DRAW_STREAM << 32 ^ (uint64_t)(d->first + i),
                     .position = (uint64_t)(j * 4 * latent) };
    glia_rng_normals(&rng, d->normals, latent);
    const float *mean = d->mean + i * latent, *logvar = d->logvar + i * latent;
    double weight = 0;
    for (int64_t a = 0; a < latent; a++) {
        if (!d->nets->ends.logvar) { /* a plain autoencoder: z is the code */
            d->z[r * latent + a] = mean[a];
            continue;
        }
        const double e = d->normals[a], z = (double)mean[a] + exp(0.5 * (double)logvar[a]) * e;
        weight += 0.5 * (e * e - z * z + (double)logvar[a]);
        d->z[r * latent + a] = (float)z;
    }
    d->weight[r] = weight;
    memcpy(d->rows + r * size, d->x + i * size, (size_t)size * sizeof *d->rows);
    if (d->classes) d->classes[r] = d->y[i];
}

/* The terms of sample i from its k draws. */
static glia_vae_terms terms_of(const draws *d, int64_t i) {
    glia_vae_terms t = { 0 };
    double most = -INFINITY, sum = 0, squares = 0;
    for (int64_t j = 0; j < d->k; j++) {
        t.reconstruction += d->scores[j] / (double)d->k;
        most = fmax(most, d->logs[j]);
    }
    for (int64_t j = 0; j < d->k; j++) {
        const double w = exp(d->logs[j] - most);
        sum += w, squares += w * w;
    }
    const double k = (double)d->k, mean = sum / k;
    t.log_likelihood = most + log(mean);
    t.variance = d->k > 1 ? (squares / k - mean * mean) / (k - 1) / (mean * mean) : NAN;
    for (int64_t a = i * d->nets->latent; d->nets->ends.logvar && a < (i + 1) * d->nets->latent; a++) {
        const double m = (double)d->mean[a], l = (double)d->logvar[a];
        t.kl += 0.5 * (m * m + exp(l) - 1 - l);
    }
    return t;
}

/* Scores rows [0, n), which belong to draws from number `at` on. */
static glia_status score_rows(const draws *d, int64_t at, int64_t n, glia_vae_terms *terms, glia_error *error) {
    glia_array output,
        inputs[3] = { rows_of("x", d->nets->ends.x, d->rows, n), rows_of("z", d->nets->ends.z, d->z, n) };
    const int n_inputs = add_classes(d->nets, d->classes, n, inputs, 2);
    const glia_status status = glia_function_call(d->nets->score, inputs, n_inputs, &output, error);
    const float *scores = status == GLIA_OK ? output.data : NULL;
    for (int64_t r = 0; scores && r < n; r++) {
        const int64_t i = (at + r) / d->k, j = (at + r) % d->k;
        d->scores[j] = (double)scores[r];
        d->logs[j] = d->scores[j] + d->weight[r];
        if (j + 1 == d->k) terms[i] = terms_of(d, i);
    }
    return status;
}

static bool allocate(draws *d, float **mean, float **logvar, int64_t n) {
    const size_t latent = (size_t)d->nets->latent, size = (size_t)d->nets->size;
    d->mean = *mean = calloc((size_t)n * latent, sizeof **mean);
    d->logvar = *logvar = calloc((size_t)n * latent, sizeof **logvar);
    d->rows = calloc(ROWS * size, sizeof *d->rows);
    d->z = calloc(ROWS * latent, sizeof *d->z);
    d->classes = d->nets->ends.y ? calloc(ROWS, sizeof *d->classes) : NULL;
    d->normals = calloc(latent, sizeof *d->normals);
    d->weight = calloc(ROWS, sizeof *d->weight);
    d->scores = calloc((size_t)d->k, sizeof *d->scores);
    d->logs = calloc((size_t)d->k, sizeof *d->logs);
    return d->mean && d->logvar && d->rows && d->z && (d->classes || !d->nets->ends.y) && d->normals && d->weight &&
           d->scores && d->logs;
}

glia_status glia_vae_measure(glia_vae_nets *nets, const float *x, const int32_t *y, int64_t n, int64_t first, int64_t k,
                             uint64_t seed, glia_vae_terms *terms, glia_error *error) {
    draws d = { .nets = nets, .x = x, .y = y, .first = first, .k = k, .seed = seed };
    float *mean = NULL, *logvar = NULL;
    glia_status status = allocate(&d, &mean, &logvar, n) ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_vae_encode(nets, x, y, n, mean, logvar, error);
    for (int64_t at = 0; status == GLIA_OK && at < n * k; at += ROWS) {
        const int64_t some = GLIA_MIN(n * k - at, (int64_t)ROWS);
        for (int64_t r = 0; r < some; r++) make_row(&d, (at + r) / k, (at + r) % k, r);
        status = score_rows(&d, at, some, terms, error);
    }
    free(mean);
    free(logvar);
    free(d.rows);
    free(d.z);
    free(d.classes);
    free(d.normals);
    free(d.weight);
    free(d.scores);
    free(d.logs);
    return status;
}

/* ---- the likelihood of data ----------------------------------------------------------------------- */

/* Reads samples [first, first + n) and their classes. */
static glia_status read_samples(const glia_vae_nets *nets, const glia_dataset *data, int64_t first, int64_t n,
                                uint64_t seed, float *x, int32_t *y, glia_error *error) {
    for (int64_t i = 0; i < n; i++) {
        float *one = x + i * nets->size;
        const glia_status status = glia_data_get(data, first + i, one, nets->ends.y ? y + i : NULL, error);
        if (status != GLIA_OK) return status;
        if (nets->means.binarize) glia_vae_binarize(one, nets->size, first + i, seed);
    }
    return GLIA_OK;
}

static glia_status estimate_over(glia_vae_nets *nets, const glia_dataset *data, const glia_vae_estimate_opts *o,
                                 glia_vae_estimate *out, glia_error *error) {
    enum { AT_ONCE = 100 };
    float *x = malloc((size_t)(AT_ONCE * nets->size) * sizeof *x);
    int32_t *y = malloc(AT_ONCE * sizeof *y);
    glia_vae_terms terms[AT_ONCE];
    glia_status status = x && y ? GLIA_OK : glia_fail_nomem(error);
    double sum = 0, squares = 0, variance = 0;
    for (int64_t at = 0; status == GLIA_OK && at < o->count; at += AT_ONCE) {
        const int64_t n = GLIA_MIN(o->count - at, (int64_t)AT_ONCE);
        status = read_samples(nets, data, at, n, o->seed, x, y, error);
        if (status == GLIA_OK) status = glia_vae_measure(nets, x, y, n, at, o->samples, o->seed, terms, error);
        for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
            sum += terms[i].log_likelihood;
            squares += terms[i].log_likelihood * terms[i].log_likelihood;
            variance += terms[i].variance;
            out->reconstruction += terms[i].reconstruction / (double)o->count;
            out->kl += terms[i].kl / (double)o->count;
        }
    }
    const double n = (double)o->count, mean = sum / n;
    out->log_likelihood = mean;
    out->standard_error = o->count > 1 ? sqrt(fmax(squares / n - mean * mean, 0) / (n - 1)) : NAN;
    out->sampling_error = sqrt(variance) / n;
    out->bound = out->reconstruction - out->kl;
    free(x);
    free(y);
    return status;
}

static glia_status estimate_of(glia_model *model, const glia_vae_meaning *means, const glia_dataset *data,
                               const glia_vae_estimate_opts *o, glia_vae_estimate *out, glia_error *error) {
    glia_vae_nets nets;
    glia_error reason = { 0 };
    glia_backend *backend = o->backend ? o->backend : glia_backend_open("cpu", o->threads, &reason);
    if (!backend) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = glia_vae_open(&nets, model, *means, backend, error);
    if (status == GLIA_OK) status = glia_check_samples(data, nets.ends.x, error);
    if (status == GLIA_OK) status = glia_check_classes(data, model, error);
    if (status == GLIA_OK && !nets.ends.logvar)
        status = glia_fail(error, GLIA_E_UNSUPPORTED, "a plain autoencoder has no likelihood");
    if (status == GLIA_OK) status = estimate_over(&nets, data, o, out, error);
    glia_vae_close(&nets);
    if (!o->backend) glia_backend_close(backend);
    return status;
}

glia_status glia_vae_log_likelihood_of(glia_model *model, const glia_dataset *data, glia_vae_estimate_opts o,
                                       glia_vae_estimate *estimate, glia_error *error) {
    if (!model) return glia_fail_null(error, "model");
    if (!data) return glia_fail_null(error, "data");
    if (!estimate) return glia_fail_null(error, "estimate");
    const int64_t have = glia_data_count(data);
    if (o.samples < 0 || o.samples > 1 << 24 || o.count < 0 || o.count > have)
        return glia_fail(error, GLIA_E_ARGUMENT, "likelihood: %lld draws for each of %lld samples of %lld",
                         (long long)o.samples, (long long)o.count, (long long)have);
    if (!o.samples) o.samples = 5000;
    if (!o.count) o.count = have;
    const char *method = glia_model_get(model, "method");
    if (!method || strcmp(method, "vae") != 0)
        return glia_fail(error, GLIA_E_UNSUPPORTED, "the model was not trained by the method vae");
    glia_vae_meaning means;
    glia_status status = glia_vae_meaning_of(model, &means, error);
    if (status == GLIA_OK) status = glia_model_ready(model, 0, error);
    if (status != GLIA_OK) return status;
    *estimate = (glia_vae_estimate){ .count = o.count, .samples = o.samples };
    return estimate_of(model, &means, data, &o, estimate, error);
}
