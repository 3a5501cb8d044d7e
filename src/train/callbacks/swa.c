/* swa.c - stochastic weight averaging (Izmailov et al. 2018): the mean of the weights over selected epochs.
 *
 * The means are accumulated in double. Batch norm's running statistics belong to the current weights, so those for the
 * averaged weights are recomputed: one pass over the data in training mode reads each batch's statistics from the
 * running ones (set to zero before, they equal momentum times the batch's afterwards) and averages them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/callbacks/callbacks.h"
#include "train/run/training.h"

typedef struct swa {
    glia_watcher watcher;
    glia_swa_opts opts;
    int64_t first; /* first epoch, from 1, that is averaged */
    int64_t *n;    /* number of averaged epochs; checkpoints save this and the means after it */
    double *means;
    size_t bytes;
} swa;

static bool counts(const glia_array *a) { return a->parameter && (a->dtype == GLIA_F32 || a->dtype == GLIA_F64); }

static int64_t count_values(const glia_store *store) {
    int64_t n = 0;
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_entry(store, i);
        if (counts(&a)) n += glia_shape_count(a.shape);
    }
    return n;
}

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    swa *s = context;
    glia_status status = glia_watcher_begin(p, context, error);
    if (status != GLIA_OK) return status;
    const double start = glia_option(s->opts.start, 0.75);
    s->first = 1 + (int64_t)(start < 1 ? ceil(start * (double)p->epochs) : start);
    if (s->first > p->epochs) s->first = p->epochs;
    s->bytes = sizeof *s->n + (size_t)count_values(p->model->store) * sizeof *s->means;
    s->n = calloc(1, s->bytes);
    if (!s->n) return glia_fail_nomem(error);
    s->means = (double *)(void *)(s->n + 1);
    return GLIA_OK;
}

static glia_status epoch_begin(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    const swa *s = context;
    if (s->opts.lr > 0 && p->epoch >= s->first) glia_training_set_lr(p->training, glia_option(s->opts.lr, 0));
    return GLIA_OK;
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    swa *s = context;
    if (p->epoch < s->first || (p->epoch - s->first) % s->opts.every) return GLIA_OK;
    const double share = 1 / (double)++*s->n;
    double *mean = s->means;
    for (int i = 0; i < glia_store_count(p->model->store); i++) {
        glia_array a = glia_store_entry(p->model->store, i);
        const int64_t n = counts(&a) ? glia_shape_count(a.shape) : 0;
        for (int64_t k = 0; k < n; k++, mean++) {
            const double w = a.dtype == GLIA_F64 ? ((double *)a.data)[k] : (double)((float *)a.data)[k];
            *mean += (w - *mean) * share;
        }
    }
    return GLIA_OK;
}

/* Copies the means to the model's weights. */
static void take_means(const glia_model *model, const double *mean) {
    for (int i = 0; i < glia_store_count(model->store); i++) {
        glia_array a = glia_store_entry(model->store, i);
        if (!counts(&a)) continue;
        const int64_t n = glia_shape_count(a.shape);
        glia_from_double(a.dtype, mean, a.data, n);
        mean += n;
    }
    glia_store_touch(model->store);
}

static glia_status end(const glia_progress *p, void *context, glia_error *error) {
    swa *s = context;
    if (*s->n == 0) return GLIA_OK;
    take_means(p->model, s->means);
    if (!s->opts.data) return GLIA_OK;
    return glia_norms_measure(p->model, s->opts.data, p->training->opts.batch, p->training->backend, error);
}

static void *state(void *context, size_t *bytes) {
    swa *s = context;
    *bytes = s->bytes;
    return s->n;
}

static void release(void *context) {
    free(((swa *)context)->n);
    glia_watcher_free(context);
}

glia_callback glia_swa(glia_swa_opts opts) {
    glia_callback c = glia_watcher_create("SWA", sizeof(swa));
    swa *s = c.context;
    if (!s) return c;
    if (opts.every == 0) opts.every = 1;
    s->opts = opts;
    if (!(opts.start >= 0) || !isfinite(opts.start) || opts.every < 0 || !(opts.lr >= 0)) {
        glia_watcher_fail(&s->watcher, GLIA_E_ARGUMENT, "SWA: start, every and lr cannot be negative");
    }
    c.train_begin = begin;
    c.epoch_begin = epoch_begin;
    c.epoch_end = epoch_end;
    c.train_end = end;
    c.state = state;
    c.free = release;
    return c;
}
