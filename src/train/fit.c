/* fit.c - supervised training: epochs of steps, each one run of one program.
 *
 *     model's graph ── copy ──► + target, loss, accuracy, glia_minimize ──► programs for full batches and the last
 *     loader ──► x, y into the session's inputs ──► run ──► loss, accuracy
 *
 * Parameters are the model's own and change in place; the optimiser's states live as long as the fit. A step allocates
 * nothing and takes no lock but the loader's.
 *
 * When the loss stops being a finite number the parameters are lost too, usually. A copy of them, made when each epoch
 * begins, is what the model gets back then.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/task.h"

typedef struct fit {
    glia_fit_opts opts; /* defaults filled in */
    glia_task train, validation;
    glia_loader *train_loader, *validation_loader;
    char *backup; /* of the model's store, as the epoch began */
    size_t backup_bytes;
    int64_t done;   /* steps in all */
    int64_t total;  /* steps that there will be */
    double full_lr; /* what the schedule begins with */
    glia_progress progress;
} fit;

/* ---- preparing ---------------------------------------------------------------------------- */

static glia_status check_opts(const glia_model *model, const glia_dataset *data, glia_fit_opts *o, glia_error *error) {
    if (!model || !data) return glia_fail(error, GLIA_E_ARGUMENT, "glia_fit: needs a model and data");
    if (o->epochs < 0 || o->batch < 0 || o->max_steps < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_fit: epochs, batch and max_steps cannot be negative");
    }
    if (o->warmup < 0 || !(o->lr_end >= 0) || !isfinite(o->lr_end)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_fit: warmup and lr_end cannot be negative");
    }
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_fit: label_smoothing is %g, which is not in [0, 1)",
                         o->label_smoothing);
    }
    if (!o->epochs) o->epochs = 1;
    if (!o->batch) o->batch = 32;
    return GLIA_OK;
}

/* Dropout draws from the state "rng": {seed, step}. A backend that computes in double keeps 53 bits. */
static void seed_dropout(const glia_model *model, uint64_t seed) {
    glia_array rng;
    if (!glia_store_look(model->store, "rng", &rng) || rng.dtype != GLIA_I64) return;
    *(int64_t *)rng.data = (int64_t)(seed & (((uint64_t)1 << 53) - 1));
    glia_store_touch(model->store);
}

static glia_status begin_training(fit *f, glia_model *model, const glia_dataset *data, glia_error *error) {
    glia_fit_opts *o = &f->opts;
    glia_status status = glia_task_begin(&f->train, model, o->backend, o->threads, GLIA_TRAIN, error);
    if (status == GLIA_OK) status = glia_task_measure(&f->train, data, o->loss, o->label_smoothing, error);
    if (status != GLIA_OK) return status;
    f->train.precision = o->precision;
    glia_minimize(f->train.measures.loss, o->optimizer, NULL, NULL);
    status = glia_graph_check(f->train.graph, error);
    if (status == GLIA_OK) status = glia_task_prepare(&f->train, glia_data_count(data), o->batch, error);
    if (status != GLIA_OK) return status;
    glia_loader_opts how = { .batch = o->batch, .shuffle = true, .seed = o->seed, .workers = o->workers };
    glia_error reason = { 0 };
    f->train_loader = glia_loader_create(data, how, &reason);
    return f->train_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static glia_status begin_validation(fit *f, glia_model *model, glia_error *error) {
    enum { BATCH = 256 };
    const glia_fit_opts *o = &f->opts;
    if (!o->validation) return GLIA_OK;
    glia_status status = glia_task_begin(&f->validation, model, f->train.backend, 0, GLIA_INFER, error);
    if (status == GLIA_OK) status = glia_task_measure(&f->validation, o->validation, o->loss, 0, error);
    if (status == GLIA_OK) status = glia_task_prepare(&f->validation, glia_data_count(o->validation), BATCH, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    f->validation_loader =
        glia_loader_create(o->validation, (glia_loader_opts){ .batch = BATCH, .workers = o->workers }, &reason);
    return f->validation_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* Copies the model's values to the backup, or back. */
static void back_up(fit *f, const glia_store *store, bool restore) {
    char *at = f->backup;
    if (restore) glia_store_touch(store);
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_entry(store, i);
        size_t bytes = glia_shape_bytes(a.shape, a.dtype);
        memcpy(restore ? a.data : at, restore ? at : a.data, bytes);
        at += bytes;
    }
}

static glia_status make_backup(fit *f, const glia_store *store, glia_error *error) {
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_entry(store, i);
        f->backup_bytes += glia_shape_bytes(a.shape, a.dtype);
    }
    f->backup = malloc(f->backup_bytes + 1);
    return f->backup ? GLIA_OK : glia_fail_nomem(error);
}

static void end(fit *f) {
    glia_loader_free(f->train_loader);
    glia_loader_free(f->validation_loader);
    glia_task_end(&f->validation); /* it borrows the backend of the other */
    glia_task_end(&f->train);
    free(f->backup);
}

/* ---- the learning rate ---------------------------------------------------------------------- */

/* In step 0, 1, ..., total - 1. */
static double rate_at(const fit *f, int64_t step) {
    const glia_fit_opts *o = &f->opts;
    if (step < o->warmup) return f->full_lr * (double)(step + 1) / (double)o->warmup;
    double share = (double)(step - o->warmup) / (double)GLIA_MAX(f->total - o->warmup, 1);
    switch (o->schedule) {
    case GLIA_LR_LINEAR: return f->full_lr + (o->lr_end - f->full_lr) * share;
    case GLIA_LR_COSINE: return o->lr_end + (f->full_lr - o->lr_end) * (1 + cos(M_PI * share)) / 2;
    default: return f->full_lr;
    }
}

/* Gives the step that comes its learning rate. */
static void set_rate(fit *f, const glia_lane *lane) {
    float *lr = glia_session_input(lane->session, "lr", NULL);
    f->progress.lr = rate_at(f, f->done);
    if (lr) *lr = (float)f->progress.lr;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Tells the callback. false: it wants to stop. */
static bool report(fit *f, const glia_tally *tally, int64_t step, double began) {
    glia_progress *p = &f->progress;
    p->step = step;
    p->samples = tally->samples;
    p->seconds = glia_seconds() - began;
    p->train = glia_tally_mean(tally, p->seconds);
    return !f->opts.progress || f->opts.progress(p, f->opts.context);
}

static glia_status interrupted(const fit *f, glia_error *error) {
    return glia_fail(error, GLIA_E_INTERRUPTED, "training was stopped in epoch %lld after step %lld of %lld",
                     (long long)f->progress.epoch, (long long)f->progress.step, (long long)f->progress.steps);
}

static glia_status diverged(fit *f, double loss, int64_t step, glia_error *error) {
    back_up(f, f->train.model->store, true);
    return glia_fail(
        error, GLIA_E_ARGUMENT,
        "the loss became %g in epoch %lld, step %lld of %lld. The model has again the values with which this epoch "
        "began. A smaller learning rate or clip_norm (e.g. 1) usually helps; if it happens at once, look for "
        "nan or huge numbers in the data",
        loss, (long long)f->progress.epoch, (long long)step, (long long)f->progress.steps);
}

/* One pass over the validation data. */
static glia_status validate(fit *f, int64_t epoch, glia_error *error) {
    f->progress.validation = (glia_scores){ .loss = NAN, .accuracy = NAN };
    if (!f->validation_loader) return GLIA_OK;
    double began = glia_seconds();
    glia_tally tally = { 0 };
    glia_task_look(&f->validation);
    glia_status status = glia_task_pass(&f->validation, f->validation_loader, epoch, &tally, NULL, NULL, error);
    if (status == GLIA_OK) f->progress.validation = glia_tally_mean(&tally, glia_seconds() - began);
    return status;
}

static glia_status run_epoch(fit *f, int64_t epoch, glia_error *error) {
    glia_progress *p = &f->progress;
    const bool limited = f->opts.max_steps > 0;
    double began = glia_seconds();
    glia_tally tally = { 0 };
    p->epoch = epoch + 1;
    p->steps = glia_loader_batches(f->train_loader);
    if (limited) p->steps = GLIA_MIN(p->steps, f->opts.max_steps - f->done);
    p->epoch_end = false;
    back_up(f, f->train.model->store, false);
    glia_status status = glia_loader_start(f->train_loader, epoch, error);
    if (status != GLIA_OK) return status;
    if (epoch == 0 && !report(f, &tally, 0, began)) return interrupted(f, error);

    glia_batch batch;
    for (int64_t step = 1; step <= p->steps && glia_loader_next(f->train_loader, &batch); step++, f->done++) {
        glia_lane *lane = glia_task_lane(&f->train, batch.n, error);
        if (!lane) return GLIA_E_INTERNAL;
        set_rate(f, lane);
        status = glia_lane_run(lane, batch.x, batch.y, error);
        if (status != GLIA_OK) return status;
        glia_tally_add(&tally, &f->train, lane);
        if (!isfinite(tally.loss)) return diverged(f, glia_lane_scalar(lane, f->train.loss_at), step, error);
        if (f->opts.progress && !report(f, &tally, step, began)) return interrupted(f, error);
    }
    status = glia_loader_check(f->train_loader, error);
    if (status == GLIA_OK) status = validate(f, epoch, error);
    if (status != GLIA_OK) return status;
    p->epoch_end = true;
    return report(f, &tally, p->steps, began) ? GLIA_OK : interrupted(f, error);
}

static void describe(fit *f, glia_model *model) {
    const float *lr = glia_session_input(f->train.lanes[0].session, "lr", NULL);
    f->full_lr = lr ? (double)*lr : 0;
    f->total = f->opts.epochs * glia_loader_batches(f->train_loader);
    if (f->opts.max_steps > 0) f->total = GLIA_MIN(f->total, f->opts.max_steps);
    glia_program_info info = glia_program_inspect(f->train.lanes[0].program);
    f->progress = (glia_progress){ .model = model,
                                   .epochs = f->opts.epochs,
                                   .lr = rate_at(f, 0),
                                   .activation_bytes = info.activation_bytes,
                                   .parameter_bytes = info.parameter_bytes,
                                   .validation = { .loss = NAN, .accuracy = NAN } };
}

glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error) {
    fit f = { .opts = opts };
    glia_status status = check_opts(model, data, &f.opts, error);
    if (status == GLIA_OK) status = glia_model_ready(model, opts.seed, error);
    if (status != GLIA_OK) return status;
    status = begin_training(&f, model, data, error);
    if (status == GLIA_OK) status = begin_validation(&f, model, error);
    if (status == GLIA_OK) status = make_backup(&f, model->store, error);
    if (status == GLIA_OK) {
        seed_dropout(model, opts.seed);
        describe(&f, model);
    }
    for (int64_t epoch = 0; status == GLIA_OK && epoch < f.opts.epochs; epoch++) {
        if (opts.max_steps > 0 && f.done >= opts.max_steps) break;
        status = run_epoch(&f, epoch, error);
    }
    end(&f);
    return status;
}
