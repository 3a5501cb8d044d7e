/* diffusion.c - noise schedules of diffusion models, and what they mean in a graph.
 *
 * Everything follows from A_t, the share of the signal's variance that is left after step t. In a graph the factors of
 * a step are rows of a constant table, gathered by t and broadcast over the sample.
 */
#include <math.h>
#include <stdlib.h>

#include "core/ops/ops.h"
#include "families/generative/diffusion_settings.h"
#include "families/generative/generative.h"

/* ---- schedules ------------------------------------------------------------------------------ */

enum { STEPS_MOST = 1 << 20 };

static void fill_linear(double *beta, const glia_diffusion_opts *o) {
    for (int t = 0; t < o->steps; t++) {
        const double share = o->steps > 1 ? (double)t / (o->steps - 1) : 0;
        beta[t] = o->beta_first + share * (o->beta_last - o->beta_first);
    }
}

static double cosine(double share) {
    const double offset = 0.008, half_pi = 1.5707963267948966;
    const double c = cos((share + offset) / (1 + offset) * half_pi);
    return c * c;
}

static void fill_cosine(double *beta, const glia_diffusion_opts *o) {
    for (int t = 0; t < o->steps; t++) {
        beta[t] = fmin(1 - cosine((t + 1.0) / o->steps) / cosine((double)t / o->steps), 0.999);
    }
}

static const struct {
    const char *name;
    void (*fill)(double *beta, const glia_diffusion_opts *opts);
} schedules[GLIA_BETA_COUNT] = {
    [GLIA_BETA_LINEAR] = { "linear", fill_linear },
    [GLIA_BETA_COSINE] = { "cosine", fill_cosine },
};
static const char *const predictions[GLIA_PREDICTION_COUNT] = { "noise", "sample", "velocity" };

const char *glia_beta_schedule_name(glia_beta_schedule schedule) {
    return (unsigned)schedule < GLIA_BETA_COUNT ? schedules[schedule].name : NULL;
}
const char *glia_diffusion_prediction_name(glia_diffusion_prediction prediction) {
    return (unsigned)prediction < GLIA_PREDICTION_COUNT ? predictions[prediction] : NULL;
}

static glia_status check_opts(const glia_diffusion_opts *o, glia_error *error) {
    if (o->steps < 1 || o->steps > STEPS_MOST) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion: steps must lie in [1, %d], not be %d", STEPS_MOST,
                         o->steps);
    }
    if ((unsigned)o->schedule >= GLIA_BETA_COUNT) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion: there is no schedule %d", (int)o->schedule);
    }
    if ((unsigned)o->prediction >= GLIA_PREDICTION_COUNT) {
        return glia_fail(error, GLIA_E_ARGUMENT, "diffusion: there is no prediction %d", (int)o->prediction);
    }
    if (!(o->beta_first > 0 && o->beta_first <= o->beta_last && o->beta_last < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "diffusion: 0 < beta_first <= beta_last < 1 does not hold for %g and %g", o->beta_first,
                         o->beta_last);
    }
    return GLIA_OK;
}

glia_diffusion *glia_diffusion_create(glia_diffusion_opts o, glia_error *error) {
    o.steps = o.steps ? o.steps : 1000;
    if (o.beta_first == 0) o.beta_first = fmin(0.1 / o.steps, 0.999);
    if (o.beta_last == 0) o.beta_last = fmin(20.0 / o.steps, 0.999);
    if (check_opts(&o, error) != GLIA_OK) return NULL;
    glia_diffusion *d = calloc(1, sizeof *d);
    if (d) d->beta = calloc((size_t)o.steps, 2 * sizeof *d->beta);
    if (!d || !d->beta) {
        free(d);
        glia_fail_nomem(error);
        return NULL;
    }
    d->opts = o;
    d->signal = d->beta + o.steps;
    schedules[o.schedule].fill(d->beta, &o);
    double signal = 1;
    for (int t = 0; t < o.steps; t++) d->signal[t] = signal *= 1 - d->beta[t];
    return d;
}

glia_status glia_diffusion_of_settings(const glia_diffusion_settings *s, glia_diffusion **diffusion,
                                       glia_error *error) {
    const glia_diffusion_opts opts = { .steps = (int)s->timesteps,
                                       .schedule = (glia_beta_schedule)s->schedule,
                                       .prediction = (glia_diffusion_prediction)s->prediction };
    glia_error reason = { 0 };
    *diffusion = glia_diffusion_create(opts, &reason);
    return *diffusion ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

void glia_diffusion_free(glia_diffusion *d) {
    if (!d) return;
    free(d->beta);
    free(d);
}

int glia_diffusion_steps(const glia_diffusion *d) { return d ? d->opts.steps : 0; }

glia_diffusion_step glia_diffusion_at(const glia_diffusion *d, int t) {
    if (!d || t < 0 || t >= d->opts.steps) return (glia_diffusion_step){ NAN, NAN, NAN, NAN, NAN, NAN };
    const double beta = d->beta[t], signal = d->signal[t], before = t ? d->signal[t - 1] : 1;
    return (glia_diffusion_step){ .beta = beta,
                                  .signal = signal,
                                  .before = before,
                                  .x0_share = sqrt(before) * beta / (1 - signal),
                                  .xt_share = sqrt(1 - beta) * (1 - before) / (1 - signal),
                                  .variance = (1 - before) / (1 - signal) * beta };
}

/* ---- in graphs ------------------------------------------------------------------------------ */

/* Whether x and t are what `what` says they must be, and the others have x's shape; an error is recorded if not. */
static bool check_pair(const glia_diffusion *d, const char *what, glia_tensor x, glia_tensor other, glia_tensor t) {
    glia_graph *g = x ? x->graph : NULL;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (glia_is_bad(x) || glia_is_bad(other) || glia_is_bad(t)) return false;
    if (!d) {
        glia_graph_fail(g, GLIA_E_ARGUMENT, "%s: diffusion is NULL", what);
    } else if (!glia_shape_equal(x->shape, other->shape) || x->dtype != other->dtype) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: %s%s and %s%s must be the same", what, glia_dtype_name(x->dtype),
                        glia_shape_format(x->shape, a), glia_dtype_name(other->dtype),
                        glia_shape_format(other->shape, b));
    } else if ((x->dtype != GLIA_F32 && x->dtype != GLIA_F64) || x->shape.rank < 1) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: samples must be (N, ...) of f32 or f64, not %s%s", what,
                        glia_dtype_name(x->dtype), glia_shape_format(x->shape, a));
    } else if ((t->dtype != GLIA_I32 && t->dtype != GLIA_I64) || t->shape.rank != 1 ||
               t->shape.dim[0] != x->shape.dim[0]) {
        glia_graph_fail(g, GLIA_E_SHAPE, "%s: t must be integers (N), one for each sample of %s, not %s%s", what,
                        glia_shape_format(x->shape, a), glia_dtype_name(t->dtype), glia_shape_format(t->shape, b));
    } else {
        return true;
    }
    return false;
}

static glia_tensor bad_of(glia_tensor a, glia_tensor b, glia_tensor c) {
    glia_tensor known = a ? a : b ? b : c;
    return known ? known->graph->bad : NULL;
}

typedef double (*factor)(double signal);
static double root_signal(double signal) { return sqrt(signal); }
static double root_noise(double signal) { return sqrt(1 - signal); }
static double inverse_root_signal(double signal) { return 1 / sqrt(signal); }
static double inverse_root_noise(double signal) { return 1 / sqrt(1 - signal); }

/* x times of(A_t) for each sample. */
static glia_tensor scaled(const glia_diffusion *d, factor of, glia_tensor x, glia_tensor t) {
    glia_graph *g = x->graph;
    const int steps = d->opts.steps;
    double *table = glia_arena_alloc(&g->arena, (size_t)steps * sizeof *table);
    if (!table) return glia_graph_fail_nomem(g);
    for (int i = 0; i < steps; i++) table[i] = of(d->signal[i]);
    glia_tensor each = glia_gather(glia_constant(g, x->dtype, GLIA_SHAPE(steps), table), t, 0);
    glia_shape column = { .rank = x->shape.rank, .dim = { x->shape.dim[0] } };
    for (int i = 1; i < column.rank; i++) column.dim[i] = 1;
    return glia_mul(x, column.rank > 1 ? glia_reshape(each, column) : each);
}

glia_tensor glia_diffusion_noised(const glia_diffusion *d, glia_tensor x0, glia_tensor t, glia_tensor noise) {
    if (!check_pair(d, "diffusion_noised", x0, noise, t)) return bad_of(x0, noise, t);
    return glia_add(scaled(d, root_signal, x0, t), scaled(d, root_noise, noise, t));
}

static glia_tensor velocity(const glia_diffusion *d, glia_tensor x0, glia_tensor t, glia_tensor noise) {
    return glia_sub(scaled(d, root_signal, noise, t), scaled(d, root_noise, x0, t));
}

glia_tensor glia_diffusion_target(const glia_diffusion *d, glia_tensor x0, glia_tensor t, glia_tensor noise) {
    if (!check_pair(d, "diffusion_target", x0, noise, t)) return bad_of(x0, noise, t);
    switch (d->opts.prediction) {
    case GLIA_PREDICT_SAMPLE: return x0;
    case GLIA_PREDICT_VELOCITY: return velocity(d, x0, t, noise);
    default: return noise;
    }
}

glia_tensor glia_diffusion_x0(const glia_diffusion *d, glia_tensor prediction, glia_tensor xt, glia_tensor t) {
    if (!check_pair(d, "diffusion_x0", prediction, xt, t)) return bad_of(prediction, xt, t);
    switch (d->opts.prediction) {
    case GLIA_PREDICT_SAMPLE: return prediction;
    case GLIA_PREDICT_VELOCITY: return glia_sub(scaled(d, root_signal, xt, t), scaled(d, root_noise, prediction, t));
    default: return scaled(d, inverse_root_signal, glia_sub(xt, scaled(d, root_noise, prediction, t)), t);
    }
}

glia_tensor glia_diffusion_noise(const glia_diffusion *d, glia_tensor prediction, glia_tensor xt, glia_tensor t) {
    if (!check_pair(d, "diffusion_noise", prediction, xt, t)) return bad_of(prediction, xt, t);
    switch (d->opts.prediction) {
    case GLIA_PREDICT_SAMPLE:
        return scaled(d, inverse_root_noise, glia_sub(xt, scaled(d, root_signal, prediction, t)), t);
    case GLIA_PREDICT_VELOCITY: return glia_add(scaled(d, root_noise, xt, t), scaled(d, root_signal, prediction, t));
    default: return prediction;
    }
}

glia_diffusion_trial glia_diffusion_try(const glia_diffusion *d, glia_tensor output, glia_tensor x, glia_tensor t,
                                        glia_tensor x0) {
    glia_graph *g = x->graph;
    glia_diffusion_trial drawn = { .step = glia_random_integers(g, t->dtype, t->shape, 0, d->opts.steps) };
    glia_tensor noise = glia_cast(glia_random_normal(g, x0->shape), x0->dtype);
    drawn.xt = glia_diffusion_noised(d, x0, drawn.step, noise);
    const glia_tensor from[] = { x, t }, to[] = { drawn.xt, drawn.step };
    glia_substitute(&output, 1, from, to, 2, &drawn.output);
    drawn.target = glia_diffusion_target(d, x0, drawn.step, noise);
    return drawn;
}

glia_tensor glia_diffusion_loss(const glia_diffusion *d, glia_tensor prediction, glia_tensor x, glia_tensor t,
                                glia_tensor x0) {
    if (!check_pair(d, "diffusion_loss", x, x0, t)) return bad_of(x, x0, t);
    if (!check_pair(d, "diffusion_loss", prediction, x0, t)) return bad_of(prediction, x0, t);
    const glia_diffusion_trial drawn = glia_diffusion_try(d, prediction, x, t, x0);
    return glia_mean(glia_square(glia_sub(drawn.output, drawn.target)), GLIA_SCALAR, false);
}
