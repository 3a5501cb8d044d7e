/* bound.c - the variational bound of a diffusion model: how many bits its best code would need for data.
 *
 * Ho et al. 2020, equation 5, with the posterior's variances:
 *
 *     -log p(x0) <= KL(q(x_T | x0) || N(0, 1)) + sum over t >= 1 of KL(q(x_(t-1) | x_t, x0) || p)
 *                   - log p(x0 | x at t = 0)
 *
 * Both distributions of a term of the sum have one variance, so it is x0_share^2 |x0 - E|^2 / (2 variance), unless the
 * net learns variances (learned_variance.c). The last one is a normal distribution over the values that a pixel can
 * have (section 3.3), with the variance of step 1.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/tensor/tensor.h"
#include "families/generative/generative.h"

enum { STREAM = 0x626F756E, LEVELS = 256 };

typedef struct bounding {
    const glia_diffusion *d;
    glia_function *net;
    glia_diffusion_bound_opts opts;
    glia_shape shape; /* (rows, sample) */
    int64_t size;
    bool learns; /* the net gives variances too */
    float *xt;
    int32_t *t;
    double *noise;
    glia_array *inputs, *outputs;
} bounding;

/* log of the chance that a normal number of this mean and deviation is rounded to x; LEVELS values in [-1, 1], the
 * outer ones with all beyond. */
static double log_chance(double x, double mean, double deviation) {
    const double half = 1.0 / (LEVELS - 1), root = 1.4142135623730951 * deviation;
    const double above = (x + half - mean) / root, below = (x - half - mean) / root;
    double chance;
    if (x <= -1 + half) {
        chance = 0.5 * erfc(-above);
    } else if (x >= 1 - half) {
        chance = 0.5 * erfc(below);
    } else {
        chance = below > 0 ? 0.5 * (erfc(below) - erfc(above)) : 0.5 * (erfc(-above) - erfc(-below));
    }
    return log(fmax(chance, 1e-12));
}

/* The prediction for x0 with noise of step t, as an estimate of x0, within [-1, 1]. */
static double estimate(const bounding *b, double signal, double x, double p) {
    double x0 = p;
    if (b->d->opts.prediction == GLIA_PREDICT_NOISE) x0 = (x - sqrt(1 - signal) * p) / sqrt(signal);
    if (b->d->opts.prediction == GLIA_PREDICT_VELOCITY) x0 = sqrt(signal) * x - sqrt(1 - signal) * p;
    return fmin(fmax(x0, -1), 1);
}

/* The term of step t for one sample. */
static double term_of(const bounding *b, const float *x0, const float *prediction, int t) {
    const glia_diffusion_step s = glia_diffusion_at(b->d, t);
    const glia_diffusion_variances v = glia_diffusion_variances_of(b->d, t);
    const double variance = exp(v.least), range = v.most - v.least;
    double sum = 0;
    for (int64_t k = 0; k < b->size; k++) {
        const double x = (double)x0[k], e = estimate(b, s.signal, (double)b->xt[k], (double)prediction[k]);
        const double more = b->learns ? (double)prediction[b->size + k] * range : 0; /* log of the variance's factor */
        if (t == 0) {
            sum -= log_chance(x, e, sqrt(variance * exp(more)));
        } else {
            const double miss = s.x0_share * s.x0_share * (x - e) * (x - e);
            sum += 0.5 * (more + (variance + miss) / (variance * exp(more)) - 1);
        }
    }
    return sum;
}

static double prior_of(const bounding *b, const float *x0) {
    const double signal = b->d->signal[b->d->opts.steps - 1];
    double sum = 0;
    for (int64_t k = 0; k < b->size; k++)
        sum += 0.5 * (signal * (double)x0[k] * (double)x0[k] - signal - log(1 - signal));
    return sum;
}

/* Predicts for sample i noised by step t; the noise is a function of (seed, i, t). */
static glia_status predict(bounding *b, const float *x0, int64_t i, int t, const float **prediction,
                           glia_error *error) {
    glia_rng rng = { .seed = b->opts.seed,
                     .stream = (uint64_t)STREAM << 32 ^ (uint64_t)i,
                     .position = (uint64_t)(t + 1) * 4 * (uint64_t)b->size };
    glia_rng_normals(&rng, b->noise, b->size);
    const double signal = b->d->signal[t], keep = sqrt(signal), add = sqrt(1 - signal);
    for (int64_t k = 0; k < b->size; k++) b->xt[k] = (float)(keep * (double)x0[k] + add * b->noise[k]);
    *b->t = t;
    b->inputs[0] = (glia_array){ .name = "x", .dtype = GLIA_F32, .shape = b->shape, .data = b->xt };
    b->inputs[1] = (glia_array){ .name = "t", .dtype = GLIA_I32, .shape = GLIA_SHAPE(1), .data = b->t };
    for (int k = 0; k < b->opts.n_inputs; k++) {
        glia_array *one = &b->inputs[2 + k];
        *one = b->opts.inputs[k];
        one->shape.dim[0] = 1;
        const int64_t count = glia_shape_count(one->shape);
        one->data = (char *)one->data + (size_t)(i * count) * glia_dtype_size(one->dtype);
    }
    glia_status status = glia_function_call(b->net, b->inputs, 2 + b->opts.n_inputs, b->outputs, error);
    if (status != GLIA_OK) return status;
    glia_shape twice = b->shape;
    if (twice.rank > 1) twice.dim[1] *= 2;
    b->learns = twice.rank > 1 && glia_shape_equal(b->outputs[0].shape, twice);
    if (!b->learns && !glia_shape_equal(b->outputs[0].shape, b->shape))
        status = glia_fail(error, GLIA_E_SHAPE, "diffusion_bound: the net's output does not have the samples' shape");
    *prediction = b->outputs[0].data;
    return status;
}

static glia_status bound_one(bounding *b, const float *x0, int64_t i, double *nats, glia_error *error) {
    const int64_t others = b->d->opts.steps - 1, draws = b->opts.draws ? b->opts.draws : others;
    glia_rng rng = { .seed = b->opts.seed, .stream = (uint64_t)STREAM << 32 ^ (uint64_t)i };
    const float *prediction;
    glia_status status = predict(b, x0, i, 0, &prediction, error);
    if (status != GLIA_OK) return status;
    *nats = prior_of(b, x0) + term_of(b, x0, prediction, 0);
    for (int64_t k = 0; status == GLIA_OK && others > 0 && k < draws; k++) {
        const double share = ((double)k + (b->opts.draws ? glia_rng_uniform(&rng) : 0)) / (double)draws;
        const int t = 1 + (int)GLIA_MIN((int64_t)(share * (double)others + 1e-9), others - 1);
        status = predict(b, x0, i, t, &prediction, error);
        if (status == GLIA_OK) *nats += term_of(b, x0, prediction, t) * (double)others / (double)draws;
    }
    return status;
}

glia_status glia_diffusion_bound(const glia_diffusion *d, glia_function *net, const float *x0, int64_t n,
                                 glia_shape sample, glia_diffusion_bound_opts opts, double *nats, glia_error *error) {
    if (!d || !net || !x0 || !nats) return glia_fail_null(error, !d ? "diffusion" : !net ? "net" : !x0 ? "x0" : "nats");
    bounding b = { .d = d, .net = net, .opts = opts, .size = glia_shape_count(sample) };
    if (n < 1 || b.size < 1 || sample.rank >= GLIA_MAX_RANK || opts.draws < 0 || opts.n_inputs < 0 ||
        glia_function_outputs(net) < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_bound: %lld samples, %lld draws of steps for each",
                         (long long)n, (long long)opts.draws);
    b.shape = (glia_shape){ .rank = sample.rank + 1, .dim = { 1 } };
    memcpy(b.shape.dim + 1, sample.dim, (size_t)sample.rank * sizeof *sample.dim);
    b.xt = calloc((size_t)b.size, sizeof *b.xt);
    b.noise = calloc((size_t)b.size, sizeof *b.noise);
    b.t = calloc(1, sizeof *b.t);
    b.inputs = calloc((size_t)opts.n_inputs + 2, sizeof *b.inputs);
    b.outputs = calloc((size_t)glia_function_outputs(net), sizeof *b.outputs);
    glia_status status = b.xt && b.noise && b.t && b.inputs && b.outputs ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) status = bound_one(&b, x0 + i * b.size, i, &nats[i], error);
    free(b.xt);
    free(b.noise);
    free(b.t);
    free(b.inputs);
    free(b.outputs);
    return status;
}
