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

const glia_dataset *training_data(const training *t) { return t->train ? t->train : t->all; }

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
    a->accumulate = o->accumulate > 1 ? o->accumulate : 1;
    a->optimizer = glia_optimizer_name(o->kind);
    return -1;
}

static int choose_optimizer(training *t) {
    settings *a = &t->asked;
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

/* Whether the method learns from targets: labels or values. */
static bool has_targets(const training *t) { return (t->method->uses & GLIA_USES_TARGETS) != 0; }

static int choose_loss(training *t) {
    settings *a = &t->asked;
    if (isnan(a->label_smoothing)) a->label_smoothing = 0;
    if (!has_targets(t)) return a->loss ? misuse("--loss: the method %s does not use a loss", t->method->name) : -1;
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

/* ---- data --------------------------------------------------------------------------------- */

/* The address says itself what its test split is. */
static bool says_test(const char *address) {
    const char *question = strchr(address, '?');
    return question && (strstr(question, "?test=") || strstr(question, "&test="));
}

/* The names that the weights of --from know; none where it is a file without them. */
static void read_names(training *t, saved_names *names) {
    char *path = t->asked.from ? saved_path(t->asked.from) : NULL;
    glia_model *model = path ? glia_model_load(path, NULL) : NULL;
    if (model) saved_names_read(names, model);
    if (names->tokenizer) names->tokenizer = settings_keep(&t->asked, names->tokenizer);
    glia_model_free(model);
    free(path);
}

/* One split, for weights of --from with their columns and classes. */
static glia_dataset *open_split(const training *t, const saved_names *names, const char *split, glia_error *error) {
    const settings *a = &t->asked;
    const bool matched = names->columns || names->classes || names->tokenizer;
    return matched ? saved_names_open(names, a->data, split, a->data_folder, error)
                   : glia_data_open(a->data, split, a->data_folder, error);
}

/* Opens t->all and, for methods with targets, t->test. Of data without a test split a fifth becomes it, unless the
 * address says otherwise or nothing is to be held out (--no-validation). */
static bool open_splits(training *t, const saved_names *names, glia_error *error) {
    settings *a = &t->asked;
    t->all = open_split(t, names, "train", error);
    if (!has_targets(t)) return t->all != NULL;
    if (t->all && !glia_data_is_split(t->all) && !says_test(a->data) && a->validation != 0) {
        text address = { 0 };
        text_add(&address, "%s%ctest=0.2", a->data, strchr(a->data, '?') ? '&' : '?');
        a->data = settings_keep(a, address.bytes);
        free(address.bytes);
        glia_data_free(t->all);
        t->all = open_split(t, names, "train", error);
    }
    if (!t->all || !glia_data_is_split(t->all)) return t->all != NULL;
    t->test = open_split(t, names, "test", error);
    return t->test != NULL;
}

static int open_data(training *t) {
    settings *a = &t->asked;
    const char *named = a->data ? a->data : t->recipe->data;
    if (!(t->method->uses & GLIA_USES_DATA))
        return a->data ? misuse("--data: the method %s does not use data", t->method->name) : -1;
    if (!named) return misuse("%s needs --data: for instance csv:FILE?label=COLUMN", t->recipe->name);
    a->data = named;
    saved_names names = { 0 };
    read_names(t, &names);
    glia_error error;
    bool opened = open_splits(t, &names, &error);
    saved_names_free(&names);
    if (opened) return -1;
    return fail("%s%s", error.message, strcmp(named, "mnist") == 0 ? " (--data strokes needs no file)" : "");
}

/* Holds out the last samples for validation. */
static int hold_out(training *t) {
    if (!(t->method->uses & GLIA_USES_VALIDATION)) {
        if (t->asked.validation > 0)
            return misuse("--validation-split: the method %s does not use validation data", t->method->name);
        t->asked.validation = 0;
        return -1;
    }
    int64_t n = glia_data_count(t->all), held = n / 10 < 5000 ? n / 10 : 5000;
    double asked = t->asked.validation;
    if (asked >= (double)n)
        return misuse("--validation-split %g leaves nothing of the %lld samples to train on", asked, (long long)n);
    if (asked >= 1 && asked != floor(asked))
        return misuse("--validation-split %g is neither a fraction below 1 nor a number of samples", asked);
    if (!isnan(asked)) held = asked < 1 ? (int64_t)llround(asked * (double)n) : (int64_t)asked;
    if (asked > 0 && held < 1)
        return misuse("--validation-split %g of %lld samples is none; 0 means no validation", asked, (long long)n);
    if (held >= n)
        return misuse("--validation-split %g leaves nothing of the %lld samples to train on", asked, (long long)n);
    if (!isnan(asked) || held > 0) t->asked.validation = held < 1 ? 0 : (double)held;
    if (held < 1) return -1;
    glia_error error;
    t->train = glia_data_range(t->all, 0, n - held, &error);
    t->validation = t->train ? glia_data_range(t->all, n - held, n, &error) : NULL;
    return t->validation ? -1 : fail("%s", error.message);
}

static int choose_augment(training *t) {
    settings *a = &t->asked;
    if (!a->augment) return -1;
    glia_error error;
    t->augment = glia_augment_parse(a->augment, &error);
    if (!t->augment || glia_augment_check(t->augment, glia_data_x_shape(t->all), &error) != GLIA_OK)
        return misuse("--augment: %s", error.message);
    char *words = glia_augment_print(t->augment);
    if (!words) return fail("out of memory");
    a->augment = settings_keep(a, words);
    free(words);
    return -1;
}

/* "balanced", or a number for each class. */
static int choose_class_weights(training *t) {
    const char *asked = t->asked.class_weights;
    if (!asked) return -1;
    if (!t->classes) return misuse("--class-weights: %s has no classes", t->asked.data);
    t->class_weights = allocate((size_t)t->classes, sizeof *t->class_weights);
    glia_error error;
    if (strcmp(asked, "balanced") == 0)
        return glia_data_class_weights(training_data(t), t->class_weights, &error) == GLIA_OK
                   ? -1
                   : fail("%s", error.message);
    for (int i = 0; i < t->classes; i++) {
        char *end;
        t->class_weights[i] = strtod(asked, &end);
        bool last = i + 1 == t->classes;
        if (end == asked || *end != (last ? '\0' : ',') || !(t->class_weights[i] >= 0))
            return misuse("--class-weights must be \"balanced\" or %d numbers separated by commas", t->classes);
        asked = end + 1;
    }
    return -1;
}

static int choose_samples(training *t) {
    settings *a = &t->asked;
    a->stratified = a->stratified > 0;
    a->balanced = a->balanced > 0;
    if (!a->balanced) return -1;
    if (!t->classes) return misuse("--balanced: %s has no classes", a->data);
    if (a->stratified) return misuse("--balanced and --stratified exclude each other");
    t->sample_weights = allocate((size_t)glia_data_count(training_data(t)), sizeof *t->sample_weights);
    glia_error error;
    return glia_data_sample_weights(training_data(t), t->sample_weights, &error) == GLIA_OK ? -1
                                                                                            : fail("%s", error.message);
}

/* Normalises all splits by the statistics of the training data. */
static int normalize(training *t) {
    int wanted = t->asked.normalize;
    t->asked.normalize = wanted < 0 ? t->recipe->normalize : wanted;
    if (!t->asked.normalize) return -1;
    glia_shape shape = glia_data_x_shape(t->all);
    int capacity = shape.rank == 1 || shape.rank == 3 ? (int)shape.dim[0] : 1;
    t->mean = allocate((size_t)capacity, sizeof *t->mean);
    t->stddev = allocate((size_t)capacity, sizeof *t->stddev);
    t->n_normal = glia_data_statistics(training_data(t), t->mean, t->stddev, capacity);
    glia_error error = { .message = "the training data cannot be read" };
    if (t->n_normal > 0 && glia_data_normalize(t->all, t->mean, t->stddev, t->n_normal, &error) == GLIA_OK &&
        (!t->test || glia_data_normalize(t->test, t->mean, t->stddev, t->n_normal, &error) == GLIA_OK))
        return -1;
    return fail("%s", error.message);
}

/* ---- the model ---------------------------------------------------------------------------- */

static int load_weights(training *t) {
    char *path = saved_path(t->asked.from);
    glia_error error;
    int status = glia_model_load_weights(t->model, path, NULL, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    free(path);
    return status;
}

static int build_model(training *t) {
    const settings *a = &t->asked;
    t->classes = has_targets(t) ? glia_data_classes(t->all) : 0;
    int64_t outputs = t->classes ? t->classes : glia_shape_count(glia_data_y_shape(t->all));
    glia_error error;
    const glia_shape x = glia_data_x_shape(t->all);
    if (t->recipe->build_conditional && !(outputs = glia_data_classes(t->all)))
        return fail("%s is trained on samples with classes; %s has none", t->recipe->name, a->data);
    t->model = glia_recipe_build(t->recipe, x, (int)outputs, &error);
    if (!t->model && x.rank == 2 && t->recipe->sample.rank == 3) /* grey pictures without their axis of channels */
        t->model = glia_recipe_build(t->recipe, GLIA_SHAPE(1, x.dim[0], x.dim[1]), (int)outputs, NULL);
    char shape[SHORT], made[SHORT];
    if (!t->model)
        return fail("%s takes samples of %s, %s has %s: %s", t->recipe->name, shape_text(t->recipe->sample, made),
                    a->data, shape_text(x, shape), error.message);
    if (glia_model_init(t->model, (uint64_t)a->seed, &error) != GLIA_OK) return fail("%s", error.message);
    int status = a->from ? load_weights(t) : -1;
    if (status >= 0) return status;
    if (a->freeze && glia_freeze(glia_model_graph(t->model), a->freeze, true) == 0)
        return fail("--freeze %s matches no parameter; `glia summary %s` lists them", a->freeze, t->recipe->name);
    return -1;
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
    if (!a->batch) a->batch = t->recipe->batch;
    status = open_data(t);
    if (status < 0) status = hold_out(t);
    if (status < 0) status = build_model(t);
    if (status < 0) status = choose_loss(t);
    if (status < 0) status = choose_augment(t);
    if (status < 0) status = choose_class_weights(t);
    if (status < 0) status = choose_samples(t);
    if (status < 0) status = choose_watchers(t);
    if (status >= 0) return status;
    double least, most;
    data_range(t->all, &least, &most); /* before they are normalised */
    status = normalize(t);
    if (status >= 0) return status;
    status = saved_describe(t->model, &(saved_about){ .data = t->all,
                                                      .address = a->data,
                                                      .mean = t->mean,
                                                      .stddev = t->stddev,
                                                      .n_normal = t->n_normal,
                                                      .labels = training_labels(t),
                                                      .least = least,
                                                      .most = most });
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
    glia_data_free(t->train);
    glia_data_free(t->validation);
    glia_data_free(t->all);
    glia_data_free(t->test);
    glia_augment_free(t->augment);
    settings_free(&t->asked);
    free(t->class_weights);
    free(t->sample_weights);
    free(t->mean);
    free(t->stddev);
    free(t->confusion);
    free(t->predicted);
    folder_release(&t->place);
}

/* Which class is the positive one of metrics that are of one class. */
static void add_positive(const training *t, text *words) {
    const char *list = t->asked.metrics;
    char name[256];
    const char **names = allocate((size_t)t->classes + 1, sizeof *names);
    for (int i = 0; i < t->classes; i++) names[i] = glia_data_class_name(t->all, i);
    while (t->classes > 1 && list && glia_metric_next(&list, name, sizeof name)) {
        glia_metric *metric = glia_metric_create_named(name, t->classes, names, NULL);
        const int64_t positive = metric ? glia_metric_positive(metric) : -1;
        if (positive >= 0)
            text_add(words, "%s%s takes \"%s\" for the positive class", words->length ? ", " : "", name,
                     names[positive]);
        glia_metric_free(metric);
    }
    if (words->length) text_add(words, "; %s", "positive=CLASS in its brackets chooses");
    free(names);
}

void training_headline(const training *t) {
    char number[SHORT];
    const settings *a = &t->asked;
    text words = { 0 };
    text_add(&words, "%s, %s parameters; %s, learning rate %g", t->recipe->name,
             grouped(glia_model_parameter_count(t->model, false), number), a->optimizer, t->optimizer.lr);
    if (strcmp(a->schedule, "constant") != 0) text_add(&words, " %s", a->schedule);
    text_add(&words, ", batches of %lld", (long long)a->batch);
    if (a->augment) text_add(&words, "; %s", a->augment);
    progress_say("model", words.bytes);
    words.length = 0;
    if (*t->method_settings) {
        text_add(&words, "%s: %s", t->method->name, t->method_settings);
        progress_say("method", words.bytes);
    }
    words.length = 0;
    text_add(&words, "%s, %s samples to train on", a->data, grouped(glia_data_count(training_data(t)), number));
    if (t->validation) text_add(&words, ", %s to validate", grouped(glia_data_count(t->validation), number));
    if (t->test) text_add(&words, ", %s to test", grouped(glia_data_count(t->test), number));
    if (!t->test && has_targets(t)) text_add(&words, ", none to test");
    progress_say("data", words.bytes);
    words.length = 0;
    add_positive(t, &words);
    if (words.length) progress_say("metrics", words.bytes);
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
                            .metrics = a->metrics,
                            .augment = t->augment,
                            .sample_weights = t->sample_weights,
                            .stratified = a->stratified,
                            .seed = (uint64_t)a->seed,
                            .backend = t->backend,
                            .workers = (int)a->workers,
                            .precision = t->precision,
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
                                           { "lr", row->lr },
                                           { "seconds", row->seconds } };
        for (int k = 0; k < h->n_metrics; k++) values[6 + k] = (glia_value){ h->metrics[k], row->metrics[k] };
        history_epoch(t->log, row->epoch, values, 6 + h->n_metrics);
    }
}

int training_run(training *t, voice how) {
    progress_begin(&t->progress, how, glia_data_count(training_data(t)), t->validation != NULL, t->folder);
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

int training_test(training *t) {
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

int64_t training_labels(const training *t) { return t->classes ? glia_shape_count(glia_data_y_shape(t->all)) : 0; }

int64_t training_answers(const training *t) { return t->scores.samples * training_labels(t); }

int64_t training_mistakes(const training *t) {
    return training_answers(t) - llround(t->scores.accuracy * (double)training_answers(t));
}
