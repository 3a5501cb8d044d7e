/* training.c - one run of training. */
#include "runs/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "glia/glia.h"
#include "runs/record.h"
#include "runs/saved.h"
#include "runs/source.h"
#include "runs/survive.h"

static const char *const precision_names[] = { "f32", "bf16" };

/* Losses that --loss can name. */
static const struct {
    const char *name;
    glia_loss loss;
} losses[] = {
    { "cross-entropy", GLIA_CROSS_ENTROPY },
    { "binary-cross-entropy", GLIA_BINARY_CROSS_ENTROPY },
    { "hinge", GLIA_HINGE },
    { "mse", GLIA_MSE },
    { "mae", GLIA_MAE },
    { "huber", GLIA_HUBER },
};
enum { LOSSES = sizeof losses / sizeof losses[0] };

const char *training_source(const training *t) {
    return t->asked.data ? t->asked.data : t->asked.environment ? t->asked.environment : "";
}

bool training_has_targets(const training *t) { return (t->method->uses & GLIA_USES_TARGETS) != 0; }

/* ---- what to train ------------------------------------------------------------------------ */

static int find_recipe(training *t) {
    t->recipe = glia_recipe_find(t->asked.model);
    if (t->recipe) {
        const glia_recipe *r = t->recipe;
        t->method = glia_method_find(r->method);
        return settings_of_method(&t->asked, r->name, r->method, r->settings, &t->method_settings);
    }
    const char *near = glia_recipe_nearest(t->asked.model);
    if (near) return misuse("unknown model \"%s\"; did you mean %s?", t->asked.model, near);
    return misuse("unknown model \"%s\"; `glia models` lists them", t->asked.model);
}

/* The index of `name`, or -1 after saying that there is no such `what`. */
static int choose(const char *what, const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return i;
    const char *near = glia_name_nearest(name, names, n);
    text list = { 0 };
    for (int i = 0; i < n; i++) text_add(&list, "%s%s", i ? ", " : "", names[i]);
    misuse("unknown %s \"%s\"%s%s%s; known are %s", what, name, near ? "; did you mean " : "", near ? near : "",
           near ? "?" : "", list.bytes);
    free(list.bytes);
    return -1;
}

/* The optimiser's fields and their settings. */
static int choose_numbers(training *t) {
    settings *a = &t->asked;
    glia_optimizer *o = &t->optimizer;
    const struct {
        double *asked, *to;
    } numbers[] = { { &a->lr, &o->lr },
                    { &a->momentum, &o->momentum },
                    { &a->beta1, &o->beta1 },
                    { &a->beta2, &o->beta2 },
                    { &a->rho, &o->rho },
                    { &a->epsilon, &o->epsilon },
                    { &a->weight_decay, &o->weight_decay },
                    { &a->l1, &o->l1 },
                    { &a->l2, &o->l2 },
                    { &a->max_norm, &o->max_norm },
                    { &a->clip_norm, &o->clip_norm },
                    { &a->clip_value, &o->clip_value },
                    { &a->ema, &o->ema } };
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    for (int i = 0; i < NUMBERS; i++)
        if (!isnan(*numbers[i].asked)) *numbers[i].to = *numbers[i].asked == 0 ? GLIA_ZERO : *numbers[i].asked;
    if (a->nesterov >= 0) o->nesterov = a->nesterov;
    if (a->amsgrad >= 0) o->amsgrad = a->amsgrad;
    if (a->ema_warmup >= 0) o->ema_warmup = a->ema_warmup;
    else if (a->ema == 0) o->ema_warmup = false; /* of a model whose averages are off now */
    if (a->accumulate) o->accumulate = a->accumulate;
    if (a->groups) {
        int status = groups_parse(a->groups, t->groups, &o->n_groups, a);
        if (status >= 0) return status;
        o->groups = t->groups;
    }
    *o = glia_optimizer_resolved(*o);
    for (int i = 0; i < NUMBERS; i++) *numbers[i].asked = *numbers[i].to == GLIA_ZERO ? 0 : *numbers[i].to;
    a->nesterov = o->nesterov;
    a->amsgrad = o->amsgrad;
    a->ema_warmup = o->ema_warmup;
    a->accumulate = o->accumulate > 1 ? o->accumulate : 1;
    a->optimizer = glia_optimizer_name(o->kind);
    return -1;
}

/* Methods without an optimiser refuse what concerns one. */
static int refuse_optimizer(const training *t) {
    const settings *a = &t->asked;
    const char *given = a->optimizer ? "optimizer" : !isnan(a->lr) ? "lr" : a->schedule ? "schedule" : NULL;
    return given ? misuse("the method %s does not use --%s", t->method->name, given) : -1;
}

static int choose_optimizer(training *t) {
    settings *a = &t->asked;
    if (!(t->method->uses & GLIA_USES_OPTIMIZER)) return refuse_optimizer(t);
    t->optimizer = t->recipe->optimizer;
    t->schedule = t->recipe->schedule;
    const char *names[GLIA_OPTIMIZER_COUNT];
    for (int i = 0; i < GLIA_OPTIMIZER_COUNT; i++) names[i] = glia_optimizer_name((glia_optimizer_kind)i);
    int kind = a->optimizer ? choose("optimizer", a->optimizer, names, GLIA_OPTIMIZER_COUNT) : (int)t->optimizer.kind;
    glia_error error;
    if (kind >= 0 && a->schedule && glia_lr_schedule_parse(a->schedule, &t->schedule, &error) != GLIA_OK)
        return misuse("%s", error.message);
    if (!isnan(a->warmup)) t->schedule.warmup = a->warmup;
    int precision = a->precision && kind >= 0 ? choose("precision", a->precision, precision_names, 2) : 0;
    if (kind < 0 || precision < 0) return EXIT_USAGE;
    char schedule[512];
    glia_lr_schedule_print(&t->schedule, schedule, sizeof schedule);
    a->schedule = settings_keep(a, schedule);
    a->warmup = NAN; /* the schedule's text has it */
    t->precision = (glia_precision)precision;
    a->precision = precision_names[precision];
    if (kind != (int)t->optimizer.kind) t->optimizer = (glia_optimizer){ .kind = (glia_optimizer_kind)kind };
    return choose_numbers(t);
}

static int choose_loss(training *t) {
    settings *a = &t->asked;
    if (isnan(a->label_smoothing)) a->label_smoothing = 0;
    if (!training_has_targets(t))
        return a->loss ? misuse("--loss: the method %s does not use a loss", t->method->name) : -1;
    t->loss = t->classes ? t->recipe->loss : GLIA_MSE;
    if (t->loss == GLIA_LOSS_DEFAULT) t->loss = GLIA_CROSS_ENTROPY;
    if (a->loss) {
        const char *names[LOSSES];
        for (int i = 0; i < LOSSES; i++) names[i] = losses[i].name;
        int i = choose("loss", a->loss, names, LOSSES);
        if (i < 0) return EXIT_USAGE;
        t->loss = losses[i].loss;
    }
    for (int i = 0; i < LOSSES; i++)
        if (losses[i].loss == t->loss) a->loss = losses[i].name;
    return -1;
}

/* ---- the model ---------------------------------------------------------------------------- */

static int build_model(training *t) {
    const settings *a = &t->asked;
    glia_shape x;
    int64_t outputs;
    t->source->sizes(t, &x, &outputs);
    glia_error error;
    t->model = t->source->build ? t->source->build(t, &error)
                                : glia_recipe_build(t->recipe, x, (int)outputs, &error);
    if (!t->model && t->source->build) return fail("%s: %s", t->recipe->name, error.message);
    if (!t->model && x.rank == 2 && t->recipe->sample.rank == 3) /* grey pictures without their axis of channels */
        t->model = glia_recipe_build(t->recipe, GLIA_SHAPE(1, x.dim[0], x.dim[1]), (int)outputs, NULL);
    char shape[SHORT], made[SHORT];
    if (!t->model && !a->data) return fail("%s: %s", t->recipe->name, error.message);
    if (!t->model)
        return fail("%s takes samples of %s, %s has %s: %s", t->recipe->name, shape_text(t->recipe->sample, made),
                    a->data, shape_text(x, shape), error.message);
    if (glia_model_init(t->model, (uint64_t)a->seed, &error) != GLIA_OK) return fail("%s", error.message);
    int status = a->from ? transfer_load(t) : -1;
    return status < 0 ? transfer_prepare(t) : status;
}

static int choose_watchers(training *t) {
    settings *a = &t->asked;
    if (a->metrics && !t->validation) return misuse("--metrics need validation data, and there are none");
    if (!a->monitor && t->method->ranked) a->monitor = t->validation ? "val_loss" : "loss";
    if (!a->monitor && (a->early_stopping || a->plateau))
        return misuse("--early-stopping and --plateau need --monitor: no figure of the method %s ranks its models",
                      t->method->name);
    if (a->plateau && isnan(a->plateau_factor)) a->plateau_factor = 0.1;
    if (isnan(a->swa)) a->swa = 0;
    a->checkpoint = a->checkpoint != 0;
    if (isnan(a->checkpoint_seconds)) a->checkpoint_seconds = 10;
    a->tensorboard = a->tensorboard > 0;
    return -1;
}

int training_open(training *t, settings asked) {
    *t = (training){ .asked = asked, .place = { .lock = -1 } };
    time_t now = time(NULL);
    struct tm day;
    if (localtime_r(&now, &day)) strftime(t->started, sizeof t->started, "%Y-%m-%d %H:%M", &day);
    int status = find_recipe(t);
    if (status < 0) status = choose_optimizer(t);
    if (status >= 0) return status;
    settings *a = &t->asked;
    if (!a->epochs) a->epochs = t->recipe->epochs;
    if (a->batch && !(t->method->uses & GLIA_USES_BATCH))
        return misuse("--batch: the method %s does not use it", t->method->name);
    if (!a->batch && (t->method->uses & GLIA_USES_BATCH)) a->batch = t->recipe->batch;
    status = source_open(t);
    if (status < 0) status = build_model(t);
    if (status < 0) status = choose_loss(t);
    if (status < 0) status = choose_watchers(t);
    if (status < 0) status = t->source->prepare(t);
    if (status >= 0) return status;
    glia_error error;
    t->backend = glia_backend_open("cpu", (int)a->threads, &error);
    return t->backend ? -1 : fail("%s", error.message);
}

void training_close(training *t) {
    history_end(t->log, "failed", t->progress.history.seconds, NULL, 0);
    progress_free(&t->progress);
    glia_backend_close(t->backend);
    glia_model_free(t->model);
    if (t->source) t->source->close(t);
    settings_free(&t->asked);
    free(t->depth_groups);
    free(t->all_groups);
    free(t->confusion);
    free(t->predicted);
    folder_release(&t->place);
}

void training_headline(const training *t) {
    char number[SHORT];
    const settings *a = &t->asked;
    text words = { 0 };
    const int64_t parameters = glia_model_parameter_count(t->model, false); /* 0: the method builds the model */
    text_add(&words, "%s", t->recipe->name);
    if (parameters) text_add(&words, ", %s parameters", grouped(parameters, number));
    if (a->optimizer) {
        text_add(&words, "; %s, learning rate %g", a->optimizer, t->optimizer.lr);
        if (strcmp(a->schedule, "constant") != 0) text_add(&words, " %s", a->schedule);
        if (a->batch) text_add(&words, ", batches of %lld", (long long)a->batch);
    }
    if (a->augment) text_add(&words, "; %s", a->augment);
    progress_say("model", words.bytes);
    words.length = 0;
    if (*t->method_settings) {
        text_add(&words, "%s: %s", t->method->name, t->method_settings);
        progress_say("method", words.bytes);
    }
    words.length = 0;
    t->source->tell(t);
    if (t->from_note) progress_say("from", t->from_note);
    progress_say("machine", glia_backend_describe(t->backend));
    free(words.bytes);
}

/* ---- running ------------------------------------------------------------------------------ */

glia_fit_opts training_fit_opts(const training *t) {
    const settings *a = &t->asked;
    return (glia_fit_opts){ .epochs = a->epochs,
                            .batch = a->batch,
                            .loss = t->loss,
                            .label_smoothing = a->label_smoothing,
                            .class_weights = t->class_weights,
                            .optimizer = t->optimizer,
                            .schedule = t->schedule,
                            .validation = t->validation,
                            .graphs = t->graphs,
                            .metrics = a->metrics,
                            .augment = t->augment,
                            .sample_weights = t->sample_weights,
                            .environment = t->environment,
                            .stratified = a->stratified,
                            .seed = (uint64_t)a->seed,
                            .backend = t->backend,
                            .workers = (int)a->workers,
                            .precision = t->precision,
                            .text = training_text(t),
                            .max_steps = a->max_steps };
}

enum { WATCHERS = 19 };

/* What keeps the run in its folder as it goes. A full disk does not end the training. */
static int keepers(training *t, glia_callback *out) {
    const settings *a = &t->asked;
    int n = 0;
    char *best = training_file(t, "best.safetensors"), *checkpoint = training_file(t, "checkpoint.safetensors");
    if (a->monitor)
        out[n++] = survive(glia_model_checkpoint((glia_model_checkpoint_opts){
        .path = best, .monitor = a->monitor, .save_best_only = true, .min_seconds = a->checkpoint_seconds }));
    out[n++] = survive(training_gallery(t));
    if (a->tensorboard) {
        char *logs = training_file(t, "tensorboard");
        out[n++] = survive(glia_tensorboard((glia_tensorboard_opts){
            .log_dir = logs, .histogram_freq = 1, .write_graph = true, .write_images = true, .own_folder = true }));
        free(logs);
    }
    if (!t->resumed) out[n++] = training_begins(t); /* an old checkpoint must be gone before one is looked for */
    if (a->checkpoint)
        out[n++] = survive(glia_backup_and_restore((glia_backup_and_restore_opts){ .path = checkpoint,
                                                                                   .save_freq = a->checkpoint_every,
                                                                                   .min_seconds = a->checkpoint_seconds,
                                                                                   .keep = true }));
    if (t->resumed) out[n++] = training_begins(t); /* once the checkpoint has been found to fit */
    out[n++] = interrupt_watch(a->checkpoint ? checkpoint : NULL);
    free(best);
    free(checkpoint);
    return n;
}

/* The averages come first, so that the others see what is validated. */
static int watchers(training *t, glia_callback *out) {
    const settings *a = &t->asked;
    int n = 0;
    if (a->ema > 0) out[n++] = glia_swap_ema_weights(true);
    out[n++] = glia_terminate_on_nan();
    if (a->plateau)
        out[n++] = glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){
            .monitor = a->monitor, .patience = a->plateau, .factor = a->plateau_factor });
    if (a->early_stopping)
        out[n++] = glia_early_stopping((glia_early_stopping_opts){
            .monitor = a->monitor, .patience = a->early_stopping, .restore_best_weights = true });
    if (a->swa > 0) out[n++] = glia_swa((glia_swa_opts){ .start = a->swa, .data = training_data(t) });
    out[n++] = progress_watch(&t->progress);
    out[n++] = history_watch(&t->log);
    if (t->folder) return n + keepers(t, out + n);
    out[n++] = interrupt_watch(NULL);
    return n;
}

/* The history of a resumed run gets the epochs that it does not know. */
static void tell_history(const training *t) {
    const history *h = &t->progress.history;
    for (int64_t i = 0; t->resumed && i < h->n_epochs; i++) {
        const epoch_row *row = &h->epochs[i];
        glia_value values[6 + METRICS] = { { "loss", row->train.loss },
                                           { "accuracy", row->train.accuracy },
                                           { "val_loss", row->validation.loss },
                                           { "val_accuracy", row->validation.accuracy },
                                           { "lr", t->method->uses & GLIA_USES_OPTIMIZER ? row->lr : NAN },
                                           { "seconds", row->seconds } };
        for (int k = 0; k < h->n_metrics; k++) values[6 + k] = (glia_value){ h->metrics[k], row->metrics[k] };
        history_epoch(t->log, row->epoch, values, 6 + h->n_metrics);
    }
}

int training_run(training *t, voice how) {
    progress_begin(&t->progress, how, t->source->samples(t), t->validation != NULL, t->folder);
    glia_callback list[WATCHERS];
    glia_fit_opts opts = training_fit_opts(t);
    opts.callbacks = list;
    opts.n_callbacks = watchers(t, list);
    interrupt_catch();
    glia_error error;
    glia_status status =
        glia_train(t->model, training_data(t), t->method->name, t->method_settings, opts, &error);
    t->stopped = status == GLIA_E_INTERRUPTED;
    if (t->stopped || status == GLIA_OK) record_open(&t->progress); /* a resumed run may have had no step to take */
    record_close(&t->progress);
    progress_end(&t->progress);
    tell_history(t);
    return status == GLIA_OK || t->stopped ? -1 : fail("%s", error.message);
}

/* By the method of a model that is not tested on a dataset. */
static int assess(training *t) {
    glia_assess_opts opts = { .seed = (uint64_t)t->asked.seed, .backend = t->backend };
    t->source->assess(t, &opts);
    glia_error error;
    t->assessed = glia_assess(t->model, opts, &t->assessment, &error) == GLIA_OK;
    return t->assessed ? -1 : fail("%s", error.message);
}

int training_test(training *t) {
    if (t->method->assesses && t->source->assess) return assess(t);
    enum { MOST_CONFUSED = 1000 }; /* classes: their table has the square of it */
    if (!t->test) return -1;
    int64_t n = glia_data_count(t->test);
    bool one = t->classes && training_labels(t) == 1;
    if (one) t->predicted = allocate((size_t)n, sizeof *t->predicted);
    if (one && t->classes <= MOST_CONFUSED) {
        t->confusion = allocate((size_t)t->classes * (size_t)t->classes, sizeof *t->confusion);
    }
    glia_error error;
    glia_evaluate_opts opts = {
        .loss = t->loss, .backend = t->backend, .confusion = t->confusion, .predicted = t->predicted
    };
    t->tested = glia_evaluate(t->model, t->test, opts, &t->scores, &error) == GLIA_OK;
    return t->tested ? -1 : fail("%s", error.message);
}

int64_t training_answers(const training *t) { return t->scores.samples * training_labels(t); }

int64_t training_mistakes(const training *t) {
    return training_answers(t) - llround(t->scores.accuracy * (double)training_answers(t));
}
