/* swap_ema_weights.c - validates with the exponential moving averages (EMA) of the weights.
 *
 * Weights and averages are swapped before validation and swapped back when the next epoch begins, so that callbacks at
 * the end of the epoch (a model checkpoint, a copy of the best weights) use the weights that were validated.
 */
#include <stdio.h>
#include <string.h>

#include "train/callbacks/callbacks.h"
#include "train/run/training.h"

typedef struct swap {
    glia_watcher watcher;
    bool at_end;
    int64_t swapped; /* saved in checkpoints */
} swap;

/* Finds the average of the model's tensor at this index; false if it has none. */
static bool average_of(const glia_progress *p, int index, glia_array *weight, glia_array *average) {
    char name[512];
    const glia_training *t = p->training;
    *weight = glia_store_entry(p->model->store, index);
    for (int i = 0; i < t->n_groups; i++) {
        snprintf(name, sizeof name, "%s/ema/%s", t->groups[i], weight->name);
        if (glia_store_look(t->states, name, average)) return true;
    }
    return false;
}

static void exchange(const glia_progress *p, swap *s) {
    for (int i = 0; i < glia_store_count(p->model->store); i++) {
        glia_array weight, average;
        if (!average_of(p, i, &weight, &average)) continue;
        char block[4096], *a = weight.data, *b = average.data;
        for (size_t rest = glia_shape_bytes(weight.shape, weight.dtype); rest > 0;) {
            size_t n = GLIA_MIN(rest, sizeof block);
            memcpy(block, a, n);
            memcpy(a, b, n);
            memcpy(b, block, n);
            a += n, b += n, rest -= n;
        }
    }
    s->swapped = !s->swapped;
    glia_store_touch(glia_training_states(p->training));
}

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    (void)context;
    for (int i = 0; i < glia_store_count(p->model->store); i++) {
        glia_array weight, average;
        if (!average_of(p, i, &weight, &average)) continue;
        if (weight.dtype == average.dtype) return GLIA_OK;
        return glia_fail(error, GLIA_E_UNSUPPORTED, "swapping averages: '%s' is %s and its average %s", weight.name,
                         glia_dtype_name(weight.dtype), glia_dtype_name(average.dtype));
    }
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "swapping averages: the optimiser keeps none; set optimizer.ema, e.g. 0.99");
}

static glia_status validation_begin(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    exchange(p, context);
    return GLIA_OK;
}

static glia_status epoch_begin(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    swap *s = context;
    if (s->swapped) exchange(p, s);
    return GLIA_OK;
}

static glia_status end(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    swap *s = context;
    if (s->swapped != s->at_end) exchange(p, s);
    return GLIA_OK;
}

static void *state(void *context, size_t *bytes) {
    *bytes = sizeof(int64_t);
    return &((swap *)context)->swapped;
}

glia_callback glia_swap_ema_weights(bool swap_at_end) {
    glia_callback c = glia_watcher_create("SwapEMAWeights", sizeof(swap));
    swap *s = c.context;
    if (!s) return c;
    s->at_end = swap_at_end;
    c.train_begin = begin;
    c.epoch_begin = epoch_begin;
    c.validation_begin = validation_begin;
    c.train_end = end;
    c.state = state;
    return c;
}
