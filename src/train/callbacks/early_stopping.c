/* early_stopping.c - stops training when the monitored metric no longer improves (Prechelt 1998). */
#include <math.h>
#include <stdlib.h>

#include "train/callbacks/callbacks.h"

/* Saved in checkpoints; the best weights follow it in memory. */
typedef struct early_state {
    double best;
    int64_t wait, best_epoch;
} early_state;

typedef struct early_stopping {
    glia_watcher watcher;
    glia_early_stopping_opts opts;
    glia_monitor monitor;
    early_state *state;
    size_t bytes; /* size of state and weights */
} early_stopping;

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    early_stopping *e = context;
    glia_status status = glia_watcher_begin(p, context, error);
    if (status == GLIA_OK) status = glia_monitor_check(&e->monitor, "early stopping", p, error);
    if (status != GLIA_OK) return status;
    e->bytes = sizeof *e->state + (e->opts.restore_best_weights ? glia_store_copy(p->model->store, NULL, false) : 0);
    e->state = malloc(e->bytes);
    if (!e->state) return glia_fail_nomem(error);
    *e->state = (early_state){ .best = glia_monitor_worst(&e->monitor) };
    if (e->opts.restore_best_weights) glia_store_copy(p->model->store, e->state + 1, false);
    return GLIA_OK;
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    early_stopping *e = context;
    early_state *s = e->state;
    double value;
    glia_status status = glia_monitor_read(&e->monitor, "early stopping", p, &value, error);
    if (status != GLIA_OK || p->epoch <= e->opts.start_from_epoch) return status;
    s->wait++;
    if (glia_monitor_better(&e->monitor, value, s->best)) {
        s->best = value;
        s->best_epoch = p->epoch;
        if (e->opts.baseline == 0 || glia_monitor_better(&e->monitor, value, glia_option(e->opts.baseline, 0)))
            s->wait = 0;
        if (e->opts.restore_best_weights) glia_store_copy(p->model->store, s + 1, false);
    }
    if (s->wait >= GLIA_MAX(e->opts.patience, 1) && p->epoch > 1) glia_training_stop(p->training);
    return GLIA_OK;
}

static glia_status end(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    early_stopping *e = context;
    if (e->opts.restore_best_weights && e->state->best_epoch > 0) glia_store_copy(p->model->store, e->state + 1, true);
    return GLIA_OK;
}

static void *state(void *context, size_t *bytes) {
    early_stopping *e = context;
    *bytes = e->bytes;
    return e->state;
}

static void release(void *context) {
    free(((early_stopping *)context)->state);
    glia_watcher_free(context);
}

glia_callback glia_early_stopping(glia_early_stopping_opts opts) {
    glia_callback c = glia_watcher_create("EarlyStopping", sizeof(early_stopping));
    early_stopping *e = c.context;
    if (!e) return c;
    e->opts = opts;
    e->monitor = glia_monitor_create(&e->watcher, opts.monitor, opts.mode, glia_option(opts.min_delta, 0));
    if (opts.patience < 0 || opts.start_from_epoch < 0) {
        glia_watcher_fail(&e->watcher, GLIA_E_ARGUMENT,
                          "early stopping: patience and start_from_epoch cannot be negative");
    }
    c.train_begin = begin;
    c.epoch_end = epoch_end;
    c.train_end = end;
    c.state = state;
    c.free = release;
    return c;
}
