/* reduce_lr_on_plateau.c - reduces the learning rate when the monitored metric stops improving. */
#include "train/callbacks/callbacks.h"

typedef struct plateau_state {
    double best;
    int64_t wait, cooldown;
} plateau_state;

typedef struct plateau {
    glia_watcher watcher;
    glia_reduce_lr_on_plateau_opts opts;
    glia_monitor monitor;
    plateau_state state;
} plateau;

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    plateau *r = context;
    r->state = (plateau_state){ .best = glia_monitor_worst(&r->monitor) };
    glia_status status = glia_watcher_begin(p, context, error);
    return status == GLIA_OK ? glia_monitor_check(&r->monitor, "reduce lr on plateau", p, error) : status;
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    plateau *r = context;
    plateau_state *s = &r->state;
    double value;
    glia_status status = glia_monitor_read(&r->monitor, "reduce lr on plateau", p, &value, error);
    if (status != GLIA_OK) return status;
    if (s->cooldown > 0) {
        s->cooldown--;
        s->wait = 0;
    }
    if (glia_monitor_better(&r->monitor, value, s->best)) {
        s->best = value;
        s->wait = 0;
        return GLIA_OK;
    }
    if (s->cooldown > 0 || ++s->wait < r->opts.patience || p->lr <= r->opts.min_lr) return GLIA_OK;
    double lr = GLIA_MAX(p->lr * r->opts.factor, r->opts.min_lr);
    glia_training_scale_lr(p->training, glia_training_lr_scale(p->training) * lr / p->lr);
    s->cooldown = r->opts.cooldown;
    s->wait = 0;
    return GLIA_OK;
}

static void *state(void *context, size_t *bytes) {
    *bytes = sizeof(plateau_state);
    return &((plateau *)context)->state;
}

glia_callback glia_reduce_lr_on_plateau(glia_reduce_lr_on_plateau_opts opts) {
    glia_callback c = glia_watcher_create("ReduceLROnPlateau", sizeof(plateau));
    plateau *r = c.context;
    if (!r) return c;
    opts.factor = glia_option(opts.factor, 0.1);
    opts.patience = glia_option_count(opts.patience, 10);
    opts.min_delta = glia_option(opts.min_delta, 1e-4);
    opts.min_lr = glia_option(opts.min_lr, 0);
    r->opts = opts;
    r->monitor = glia_monitor_create(&r->watcher, opts.monitor, opts.mode, opts.min_delta);
    if (!(opts.factor > 0 && opts.factor < 1)) {
        glia_watcher_fail(&r->watcher, GLIA_E_ARGUMENT, "reduce lr on plateau: factor is %g, which is not in (0, 1)",
                          opts.factor);
    }
    if (opts.patience < 0 || opts.cooldown < 0 || !(opts.min_lr >= 0)) {
        glia_watcher_fail(&r->watcher, GLIA_E_ARGUMENT,
                          "reduce lr on plateau: patience, cooldown and min_lr cannot be negative");
    }
    c.train_begin = begin;
    c.epoch_end = epoch_end;
    c.state = state;
    return c;
}
