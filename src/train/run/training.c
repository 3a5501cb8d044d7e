/* training.c - the run of a training, by whatever method: epochs of steps, callbacks, learning rate, restoring.
 *
 *     begin (method) ──► epochs: ┌ backup, epoch_begin ──► steps (method) ──► measure (method) ──► epoch_end ┐ ──► end
 *
 * The model's values change in place; `states` live as long as the training. Callbacks are called between steps. They
 * may change the learning rate and the position (by restoring a checkpoint before the first step), and may stop the
 * training.
 *
 * When the loss stops being finite, the parameters are usually lost too. The model is then restored from a backup taken
 * at the start of the epoch.
 */
#include "train/run/training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"

/* ---- setup -------------------------------------------------------------------------------- */

/* GLIA_E_ARGUMENT if the caller set an option that the method does not use. */
static glia_status check_unused(const glia_method_info *m, const glia_dataset *data, const glia_fit_opts *o,
                                glia_error *error) {
    const glia_optimizer none = { 0 };
    const struct {
        unsigned flag;
        bool set;
        const char *name;
    } options[] = {
        { GLIA_USES_DATA, data != NULL, "data" },
        { GLIA_USES_ENVIRONMENT, o->environment != NULL, "an environment" },
        { GLIA_USES_TARGETS, o->loss != GLIA_LOSS_DEFAULT, "a loss" },
        { GLIA_USES_TARGETS, glia_option(o->label_smoothing, 0) != 0, "label smoothing" },
        { GLIA_USES_TARGETS, o->class_weights != NULL, "class weights" },
        { GLIA_USES_TARGETS, o->stratified, "stratified batches" },
        { GLIA_USES_TARGETS, o->metrics != NULL, "metrics" },
        { GLIA_USES_TARGETS, o->n_phases != 0, "phases" },
        { GLIA_USES_TARGETS, o->optimizer.accumulate > 1, "accumulated gradients" },
        { GLIA_USES_VALIDATION, o->validation != NULL, "validation data" },
        { GLIA_USES_AUGMENT, o->augment != NULL, "augmentation" },
        { GLIA_USES_AUGMENT, o->sample_weights != NULL, "sample weights" },
        { GLIA_USES_OPTIMIZER, o->optimizer.kind != none.kind || o->optimizer.lr != 0, "an optimiser" },
        { GLIA_USES_OPTIMIZER, o->schedule.kind != GLIA_LR_CONSTANT, "a learning rate schedule" },
        { GLIA_USES_GRAPHS, o->graphs != NULL, "graphs" },
        { GLIA_USES_TEXT, o->text != NULL, "text" },
        { GLIA_USES_PRECISION, o->precision != GLIA_PRECISION_F32, "a precision" },
        { GLIA_USES_BATCH, o->batch != 0, "a batch size" },
        { GLIA_USES_DATA, o->workers != 0, "workers" },
    };
    for (int i = 0; i < GLIA_COUNT(options); i++) {
        if (options[i].set && !(m->uses & options[i].flag))
            return glia_fail(error, GLIA_E_ARGUMENT, "the method %s does not use %s", m->name, options[i].name);
    }
    return GLIA_OK;
}

static glia_status check_opts(glia_training *t, glia_error *error) {
    glia_fit_opts *o = &t->opts;
    const glia_method_info *m = &t->method->about;
    if (!t->model) return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: needs a model", m->name);
    if (!t->data && (m->uses & GLIA_USES_DATA))
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: needs data", m->name);
    if (!o->environment && (m->uses & GLIA_USES_ENVIRONMENT))
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: needs an environment", m->name);
    if (!o->graphs && (m->uses & GLIA_USES_GRAPHS))
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: needs graphs", m->name);
    if (!o->text && (m->uses & GLIA_USES_TEXT))
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: needs text", m->name);
    if (o->epochs < 0 || o->batch < 0 || o->max_steps < 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: epochs, batch and max_steps cannot be negative",
                         m->name);
    }
    if (o->n_callbacks < 0 || (o->n_callbacks > 0 && !o->callbacks)) {
        const int n = o->n_callbacks;
        o->n_callbacks = 0;
        return glia_fail(error, GLIA_E_ARGUMENT, "training by %s: %d callbacks, but no list of them", m->name, n);
    }
    if (!o->epochs) o->epochs = 1;
    glia_status status = check_unused(m, t->data, o, error);
    if (!o->batch && (m->uses & GLIA_USES_BATCH)) o->batch = 32;
    return status == GLIA_OK ? glia_lr_schedule_check(&o->schedule, error) : status;
}

glia_status glia_training_plain_sgd(const glia_training *t, glia_error *error) {
    const char *method = t->method->about.name;
    const glia_optimizer *o = &t->opts.optimizer;
    const double unused[] = { o->momentum, o->weight_decay, o->l1, o->l2, o->max_norm, o->clip_norm, o->clip_value,
                              o->ema };
    bool plain = o->kind == GLIA_SGD && !o->nesterov && !o->n_groups && o->accumulate <= 1 && !o->sparse;
    for (int i = 0; i < GLIA_COUNT(unused); i++) plain &= glia_option(unused[i], 0) == 0;
    if (!plain)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s learns by sgd with a learning rate alone", method);
    if (o->lr >= 0 && isfinite(o->lr)) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "%s: the learning rate is %g", method, o->lr);
}

/* ---- steps of restore ---------------------------------------------------------------------------- */

glia_status glia_training_take(const glia_array *own, const glia_array *arrays, int n, bool check_only,
                               glia_error *error) {
    const glia_array *from = NULL;
    for (int i = 0; i < n && !from; i++) {
        if (!strcmp(arrays[i].name, own->name)) from = &arrays[i];
    }
    if (!from || from->dtype != own->dtype || !glia_shape_equal(from->shape, own->shape)) {
        return glia_fail(error, GLIA_E_FORMAT, "has no '%s' of this training", own->name);
    }
    if (!check_only) memcpy(own->data, from->data, glia_shape_bytes(own->shape, own->dtype));
    return GLIA_OK;
}

/* ---- steps of begin ------------------------------------------------------------------------------ */

glia_status glia_training_copy_graph(glia_training *t, glia_graph **graph, glia_error *error) {
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(t->model, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    *graph = glia_graph_rewrite(t->model->graph, NULL, NULL, NULL, true, &reason);
    return *graph ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

glia_status glia_training_add_states(glia_training *t, const glia_graph *graph, glia_error *error) {
    const glia_status status = glia_graph_check(graph, error);
    if (status != GLIA_OK) return status;
    t->states = glia_store_create_over(t->model->store, error);
    return t->states ? glia_store_add(t->states, graph, t->opts.seed, error) : GLIA_E_NOMEM;
}

glia_status glia_training_load(glia_training *t, bool full, glia_error *error) {
    const glia_fit_opts *o = &t->opts;
    if (full && glia_data_count(t->data) < o->batch) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the %lld samples of '%s' do not fill a batch of %lld",
                         (long long)glia_data_count(t->data), glia_data_name(t->data), (long long)o->batch);
    }
    const glia_loader_opts opts = { .batch = o->batch,
                                    .shuffle = true,
                                    .drop_last = full,
                                    .seed = o->seed,
                                    .workers = o->workers,
                                    .augment = o->augment,
                                    .weights = o->sample_weights };
    glia_error reason = { 0 };
    t->loader = glia_loader_create(t->data, opts, &reason);
    return t->loader ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

void glia_training_take_sizes(glia_training *t, const glia_program *program) {
    const glia_program_info info = glia_program_inspect(program);
    t->activation_bytes = info.activation_bytes;
    t->parameter_bytes = info.parameter_bytes;
}

/* ---- the backend and random numbers --------------------------------------------------------------- */

static glia_status open_backend(glia_training *t, glia_error *error) {
    t->backend = t->opts.backend;
    if (t->backend) return GLIA_OK;
    glia_error reason = { 0 };
    t->backend = glia_backend_open("cpu", t->opts.threads, &reason);
    t->owns_backend = t->backend != NULL;
    return t->backend ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* The random operations of model and method use the state "rng": {seed, step}. Backends that compute in double keep 53
 * bits of the seed. */
static void seed_random(glia_training *t) {
    glia_store *const stores[] = { t->model->store, t->states };
    for (int i = 0; i < GLIA_COUNT(stores); i++) {
        glia_array rng;
        if (!stores[i] || !glia_store_look(stores[i], GLIA_RANDOM_STATE, &rng) || rng.dtype != GLIA_I64) continue;
        *(int64_t *)rng.data = (int64_t)(t->opts.seed & (((uint64_t)1 << 53) - 1));
        glia_store_touch(stores[i]);
    }
}

static void describe(glia_training *t) {
    t->scale = 1;
    t->fixed_lr = NAN;
    if (t->loader) t->epoch_steps = glia_loader_batches(t->loader);
    t->total = t->opts.epochs * t->epoch_steps;
    if (t->opts.max_steps > 0) t->total = GLIA_MIN(t->total, t->opts.max_steps);
    t->progress = (glia_progress){ .training = t,
                                   .model = t->model,
                                   .epochs = t->opts.epochs,
                                   .epoch = 1,
                                   .steps = GLIA_MIN(t->epoch_steps, t->total),
                                   .total = t->total,
                                   .loss = NAN,
                                   .values = t->values,
                                   .activation_bytes = t->activation_bytes,
                                   .parameter_bytes = t->parameter_bytes,
                                   .validation = { .loss = NAN, .accuracy = NAN } };
}

/* ---- means and figures -------------------------------------------------------------------- */

int glia_training_mean(glia_training *t, const char *name) {
    t->means[t->n_means] = name;
    return t->n_means++;
}

void glia_training_add(glia_training *t, int mean, double value, double weight) {
    t->sums[mean] += weight * value;
    t->weights[mean] += weight;
}

int glia_training_figure(glia_training *t, const char *name) {
    t->figures[t->n_figures] = (glia_value){ name, NAN };
    return t->n_figures++;
}

double glia_training_mean_value(const glia_training *t, int mean) {
    return t->samples > 0 ? t->sums[mean] / fmax(t->weights[mean], 1) : NAN;
}

static double mean_named(const glia_training *t, const char *name) {
    for (int i = 0; i < t->n_means; i++) {
        if (strcmp(t->means[i], name) == 0) return glia_training_mean_value(t, i);
    }
    return NAN;
}

static double figure_named(const glia_training *t, const char *name) {
    for (int i = 0; i < t->n_figures; i++) {
        if (strcmp(t->figures[i].name, name) == 0) return t->figures[i].value;
    }
    return NAN;
}

static void clear_means(glia_training *t) {
    memset(t->sums, 0, sizeof t->sums);
    memset(t->weights, 0, sizeof t->weights);
    t->samples = 0;
}

/* ---- the backup --------------------------------------------------------------------------- */

size_t glia_training_backup_bytes(const glia_training *t) {
    return glia_store_copy(t->model->store, NULL, false) +
           (t->keeps_states && t->states ? glia_store_copy(t->states, NULL, false) : 0);
}

void glia_training_back_up(glia_training *t, bool restore) {
    const size_t first = glia_store_copy(t->model->store, t->backup, restore);
    if (t->keeps_states && t->states) glia_store_copy(t->states, t->backup + first, restore);
}

/* ---- callbacks ---------------------------------------------------------------------------- */

/* Updates the progress: means of the epoch so far, and the figures if they were measured. */
static void tell(glia_training *t, double began, bool measured) {
    glia_progress *p = &t->progress;
    p->epoch = t->epoch + 1;
    p->step = t->step;
    p->done = t->done;
    p->samples = t->samples;
    p->seconds = glia_seconds() - began;
    p->train = (glia_scores){ .loss = mean_named(t, "loss"),
                              .accuracy = mean_named(t, "accuracy"),
                              .samples = t->samples,
                              .seconds = p->seconds };
    int n = 0;
    for (int i = 0; i < t->n_means; i++) {
        t->values[n++] = (glia_value){ t->means[i], glia_training_mean_value(t, i) };
    }
    for (int i = 0; measured && i < t->n_figures; i++) t->values[n++] = t->figures[i];
    if (t->method->about.uses & GLIA_USES_OPTIMIZER) t->values[n++] = (glia_value){ "lr", p->lr };
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
            return glia_fail(error, status, "the callback %s: %s", c->name ? c->name : "without a name",
                             glia_status_name(status));
        }
        return glia_fail(error, status, "training was stopped in epoch %lld after step %lld of %lld",
                         (long long)t->progress.epoch, (long long)t->progress.step, (long long)t->progress.steps);
    }
    return GLIA_OK;
}
#define CALL(t, moment, error) call(t, offsetof(glia_callback, moment), error)

glia_status glia_training_save_begin(glia_training *t, glia_error *error) { return CALL(t, save_begin, error); }

glia_status glia_training_validation(glia_training *t, bool begins, glia_error *error) {
    return begins ? CALL(t, validation_begin, error) : CALL(t, validation_end, error);
}

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
glia_store *glia_training_states(glia_training *t) { return t ? t->states : NULL; }

glia_status glia_training_show(glia_training *t, glia_show_fn show, void *context, glia_error *error) {
    if (!t) return glia_fail_null(error, "training");
    if (!show) return glia_fail_null(error, "show");
    return t->method->show ? t->method->show(t, show, context, error) : GLIA_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

double glia_training_rate_at(const glia_training *t, int64_t step) {
    if (!isnan(t->fixed_lr)) return t->fixed_lr;
    return t->scale * glia_lr_schedule_rate(&t->opts.schedule, t->full_lr, step, t->total, t->epoch_steps);
}

double glia_training_rate(const glia_training *t) { return glia_training_rate_at(t, t->done); }

static glia_status diverged(glia_training *t, double loss, glia_error *error) {
    char origin[360] = "";
    glia_status status = GLIA_OK;
    const int64_t step = t->step + 1;
    if (t->diagnoses && t->method->diagnose) status = t->method->diagnose(t, step, origin, sizeof origin, error);
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

/* The next batch, or none for methods without a loader; false: the data are over. */
static bool next_batch(glia_training *t, glia_batch *batch) { return !t->loader || glia_loader_next(t->loader, batch); }

/* Runs steps from the current position to the end of the epoch. */
static glia_status run_steps(glia_training *t, double began, glia_error *error) {
    glia_batch batch = { 0 };
    glia_status status = t->loader ? glia_loader_start_at(t->loader, t->epoch, t->step, error) : GLIA_OK;
    while (status == GLIA_OK && !t->stop && t->step < t->progress.steps && next_batch(t, &batch)) {
        t->progress.lr = glia_training_rate(t);
        status = t->method->step(t, t->loader ? &batch : NULL, error);
        if (status != GLIA_OK) return status;
        if (!isfinite(t->progress.loss)) return diverged(t, t->progress.loss, error);
        t->step++;
        t->done++;
        if (t->opts.n_callbacks == 0) continue;
        tell(t, began, false);
        status = CALL(t, step_end, error);
    }
    return status == GLIA_OK && t->loader ? glia_loader_check(t->loader, error) : status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    for (int i = 0; i < t->n_figures; i++) t->figures[i].value = NAN;
    glia_status status = t->method->measure ? t->method->measure(t, error) : GLIA_OK;
    glia_scores *v = &t->progress.validation;
    v->loss = figure_named(t, "val_loss");
    v->accuracy = figure_named(t, "val_accuracy");
    return status;
}

static glia_status run_epoch(glia_training *t, glia_error *error) {
    const double began = glia_seconds() - t->seconds;
    const bool whole = t->step == 0; /* otherwise it continues from a checkpoint */
    if (whole) clear_means(t);
    t->seconds = 0;
    t->ended = false;
    t->progress.steps = GLIA_MIN(t->epoch_steps, t->step + t->total - t->done);
    /* after a checkpoint of the last step only the end of the epoch remains: the rate is that step's */
    t->progress.lr = glia_training_rate_at(t, t->step && t->step == t->progress.steps ? t->done - 1 : t->done);
    tell(t, began, false);
    glia_training_back_up(t, false);
    t->began_at = t->step;
    glia_status status = whole ? CALL(t, epoch_begin, error) : GLIA_OK;
    if (status == GLIA_OK) status = run_steps(t, began, error);
    const bool over = t->step == t->progress.steps;
    if (status == GLIA_OK && over) status = measure(t, error);
    if (status != GLIA_OK || !over) return status;
    t->ended = true;
    tell(t, began, true);
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
    t->progress.lr = glia_training_rate(t);
    tell(t, glia_seconds(), true);
    for (int i = 0; i < t->progress.n_values; i++) t->values[i].value = NAN;
    glia_status status = order_callbacks(t, error);
    if (status == GLIA_OK) status = CALL(t, train_begin, error);
    if (status == GLIA_OK) status = glia_training_restore_callbacks(t, error);
    if (status == GLIA_OK) {
        t->backup = malloc(glia_training_backup_bytes(t) + 1);
        status = t->backup ? GLIA_OK : glia_fail_nomem(error);
    }
    while (status == GLIA_OK && goes_on(t)) status = run_epoch(t, error);
    if ((status == GLIA_OK || status == GLIA_E_INTERRUPTED) && t->method->finish) {
        glia_status finished = t->method->finish(t, status == GLIA_OK ? error : NULL);
        if (status == GLIA_OK) status = finished;
    }
    glia_error late = { 0 };
    glia_status ended = CALL(t, train_end, &late);
    if (status == GLIA_OK && ended != GLIA_OK) status = glia_fail(error, ended, "%s", late.message);
    return status;
}

static void end(glia_training *t) {
    glia_loader_free(t->loader);
    if (t->memory) t->method->end(t);
    if (t->owns_backend) glia_backend_close(t->backend);
    glia_restored_free(t->restored);
    free(t->memory);
    free(t->backup);
    free(t->callbacks);
    glia_arena_free(&t->texts);
    for (int i = 0; i < t->opts.n_callbacks; i++) {
        if (t->opts.callbacks[i].free) t->opts.callbacks[i].free(t->opts.callbacks[i].context);
    }
}

/* Writes into the model's metadata by which method and settings it is trained, for glia_sample() and
 * glia_assess(). */
static glia_status describe_method(const glia_training *t, glia_error *error) {
    const glia_method_info *m = &t->method->about;
    if (!m->samples && !m->assesses) return GLIA_OK;
    glia_text settings = { 0 };
    const glia_setting_table table = glia_method_table(m);
    glia_settings_print(&table, t->memory, &settings);
    glia_status status = settings.failed ? glia_fail_nomem(error) : glia_model_set(t->model, "method", m->name, error);
    if (status == GLIA_OK) status = glia_model_set(t->model, "method.settings", settings.bytes, error);
    free(settings.bytes);
    return status;
}

static glia_status begin(glia_training *t, const char *settings, glia_error *error) {
    glia_status status = check_opts(t, error);
    if (status != GLIA_OK) return status;
    t->memory = calloc(1, GLIA_MAX(t->method->bytes, (size_t)1));
    if (!t->memory) return glia_fail_nomem(error);
    const glia_setting_table table = glia_method_table(&t->method->about);
    status = glia_settings_parse(&table, settings, t->memory, &t->texts, error);
    if (status == GLIA_OK) status = open_backend(t, error);
    if (status == GLIA_OK) status = t->method->begin(t, error);
    if (status == GLIA_OK) status = describe_method(t, error);
    return status;
}

glia_status glia_training_run(const glia_method *method, const char *settings, glia_model *model,
                              const glia_dataset *data, glia_fit_opts opts, glia_error *error) {
    glia_training t = { .method = method, .opts = opts, .model = model, .data = data };
    glia_status status = begin(&t, settings, error);
    if (status == GLIA_OK) {
        seed_random(&t);
        describe(&t);
        status = run(&t, error);
    }
    end(&t);
    return status;
}
