/* model_checkpoint.c - saves the model during training, always or only when it improves.
 *
 * With min_seconds the best values may be held in memory. They are written before a training checkpoint is saved, so
 * the file is never older than the best value in the saved state.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "train/callbacks/callbacks.h"
#include "train/run/training.h"

typedef struct model_checkpoint {
    glia_watcher watcher;
    glia_model_checkpoint_opts opts;
    glia_monitor monitor;
    const char *path;
    double best;   /* the saved state */
    char *waiting; /* values of the best model, if `waits`; NULL: every save is immediate */
    bool waits;
    double saved; /* time of the last save, or of the start of training */
} model_checkpoint;

/* Formats a placeholder: {epoch}, {step}, {val_loss}, {val_loss:.2f} (digits after the decimal point). */
static bool put_figure(const glia_progress *p, const char *name, size_t length, glia_text *out) {
    char word[80];
    int digits = 4;
    if (length >= sizeof word) return false;
    memcpy(word, name, length);
    word[length] = 0;
    char *colon = strchr(word, ':');
    if (colon) {
        if (colon[1] != '.' || colon[2] < '0' || colon[2] > '9') return false;
        digits = colon[2] - '0';
        *colon = 0;
    }
    if (strcmp(word, "epoch") == 0) {
        glia_text_printf(out, "%lld", (long long)p->epoch);
        return true;
    }
    if (strcmp(word, "step") == 0) {
        glia_text_printf(out, "%lld", (long long)p->done);
        return true;
    }
    for (int i = 0; i < p->n_values; i++) {
        if (strcmp(p->values[i].name, word)) continue;
        glia_text_printf(out, "%.*f", digits, p->values[i].value);
        return true;
    }
    return false;
}

/* The path with its placeholders replaced; free with free(). */
static glia_status expand(const char *path, const glia_progress *p, char **made, glia_error *error) {
    glia_text out = { 0 };
    glia_status status = GLIA_OK;
    for (const char *at = path; *at && status == GLIA_OK;) {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        if (!close) {
            glia_text_append(&out, at++, 1);
        } else if (put_figure(p, at + 1, (size_t)(close - at - 1), &out)) {
            at = close + 1;
        } else {
            status = glia_fail(error, GLIA_E_ARGUMENT, "the checkpoint's path '%s': there is no value %.*s", path,
                               (int)(close - at + 1), at);
        }
    }
    if (status == GLIA_OK && (out.failed || !out.bytes)) status = glia_fail_nomem(error);
    *made = status == GLIA_OK ? out.bytes : NULL;
    if (status != GLIA_OK) free(out.bytes);
    return status;
}

/* Saves the values held in memory, then restores the model's current ones. */
static glia_status save_waiting(const glia_progress *p, void *context, glia_error *error) {
    model_checkpoint *m = context;
    if (!m->waits) return GLIA_OK;
    char *present = malloc(glia_store_copy(p->model->store, NULL, false) + 1);
    if (!present) return glia_fail_nomem(error);
    glia_store_copy(p->model->store, present, false);
    glia_store_copy(p->model->store, m->waiting, true);
    glia_status status = glia_model_save(p->model, m->path, error);
    glia_store_copy(p->model->store, present, true);
    free(present);
    m->waits = status != GLIA_OK;
    m->saved = glia_seconds();
    return status;
}

static glia_status save_now(const glia_progress *p, model_checkpoint *m, glia_error *error) {
    char *path;
    glia_status status = expand(m->path, p, &path, error);
    if (status != GLIA_OK) return status;
    status = glia_model_save(p->model, path, error);
    free(path);
    if (status == GLIA_OK) m->waits = false;
    m->saved = glia_seconds();
    return status;
}

static glia_status save(const glia_progress *p, model_checkpoint *m, glia_error *error) {
    if (!m->opts.save_best_only) return save_now(p, m, error);
    double value = 0;
    glia_status status = glia_monitor_read(&m->monitor, "model checkpoint", p, &value, error);
    if (status != GLIA_OK) return status;
    const bool early = m->waiting && glia_seconds() - m->saved < m->opts.min_seconds;
    if (!glia_monitor_better(&m->monitor, value, m->best)) return early ? GLIA_OK : save_waiting(p, m, error);
    if (early) {
        glia_store_copy(p->model->store, m->waiting, false);
        m->waits = true;
    } else {
        status = save_now(p, m, error);
    }
    if (status == GLIA_OK) m->best = value;
    return status;
}

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    model_checkpoint *m = context;
    m->best = glia_monitor_worst(&m->monitor);
    m->saved = glia_seconds();
    glia_status status = glia_watcher_begin(p, context, error);
    if (status != GLIA_OK || !m->opts.save_best_only) return status;
    status = glia_monitor_check(&m->monitor, "model checkpoint", p, error);
    if (status != GLIA_OK || m->opts.min_seconds == 0 || strchr(m->path, '{')) return status;
    m->waiting = malloc(glia_store_copy(p->model->store, NULL, false) + 1);
    return m->waiting ? GLIA_OK : glia_fail_nomem(error);
}

static glia_status step_end(const glia_progress *p, void *context, glia_error *error) {
    model_checkpoint *m = context;
    return p->done % m->opts.save_freq ? GLIA_OK : save(p, m, error);
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    return save(p, context, error);
}

static void *state(void *context, size_t *bytes) {
    *bytes = sizeof(double);
    return &((model_checkpoint *)context)->best;
}

static void release(void *context) {
    free(((model_checkpoint *)context)->waiting);
    glia_watcher_free(context);
}

glia_callback glia_model_checkpoint(glia_model_checkpoint_opts opts) {
    glia_callback c = glia_watcher_create("ModelCheckpoint", sizeof(model_checkpoint));
    model_checkpoint *m = c.context;
    if (!m) return c;
    m->opts = opts;
    m->monitor = glia_monitor_create(&m->watcher, opts.monitor, opts.mode, 0);
    m->path = glia_watcher_text(&m->watcher, opts.path);
    if (!opts.path || !opts.path[0]) glia_watcher_fail(&m->watcher, GLIA_E_ARGUMENT, "a model checkpoint needs a path");
    if (!(opts.min_seconds >= 0)) glia_watcher_fail(&m->watcher, GLIA_E_ARGUMENT, "min_seconds cannot be negative");
    if (opts.save_freq < 0) glia_watcher_fail(&m->watcher, GLIA_E_ARGUMENT, "save_freq cannot be negative");
    c.train_begin = begin;
    if (opts.save_freq > 0)
        c.step_end = step_end;
    else
        c.epoch_end = epoch_end;
    c.train_end = save_waiting;
    c.save_begin = save_waiting;
    c.state = state;
    c.free = release;
    return c;
}
