/* lr_find.c - learning rate range test (Smith 2017, section 3.3): a few steps with an exponentially growing rate.
 *
 * The loss is smoothed by an exponential moving average with bias correction, as in Adam. The suggested rate is where
 * the smoothed loss falls most steeply over the logarithm of the rate, before its minimum.
 */
#include <math.h>
#include <stdlib.h>

#include "train/callbacks/callbacks.h"

typedef struct finder {
    const glia_lr_find_opts *opts;
    glia_lr_point *points;
    int64_t n;
    double mean, best;
} finder;

static glia_status step_end(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    finder *f = context;
    const double keep = f->opts->smoothing;
    f->mean = keep * f->mean + (1 - keep) * p->loss;
    const double smooth = f->mean / (1 - pow(keep, (double)(f->n + 1)));
    f->points[f->n++] = (glia_lr_point){ p->lr, p->loss, smooth };
    if (f->n == 1 || smooth < f->best) f->best = smooth;
    if (f->n > 1 && smooth > f->opts->diverged * f->best) glia_training_stop(p->training);
    return GLIA_OK;
}

/* Index of the steepest descent of the smoothed loss before its minimum. Slopes are taken over a tenth of all points,
 * because the noise between batches is steep too. */
static double steepest(const glia_lr_point *points, int64_t n) {
    const int64_t half = GLIA_MAX(n / 20, 1);
    int64_t lowest = 0, at = -1;
    double slope = 0;
    for (int64_t i = 1; i < n; i++) {
        if (points[i].smooth < points[lowest].smooth) lowest = i;
    }
    for (int64_t i = half; i + half <= lowest; i++) {
        const glia_lr_point *a = &points[i - half], *b = &points[i + half];
        double s = (b->smooth - a->smooth) / log(b->lr / a->lr);
        if (s < slope) slope = s, at = i;
    }
    return at < 0 ? NAN : points[at].lr;
}

glia_status glia_lr_find(glia_model *model, const glia_dataset *data, glia_fit_opts fit, glia_lr_find_opts o,
                         glia_lr_point *points, int64_t *n, double *suggested, glia_error *error) {
    o.from = glia_option(o.from, 1e-7);
    o.to = glia_option(o.to, 10);
    if (o.steps == 0) o.steps = 100;
    o.diverged = glia_option(o.diverged, 4);
    o.smoothing = glia_option(o.smoothing, 0.9);
    if (n) *n = 0;
    if (!model || !data || !points || !n) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_lr_find: needs a model, data and room for points");
    }
    if (!(o.from > 0 && o.to > o.from) || o.steps < 2 || !(o.diverged > 1) || !(o.smoothing >= 0 && o.smoothing < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "glia_lr_find: needs 0 < from < to, at least 2 steps, diverged > 1 and smoothing in [0, 1)");
    }
    glia_status status = glia_model_ready(model, fit.seed, error);
    if (status != GLIA_OK) return status;
    void *before = malloc(glia_store_copy(model->store, NULL, false) + 1);
    if (!before) return glia_fail_nomem(error);
    glia_store_copy(model->store, before, false);

    finder f = { .opts = &o, .points = points };
    glia_callback watch = { .name = "lr_find", .step_end = step_end, .context = &f };
    fit.callbacks = &watch;
    fit.n_callbacks = 1;
    fit.validation = NULL;
    fit.metrics = NULL;
    fit.optimizer.lr = o.from;
    fit.schedule = (glia_lr_schedule){ .kind = GLIA_LR_EXPONENTIAL,
                                       .gamma = pow(o.to / o.from, 1 / (double)(o.steps - 1)),
                                       .period = 1 };
    fit.max_steps = o.steps;
    fit.epochs = o.steps; /* an epoch has at least one step */
    glia_error reason = { 0 };
    status = glia_fit(model, data, fit, &reason);
    glia_store_copy(model->store, before, true);
    free(before);
    const bool overflowed = status == GLIA_E_ARGUMENT && f.n > 0; /* the loss is not finite any more: stop here */
    if (status != GLIA_OK && !overflowed) return glia_fail(error, status, "%s", reason.message);
    *n = f.n;
    if (suggested) *suggested = steepest(points, f.n);
    return GLIA_OK;
}
