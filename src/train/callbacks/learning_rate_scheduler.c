/* learning_rate_scheduler.c - sets the learning rate of each epoch from a user function. */
#include <math.h>

#include "train/callbacks/callbacks.h"

typedef struct scheduler {
    glia_watcher watcher;
    glia_lr_fn rate;
    void *context;
} scheduler;

static glia_status epoch_begin(const glia_progress *p, void *context, glia_error *error) {
    const scheduler *s = context;
    double lr = s->rate(p->epoch - 1, p->lr, s->context);
    if (!(lr >= 0) || !isfinite(lr)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the learning rate scheduler gave %g for epoch %lld", lr,
                         (long long)p->epoch);
    }
    glia_training_set_lr(p->training, lr);
    return GLIA_OK;
}

glia_callback glia_learning_rate_scheduler(glia_lr_fn rate, void *context) {
    glia_callback c = glia_watcher_create("LearningRateScheduler", sizeof(scheduler));
    scheduler *s = c.context;
    if (!s) return c;
    if (!rate) glia_watcher_fail(&s->watcher, GLIA_E_ARGUMENT, "a learning rate scheduler needs a function");
    s->rate = rate;
    s->context = context;
    c.epoch_begin = epoch_begin;
    return c;
}
