/* fit.c - supervised training: epochs of steps; each step is one run of one program.
 *
 *     model's graph ── copy ──► + target, loss, accuracy, glia_minimize ──► programs for full batches and the last
 *     loader ──► x, y into the session's inputs ──► run ──► loss, accuracy
 *
 * Parameters belong to the model and change in place; the optimiser's states live as long as the fit. A step allocates
 * nothing and takes no lock except the loader's. Callbacks are called between steps. They may change the learning rate
 * and the position (by restoring a checkpoint before the first step), and may stop the training.
 *
 * With gradient accumulation, most steps run a program that only adds up gradients, and every k-th step runs the
 * program that applies them. These are two groups of updates of one graph (optim.h).
 *
 * When the loss stops being finite, the parameters are usually lost too. The model is then restored from a backup taken
 * at the start of the epoch.
 */
#include "train/fit/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"

/* ---- setup -------------------------------------------------------------------------------- */

static glia_status check_opts(const glia_model *model, const glia_dataset *data, glia_fit_opts *o, glia_error *error) {
    if (!model || !data) return glia_fail(error, GLIA_E_ARGUMENT, "training: needs a model and data");
    if (o->epochs < 0 || o->batch < 0 || o->max_steps < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "training: epochs, batch and max_steps cannot be negative");
    }
    if (o->n_callbacks < 0 || (o->n_callbacks > 0 && !o->callbacks)) {
        const int n = o->n_callbacks;
        o->n_callbacks = 0;
        return glia_fail(error, GLIA_E_ARGUMENT, "training: n_callbacks is %d, but callbacks is NULL", n);
    }
    o->label_smoothing = glia_option(o->label_smoothing, 0);
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "training: label_smoothing is %g, which is not in [0, 1)",
                         o->label_smoothing);
    }
    if (o->metrics && !o->validation) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "training: metrics need validation data");
    }
    if (!o->epochs) o->epochs = 1;
    if (!o->batch) o->batch = 32;
    return glia_lr_schedule_check(&o->schedule, error);
}

/* Dropout uses the state "rng": {seed, step}. Backends that compute in double keep 53 bits of the seed. */
static void seed_dropout(const glia_model *model, uint64_t seed) {
    glia_array rng;
    if (!glia_store_look(model->store, GLIA_RANDOM_STATE, &rng) || rng.dtype != GLIA_I64) return;
    *(int64_t *)rng.data = (int64_t)(seed & (((uint64_t)1 << 53) - 1));
    glia_store_touch(model->store);
}

static bool accumulates(const glia_training *t) { return t->opts.optimizer.accumulate > 1; }

/* The denominator of a batch's mean loss: number of labels or samples; the last batch may have fewer. */
static glia_tensor batch_weight(const glia_training *t) {
    if (!accumulates(t)) return NULL;
    if (t->train.measures.weight) return t->train.measures.weight;
    return glia_count_of(t->train.measures.loss->graph->outputs[0].node, GLIA_SHAPE(0));
}

static glia_status begin_training(glia_training *t, glia_model *model, glia_error *error) {
    glia_fit_opts *o = &t->opts;
    glia_error reason = { 0 };
    glia_loader_opts how = { .batch = o->batch,
                             .shuffle = true,
                             .seed = o->seed,
                             .workers = o->workers,
                             .augment = o->augment,
                             .weights = o->sample_weights,
                             .stratified = o->stratified };
    glia_status status = glia_task_begin(&t->train, model, o->backend, o->threads, GLIA_TRAIN, error);
    if (status != GLIA_OK) return status;
    t->train_loader = glia_loader_create(t->data, how, &reason);
    if (!t->train_loader) return glia_fail(error, reason.status, "%s", reason.message);
    glia_arrays y = { .y_dtype = glia_loader_y_dtype(t->train_loader),
                      .y_shape = glia_loader_y_shape(t->train_loader) };
    glia_loss_opts loss = { o->loss, o->label_smoothing, o->class_weights };
    status = glia_task_measure(&t->train, t->data, &y, loss, error);
    if (status != GLIA_OK) return status;
    t->train.precision = o->precision;
    if (o->schedule.momentum_low > 0) o->optimizer.momentum_input = true;
    glia_optimizer optimizer = o->optimizer;
    optimizer.batch_weight = batch_weight(t);
    glia_minimize(t->train.measures.loss, optimizer, NULL, NULL);
    t->train.updates = "train";
    status = glia_graph_check(t->train.graph, error);
    if (status == GLIA_OK) status = glia_task_prepare(&t->train, glia_data_count(t->data), o->batch, error);
    if (status != GLIA_OK || !accumulates(t)) return status;
    t->train.updates = "train.hold";
    return glia_task_prepare(&t->train, glia_data_count(t->data), o->batch, error);
}

/* Creates a metric on the validation data; its text may use their class names. */
static glia_metric *make_metric(const glia_training *t, const char *text, int64_t classes, glia_error *error) {
    const glia_dataset *data = t->opts.validation;
    const int64_t labels = classes == 1 ? 2 : classes;
    const bool named = glia_data_classes(data) == labels && glia_data_class_name(data, 0);
    const char **names = named ? malloc((size_t)labels * sizeof *names) : NULL;
    if (named && !names) {
        glia_fail_nomem(error);
        return NULL;
    }
    for (int i = 0; named && i < labels; i++) names[i] = glia_data_class_name(data, i);
    glia_metric *metric = glia_metric_create_named(text, classes, names, error);
    free(names);
    return metric;
}

/* Creates the metrics named in the options. */
static glia_status make_metrics(glia_training *t, glia_error *error) {
    const char *at = t->opts.metrics;
    t->scores_at = -1;
    if (!at) return GLIA_OK;
    const glia_named *output = &t->validation.graph->outputs[0];
    const int64_t classes = -glia_shape_count(output->node->shape);
    if (output->node->shape.rank > 2 || classes < 1) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "metrics take an output (N, K), not '%s'", output->name);
    }
    for (int depth = 0; *at; at += *at == ',') {
        const char *end = at;
        for (; *end && (*end != ',' || depth); end++) depth += (*end == '(') - (*end == ')');
        char text[64];
        const size_t length = (size_t)(end - at);
        if (t->n_metrics == GLIA_FIT_METRICS || length >= sizeof text - 4) {
            return glia_fail(error, GLIA_E_ARGUMENT, "too many or too long metrics: '%.64s'", at);
        }
        memcpy(text, at, length);
        text[length] = 0;
        glia_error reason = { 0 };
        glia_metric *metric = make_metric(t, text + strspn(text, " "), classes, &reason);
        if (!metric) return glia_fail(error, reason.status, "%s", reason.message);
        glia_metric_assume_logits(metric, t->validation.measures.logits);
        memcpy(t->names[t->n_metrics], "val_", 4);
        memcpy(t->names[t->n_metrics] + 4, text + strspn(text, " "), length + 1 - strspn(text, " "));
        t->metrics[t->n_metrics++] = metric;
        at = end;
    }
    t->scores_at = glia_task_output(&t->validation, output->node);
    return GLIA_OK;
}

static glia_status begin_validation(glia_training *t, glia_model *model, glia_error *error) {
    enum { BATCH = 256 };
    const glia_fit_opts *o = &t->opts;
    if (!o->validation) return GLIA_OK;
    glia_status status = glia_task_begin(&t->validation, model, t->train.backend, 0, GLIA_INFER, error);
    if (status == GLIA_OK)
        status = glia_task_measure(&t->validation, o->validation, NULL, (glia_loss_opts){ .loss = o->loss }, error);
    if (status == GLIA_OK) status = make_metrics(t, error);
    if (status == GLIA_OK) status = glia_task_prepare(&t->validation, glia_data_count(o->validation), BATCH, error);
    if (status != GLIA_OK) return status;
    glia_error reason = { 0 };
    t->validation_loader =
        glia_loader_create(o->validation, (glia_loader_opts){ .batch = BATCH, .workers = o->workers }, &reason);
    return t->validation_loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static void describe(glia_training *t, glia_model *model) {
    const float *lr = glia_session_input(t->train.lanes[0].session, "lr", NULL, NULL);
    t->full_lr = lr ? (double)*lr : 0;
    t->scale = 1;
    t->fixed_lr = NAN;
    t->epoch_steps = glia_loader_batches(t->train_loader);
    t->total = t->opts.epochs * t->epoch_steps;
    if (t->opts.max_steps > 0) t->total = GLIA_MIN(t->total, t->opts.max_steps);
    glia_program_info info = glia_program_inspect(t->train.lanes[0].program);
    t->progress = (glia_progress){ .training = t,
                                   .model = model,
                                   .epochs = t->opts.epochs,
                                   .epoch = 1,
                                   .steps = GLIA_MIN(t->epoch_steps, t->total),
                                   .total = t->total,
                                   .loss = NAN,
                                   .values = t->values,
                                   .activation_bytes = info.activation_bytes,
                                   .parameter_bytes = info.parameter_bytes,
                                   .validation = { .loss = NAN, .accuracy = NAN } };
}

/* ---- the backup --------------------------------------------------------------------------- */

size_t glia_training_backup_bytes(const glia_training *t) {
    return glia_store_copy(t->train.model->store, NULL, false) +
           (t->keeps_states ? glia_store_copy(t->train.store, NULL, false) : 0);
}

void glia_training_back_up(glia_training *t, bool restore) {
    const size_t first = glia_store_copy(t->train.model->store, t->backup, restore);
    if (t->keeps_states) glia_store_copy(t->train.store, t->backup + first, restore);
}

/* ---- callbacks ---------------------------------------------------------------------------- */

/* Updates the progress: values of the epoch so far, and those of the validation if `validated`. */
static void tell(glia_training *t, double began, bool validated) {
    glia_progress *p = &t->progress;
    p->epoch = t->epoch + 1;
    p->step = t->step;
    p->done = t->done;
    p->samples = t->tally.samples;
    p->seconds = glia_seconds() - began;
    p->train = glia_tally_mean(&t->tally, p->seconds);
    int n = 0;
    t->values[n++] = (glia_value){ "loss", p->train.loss };
    if (t->train.accuracy_at >= 0) t->values[n++] = (glia_value){ "accuracy", p->train.accuracy };
    if (validated) {
        t->values[n++] = (glia_value){ "val_loss", p->validation.loss };
        if (t->validation.accuracy_at >= 0) t->values[n++] = (glia_value){ "val_accuracy", p->validation.accuracy };
        for (int i = 0; i < t->n_metrics; i++) {
            t->values[n++] = (glia_value){ t->names[i], glia_metric_result(t->metrics[i]) };
        }
    }
    t->values[n++] = (glia_value){ "lr", p->lr };
    p->n_values = n;
}

/* Copies the list; callbacks with after_others come last. */
static glia_status order_callbacks(glia_training *t, glia_error *error) {
    const int n = t->opts.n_callbacks;
    t->callbacks = malloc(((size_t)n + 1) * sizeof *t->callbacks);
    if (!t->callbacks) return glia_fail_nomem(error);
    int at = 0;
    for (int last = 0; last < 2; last++) {
        for (int i = 0; i < n; i++) {
            if (t->opts.callbacks[i].after_others == last) t->callbacks[at++] = t->opts.callbacks[i];
        }
    }
    return GLIA_OK;
}

/* Calls the function at this offset of every callback whose train_begin has succeeded. */
static glia_status call(glia_training *t, size_t offset, glia_error *error) {
    const bool first = offset == offsetof(glia_callback, train_begin);
    for (int i = 0; first ? t->begun < t->opts.n_callbacks : i < t->begun; i++) {
        const glia_callback *c = &t->callbacks[i];
        glia_callback_fn fn = *(const glia_callback_fn *)(const void *)((const char *)c + offset);
        glia_error reason = { 0 };
        glia_status status = fn ? fn(&t->progress, c->context, &reason) : GLIA_OK;
        t->begun += first && status == GLIA_OK;
        if (status == GLIA_OK) continue;
        if (reason.message[0]) return glia_fail(error, status, "%s", reason.message);
        if (status != GLIA_E_INTERRUPTED) {
            return glia_fail(error, status, "the callback %s: %s", c->name ? c->name : "(no name)",
                             glia_status_name(status));
        }
        return glia_fail(error, status, "training was stopped in epoch %lld after step %lld of %lld",
                         (long long)t->progress.epoch, (long long)t->progress.step, (long long)t->progress.steps);
    }
    return GLIA_OK;
}
#define CALL(t, moment, error) call(t, offsetof(glia_callback, moment), error)

glia_status glia_training_save_begin(glia_training *t, glia_error *error) { return CALL(t, save_begin, error); }

double glia_progress_value(const glia_progress *p, const char *name) {
    if (!p || !name) return NAN;
    for (int i = 0; i < p->n_values; i++) {
        if (strcmp(p->values[i].name, name) == 0) return p->values[i].value;
    }
    return NAN;
}

void glia_training_stop(glia_training *t) {
    if (t) t->stop = true;
}
void glia_training_scale_lr(glia_training *t, double factor) {
    if (t) t->scale = factor;
}
double glia_training_lr_scale(const glia_training *t) { return t ? t->scale : 1; }
void glia_training_set_lr(glia_training *t, double lr) {
    if (t) t->fixed_lr = lr;
}
glia_store *glia_training_states(glia_training *t) { return t ? t->train.store : NULL; }

/* ---- running ------------------------------------------------------------------------------ */

/* The learning rate of the next step. */
static double rate(const glia_training *t) {
    if (!isnan(t->fixed_lr)) return t->fixed_lr;
    return t->scale * glia_lr_schedule_rate(&t->opts.schedule, t->full_lr, t->done, t->total, t->epoch_steps);
}

glia_lane *glia_training_lane(glia_training *t, int64_t batch, glia_error *error) {
    const int64_t k = t->opts.optimizer.accumulate;
    t->train.updates = accumulates(t) && (t->done + 1) % k ? "train.hold" : "train";
    glia_lane *lane = glia_task_lane(&t->train, batch, error);
    if (!lane) return NULL;
    float *lr = glia_session_input(lane->session, "lr", NULL, NULL);
    t->progress.lr = rate(t);
    if (lr) *lr = (float)t->progress.lr;
    float *momentum = glia_session_input(lane->session, "momentum", NULL, NULL);
    if (momentum) {
        *momentum = (float)glia_lr_schedule_momentum(&t->opts.schedule, t->opts.optimizer.momentum, t->done, t->total,
                                                     t->epoch_steps);
    }
    return lane;
}

static glia_status diverged(glia_training *t, double loss, glia_error *error) {
    char origin[360] = "";
    glia_status status = GLIA_OK;
    const int64_t step = t->step + 1;
    if (t->diagnoses) status = glia_training_diagnose(t, step, origin, sizeof origin, error);
    if (status != GLIA_OK) return status;
    glia_training_back_up(t, true);
    return glia_fail(
        error, GLIA_E_ARGUMENT,
        "the loss became %g in epoch %lld, step %lld of %lld%s%s. The model was restored to the values at the start of "
        "this epoch. A smaller learning rate or clip_norm (e.g. 1) usually helps; if it happens at once, look for "
        "nan or huge numbers in the data",
        loss, (long long)t->progress.epoch, (long long)step, (long long)t->progress.steps, origin[0] ? ": " : "",
        origin);
}

/* Passes the outputs of a validation batch to the metrics. */
static void gather_scores(void *context, const glia_lane *lane, const glia_batch *batch) {
    glia_training *t = context;
    glia_array scores = glia_session_output(lane->session, t->scores_at);
    for (int i = 0; i < t->n_metrics; i++) {
        /* Labels were checked when training began. */
        if (scores.dtype == GLIA_F32) glia_metric_update(t->metrics[i], scores.data, batch->y, batch->n, NULL);
    }
}

static glia_status validate(glia_training *t, glia_error *error) {
    t->progress.validation = (glia_scores){ .loss = NAN, .accuracy = NAN };
    if (!t->validation_loader) return GLIA_OK;
    double began = glia_seconds();
    glia_tally tally = { 0 };
    glia_status status = CALL(t, validation_begin, error);
    if (status != GLIA_OK) return status;
    for (int i = 0; i < t->n_metrics; i++) glia_metric_reset(t->metrics[i]);
    glia_task_look(&t->validation);
    status =
        glia_task_pass(&t->validation, t->validation_loader, 0, &tally, t->n_metrics ? gather_scores : NULL, t, error);
    if (status == GLIA_OK) t->progress.validation = glia_tally_mean(&tally, glia_seconds() - began);
    glia_status after = CALL(t, validation_end, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

/* Runs steps from the current position to the end of the epoch. */
static glia_status run_steps(glia_training *t, double began, glia_error *error) {
    glia_batch batch;
    glia_status status = glia_loader_start_at(t->train_loader, t->epoch, t->step, error);
    while (status == GLIA_OK && !t->stop && t->step < t->progress.steps && glia_loader_next(t->train_loader, &batch)) {
        glia_lane *lane = glia_training_lane(t, batch.n, error);
        if (!lane) return GLIA_E_INTERNAL;
        status = glia_lane_run(lane, batch.x, batch.y, error);
        if (status != GLIA_OK) return status;
        glia_tally_add(&t->tally, &t->train, lane);
        t->progress.loss = glia_lane_scalar(lane, t->train.loss_at);
        if (!isfinite(t->progress.loss)) return diverged(t, t->progress.loss, error);
        t->step++;
        t->done++;
        if (t->opts.n_callbacks == 0) continue;
        tell(t, began, false);
        status = CALL(t, step_end, error);
    }
    return status == GLIA_OK ? glia_loader_check(t->train_loader, error) : status;
}

static glia_status run_epoch(glia_training *t, glia_error *error) {
    const double began = glia_seconds() - t->seconds;
    const bool whole = t->step == 0; /* otherwise it continues from a checkpoint */
    if (whole) t->tally = (glia_tally){ 0 };
    t->seconds = 0;
    t->ended = false;
    t->progress.steps = GLIA_MIN(t->epoch_steps, t->step + t->total - t->done);
    t->progress.lr = rate(t);
    tell(t, began, false);
    glia_training_back_up(t, false);
    t->began_at = t->step;
    glia_status status = whole ? CALL(t, epoch_begin, error) : GLIA_OK;
    if (status == GLIA_OK) status = run_steps(t, began, error);
    const bool over = t->step == t->progress.steps;
    if (status == GLIA_OK && over) status = validate(t, error);
    if (status != GLIA_OK || !over) return status;
    t->ended = true;
    tell(t, began, t->validation_loader != NULL);
    if (t->step == t->epoch_steps)
        t->epoch++, t->step = 0; /* before a checkpoint is saved; max_steps may cut the epoch short */
    return CALL(t, epoch_end, error);
}

/* True if a step remains, or the end of an epoch after a checkpoint saved at its last step. */
static bool goes_on(const glia_training *t) {
    const bool whole = t->step == t->epoch_steps || t->done == t->total;
    return (t->step > 0 && whole && !t->ended) || (!t->stop && t->epoch < t->opts.epochs && t->done < t->total);
}

/* Calls the callbacks first; the first of them may restore a checkpoint. */
static glia_status run(glia_training *t, glia_error *error) {
    t->progress.lr = rate(t);
    tell(t, glia_seconds(), t->validation_loader != NULL);
    for (int i = 0; i < t->progress.n_values; i++) t->values[i].value = NAN;
    glia_status status = order_callbacks(t, error);
    if (status == GLIA_OK) status = CALL(t, train_begin, error);
    if (status == GLIA_OK) status = glia_training_restore_callbacks(t, error);
    if (status == GLIA_OK) {
        t->backup = malloc(glia_training_backup_bytes(t) + 1);
        status = t->backup ? GLIA_OK : glia_fail_nomem(error);
    }
    while (status == GLIA_OK && goes_on(t)) status = run_epoch(t, error);
    glia_error late = { 0 };
    glia_status ended = CALL(t, train_end, &late);
    if (status == GLIA_OK && ended != GLIA_OK) status = glia_fail(error, ended, "%s", late.message);
    return status;
}

static void end(glia_training *t) {
    glia_loader_free(t->train_loader);
    glia_loader_free(t->validation_loader);
    glia_task_end(&t->validation); /* before `train`, whose backend it borrows */
    glia_task_end(&t->train);
    for (int i = 0; i < t->n_metrics; i++) glia_metric_free(t->metrics[i]);
    glia_restored_free(t->restored);
    free(t->backup);
    free(t->callbacks);
    for (int i = 0; i < t->opts.n_callbacks; i++) {
        if (t->opts.callbacks[i].free) t->opts.callbacks[i].free(t->opts.callbacks[i].context);
    }
}

glia_status glia_fit(glia_model *model, const glia_dataset *data, glia_fit_opts opts, glia_error *error) {
    glia_training t = { .opts = opts, .data = data };
    glia_status status = check_opts(model, data, &t.opts, error);
    if (status == GLIA_OK) status = glia_model_ready(model, opts.seed, error);
    if (status == GLIA_OK) status = begin_training(&t, model, error);
    if (status == GLIA_OK) status = begin_validation(&t, model, error);
    if (status == GLIA_OK) {
        seed_dropout(model, opts.seed);
        describe(&t, model);
        status = run(&t, error);
    }
    end(&t);
    return status;
}
