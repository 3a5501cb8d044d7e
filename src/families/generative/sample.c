/* sample.c - samples of a diffusion model: from noise, step by step.
 *
 * Every sampler here is a linear rule. With the signal's share A at a step and A' at the next cleaner one, and an
 * estimate E of x0 by the net,
 *
 *     x' = a E + b x + s z,    z ~ N(0, 1)
 *
 * and samplers differ in a, b and s (glia_diffusion_move_of()); DPM-Solver also extrapolates E from the last two
 * estimates. A net that learns variances says s of each number for DDPM. A sampler that skips steps treats the pair
 * (A, A') as one step with beta = 1 - A / A'. The noise of a sample is a function of (seed, index of the sample, step),
 * so it does not depend on how samples are batched.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/tensor/tensor.h"
#include "families/generative/generative.h"

static const char *const names[GLIA_SAMPLER_COUNT] = { "ddpm", "ddim", "dpm-solver" };

const char *glia_diffusion_sampler_name(glia_diffusion_sampler sampler) {
    return (unsigned)sampler < GLIA_SAMPLER_COUNT ? names[sampler] : NULL;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Ho et al. 2020, equation 7. The last step is without noise. */
static glia_diffusion_move ddpm(const glia_diffusion_sample_opts *o, double signal, double before) {
    const double alpha = signal / before, beta = 1 - alpha;
    const double variance = o->large_variance ? beta : (1 - before) / (1 - signal) * beta;
    return (glia_diffusion_move){ .estimate = sqrt(before) * beta / (1 - signal),
                                  .x = sqrt(alpha) * (1 - before) / (1 - signal),
                                  .noise = before < 1 ? sqrt(variance) : 0 };
}

/* Song et al. 2021, equations 12 and 16: sqrt(A') E + sqrt(1 - A' - s^2) noise + s z, the noise being that of E. */
static glia_diffusion_move ddim(const glia_diffusion_sample_opts *o, double signal, double before) {
    const double s = o->eta * sqrt((1 - before) / (1 - signal) * (1 - signal / before));
    const double along = sqrt(fmax(1 - before - s * s, 0) / (1 - signal));
    return (glia_diffusion_move){ .estimate = sqrt(before) - along * sqrt(signal), .x = along, .noise = s };
}

/* Lu et al. 2022: (s'/s) x - a' (exp(-h) - 1) E, where exp(-h) = (s' a) / (a' s), a^2 = A, s^2 = 1 - A. */
static glia_diffusion_move dpm_solver(const glia_diffusion_sample_opts *o, double signal, double before) {
    (void)o;
    const double share = sqrt((1 - before) / (1 - signal));
    return (glia_diffusion_move){ .estimate = sqrt(before) - share * sqrt(signal), .x = share, .noise = 0 };
}

glia_diffusion_move glia_diffusion_move_of(const glia_diffusion_sample_opts *o, double signal, double before) {
    switch (o->sampler) {
    case GLIA_DDIM: return ddim(o, signal, before);
    case GLIA_DPM_SOLVER: return dpm_solver(o, signal, before);
    default: return ddpm(o, signal, before);
    }
}

/* ---- a batch -------------------------------------------------------------------------------- */

typedef struct run {
    const glia_diffusion *d;
    glia_function *net;
    glia_diffusion_sample_opts opts; /* resolved */
    int64_t n, size;                 /* samples; numbers in one */
    glia_shape sample;
    float *x0, *older;            /* (batch, sample): estimates of this step and, for DPM-Solver, of the one before */
    int32_t *t;                   /* (batch) */
    int *steps;                   /* (opts.steps): the t of each move */
    double *noise;                /* (sample) */
    int64_t stride;               /* numbers of an output for a sample: twice the size if the net learns variances */
    glia_array *inputs, *outputs; /* of a call */
} run;

static double half_log_snr(const glia_diffusion *d, int t) { return 0.5 * log(d->signal[t] / (1 - d->signal[t])); }

/* The steps that the net is given, from T - 1 down to 0, evenly spaced: for DPM-Solver in half the logarithm of the
 * signal-to-noise ratio, which is its time, as far as that is possible with different integers. */
static void choose_steps(run *r) {
    const glia_diffusion *d = r->d;
    const int last = d->opts.steps - 1, n = r->opts.steps;
    r->steps[0] = last;
    const double low = half_log_snr(d, last), high = half_log_snr(d, 0);
    for (int k = 1; k < n; k++) {
        const double share = (double)k / (n - 1), goal = low + share * (high - low);
        int t = (int)llround((1 - share) * last);
        if (r->opts.sampler == GLIA_DPM_SOLVER) {
            t = r->steps[k - 1] - 1;
            while (t > 0 && fabs(half_log_snr(d, t - 1) - goal) < fabs(half_log_snr(d, t) - goal)) t--;
            t = GLIA_MAX(t, n - 1 - k);
        }
        r->steps[k] = t;
    }
}

/* Noise number k of sample `index`; 0 is x_T. */
static void draw(const run *r, int64_t index, int k) {
    enum { STREAM = 0x64696666 }; /* apart from other uses of the seed */
    glia_rng rng = { .seed = r->opts.seed,
                     .stream = (uint64_t)STREAM << 32 ^ (uint64_t)index,
                     .position = (uint64_t)k * 4 * (uint64_t)r->size };
    glia_rng_normals(&rng, r->noise, r->size);
}

static glia_status predict(run *r, const float *x, int64_t first, int64_t n, int t, const float **out,
                           glia_error *error) {
    glia_shape shape = { .rank = r->sample.rank + 1, .dim = { n } };
    for (int i = 0; i < r->sample.rank; i++) shape.dim[i + 1] = r->sample.dim[i];
    for (int64_t i = 0; i < n; i++) r->t[i] = t;
    r->inputs[0] = (glia_array){ .name = r->opts.x, .dtype = GLIA_F32, .shape = shape, .data = (void *)(uintptr_t)x };
    r->inputs[1] = (glia_array){ .name = r->opts.t, .dtype = GLIA_I32, .shape = GLIA_SHAPE(n), .data = r->t };
    for (int i = 0; i < r->opts.n_inputs; i++) {
        glia_array a = r->opts.inputs[i];
        const int64_t row = glia_shape_count(a.shape) / a.shape.dim[0];
        a.data = (char *)a.data + (size_t)(first * row) * glia_dtype_size(a.dtype);
        a.shape.dim[0] = n;
        r->inputs[2 + i] = a;
    }
    glia_status status = glia_function_call(r->net, r->inputs, 2 + r->opts.n_inputs, r->outputs, error);
    if (status != GLIA_OK) return status;
    const glia_array y = r->outputs[0];
    r->stride = r->size;
    if (shape.rank > 1 && y.shape.rank == shape.rank && y.shape.dim[1] == 2 * shape.dim[1]) {
        r->stride *= 2;
        shape.dim[1] *= 2;
        if (r->opts.large_variance)
            return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: large_variance of a net that learns variances");
    }
    if (y.dtype != GLIA_F32 || !glia_shape_equal(y.shape, shape)) {
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        return glia_fail(error, GLIA_E_SHAPE, "diffusion_sample: the net's output is %s%s and should be f32%s",
                         glia_dtype_name(y.dtype), glia_shape_format(y.shape, a), glia_shape_format(shape, b));
    }
    *out = y.data;
    return GLIA_OK;
}

/* The estimate of x0 by the prediction p, within the limit. */
static double estimate(const run *r, double signal, double x, double p) {
    double x0 = p;
    if (r->d->opts.prediction == GLIA_PREDICT_NOISE) x0 = (x - sqrt(1 - signal) * p) / sqrt(signal);
    if (r->d->opts.prediction == GLIA_PREDICT_VELOCITY) x0 = sqrt(signal) * x - sqrt(1 - signal) * p;
    const double limit = r->opts.limit;
    return limit > 0 && x0 > limit ? limit : limit > 0 && x0 < -limit ? -limit : x0;
}

/* The deviation of the noise of a DDPM move from the signal share A to `before`, by what the net says of a number. */
static double learned_deviation(double v, double signal, double before) {
    const double beta = 1 - signal / before, posterior = (1 - before) / (1 - signal) * beta;
    return exp(0.5 * (v * log(beta) + (1 - v) * log(posterior)));
}

/* By how much the estimate exceeds the one before in DPM-Solver's extrapolation: h / (2 h_before). */
static double extrapolation(const run *r, int k) {
    if (r->opts.sampler != GLIA_DPM_SOLVER || k == 0 || k == r->opts.steps - 1) return 0;
    const double h = half_log_snr(r->d, r->steps[k + 1]) - half_log_snr(r->d, r->steps[k]);
    const double before = half_log_snr(r->d, r->steps[k]) - half_log_snr(r->d, r->steps[k - 1]);
    return h / (2 * before);
}

/* Puts what is known into sample `index`, with noise that leaves the share `signal`. */
static void put_known(const run *r, float *x, int64_t index, int k, double signal) {
    const float *known = r->opts.known + index * r->size, *mask = r->opts.mask + index * r->size;
    const double keep = sqrt(signal), add = sqrt(1 - signal);
    if (add > 0) draw(r, index, r->opts.steps + 1 + k); /* other numbers than those of the moves */
    for (int64_t j = 0; j < r->size; j++) {
        if (mask[j] != 0) x[j] = (float)(keep * (double)known[j] + (add > 0 ? add * r->noise[j] : 0));
    }
}

/* Move k of samples [first, first + n). */
static glia_status advance(run *r, float *x, int64_t first, int64_t n, int k, glia_error *error) {
    const int steps = r->opts.steps, t = r->steps[k];
    const double signal = r->d->signal[t], before = k + 1 < steps ? r->d->signal[r->steps[k + 1]] : 1;
    const glia_diffusion_move m = glia_diffusion_move_of(&r->opts, signal, before);
    const double more = extrapolation(r, k);
    const float *prediction = NULL;
    glia_status status = predict(r, x, first, n, t, &prediction, error);
    const bool learns = r->opts.sampler == GLIA_DDPM && r->stride > r->size;
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        if (m.noise > 0) draw(r, first + i, k + 1);
        for (int64_t j = 0; j < r->size; j++) {
            const int64_t at = i * r->size + j;
            const float *said = prediction + i * r->stride + j;
            double e = estimate(r, signal, (double)x[at], (double)*said), deviation = m.noise;
            if (learns && m.noise > 0) deviation = learned_deviation((double)said[r->size], signal, before);
            r->x0[at] = (float)e;
            if (more > 0) e += more * (e - (double)r->older[at]);
            x[at] = (float)(m.estimate * e + m.x * (double)x[at] + (m.noise > 0 ? deviation * r->noise[j] : 0));
        }
        if (r->opts.known) put_known(r, x + i * r->size, first + i, k, before);
    }
    if (status == GLIA_OK && r->opts.watch) {
        const glia_diffusion_progress p = { first, n, k + 1, steps, t, x, r->x0 };
        status = r->opts.watch(&p, r->opts.context, error);
    }
    if (r->older) {
        float *free_one = r->older;
        r->older = r->x0, r->x0 = free_one;
    }
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static glia_status check_run(run *r, const float *out, glia_error *error) {
    glia_diffusion_sample_opts *o = &r->opts;
    if (!r->d) return glia_fail_null(error, "diffusion");
    if (!r->net) return glia_fail_null(error, "net");
    if (!out) return glia_fail_null(error, "out");
    if (glia_function_outputs(r->net) < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: the net has no output");
    }
    char text[GLIA_SHAPE_TEXT];
    const int most = r->d->opts.steps;
    if ((unsigned)o->sampler >= GLIA_SAMPLER_COUNT) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: there is no sampler %d", (int)o->sampler);
    }
    if (!o->steps) o->steps = o->sampler == GLIA_DDPM ? most : GLIA_MIN(most, o->sampler == GLIA_DDIM ? 50 : 20);
    if (o->steps < 1 || o->steps > most) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: %d steps of a schedule that has %d", o->steps,
                         most);
    }
    o->eta = glia_option(o->eta, 0);
    if (!(o->eta >= 0 && o->eta <= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: eta must lie in [0, 1], not be %g", o->eta);
    }
    if ((o->eta > 0 && o->sampler != GLIA_DDIM) || (o->large_variance && o->sampler != GLIA_DDPM)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: %s has no %s", names[o->sampler],
                         o->eta > 0 ? "eta" : "large_variance");
    }
    if (!o->known != !o->mask) return glia_fail_null(error, o->known ? "mask" : "known");
    o->limit = glia_option(o->limit, 1);
    if (r->size < 1 || r->n < 1 || r->sample.rank >= GLIA_MAX_RANK || !(o->limit >= 0) || o->batch < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion_sample: %lld samples of %s within %g, %lld at once",
                         (long long)r->n, glia_shape_format(r->sample, text), o->limit, (long long)o->batch);
    }
    for (int i = 0; i < o->n_inputs; i++) {
        if (o->inputs && o->inputs[i].data && o->inputs[i].shape.rank > 0 && o->inputs[i].shape.dim[0] == r->n)
            continue;
        return glia_fail(error, GLIA_E_SHAPE, "diffusion_sample: input %d is not (%lld, ...), a row for each sample", i,
                         (long long)r->n);
    }
    o->batch = GLIA_MIN(o->batch ? o->batch : 64, r->n);
    o->n_inputs = GLIA_MAX(o->n_inputs, 0);
    if (!o->x) o->x = "x";
    if (!o->t) o->t = "t";
    return GLIA_OK;
}

static bool allocate(run *r) {
    size_t count;
    if (!glia_mul_fits((size_t)r->opts.batch, (size_t)r->size, &count)) return false;
    r->x0 = calloc(count, sizeof *r->x0);
    r->older = r->opts.sampler == GLIA_DPM_SOLVER ? calloc(count, sizeof *r->older) : NULL;
    r->t = calloc((size_t)r->opts.batch, sizeof *r->t);
    r->steps = calloc((size_t)r->opts.steps, sizeof *r->steps);
    r->noise = calloc((size_t)r->size, sizeof *r->noise);
    r->inputs = calloc((size_t)r->opts.n_inputs + 2, sizeof *r->inputs);
    r->outputs = calloc((size_t)glia_function_outputs(r->net), sizeof *r->outputs);
    return r->outputs && r->x0 && (r->older || r->opts.sampler != GLIA_DPM_SOLVER) && r->t && r->steps && r->noise &&
           r->inputs;
}

static void begin(const run *r, float *x, int64_t first, int64_t n) {
    if (r->opts.start) {
        memcpy(x, r->opts.start + first * r->size, (size_t)(n * r->size) * sizeof *x);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        draw(r, first + i, 0);
        for (int64_t j = 0; j < r->size; j++) x[i * r->size + j] = (float)r->noise[j];
    }
}

glia_status glia_diffusion_sample(const glia_diffusion *d, glia_function *net, int64_t n, glia_shape sample,
                                  glia_diffusion_sample_opts opts, float *out, glia_error *error) {
    run r = { .d = d, .net = net, .opts = opts, .n = n, .size = glia_shape_count(sample), .sample = sample };
    glia_status status = check_run(&r, out, error);
    if (status != GLIA_OK) return status;
    if (!allocate(&r)) status = glia_fail_nomem(error);
    if (status == GLIA_OK) choose_steps(&r);
    for (int64_t first = 0; status == GLIA_OK && first < n; first += r.opts.batch) {
        const int64_t m = GLIA_MIN(r.opts.batch, n - first);
        float *x = out + first * r.size;
        begin(&r, x, first, m);
        for (int k = 0; status == GLIA_OK && k < r.opts.steps; k++) status = advance(&r, x, first, m, k, error);
    }
    free(r.x0);
    free(r.older);
    free(r.t);
    free(r.steps);
    free(r.noise);
    free(r.inputs);
    free(r.outputs);
    return status;
}
