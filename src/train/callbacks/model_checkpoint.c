/* model_checkpoint.c - saves the model as training goes on, or whenever it is better than before. */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "train/callbacks/callbacks.h"

typedef struct model_checkpoint {
    glia_watcher watcher;
    glia_model_checkpoint_opts opts;
    glia_monitor monitor;
    const char *path;
    double best; /* what a checkpoint keeps */
} model_checkpoint;

/* A figure in braces: {epoch}, {step}, {val_loss}, {val_loss:.2f} (digits behind the point). */
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

/* The path with its figures put in; to free(). */
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
            status = glia_fail(error, GLIA_E_ARGUMENT, "the checkpoint's path '%s': there is no figure %.*s", path,
                               (int)(close - at + 1), at);
        }
    }
    if (status == GLIA_OK && (out.failed || !out.bytes)) status = glia_fail_nomem(error);
    *made = status == GLIA_OK ? out.bytes : NULL;
    if (status != GLIA_OK) free(out.bytes);
    return status;
}

static glia_status save(const glia_progress *p, model_checkpoint *m, glia_error *error) {
    double value = 0;
    glia_status status = GLIA_OK;
    if (m->opts.save_best_only) {
        status = glia_monitor_read(&m->monitor, "model checkpoint", p, &value, error);
        if (status != GLIA_OK || !glia_monitor_better(&m->monitor, value, m->best)) return status;
    }
    char *path;
    status = expand(m->path, p, &path, error);
    if (status == GLIA_OK) {
        status = glia_model_save(p->model, path, error);
        free(path);
    }
    if (status == GLIA_OK) m->best = value;
    return status;
}

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    model_checkpoint *m = context;
    m->best = glia_monitor_worst(&m->monitor);
    return glia_watcher_begin(p, context, error);
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

glia_callback glia_model_checkpoint(glia_model_checkpoint_opts opts) {
    glia_callback c = glia_watcher_create("ModelCheckpoint", sizeof(model_checkpoint));
    model_checkpoint *m = c.context;
    if (!m) return c;
    m->opts = opts;
    m->monitor = glia_monitor_create(&m->watcher, opts.monitor, opts.mode, 0);
    m->path = glia_watcher_text(&m->watcher, opts.path);
    if (!opts.path || !opts.path[0]) glia_watcher_fail(&m->watcher, GLIA_E_ARGUMENT, "a model checkpoint needs a path");
    if (opts.save_freq < 0) glia_watcher_fail(&m->watcher, GLIA_E_ARGUMENT, "save_freq cannot be negative");
    c.train_begin = begin;
    if (opts.save_freq > 0)
        c.step_end = step_end;
    else
        c.epoch_end = epoch_end;
    c.state = state;
    return c;
}
